"""What the checks of an installation are made of: each notices its damage, and nothing else."""

import json
import random
import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.catalog.stored import StoredChunk
from core.words import Block, Document
from ingest.chunking import ChunkLimits, body_of, chunk_document
from tests.support.catalog_rows import unit_vectors
from threadwise import checks, derived
from threadwise.checks import text_sha
from threadwise.findings import Finding
from threadwise.maintenance import Verdict

WORDS = st.text(alphabet="ab c.\n", max_size=60)
HARMS = ("short", "long", "zero", "huge", "nan", "twice")
BLOCKS = st.lists(st.tuples(WORDS, st.sampled_from([(), ("A",), ("A", "B")])), max_size=8)


class Letters:
    """A tokenizer that makes a token of every character."""

    special = 2
    fingerprint = "letters"

    def count(self, text: str) -> int:
        return len(text)

    def spans(self, text: str) -> list[tuple[int, int]]:
        return [(place, place + 1) for place in range(len(text))]


def document(blocks: list[tuple[str, tuple[str, ...]]]) -> Document:
    return Document(
        external_id="a",
        kind="page",
        title="T",
        uri="a",
        audience=("everyone",),
        blocks=tuple(Block(text=text, heading=heading) for text, heading in blocks),
    )


def stored(made: Document) -> list[StoredChunk]:
    """The chunks of a document as the catalogue has them."""
    limits = ChunkLimits(max_tokens=34, overlap=4)
    cut = chunk_document(made, source="s", tokenizer=Letters(), limits=limits, pipeline="p")
    return [
        StoredChunk(
            generation_id=1,
            id=chunk.id,
            content_sha=made.content_sha,
            ordinal=chunk.ordinal,
            text=chunk.text,
            context=chunk.context,
            text_sha=chunk.text_sha,
            start=chunk.start,
            end=chunk.end,
        )
        for chunk in cut
    ]


@given(BLOCKS)
def test_the_chunks_of_any_document_leave_nothing_of_it_out(blocks: list[tuple[str, tuple[str, ...]]]) -> None:
    made = document(blocks)
    assert not checks._lacks_some(body_of(made), stored(made))
    assert all(checks._is_right(chunk) for chunk in stored(made))


@given(BLOCKS, st.randoms(use_true_random=False))
def test_a_chunk_that_is_gone_is_missed(blocks: list[tuple[str, tuple[str, ...]]], draw: random.Random) -> None:
    made = document(blocks)
    chunks = stored(made)
    if chunks:
        chunks.pop(draw.randrange(len(chunks)))
        assert checks._lacks_some(body_of(made), chunks)


@given(st.text(min_size=1, max_size=20), st.text(max_size=5))
def test_a_chunk_whose_text_or_context_changed_is_not_right(text: str, context: str) -> None:
    indexed = f"{context}\n{text}" if context else text
    chunk = StoredChunk(
        generation_id=1,
        id="c",
        content_sha="",
        ordinal=0,
        text=text,
        context=context,
        text_sha=text_sha(indexed),
        start=0,
        end=len(text),
    )
    assert checks._is_right(chunk)
    assert not checks._is_right(replace(chunk, text=f"{text}x"))
    assert not checks._is_right(replace(chunk, context=f"{context}x"))


@given(
    st.integers(0, 2**32 - 1), st.integers(0, 19), st.sampled_from(["short", "long", "zero", "huge", "nan", "twice"])
)
def test_a_vector_that_is_none_of_its_space_is_found_and_no_other(seed: int, place: int, damage: str) -> None:
    rows = [(f"t{number}", row.tobytes()) for number, row in enumerate(unit_vectors(20, 16, seed).astype("<f4"))]
    assert list(checks._bad(rows, 16)) == []
    name, raw = rows[place]
    values = np.frombuffer(raw, dtype="<f4")
    broken = {
        "short": raw[:-4],
        "long": raw + raw[:4],
        "zero": bytes(64),
        "huge": (values * np.float32(1e30)).tobytes(),
        "nan": (values * np.float32("nan")).tobytes(),
        "twice": (values * 2).astype("<f4").tobytes(),
    }
    rows[place] = (name, broken[damage])
    assert list(checks._bad(rows, 16)) == [name]


@given(st.binary(min_size=1, max_size=200), st.integers(0, 199), st.integers(1, 255))
def test_a_file_of_an_index_that_changed_in_one_byte_or_lost_its_end_is_found(
    body: bytes, place: int, change: int
) -> None:
    footer = json.dumps({"crc": zlib.crc32(body)}).encode()
    whole = body + footer + derived._FOOTER.pack(len(footer), derived._MAGIC)
    assert derived._has_checksum(whole)
    altered = bytearray(whole)
    altered[place % len(body)] ^= change
    assert not derived._has_checksum(bytes(altered))
    assert not derived._has_checksum(whole[: place % len(whole)])


@pytest.mark.parametrize(
    ("left", "repaired", "status"),
    [
        ((), (), 0),
        (("blob_unused",), (), 0),
        ((), ("signals_missing",), 1),
        (("blob_unused",), ("signals_missing",), 1),
        (("signals_missing",), (), 2),
        (("file_damaged",), ("signals_missing",), 2),
    ],
)
def test_the_status_says_clean_repaired_or_broken(
    left: tuple[str, ...], repaired: tuple[str, ...], status: int
) -> None:
    verdict = Verdict(
        left=tuple(Finding(kind, "1") for kind in left),
        repaired=tuple(Finding(kind, "1") for kind in repaired),
        awaiting=(),
        seconds=0.0,
    )
    assert verdict.status == status
