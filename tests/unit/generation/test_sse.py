"""Reading server-sent events from bytes that are cut anywhere."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generation.sse import MAX_EVENT_CHARACTERS, event_data

STREAM = (
    ': ping\r\n\r\ndata: {"a": "Zürich 📅"}\r\n\r\n'
    "event: x\rdata:one\rdata: two\r\rdata: a\r\ndata: b\r\n\r\nid: 7\n\ndata: [DONE]\n\n"
)
EVENTS = ['{"a": "Zürich 📅"}', "one\ntwo", "a\nb", "[DONE]"]


@given(cuts=st.lists(st.integers(0, len(STREAM.encode())), max_size=12))
def test_events_are_the_same_however_their_bytes_are_cut(cuts: list[int]) -> None:
    raw = STREAM.encode()
    places = [0, *sorted(cuts), len(raw)]
    chunks = [raw[start:end] for start, end in pairwise(places)]
    assert list(event_data(chunks)) == EVENTS


def test_one_byte_at_a_time_gives_the_same_events() -> None:
    assert list(event_data(bytes([byte]) for byte in STREAM.encode())) == EVENTS


def test_an_event_that_never_ended_is_not_given() -> None:
    assert list(event_data([b"data: whole\n\ndata: half"])) == ["whole"]


def test_an_event_is_given_as_soon_as_it_ended() -> None:
    def chunks() -> object:
        yield b"data: first\n\nda"
        raise AssertionError

    assert next(event_data(chunks())) == "first"  # type: ignore[arg-type]


@pytest.mark.parametrize("chunk", [b"x" * 4096, b"data: " + b"x" * 4096 + b"\n"])
def test_an_endless_event_is_refused(chunk: bytes) -> None:
    with pytest.raises(ValueError, match="more than"):
        list(event_data(chunk for _ in range(MAX_EVENT_CHARACTERS // 4096 + 2)))
