"""How long things have stood still, as somebody has seen it who looks again and again."""

from collections.abc import Hashable, Mapping
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


class Stillness(Generic[Key]):
    """Counts, for each thing, the seconds during which no look has found it changed.

    The time between two looks counts for `longest_gap` seconds at most: whoever was stopped between them, with
    everything else perhaps, has seen nothing meanwhile.
    """

    def __init__(self, longest_gap: float) -> None:
        self._longest_gap = longest_gap
        self._seen: dict[Key, tuple[Hashable, float]] = {}
        self._looked: float | None = None

    def look(self, states: Mapping[Key, Hashable], now: float) -> dict[Key, float]:
        """Seconds for which each thing has been in its present state; `now` in monotonic seconds."""
        gap = 0.0 if self._looked is None else min(max(now - self._looked, 0.0), self._longest_gap)
        self._looked = now
        before = self._seen
        self._seen = {
            key: (state, before[key][1] + gap) if key in before and before[key][0] == state else (state, 0.0)
            for key, state in states.items()
        }
        return {key: seconds for key, (_, seconds) in self._seen.items()}

    def forget(self) -> None:
        """Begin anew: what was seen proves nothing."""
        self._seen, self._looked = {}, None
