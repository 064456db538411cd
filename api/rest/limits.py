"""Token buckets: a share of requests for each name, in this process. Used on the event loop alone, so without locks."""

from collections import OrderedDict
from collections.abc import Callable


class Buckets:
    """One bucket for each name, full at first; at most `names` of them, the longest unused is forgotten.

    Within any t seconds a name gets at most `burst` + t * `per_second` grants. `clock` gives seconds.
    """

    def __init__(self, *, per_second: float, burst: int, clock: Callable[[], float], names: int = 10_000) -> None:
        self._rate = per_second
        self._burst = burst
        self._clock = clock
        self._names = names
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens, and when they were counted

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, name: str) -> float:
        """0 when a token was there and is taken now; else the seconds until there is one."""
        tokens = self._filled(name)
        granted = tokens >= 1
        self._buckets[name] = (tokens - 1 if granted else tokens, self._clock())
        self._buckets.move_to_end(name)
        if len(self._buckets) > self._names:
            self._buckets.popitem(last=False)
        return 0.0 if granted else (1 - tokens) / self._rate

    def _filled(self, name: str) -> float:
        tokens, counted = self._buckets.get(name, (float(self._burst), self._clock()))
        return min(float(self._burst), tokens + (self._clock() - counted) * self._rate)
