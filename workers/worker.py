"""`python -m workers.worker`: works runs, one at a time, behind everything that answers questions."""

import os
import sys
from collections.abc import Callable
from functools import cache

import structlog
from celery import Celery, signals
from celery.concurrency import asynpool

from core import telemetry
from core.settings import Settings, load_settings
from threadwise.runtime import Threadwise
from workers.app import celery_app, register_run
from workers.bell import Bell
from workers.child import AtWork, Child, StopFlag
from workers.logs import take_over_logging
from workers.memory import watch_memory
from workers.nice import NICENESS
from workers.silence import Silence, watch

FAREWELL_LOOKS = 10  # of a tenth of a second each

log = structlog.get_logger(__name__)


def worker_app(settings: Settings) -> Celery:
    """The application with its task, its pool's children and its way to stop.

    Only the parent hears that the worker stops. It tells the child through shared memory; the child's run is given
    back at its next document, and Celery, which waits for the task, ends.
    """
    stop, at_work = StopFlag(), AtWork()
    child = Child(lambda: _opened(settings), stop, at_work)
    app = celery_app(settings.queue)
    register_run(app, child.work)
    _connect(signals.setup_logging, lambda: None)  # that somebody listens keeps Celery's own logging out
    _connect(signals.worker_ready, lambda: log.info("worker_ready"))
    # After every reconnection it is ready once more; a second watch would see the same.
    _connect(signals.worker_ready, cache(lambda: watch(Silence(Bell(app).waiting, at_work.anybody))))
    _connect(signals.worker_shutting_down, stop.set)
    _connect(signals.worker_process_shutdown, child.close)
    return app


def _opened(settings: Settings) -> Threadwise:
    watch_memory(settings.ingest.max_memory_mb)
    return Threadwise(settings)


def _connect(event: signals.Signal, act: Callable[[], object]) -> None:
    event.connect(lambda **_: act(), weak=False)


def main() -> None:
    """Work until SIGTERM; then give the run back and end."""
    os.umask(0o077)  # what is written is for its owner alone
    settings = load_settings()
    telemetry.configure(verbose=True)
    take_over_logging()
    os.nice(NICENESS)
    # A parent that stops reads no more results, and a child would wait half a minute for it to read the last ones.
    asynpool._pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT = FAREWELL_LOOKS  # noqa: SLF001 - there is no setting
    worker = worker_app(settings).Worker(
        pool="prefork",
        concurrency=1,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        quiet=True,
    )
    worker.start()
    sys.exit(worker.exitcode)


if __name__ == "__main__":
    main()
