"""What crosses between the reader of a source and the process that parses."""

import json
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.words import Block, Instant
from ingest.formats.parsed import Parsed
from ingest.formats.wire import FRAME, packed, receive, send, unpacked

TEXTS = st.text("aé字\n")
INSTANTS = st.none() | st.integers(0, 2**53).map(Instant)
BLOCKS = st.builds(Block, text=TEXTS, anchor=TEXTS, at=INSTANTS, heading=st.lists(TEXTS).map(tuple), speaker=TEXTS)
DOCUMENTS = st.builds(
    Parsed,
    blocks=st.lists(BLOCKS, max_size=3).map(tuple),
    title=TEXTS,
    kind=TEXTS,
    part=TEXTS,
    author=TEXTS,
    valid_from=INSTANTS,
    modified=INSTANTS,
    context=TEXTS,
)


@settings(max_examples=30)
@given(st.lists(DOCUMENTS, max_size=3))
def test_documents_arrive_as_they_were_sent(documents: list[Parsed]) -> None:
    assert unpacked(json.loads(packed(documents))) == documents


def test_what_arrives_is_clean() -> None:
    (found,) = unpacked(json.loads(packed([Parsed(blocks=(Block(text="a\ud800\0b"),), title="\x07")])))
    assert (found.title, found.blocks[0].text) == ("", "a\ufffdb")


@pytest.mark.parametrize(
    "answer",
    [
        *(None, 1, "x", {}, [1], [[]], [{}], [{"blocks": 1}]),
        *([{"title": 1}], [{"blocks": [[]]}], [{"blocks": [["a", "b", 1.5, [], ""]]}]),
    ],
)
def test_an_answer_of_another_shape_is_none(answer: object) -> None:
    with pytest.raises(ValueError, match=r".+"):
        unpacked(answer)


@given(st.lists(st.binary(max_size=50), max_size=4))
def test_frames_arrive_as_they_were_sent(frames: list[bytes]) -> None:
    stream = BytesIO()
    send(stream, *frames)
    stream.seek(0)
    assert [receive(stream, 50) for _ in frames] == frames
    with pytest.raises(EOFError):
        receive(stream, 50)


def test_a_frame_that_is_cut_or_too_long_is_none() -> None:
    with pytest.raises(EOFError):
        receive(BytesIO(FRAME.pack(5) + b"abc"), 10)
    with pytest.raises(ValueError, match="more than 10"):
        receive(BytesIO(FRAME.pack(2**40)), 10)
