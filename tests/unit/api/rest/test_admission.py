"""Slots and the short queue in front of the model."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.rest.admission import Admission
from api.rest.errors import LaterError, ShuttingDownError


def admission(slots: int = 1, queue: int = 1, seconds: float = 60) -> Admission:
    return Admission(slots=slots, queue=queue, seconds=seconds, clock=lambda: asyncio.get_running_loop().time())


async def settled() -> None:
    """Let everything run that can."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_what_fits_neither_slots_nor_queue_is_refused_at_once() -> None:
    async def story() -> None:
        door = admission(slots=2, queue=1)
        await door.enter()
        await door.enter()
        waiting = asyncio.create_task(door.enter())
        await settled()
        with pytest.raises(LaterError) as refused:
            await door.enter()
        assert refused.value.seconds >= 1
        assert (door.open, door.waiting) == (2, 1)
        waiting.cancel()
        await settled()
        assert door.waiting == 0

    asyncio.run(story())


def test_a_slot_that_comes_free_goes_to_whoever_waits_longest() -> None:
    async def story() -> None:
        door = admission(queue=2)
        served: list[str] = []

        async def come(name: str) -> None:
            await door.enter()
            served.append(name)

        entered = await door.enter()
        tasks = [asyncio.create_task(come(name)) for name in ("first", "second")]
        await settled()
        door.leave(entered)
        await settled()
        assert served == ["first"]
        door.leave(entered)
        await asyncio.gather(*tasks)
        assert served == ["first", "second"]
        assert door.open == 1

    asyncio.run(story())


def test_whoever_waits_too_long_is_told_when_to_come_back() -> None:
    async def story() -> None:
        door = admission(seconds=0.01)
        await door.enter()
        with pytest.raises(LaterError):
            await door.enter()
        assert (door.open, door.waiting) == (1, 0)

    asyncio.run(story())


def test_a_client_that_leaves_in_the_moment_its_turn_comes_gives_the_slot_back() -> None:
    async def story() -> None:
        door = admission()
        entered = await door.enter()
        waiting = asyncio.create_task(door.enter())
        await settled()
        door.leave(entered)  # the turn has come, but the task has not run yet
        waiting.cancel()
        await settled()
        assert waiting.cancelled()
        assert (door.open, door.waiting) == (0, 0)

    asyncio.run(story())


def test_a_service_that_stops_sends_home_whoever_waits_and_whoever_comes() -> None:
    async def story() -> None:
        door = admission()
        await door.enter()
        waiting = asyncio.create_task(door.enter())
        await settled()
        door.close()
        with pytest.raises(ShuttingDownError):
            await waiting
        with pytest.raises(ShuttingDownError):
            await door.enter()

    asyncio.run(story())


def test_longer_answers_make_for_a_longer_wait() -> None:
    async def story(held: float) -> int:
        now = 0.0
        door = Admission(slots=1, queue=0, seconds=1, clock=lambda: now)
        for _ in range(50):
            entered = await door.enter()
            now += held
            door.leave(entered)
        await door.enter()
        with pytest.raises(LaterError) as refused:
            await door.enter()
        return refused.value.seconds

    assert asyncio.run(story(2)) == 2
    assert asyncio.run(story(20)) == 20


@given(slots=st.integers(1, 3), queue=st.integers(0, 3), moves=st.lists(st.sampled_from("+-x"), max_size=60))
def test_slots_are_never_overdrawn_and_never_lost(slots: int, queue: int, moves: list[str]) -> None:
    async def story() -> None:
        door = admission(slots, queue)
        tasks: list[asyncio.Task[float]] = []
        for move in moves:
            inside = [task for task in tasks if task.done() and not task.cancelled() and not task.exception()]
            waiting = [task for task in tasks if not task.done()]
            if move == "+":
                tasks.append(asyncio.create_task(door.enter()))
            elif move == "-" and inside:
                tasks.remove(inside[0])
                door.leave(inside[0].result())
            elif waiting:
                waiting[-1].cancel()
            await settled()
            assert door.open <= slots
            assert door.waiting <= queue
            assert door.open == slots or not door.waiting
        await _emptied(tasks, door)
        assert (door.open, door.waiting) == (0, 0)

    run(story())


async def _emptied(tasks: list[asyncio.Task[float]], door: Admission) -> None:
    while tasks:
        task = tasks.pop(0)
        if not task.done():
            tasks.append(task)
        elif not task.cancelled() and not task.exception():
            door.leave(task.result())
        await settled()


def run(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(story)
