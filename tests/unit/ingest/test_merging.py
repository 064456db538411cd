"""An export of a part of the time beside what is stored."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from core.words import MICROS, Block, Document, Instant, Signals
from ingest.merging import Covered, is_inside, merged

START = 1_700_000_000  # seconds
COVERED: Covered = (Instant((START + 10) * MICROS), Instant((START + 20) * MICROS))
INSIDE = st.integers(min_value=10, max_value=19)
ANY = st.integers(min_value=0, max_value=29)


def anchor(second: int) -> str:
    return f"{START + second}.000000"


def block(second: int, text: str = "hello", *, by: str = "U1", edited: int = 0) -> Block:
    return Block(text=text, anchor=anchor(second), at=Instant((START + second + edited) * MICROS), by=by)


def document(blocks: list[Block], kind: str = "thread", root: int = 0, **more: object) -> Document:
    made = Document(
        external_id=f"C1:{anchor(root)}",
        kind=kind,
        title=blocks[0].text if blocks else "",
        uri="https://acme.slack.com",
        audience=("T1",),
        blocks=tuple(blocks),
    )
    return replace(made, **more)  # type: ignore[arg-type]


def talks(seconds: st.SearchStrategy[int]) -> st.SearchStrategy[Document]:
    said = st.builds(
        block,
        seconds,
        st.sampled_from(["hello", "yes", "no"]),
        by=st.sampled_from(["U1", "U2", "U3"]),
        edited=st.sampled_from([0, 15]),
    )
    blocks = st.lists(said, min_size=1, max_size=8, unique_by=lambda one: one.anchor)
    signals = st.builds(Signals, reactions=st.integers(0, 3), resolved=st.booleans(), official=st.booleans())
    return st.builds(
        lambda several, kind, known: document(sorted(several, key=lambda one: one.anchor), kind, signals=known),
        blocks,
        st.sampled_from(["thread", "sitting"]),
        signals,
    )


stored_documents = talks(ANY)
exports = st.none() | talks(INSIDE)


def inside(blocks: tuple[Block, ...]) -> list[Block]:
    return [one for one in blocks if is_inside(one, COVERED)]


def outside(blocks: tuple[Block, ...]) -> list[Block]:
    return [one for one in blocks if not is_inside(one, COVERED)]


@given(stored_documents, exports)
def test_the_same_export_again_changes_nothing(stored: Document, fresh: Document | None) -> None:
    once = merged(stored, fresh, COVERED)
    if once is not None:
        assert merged(once, fresh, COVERED) == once


@given(stored_documents, exports)
def test_outside_the_period_everything_stays_and_inside_it_the_export_decides(
    stored: Document, fresh: Document | None
) -> None:
    now = merged(stored, fresh, COVERED)
    blocks = now.blocks if now else ()
    assert outside(blocks) == outside(stored.blocks)
    assert inside(blocks) == (list(fresh.blocks) if fresh else [])


@given(stored_documents, exports)
def test_nothing_is_left_only_where_neither_has_anything(stored: Document, fresh: Document | None) -> None:
    assert (merged(stored, fresh, COVERED) is None) == (fresh is None and not outside(stored.blocks))


@given(stored_documents, exports)
def test_blocks_stand_in_the_order_in_which_they_were_said(stored: Document, fresh: Document | None) -> None:
    now = merged(stored, fresh, COVERED)
    anchors = [one.anchor for one in now.blocks] if now else []
    assert anchors == sorted(set(anchors))


@given(stored_documents, talks(INSIDE))
def test_signals_are_counted_over_everything_that_is_there_now(stored: Document, fresh: Document) -> None:
    now = merged(stored, fresh, COVERED)
    assert now is not None
    if not outside(stored.blocks):
        assert now == fresh
        return
    assert now.signals.last_activity == max(one.at for one in now.blocks if one.at is not None)
    assert now.signals.people == len({one.by for one in now.blocks})
    assert now.signals.reactions == max(stored.signals.reactions, fresh.signals.reactions)
    assert now.signals.resolved == (stored.signals.resolved or fresh.signals.resolved)
    assert now.signals.official == fresh.signals.official


def test_a_late_reply_joins_its_thread_and_is_counted_without_the_root() -> None:
    stored = document([block(0, "Where is it?"), block(1, "On the wiki.", by="U2")])
    late = document([block(12, "It moved.", by="U3")], title="It moved.", audience=("T1", "T2"))
    now = merged(stored, late, COVERED)
    assert now is not None
    assert [one.text for one in now.blocks] == ["Where is it?", "On the wiki.", "It moved."]
    assert (now.signals.replies, now.signals.people) == (2, 3)
    assert now.title == "Where is it?", "a thread is named by what it began with"
    assert now.audience == ("T1", "T2"), "who may read it is what the export says today"


def test_replies_without_their_root_are_all_counted_and_a_sitting_has_none() -> None:
    rootless = merged(document([block(1), block(2)]), document([block(12)]), COVERED)
    sitting = merged(document([block(0), block(2)], "sitting"), document([block(12)], "sitting"), COVERED)
    assert rootless is not None
    assert sitting is not None
    assert (rootless.signals.replies, sitting.signals.replies) == (3, 0)


def test_a_root_inside_the_period_names_the_thread_as_the_export_does() -> None:
    stored = document([block(12, "Old words"), block(25, "A reply", by="U2")], root=12)
    edited = document([block(12, "New words", edited=5)], root=12)
    now = merged(stored, edited, COVERED)
    assert now is not None
    assert now.title == "New words"
    assert [one.text for one in now.blocks] == ["New words", "A reply"]
    assert now.signals.replies == 1


def test_an_edit_after_the_period_does_not_move_a_message_out_of_it() -> None:
    stored = document([block(0), block(12, "Edited in spring", edited=100)])
    now = merged(stored, None, COVERED)
    assert now is not None
    assert [one.anchor for one in now.blocks] == [anchor(0)]


def test_a_document_that_lies_outside_the_period_is_the_same_object() -> None:
    stored = document([block(0), block(25)])
    assert merged(stored, None, COVERED) is stored


def test_the_period_holds_its_first_moment_and_not_its_end() -> None:
    assert [is_inside(block(second), COVERED) for second in (9, 10, 19, 20)] == [False, True, True, False]


def test_what_has_no_time_is_never_said_to_be_gone() -> None:
    assert not is_inside(Block(text="A page"), COVERED)
    page = document([Block(text="A page"), Block(text="of two")], "canvas")
    assert merged(page, None, COVERED) == page


def test_a_message_that_is_gone_names_its_thread_no_more() -> None:
    stored = document([block(12, "Deleted words"), block(25, "A later reply", by="U2")], root=12, author="Ada")
    now = merged(stored, None, COVERED)
    assert now is not None
    assert [one.text for one in now.blocks] == ["A later reply"]
    assert "Deleted words" not in now.title
