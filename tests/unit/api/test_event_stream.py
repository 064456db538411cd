"""Events arrive whole, however the network cut their bytes."""

import json
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from api import event_stream

NAMES = st.sampled_from(["status", "quote", "token", "done"])
EVENTS = st.lists(st.tuples(NAMES, st.text()))
ENDS = st.sampled_from(["\n", "\r\n"])


def written(events: list[tuple[str, str]], end: str) -> bytes:
    """The events as a service sends them, with a comment in front of each."""
    shown = [f": still here{end}event: {name}{end}data: {json.dumps(text)}{end}{end}" for name, text in events]
    return "".join(shown).encode()


@given(EVENTS, ENDS, st.lists(st.integers(0, 500)))
def test_events_are_the_same_however_their_bytes_are_cut(
    events: list[tuple[str, str]], end: str, cuts: list[int]
) -> None:
    whole = written(events, end)
    places = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    pieces = [whole[start:stop] for start, stop in pairwise(places)]
    read = [(name, json.loads(data)) for name, data in event_stream.events(pieces)]
    assert read == events


def test_line_ends_of_other_alphabets_end_no_line() -> None:
    text = "before\u2028after\x0b\x85end"
    raw = f"event: token\ndata: {text}\n\n".encode()
    assert list(event_stream.events([raw])) == [("token", text)]


def test_an_event_that_broke_off_is_none() -> None:
    raw = b"event: token\ndata: one\n\nevent: done\ndata: tw"
    assert list(event_stream.events([raw])) == [("token", "one")]


def test_data_in_several_lines_is_one_text() -> None:
    assert list(event_stream.events([b"data: a\ndata:b\n\n"])) == [("message", "a\nb")]
