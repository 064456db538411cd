"""The process that serves REST: `python -m api.server`. Its settings come from the environment."""

import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import structlog
import uvicorn

from api.errors import AddressInUseError, as_text, exit_code
from api.rest.app import create_app
from core import telemetry
from core.errors import ThreadwiseError
from core.settings import ApiSettings, load_settings
from threadwise.runtime import Threadwise

BACKLOG: Final = 128
INCOMPLETE_BYTES: Final = 32_768  # of a request whose headers are still coming
GRACE_SECONDS: Final = 3  # that streams have to say goodbye
LATE_SECONDS: Final = 2.0  # that answers in the middle of a step have to notice that nobody listens

log = structlog.get_logger(__name__)


class Server(uvicorn.Server):
    """Tells the application that it is being stopped while its connections are still open."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on SIGTERM and SIGINT, and return: Uvicorn would end the process by the same signal once more."""
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End every stream, then everything else."""
        self.config.loaded_app.state.service.stop()
        await super().shutdown(sockets)


def listening(settings: ApiSettings) -> socket.socket:
    """A bound socket. Raises `AddressInUseError`."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # With its protocol named: asyncio lets small writes out at once only on sockets that say they are TCP, and the
    # second write of a response would wait 40 ms for the first to be acknowledged.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((settings.host, settings.port))
        bound.listen(BACKLOG)
    except OSError as error:
        bound.close()
        raise AddressInUseError(
            f"Nobody can listen at {settings.host}, port {settings.port}: {error.strerror or error}.",
            hint="Stop the other program, or choose another THREADWISE_API__PORT.",
        ) from error
    return bound


def serve(threadwise: Threadwise, bound: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT."""
    config = uvicorn.Config(
        create_app(threadwise),
        http="h11",
        loop="asyncio",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        h11_max_incomplete_event_size=INCOMPLETE_BYTES,
        timeout_graceful_shutdown=GRACE_SECONDS,
        backlog=BACKLOG,
    )
    host, port = bound.getsockname()[:2]
    log.info("listening", host=host, port=port)
    Server(config).run(sockets=[bound])


def main() -> int:
    """Serve the installation that the environment names; 0 when it was asked to stop."""
    os.umask(0o077)  # what is written is for its owner alone
    telemetry.configure(verbose=True)
    try:
        settings = load_settings()
        with Threadwise(settings) as threadwise:
            serve(threadwise, listening(settings.api))
            _wait_for_answers()
    except ThreadwiseError as error:
        sys.stderr.write(as_text(error) + "\n")
        return exit_code(error)
    return 0


def _wait_for_answers() -> None:
    """Give answers a moment to end; a model that does not come back must not keep the process."""
    late = [thread for thread in threading.enumerate() if thread.name.startswith("ask")]
    for thread in late:
        thread.join(LATE_SECONDS / len(late))
    if any(thread.is_alive() for thread in late):
        log.warning("answers_abandoned")
        os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
