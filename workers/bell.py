"""Ringing: one message with the id of a run, through the broker."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis
from celery import Celery
from kombu.exceptions import OperationalError

from workers.app import EXPIRES_SECONDS, QUEUE, RUN
from workers.errors import DoorbellUnreachableError


class Bell:
    """The broker as the clock sees it, over one connection. Not for several threads at once.

    Every method raises `DoorbellUnreachableError` when the broker does not answer; the next one connects anew.
    """

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._connection: Any = None
        self._connect()

    def ring(self, run_id: str) -> None:
        """Return when the broker has the ring."""
        with self._named_errors():
            self._app.send_task(
                RUN,
                args=[run_id],
                queue=QUEUE,
                expires=EXPIRES_SECONDS,
                ignore_result=True,
                connection=self._connection,
            )

    def waiting(self) -> int:
        """How many rings no worker has taken yet."""
        with self._named_errors():
            return int(self._connection.default_channel.client.llen(QUEUE))

    def close(self) -> None:
        """Disconnect."""
        self._connection.close()

    def _connect(self) -> None:
        # Whoever rings decides about trying again. Without this a call would look for the broker for four seconds.
        patience = {"max_retries": 1, "interval_start": 0}
        self._connection = self._app.connection_for_write(transport_options=patience)

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except (OperationalError, redis.RedisError, OSError) as error:
            self._connection.close()
            self._connect()
            # The driver's own words hold the address, and with it perhaps a password.
            raise DoorbellUnreachableError(
                f"The broker takes no rings ({type(error).__name__}).",
                hint="Check the server of THREADWISE_QUEUE__URL.",
            ) from error
