"""Questions that are being answered: admitted, run in threads of their own, measured, and ended when nobody listens."""

import time
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import replace

from api.rest.admission import Admission
from api.rest.errors import ShuttingDownError
from api.rest.metrics import Metrics
from api.rest.relay import Relay
from api.rest.sse import SILENCE_SECONDS
from core.errors import ThreadwiseError
from generation.answers import Answer, AskRequest, DoneEvent, Event, QuoteEvent, TokenEvent

LEFT = "left"


class OpenAsk:
    """One admitted question; its slot is free again once its generator is closed."""

    def __init__(self, relay: Relay[Event], metrics: Metrics, started: float) -> None:
        self._relay = relay
        self._metrics = metrics
        self._started = started
        self._has_text = False
        self._outcome = LEFT

    async def events(self) -> AsyncGenerator[Event | None, None]:
        """Everything as it comes, None for a while of silence. Closing it ends the answer."""
        try:
            async with aclosing(self._relay.events(SILENCE_SECONDS)) as events:
                async for event in events:
                    if event is not None:
                        self._measure(event)
                    yield event
        except ThreadwiseError as error:
            self._outcome = error.code
            raise
        finally:
            self._relay.leave()
            self._metrics.asks.labels(self._outcome).inc()

    async def answer(self) -> Answer:
        """The whole answer."""
        async with aclosing(self.events()) as events:
            async for event in events:
                if isinstance(event, DoneEvent):
                    return event.answer
        raise ThreadwiseError("The answer broke off.")

    def _measure(self, event: Event) -> None:
        seconds = time.monotonic() - self._started
        if isinstance(event, QuoteEvent | TokenEvent) and not self._has_text:
            self._has_text = True
            self._metrics.first_text.observe(seconds)
        elif isinstance(event, DoneEvent):
            self._outcome = event.answer.status
            self._metrics.ask.observe(seconds)
            if event.answer.first_token_ms is not None:
                self._metrics.first_token.observe(event.answer.first_token_ms / 1000)
            for kind in ("prompt_tokens", "cached_tokens", "output_tokens"):
                self._metrics.tokens.labels(kind.removesuffix("_tokens")).inc(getattr(event.answer.usage, kind))


class Asks:
    """Answers at most `slots` questions at once. Belongs to one event loop."""

    def __init__(
        self,
        ask: Callable[[AskRequest], Iterator[Event]],
        *,
        slots: int,
        queue: int,
        queue_seconds: float,
        metrics: Metrics,
    ) -> None:
        self._ask = ask
        self._metrics = metrics
        self.admission = Admission(slots=slots, queue=queue, seconds=queue_seconds, clock=time.monotonic)
        self._executor = ThreadPoolExecutor(slots, "ask")
        self._relays: set[Relay[Event]] = set()

    async def begin(self, request: AskRequest) -> OpenAsk:
        """Wait for a slot and start. Raises what `Admission.enter` raises."""
        started = time.monotonic()
        entered = await self.admission.enter()
        # From here on nothing waits: whoever cancels this either got no slot or has an answer that runs.
        relay: Relay[Event] = Relay(
            lambda has_left: self._ask(replace(request, cancelled=has_left)),
            ended=lambda: self._over(relay, entered),
        )
        self._relays.add(relay)
        relay.start(self._executor)
        return OpenAsk(relay, self._metrics, started)

    def close(self) -> None:
        """End every answer and refuse new ones; does not wait."""
        self.admission.close()
        for relay in self._relays:
            relay.leave(ShuttingDownError("The service is being stopped."))
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _over(self, relay: Relay[Event], entered: float) -> None:
        self._relays.discard(relay)
        self.admission.leave(entered)
