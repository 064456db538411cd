from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.words import Block, Document, Instant, Signals, Space, chunk_id_of, digest_of, document_id_of

texts = st.text(st.characters(codec="utf-8"), max_size=40)
instants = st.none() | st.integers(0, 2**53 - 1).map(Instant)
blocks = st.builds(Block, text=texts, anchor=texts, at=instants, heading=st.tuples(texts), speaker=texts)
documents = st.builds(
    Document,
    external_id=texts,
    kind=st.sampled_from(["thread", "page"]),
    title=texts,
    uri=texts,
    audience=st.tuples(texts),
    blocks=st.lists(blocks, max_size=4).map(tuple),
    author=texts,
    context=texts,
    valid_from=instants,
    signals=st.builds(Signals, reactions=st.integers(0, 9), last_activity=instants),
)


@given(documents)
def test_the_canonical_form_brings_the_document_back(document: Document) -> None:
    assert Document.from_canonical(document.canonical()) == document


@given(documents)
def test_equal_documents_have_equal_bytes_and_hashes(document: Document) -> None:
    again = Document.from_canonical(document.canonical())
    assert again.canonical() == document.canonical()
    assert again.content_sha == document.content_sha


@given(documents, st.integers(10, 99))
def test_signals_and_audience_are_not_content(document: Document, reactions: int) -> None:
    data = {name: getattr(document, name) for name in Document.__slots__}
    moved = Document(**data | {"signals": Signals(reactions=reactions), "audience": ("somebody else",)})
    assert moved.content_sha == document.content_sha
    assert moved.canonical() != document.canonical()


@given(documents, texts.filter(bool))
def test_any_other_text_is_other_content(document: Document, more: str) -> None:
    data = {name: getattr(document, name) for name in Document.__slots__}
    longer = Document(**data | {"blocks": (*document.blocks, Block(text=more))})
    assert longer.content_sha != document.content_sha


@given(st.lists(texts, max_size=4), st.lists(texts, max_size=4))
def test_different_lists_of_parts_have_different_digests(left: list[str], right: list[str]) -> None:
    assert (digest_of(*left) == digest_of(*right)) == (left == right)


def test_ids_are_what_they_were_on_every_installation() -> None:
    """Answers, links and feedback refer to them: these values may never change."""
    assert document_id_of("slack", "C1:1.2") == "f13bba5da4361df5b3a78ca801883fde"
    assert chunk_id_of("slack", "C1:1.2", "sha", "p1", 0) == "4e30ed55414b89f8ee42a68495cc4491"


@pytest.mark.parametrize("field", ["model", "revision", "runtime", "query_prefix", "document_prefix"])
def test_whatever_changes_a_vector_changes_the_space(field: str) -> None:
    known = Space(model="m", revision="1", runtime="r", dimension=4, max_tokens=8)
    assert replace(known, **{field: "other"}).id != known.id  # type: ignore[arg-type]
