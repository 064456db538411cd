"""What can go wrong between a bot and Slack, scripted per method, and Slack's documented rate limits.

A method of "*" means every method; the posts to response URLs are the method "response_url".
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event, Lock
from typing import Literal, TypeVar

PATIENCE = 30.0  # seconds that a held call waits at most, so that a test that dies does not keep its thread

TIERS = {  # calls a minute, by https://docs.slack.dev/apis/web-api/rate-limits
    "apps.connections.open": 1,
    "chat.delete": 50,
    "chat.postEphemeral": 100,
    "chat.update": 50,
    "conversations.history": 50,
    "conversations.info": 50,
    "conversations.list": 20,
    "conversations.members": 100,
    "conversations.open": 50,
    "conversations.replies": 50,
    "reactions.add": 50,
    "users.conversations": 50,
    "users.info": 100,
    "users.list": 20,
}


@dataclass(slots=True, kw_only=True)
class Fault:
    """One way to answer a call wrongly, `times` calls long (None: until `mend`)."""

    method: str
    kind: Literal["fail", "limit", "drop_before", "drop_answer"]
    times: int | None
    error: str | int = ""
    body: str | None = None
    retry_after: int | None = None
    more: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Hold:
    """Calls wait here until they are released; `reached` is set when the first one has come."""

    method: str
    times: int | None
    after_effect: bool
    seconds: float | None = None  # a delay lets go by itself
    reached: Event = field(default_factory=Event)
    released: Event = field(default_factory=Event)

    def wait_until_reached(self, timeout: float = PATIENCE) -> None:
        assert self.reached.wait(timeout), f"{self.method} was not called within {timeout} s"

    def release(self) -> None:
        self.released.set()

    def pause(self) -> None:
        self.reached.set()
        self.released.wait(PATIENCE if self.seconds is None else self.seconds)


Planned = TypeVar("Planned", Fault, Hold)


def _spend(planned: list[Planned], method: str, fits: Callable[[Planned], bool]) -> Planned | None:
    """The first entry for this call, one time less; what is used up is gone."""
    for entry in planned:
        if entry.method in (method, "*") and fits(entry):
            if entry.times is not None:
                entry.times -= 1
            if entry.times == 0:
                planned.remove(entry)
            return entry
    return None


class RateLimits:
    """Token buckets: the tier of each method, and one chat.postMessage a second and channel with a short burst."""

    def __init__(self, clock: Callable[[], float], *, burst: int = 3, posts_per_second: float = 1.0) -> None:
        self._clock = clock
        self._burst = burst
        self._posts_per_second = posts_per_second
        self._buckets: dict[tuple[str, str], tuple[float, float]] = {}  # tokens, seconds of the last look

    def wait_for(self, method: str, channel: str) -> int:
        """Whole seconds until this call may be made, 0 if it was let through."""
        if method == "chat.postMessage":
            return self._take((method, channel), self._posts_per_second)
        return self._take((method, ""), TIERS[method] / 60) if method in TIERS else 0

    def _take(self, bucket: tuple[str, str], per_second: float) -> int:
        now = self._clock()
        tokens, before = self._buckets.get(bucket, (float(self._burst), now))
        tokens = min(float(self._burst), tokens + (now - before) * per_second)
        granted = tokens >= 1
        self._buckets[bucket] = (tokens - 1 if granted else tokens, now)
        return 0 if granted else max(1, math.ceil((1 - tokens) / per_second))


class Faults:
    """The script of faults; each call spends at most one hold or delay and one fault, in the order of planning."""

    def __init__(self) -> None:
        self._fault_lock = Lock()
        self._faults: list[Fault] = []
        self._holds: list[Hold] = []
        self._held: list[Hold] = []

    def fail(
        self,
        method: str,
        error: str | int = "internal_error",
        *,
        times: int | None = 1,
        body: str | None = None,
        **more: str,
    ) -> None:
        """Answer `ok: false` with that word (and `more`), or that HTTP status with `body`, without any effect."""
        self._plan(Fault(method=method, kind="fail", times=times, error=error, body=body, more=more))

    def limit(self, method: str, retry_after: int | None = 1, *, times: int | None = 1) -> None:
        """Answer 429 with Retry-After (without it for None), without any effect."""
        self._plan(Fault(method=method, kind="limit", times=times, retry_after=retry_after))

    def drop_before(self, method: str, *, times: int | None = 1) -> None:
        """Close the connection instead of doing anything."""
        self._plan(Fault(method=method, kind="drop_before", times=times))

    def drop_answer(self, method: str, *, times: int | None = 1) -> None:
        """Do it, then close the connection without a word: the caller cannot know the result."""
        self._plan(Fault(method=method, kind="drop_answer", times=times))

    def delay(self, method: str, seconds: float, *, times: int | None = 1, after_effect: bool = False) -> None:
        """Wait before (or after) doing it."""
        with self._fault_lock:
            self._holds.append(Hold(method=method, times=times, after_effect=after_effect, seconds=seconds))

    def hold(self, method: str, *, times: int | None = 1, after_effect: bool = False) -> Hold:
        """Keep calls waiting before (or after) their effect until `release` of the returned hold."""
        hold = Hold(method=method, times=times, after_effect=after_effect)
        with self._fault_lock:
            self._holds.append(hold)
            self._held.append(hold)
        return hold

    def mend(self) -> None:
        """Forget every planned fault and let everything go that is held."""
        with self._fault_lock:
            self._faults.clear()
            self._holds.clear()
            for hold in self._held:
                hold.release()

    def _plan(self, fault: Fault) -> None:
        with self._fault_lock:
            self._faults.append(fault)

    def _next_fault(self, method: str) -> Fault | None:
        with self._fault_lock:
            return _spend(self._faults, method, lambda _: True)

    def _pause(self, method: str, *, after_effect: bool) -> None:
        with self._fault_lock:
            hold = _spend(self._holds, method, lambda entry: entry.after_effect == after_effect)
        if hold is not None:
            hold.pause()
