"""`python -m workers.poller`: works runs without any broker, by looking into the catalogue, and keeps the duties.

One process does what clock and worker do together; several of them share the work as workers do.
"""

import os
import signal
import sys
import threading
from types import FrameType

import structlog

from core import clock, telemetry
from core.errors import ThreadwiseError
from core.settings import Settings, load_settings
from threadwise.runtime import Threadwise
from workers.child import work_all
from workers.clock import FAREWELL_SECONDS, Duty, keep, lasting_duties
from workers.logs import take_over_logging
from workers.memory import watch_memory
from workers.nice import NICENESS

POLL_SECONDS = 0.5

log = structlog.get_logger(__name__)


def poll(threadwise: Threadwise, stop: threading.Event, *, seconds: float = POLL_SECONDS) -> None:
    """Work whatever there is, look again after a while, until told to stop.

    A database that is away is waited for; other errors of ours are raised.
    """
    while not stop.is_set():
        try:
            work_all(threadwise, stop.is_set)
        except ThreadwiseError as error:
            if not error.retryable:
                raise
            log.warning("poll_waits", code=error.code)
        stop.wait(seconds)


def main() -> None:
    """Work until SIGTERM; then give the run back and end."""
    os.umask(0o077)  # what is written is for its owner alone
    settings = load_settings()
    telemetry.configure(verbose=True)
    take_over_logging()
    os.nice(NICENESS)
    watch_memory(settings.ingest.max_memory_mb)
    sys.exit(_run(settings))


def _run(settings: Settings) -> int:
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    with Threadwise(settings) as threadwise:
        duties = lasting_duties(lambda: threadwise.database, settings, clock.now)
        keeper = threading.Thread(target=_keep, args=(duties, stop), daemon=True)
        keeper.start()
        log.info("worker_ready")
        try:
            poll(threadwise, stop)
        except ThreadwiseError as error:
            log.error("poller_stopped", code=error.code)  # noqa: TRY400 - a traceback would show what it worked on
            return 1
        finally:
            stop.set()
            keeper.join(FAREWELL_SECONDS)
    return 0


def _keep(duties: list[Duty], stop: threading.Event) -> None:
    try:
        keep(duties, stop)
    except ThreadwiseError as error:
        log.error("duties_stopped", code=error.code)  # noqa: TRY400 - a traceback would show what they worked on
        stop.set()


if __name__ == "__main__":
    main()
