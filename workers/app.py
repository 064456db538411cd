"""The Celery application: one queue, one task, one argument. Every setting is here, with its reason.

The broker is a doorbell. What it loses, doubles or delays changes nothing but when somebody looks, because a run is
claimed in SQL; the settings only keep such looks few and soon.
"""

import re
from collections.abc import Callable
from typing import Any, Final

import structlog
from celery import Celery
from kombu.connection import Connection

from core.errors import InvalidSettingError
from core.settings import QueueSettings

QUEUE: Final = "threadwise"
RUN: Final = "threadwise.run"
"""The only task: its argument is the id of a run."""

EXPIRES_SECONDS: Final = 86_400
"""Rings that nobody took for a day are dropped. Not sooner: the worker's own clock decides, and may be wrong."""

VISIBILITY_SECONDS: Final = 60
MEMORY_PER_CHILD_KB: Final = 2_000_000

_RUN_ID = re.compile(r"[0-9a-f]{32}")

log = structlog.get_logger(__name__)


class PatientConnection(Connection):
    """A connection that looks for a lost broker every two seconds. Celery's own waits up to thirty, and cannot be told.

    The arguments are those of `kombu.Connection`.
    """

    def ensure_connection(self, *args: Any, **kwargs: Any) -> Connection:  # noqa: ANN401 - passed on as they come
        """Return when there is a connection."""
        patience = {"interval_start": 0.2, "interval_step": 0.3, "interval_max": 2}
        connection: Connection = super().ensure_connection(*args, **(patience | kwargs))  # type: ignore[no-untyped-call]
        return connection


def celery_app(settings: QueueSettings) -> Celery:
    """The application of this process. Raises `InvalidSettingError` when no broker is named.

    It is not made Celery's current one: who wants to ring has to say at which bell.
    """
    if settings.url in ("", "none"):
        raise InvalidSettingError(
            "THREADWISE_QUEUE__URL names no broker.",
            hint="`threadwise up` sets it; otherwise name a Redis or Valkey, or start workers.poller.",
        )
    app = Celery("threadwise", broker=settings.url, set_as_current=False)
    app.conf.update(_DELIVERY | _TRANSPORT | _WORKER)
    app.amqp.Connection = PatientConnection
    return app


def register_run(app: Celery, work: Callable[[str], object]) -> None:
    """Make the application work runs. A ring that is not exactly one id of a run is refused, its content unlogged."""

    def run(*args: object, **kwargs: object) -> None:
        run_id = args[0] if len(args) == 1 and not kwargs else None
        if isinstance(run_id, str) and _RUN_ID.fullmatch(run_id):
            work(run_id)
        else:
            log.warning("ring_refused", arguments=len(args) + len(kwargs))

    app.task(name=RUN, shared=False)(run)  # of this application alone: Celery would give it to every other


_DELIVERY: Final[dict[str, Any]] = {
    "task_default_queue": QUEUE,
    "task_create_missing_queues": False,  # a message for any other queue is a mistake
    # Ids travel, nothing else: no code can come in, and no text can stay in the broker.
    "accept_content": ["json"],
    "task_serializer": "json",
    "result_serializer": "json",
    # The state of a run is in SQL. A result would be a second truth, and nobody would read it.
    "task_ignore_result": True,
    "result_backend": None,
    # A worker that dies gives its ring back; without the second, a pool child that is killed takes it along.
    "task_acks_late": True,
    "task_reject_on_worker_lost": True,
    # A ring waits in the broker, where any worker can take it, not in the memory of a busy one. Busy is who has a run:
    # by the count of unacknowledged rings a worker that could not acknowledge one would be busy for good.
    "worker_disable_prefetch": True,
    "worker_prefetch_multiplier": 0,
    # Whoever sends decides about trying again: rings wait in the outbox, not in a call.
    "task_publish_retry": False,
}

_TRANSPORT: Final[dict[str, Any]] = {
    # A worker outlives any outage of the broker: the run that it works on needs none.
    "broker_connection_retry": True,
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    "broker_channel_error_retry": True,  # such as a broker that is full
    "broker_connection_timeout": 4,
    "broker_pool_limit": 2,
    # Not cancelled when the broker goes: the claim in SQL says who works, the ring that comes again is refused there.
    "worker_cancel_long_running_tasks_on_connection_loss": False,
    # The shortest of three decides, so all three say the same. Short, because a second ring costs a glance.
    "visibility_timeout": VISIBILITY_SECONDS,
    "result_backend_transport_options": {"visibility_timeout": VISIBILITY_SECONDS},
    "broker_transport_options": {
        "visibility_timeout": VISIBILITY_SECONDS,
        # By default rings of a dead worker are looked for once in 100 seconds.
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
        # A broker that vanished without a word is noticed in 15 seconds instead of never.
        "socket_keepalive": True,
        "socket_connect_timeout": 4,
        "health_check_interval": 10,
    },
}

_WORKER: Final[dict[str, Any]] = {
    # Nobody steers, watches or counts workers through the broker: the catalogue knows who works.
    "worker_enable_remote_control": False,
    "worker_send_task_events": False,
    "task_send_sent_event": False,
    # Logs are ours (workers.logs): fields, no content.
    "worker_hijack_root_logger": False,
    "worker_redirect_stdouts": False,
    # A child that has grown is replaced between two runs.
    "worker_max_memory_per_child": MEMORY_PER_CHILD_KB,
    # Niced behind questions, a new child may need longer than the default of four seconds to say that it is up.
    "worker_proc_alive_timeout": 60.0,
    # SIGTERM gives the run back. A cold stop (SIGQUIT) waits this long for the run to end, then it is a kill.
    "worker_soft_shutdown_timeout": 10.0,
    "worker_enable_soft_shutdown_on_idle": True,
    # A run may take hours: it holds a lease while it lives, and makes room for other sources by itself.
    "task_time_limit": None,
    "task_soft_time_limit": None,
}
