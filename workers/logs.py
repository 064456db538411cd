"""What Celery and its libraries have to say, as events of ours: what happened, never what was in a message.

Their records are templates with arguments. The arguments may hold a message's body or a broker's password and are
left out; so is everything behind the first line and the text of an exception.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable

import structlog

LONGEST = 120
QUIET_SECONDS = 60.0
MOST_EVENTS = 1000
POOL = "multiprocessing"  # the logger of Celery's pool, which tells no other


class EventHandler(logging.Handler):
    """Turns a record into an event: the template, the logger's name, the class of the error.

    The same event is written once a minute, with the number of those that were not: who looks for a broker that is
    down says so every two seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._log = structlog.get_logger(__name__)
        self._now = now
        self._written: dict[tuple[str, str], float] = {}
        self._repeated: Counter[tuple[str, str]] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        """Write it to stderr, through structlog as it is set up."""
        template = record.msg if isinstance(record.msg, str) else type(record.msg).__name__
        event = template.strip().partition("\n")[0][:LONGEST]
        key = (record.name, event)
        if self._now() - self._written.get(key, float("-inf")) < QUIET_SECONDS:
            self._repeated[key] += 1
            return
        if len(self._written) >= MOST_EVENTS:
            self._written.clear()
        self._written[key] = self._now()
        error = record.exc_info[0] if record.exc_info else None
        fields: dict[str, object] = {} if error is None else {"error": error.__name__}
        fields |= {"repeated": repeated} if (repeated := self._repeated.pop(key, 0)) else {}
        self._log.log(record.levelno, event, logger=record.name, **fields)


def take_over_logging() -> None:
    """Send warnings and worse of every library through `EventHandler`, and nothing anywhere else."""
    logging.captureWarnings(capture=True)
    for name in (None, POOL):
        logger = logging.getLogger(name)
        logger.handlers[:] = [EventHandler()]
        logger.setLevel(logging.WARNING)
