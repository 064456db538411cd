"""Alive is not ready: models and engines are loaded in the background, and until then questions are sent elsewhere."""

import threading
import time
from collections.abc import Callable
from typing import Final

import structlog

from api.errors import ServiceNotReadyError
from core.errors import ThreadwiseError

RETRY_SECONDS: Final = 5.0

log = structlog.get_logger(__name__)


class Readiness:
    """Loads once, and tries again where that failed. What it knows is read without a lock."""

    def __init__(self, load: Callable[[], None], *, retry_seconds: float = RETRY_SECONDS) -> None:
        self._load = load
        self._retry_seconds = retry_seconds
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="warm", daemon=True)
        self._missing: ThreadwiseError | None = ServiceNotReadyError("Models and engines are being loaded.")
        self.seconds = 0.0  # that loading took, 0 until it is done

    def start(self) -> None:
        """Begin to load."""
        self._thread.start()

    def stop(self) -> None:
        """Try no further."""
        self._stopped.set()

    def check(self) -> None:
        """Raise what keeps the service from answering."""
        if self._missing is not None:
            raise self._missing

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._missing = self._failure()
            if self._missing is None:
                return
            self._stopped.wait(self._retry_seconds)

    def _failure(self) -> ThreadwiseError | None:
        """Load once; what went wrong, or None."""
        started = time.monotonic()
        try:
            self._load()
        except ThreadwiseError as error:
            log.warning("not_ready", code=error.code, message=error.message)
            return ServiceNotReadyError(f"Not ready: {error.message}", hint=error.hint)
        except Exception as error:  # noqa: BLE001 - a library of a model fails in its own way; it is tried again
            log.warning("not_ready", error=type(error).__name__)
            return ServiceNotReadyError(f"Not ready: loading failed with {type(error).__name__}.", hint="See the log.")
        self.seconds = time.monotonic() - started
        log.info("ready", seconds=round(self.seconds, 2))
        return None
