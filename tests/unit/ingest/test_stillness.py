"""How long something has stood still, as one sees it who looks now and then."""

from hypothesis import given
from hypothesis import strategies as st

from ingest.stillness import Stillness

GAP = 2.0
Look = tuple[float, dict[str, int]]
LOOKS = st.lists(
    st.one_of(
        st.none(),  # everything seen is forgotten
        st.tuples(
            st.floats(-1, 10, allow_nan=False),  # seconds since the look before; a clock may even go back
            st.dictionaries(st.sampled_from("abc"), st.integers(0, 2), max_size=3),
        ),
    ),
    max_size=30,
)


class NaiveStillness:
    """The same from the whole history: the looks since the last change, each gap cut to the longest."""

    def __init__(self) -> None:
        self.history: list[tuple[float, dict[str, int]]] = []

    def look(self, states: dict[str, int], now: float) -> dict[str, float]:
        """Seconds by key."""
        self.history.append((now, states))
        return {key: self._seconds(key) for key in states}

    def _seconds(self, key: str) -> float:
        total, state = 0.0, self.history[-1][1][key]
        for (before, older), (after, _) in reversed(list(zip(self.history, self.history[1:], strict=False))):
            if key not in older or older[key] != state:
                break
            total += min(max(after - before, 0.0), GAP)
        return total


@given(LOOKS)
def test_it_counts_what_the_looks_since_the_last_change_have_seen(
    looks: list[tuple[float, dict[str, int]] | None],
) -> None:
    stillness, naive, now = Stillness[str](GAP), NaiveStillness(), 0.0
    for look in looks:
        if look is None:
            stillness.forget()
            naive.history.clear()
            continue
        now += look[0]
        found, expected = stillness.look(look[1], now), naive.look(look[1], now)
        assert found.keys() == expected.keys()
        assert all(abs(found[key] - expected[key]) < 1e-9 for key in found)


@given(st.floats(GAP, 1e6))
def test_a_long_time_without_a_look_counts_as_the_longest_gap(seconds: float) -> None:
    stillness = Stillness[str](GAP)
    stillness.look({"a": 1}, 0.0)
    assert stillness.look({"a": 1}, seconds) == {"a": GAP}


@given(st.lists(st.floats(0, 100), min_size=1, max_size=50))
def test_what_moves_between_any_two_looks_has_never_stood_still(gaps: list[float]) -> None:
    stillness, now = Stillness[str](float("inf")), 0.0
    for beat, gap in enumerate(gaps):
        now += gap
        assert stillness.look({"a": beat}, now) == {"a": 0.0}


def test_what_was_gone_for_one_look_begins_anew() -> None:
    stillness = Stillness[str](GAP)
    found = [stillness.look(states, now) for now, states in ((0.0, {"a": 1}), (1.0, {"a": 1}), (2.0, {}))]
    assert found == [{"a": 0.0}, {"a": 1.0}, {}]
    assert stillness.look({"a": 1}, 3.0) == {"a": 0.0}
