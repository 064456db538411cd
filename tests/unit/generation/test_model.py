"""The values that go into a language model."""

from typing import Any

import pytest

from generation.errors import InvalidSamplingError
from generation.model import Sampling


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_tokens", 0),
        ("temperature", -0.1),
        ("temperature", 2.1),
        ("temperature", float("nan")),
        ("top_p", 0.0),
        ("top_p", 1.01),
        ("top_k", -1),
        ("seed", -1),
        ("seed", 2**32 - 1),
        ("stop", ("",)),
    ],
)
def test_a_parameter_outside_its_range_is_refused_by_name(field: str, value: Any) -> None:  # noqa: ANN401
    with pytest.raises(InvalidSamplingError, match=field):
        Sampling(**{field: value})


def test_the_edges_of_the_ranges_are_allowed() -> None:
    Sampling(max_tokens=1, temperature=2.0, top_p=1.0, top_k=0, seed=2**32 - 2, stop=("\n",))
