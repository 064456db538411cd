"""The ranking signals of documents: raw columns and the time of the request become numbers in [0, 1].

One columnar function computes them; the hot path calls it with arrays and the feature layer's on-demand view calls
it with lists, so that both give the same bits. A value that is missing (None or NaN) counts as 0, never as an error.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

RAW_COLUMNS: Final = ("last_activity", "replies", "reactions", "resolved", "official")
SIGNALS: Final = ("recency", "helpfulness", "engagement", "resolved", "official")
REQUEST_TIME: Final = "now"
HALF_LIFE_DAYS: Final = 180.0
FULL_REACTIONS: Final = 50.0
FULL_REPLIES: Final = 30.0
MICROSECONDS_PER_DAY: Final = 86_400_000_000.0


def ranking_signals_columns(
    columns: Mapping[str, ArrayLike], now: ArrayLike, *, half_life_days: float = HALF_LIFE_DAYS
) -> dict[str, NDArray[np.float64]]:
    """Compute the `SIGNALS` (n,) for the `RAW_COLUMNS` (n,) at `now`, one instant or (n,), all in microseconds.

    `recency` halves every `half_life_days` and is 1 for a time to come; `helpfulness` grows with the logarithm of
    the reactions up to `FULL_REACTIONS`, `engagement` with that of the replies up to `FULL_REPLIES`.
    """
    raw = {name: np.asarray(columns[name], dtype=np.float64) for name in RAW_COLUMNS}
    return {
        "recency": _recency(raw["last_activity"], np.asarray(now, dtype=np.float64), half_life_days),
        "helpfulness": _saturating(raw["reactions"], FULL_REACTIONS),
        "engagement": _saturating(raw["replies"], FULL_REPLIES),
        "resolved": _flag(raw["resolved"]),
        "official": _flag(raw["official"]),
    }


def ranking_signals(inputs: Mapping[str, Sequence[object]]) -> dict[str, list[float]]:
    """Give the same as lists, from lists of equal length that hold the request's time under `now`."""
    columns = {name: _with_nan(inputs[name]) for name in (*RAW_COLUMNS, REQUEST_TIME)}
    signals = ranking_signals_columns(columns, columns[REQUEST_TIME])
    return {name: values.tolist() for name, values in signals.items()}


def _recency(
    last_activity: NDArray[np.float64], now: NDArray[np.float64], half_life_days: float
) -> NDArray[np.float64]:
    """0.5 ** (age / half-life), 0 where one of the times is unknown. Float64 holds every instant exactly."""
    age_days = (now - last_activity) / MICROSECONDS_PER_DAY
    decay = np.power(0.5, np.maximum(age_days, 0.0) / half_life_days)
    return np.where(np.isnan(age_days), 0.0, decay)


def _saturating(counts: NDArray[np.float64], full: float) -> NDArray[np.float64]:
    """log1p(count) / log1p(full), 1 from `full` on."""
    known = np.where(np.isnan(counts), 0.0, counts)
    value: NDArray[np.float64] = np.log1p(np.clip(known, 0.0, full)) / np.log1p(full)
    return value


def _flag(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 for anything true, 0 for false or missing."""
    return np.where(np.isnan(values) | (values == 0.0), 0.0, 1.0)


def _with_nan(values: Sequence[object]) -> NDArray[np.float64]:
    """None becomes NaN."""
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
