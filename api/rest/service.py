"""What the routes of one application share, found through the application's state."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil
from typing import TYPE_CHECKING

from fastapi import Request

from api.rest.asks import Asks
from api.rest.errors import AnswerHungError, ShuttingDownError
from api.rest.gate import Caller
from api.rest.listeners import Listeners
from api.rest.metrics import Metrics
from api.rest.readiness import Readiness
from api.rest.uploads import Uploads
from core.catalog import letters
from core.catalog.passages import Reader
from core.errors import ThreadwiseError
from core.room import MEGABYTE, require_room
from core.settings import Settings
from generation.answers import Answer, AskRequest
from threadwise.runtime import Threadwise

if TYPE_CHECKING:
    from api.slack.bot import SlackBot

COUNTED_RUNS = 500
JOIN_SECONDS = 2.0
HUNG_SECONDS = 30.0  # beyond every limit that an answer has


class Service:
    """One installation behind one application. Made on the event loop that serves it."""

    def __init__(self, threadwise: Threadwise, metrics: Metrics) -> None:
        self.threadwise = threadwise
        self.metrics = metrics
        settings = self.settings
        self.asks = Asks(
            threadwise.ask,
            slots=settings.llm.slots,
            queue=settings.ask.queue,
            queue_seconds=settings.ask.queue_seconds,
            metrics=metrics,
        )
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        self.listeners = Listeners(threadwise, self.pause)
        self.readiness = Readiness(threadwise.warm)
        self.uploads = Uploads(threadwise.uploads, limit=settings.api.max_upload_bytes, room=self._require_room)
        metrics.gauge("threadwise_asks_open", "Questions being answered.", lambda: self.asks.admission.open)
        metrics.gauge("threadwise_asks_waiting", "Questions that wait for a slot.", lambda: self.asks.admission.waiting)
        metrics.gauge(
            "threadwise_init_seconds", "That loading took, 0 until it is done.", lambda: self.readiness.seconds
        )
        metrics.gauge("threadwise_sources_stale", "Sources that were not brought up to date for long.", self._stale)
        metrics.gauge("threadwise_sources_paused", "Sources of which no run is taken.", self._paused)
        metrics.gauge("threadwise_dead_letters_open", "What waits for a decision.", self._letters)
        metrics.by_state("threadwise_runs", f"The newest {COUNTED_RUNS} runs by state.", self._runs)
        self.slack = self._bot() if settings.slack.bot_token.get_secret_value() else None

    @property
    def settings(self) -> Settings:
        """The installation's settings."""
        return self.threadwise.settings

    def start(self) -> None:
        """Load models and engines, and answer in Slack if there is a bot; does not wait."""
        self.readiness.start()
        if self.slack:
            self.slack.start()

    def stop(self) -> None:
        """End what is open: every stream says so, every new question is refused."""
        if self.slack:
            self.slack.stop()
        self._stopping.set()
        self.readiness.stop()
        self.asks.close()

    async def pause(self, seconds: float) -> None:
        """Wait between two looks. Raises `ShuttingDownError` as soon as the service is stopped."""
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return
        raise ShuttingDownError("The service is being stopped.")

    def join(self) -> None:
        """Wait a moment for what works beside the requests."""
        if self.slack:
            self.slack.join(JOIN_SECONDS)

    def answer(self, request: AskRequest) -> Answer:
        """The whole answer, for threads that are not the event loop's: admitted like every other question.

        Raises what `Asks.begin` and asking raise.
        """
        asked = self.settings.ask
        future = asyncio.run_coroutine_threadsafe(self._whole(request), self._loop)
        try:
            return future.result(asked.queue_seconds + asked.deadline_seconds + HUNG_SECONDS)
        except TimeoutError:
            future.cancel()
            raise AnswerHungError("The answer did not come to an end.", hint="Ask again.") from None

    async def _whole(self, request: AskRequest) -> Answer:
        asked = await self.asks.begin(request)
        return await asked.answer()

    def _bot(self) -> "SlackBot":
        from api.slack.bot import SlackBot  # noqa: PLC0415 - time and memory that nobody without a bot should pay

        metrics, inbox = self.metrics, self.threadwise.inbox
        metrics.gauge("threadwise_slack_waiting", "Questions from Slack without a reply.", lambda: inbox.standing()[0])
        metrics.gauge("threadwise_slack_oldest_seconds", "That the oldest waits.", lambda: inbox.standing()[1])
        return SlackBot(self.threadwise, ask=self.answer, count=lambda end: metrics.slack.labels(end).inc())

    def reader(self, caller: Caller, principal: str | None) -> Reader:
        """Who reads: the key's principals, or the named one for an admin, which is written down.

        Raises `ForbiddenError`, `UnknownPrincipalError`.
        """
        if principal is None:
            return Reader(principals=caller.key.principals)
        caller.demand("admin")
        with self.act(caller, "read_as", principal):
            return self.threadwise.reader(principal)

    @contextmanager
    def act(self, caller: Caller, act: str, target: str) -> Iterator[None]:
        """Write down what an admin does, and how it ended."""
        outcome = ThreadwiseError.code
        try:
            yield
            outcome = "done"
        except ThreadwiseError as error:
            outcome = error.code
            raise
        finally:
            self.threadwise.keyring.record_act(caller.key.id, act, target, outcome)

    def _runs(self) -> dict[str, int]:
        return Counter(run.state for run in self.threadwise.runs.latest(limit=COUNTED_RUNS))

    def _require_room(self, coming: int) -> None:
        floor = self.settings.ingest.min_free_mb
        require_room(self.threadwise.uploads, floor + ceil(coming / MEGABYTE))

    def _stale(self) -> int:
        return sum(row.stale for row in self.threadwise.runs.sources())

    def _paused(self) -> int:
        return sum(bool(row.paused) for row in self.threadwise.runs.sources())

    def _letters(self) -> int:
        with self.threadwise.database.read() as session:
            return letters.count_open(session)


def service_of(request: Request) -> Service:
    """What serves this request."""
    service: Service = request.app.state.service
    return service
