"""Generators in threads: in order, closed by whoever runs them, and never open for longer than somebody listens."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from api.rest.relay import Relay
from core.errors import ThreadwiseError

Source = Callable[[Callable[[], bool]], Iterator[int]]


class Watched:
    """A source that says when it is closed, and by which thread."""

    def __init__(self, numbers: int, gate: threading.Event | None = None) -> None:
        self.numbers = numbers
        self.gate = gate
        self.given = 0
        self.closed_by: str | None = None

    def __call__(self, _has_left: Callable[[], bool]) -> Iterator[int]:
        try:
            for number in range(self.numbers):
                if self.gate and number:
                    self.gate.wait(10)
                self.given += 1
                yield number
        finally:
            self.closed_by = threading.current_thread().name


async def relayed(source: Source, story: Callable[[Relay[int], asyncio.Event], Coroutine[Any, Any, None]]) -> None:
    ended = asyncio.Event()
    relay: Relay[int] = Relay(source, ended=ended.set)
    with ThreadPoolExecutor(1, "model") as executor:
        relay.start(executor)
        await story(relay, ended)
        await asyncio.wait_for(ended.wait(), 10)


def test_events_come_out_in_order_and_then_end() -> None:
    source = Watched(1000)

    async def story(relay: Relay[int], _ended: asyncio.Event) -> None:
        assert [event async for event in relay.events(10)] == list(range(1000))

    asyncio.run(relayed(source, story))
    assert source.closed_by is not None
    assert source.closed_by.startswith("model")


def test_whoever_leaves_between_two_events_closes_the_generator_in_its_own_thread() -> None:
    gate = threading.Event()
    source = Watched(1000, gate)

    async def story(relay: Relay[int], ended: asyncio.Event) -> None:
        async for _ in relay.events(10):
            break
        relay.leave()
        assert not ended.is_set()
        gate.set()

    asyncio.run(relayed(source, story))
    assert source.given == 2
    assert source.closed_by is not None
    assert source.closed_by.startswith("model")


def test_long_work_between_two_events_can_see_that_nobody_listens() -> None:
    seen = threading.Event()

    def source(has_left: Callable[[], bool]) -> Iterator[int]:
        yield 0
        while not has_left():
            pass
        seen.set()

    async def story(relay: Relay[int], _ended: asyncio.Event) -> None:
        async for _ in relay.events(10):
            break
        relay.leave()

    asyncio.run(relayed(source, story))
    assert seen.is_set()


def test_what_the_generator_raises_is_raised_where_its_events_are_read() -> None:
    def source(_has_left: Callable[[], bool]) -> Iterator[int]:
        yield 1
        raise ThreadwiseError("broken")

    async def story(relay: Relay[int], _ended: asyncio.Event) -> None:
        heard: list[int | None] = []
        with pytest.raises(ThreadwiseError, match="broken"):
            heard.extend([event async for event in relay.events(10)])

    asyncio.run(relayed(source, story))


def test_silence_is_heard() -> None:
    gate = threading.Event()

    async def story(relay: Relay[int], _ended: asyncio.Event) -> None:
        heard: list[int | None] = []
        async for event in relay.events(0.01):
            heard.append(event)
            if event is None:
                gate.set()
        assert heard[0] == 0
        assert None in heard
        assert [event for event in heard if event is not None] == [0, 1, 2]

    asyncio.run(relayed(Watched(3, gate), story))


def test_a_reader_that_is_sent_away_hears_why() -> None:
    gate = threading.Event()

    async def story(relay: Relay[int], _ended: asyncio.Event) -> None:
        relay.leave(ThreadwiseError("closing time"))
        gate.set()
        with pytest.raises(ThreadwiseError, match="closing time"):
            async for _ in relay.events(10):
                pass

    asyncio.run(relayed(Watched(5, gate), story))


def test_a_generator_that_nobody_waits_for_any_more_is_not_started() -> None:
    source = Watched(5)

    async def story() -> None:
        ended = asyncio.Event()
        relay: Relay[int] = Relay(source, ended=ended.set)
        relay.leave()
        with ThreadPoolExecutor(1) as executor:
            relay.start(executor)
            await asyncio.wait_for(ended.wait(), 10)

    asyncio.run(story())
    assert source.given == 0
