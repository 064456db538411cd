"""Messages of one conversation as threads and sittings."""

import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.words import Block, Document, Instant
from generation.sentences import sentences
from ingest.conversations import SITTING_MESSAGES, Conversation, Message, documents_of, said_at
from ingest.sources import Entry, Found, Item

GENERAL = Conversation(id="C1", folder="general", label="#general", audience=("T1",))
START = 1_700_000_000
HOUR = 3600


def message(second: float, text: str = "hello", **more: object) -> Message:
    micros = START * 1_000_000 + round(second * 1_000_000)
    plainly = Message(
        ts=f"{micros // 1_000_000}.{micros % 1_000_000:06d}", at=Instant(micros), speaker="Ada", text=text, author="U1"
    )
    return replace(plainly, **more)  # type: ignore[arg-type]


def reply(root: Message, second: float, text: str = "a reply", **more: object) -> Message:
    return message(second, text, thread_ts=root.ts, **more)


def items_of(messages: list[Message]) -> list[Item]:
    return list(documents_of(GENERAL, messages, gap_minutes=60, permalink=lambda channel, ts: f"{channel}/{ts}"))


def documents(messages: list[Message]) -> list[Document]:
    return [item.document for item in items_of(messages) if isinstance(item, Found)]


def entries(messages: list[Message]) -> list[Entry]:
    return [entry for item in items_of(messages) for entry in item.entries]


def test_a_root_and_its_replies_are_one_document_whatever_their_order() -> None:
    root = message(0, "Where is the policy?", resolved=True, reactions=2)
    late = reply(root, 5 * 24 * HOUR, "On the wiki", author="U2", speaker="Ben", reactions=1)
    shuffled = [late, message(10, "Lunch?"), root, reply(root, 20)]
    (thread, sitting) = documents(shuffled)
    assert thread.external_id == f"C1:{root.ts}"
    assert thread.kind == "thread"
    assert thread.title == "#general: Where is the policy?"
    assert [block.text for block in thread.blocks] == ["Ada: Where is the policy?", "Ada: a reply", "Ben: On the wiki"]
    assert (thread.author, thread.context, thread.uri) == ("Ada", "#general", f"C1/{root.ts}")
    assert thread.signals.last_activity == late.at
    assert (thread.signals.replies, thread.signals.reactions, thread.signals.people) == (2, 3, 2)
    assert thread.signals.resolved
    assert (sitting.kind, sitting.author) == ("sitting", "")


def lines_of(text: str, **more: object) -> list[str]:
    (sitting,) = documents([message(0, text, **more)])
    return sitting.blocks[0].text.split("\n")


@pytest.mark.parametrize(
    ("line", "attributed"),
    [
        ("Ruth: The bagpipe is paid.", "Ada: Ruth: The bagpipe is paid."),
        ("  Ruth (edited): It is.", "  Ada: Ruth (edited): It is."),
        ("- Ruth: It is.", "- Ada: Ruth: It is."),
        ("> 1. System: It is.", "> 1. Ada: System: It is."),
        ("**Ruth**: It is.", "Ada: **Ruth**: It is."),
        ("Ruth :", "Ada: Ruth :"),
        ("Ruth\uff1aIt is.", "Ada: Ruth\uff1aIt is."),
        ("Ruth:It is.", "Ada: Ruth:It is."),
    ],
)
def test_a_line_that_looks_as_if_another_spoke_names_who_does(line: str, attributed: str) -> None:
    assert lines_of(f"hello\n{line}\nbye") == ["Ada: hello", attributed, "bye"]
    assert lines_of(f"hello\u2028{line}") == [f"Ada: hello\u2028{attributed}"]


def test_an_edited_message_names_its_author_alike() -> None:
    assert lines_of("a\nRuth: b", edited=True) == ["Ada (edited): a", "Ada (edited): Ruth: b"]


@pytest.mark.parametrize(
    "line", ["", "at 10:30 we meet", "see https://a.example/x", ":tada:", "- one", "[file: a.pdf]"]
)
def test_a_line_that_looks_like_nobody_stays_as_it_was(line: str) -> None:
    assert lines_of(f"hello\n{line}\nbye") == ["Ada: hello", line, "bye"]


@given(st.lists(st.sampled_from(["Ruth", "Ada", ": ", ":", " ", "- ", "> ", "1. ", "\n", "\u2028", "paid", "*", "!"])))
def test_whoever_seems_to_speak_in_a_message_is_its_author(pieces: list[str]) -> None:
    text = "".join(pieces).strip()
    (sitting,) = documents([message(0, text)])
    body = sitting.blocks[0].text
    first_of_parts = {sentence.part: sentence for sentence in reversed(sentences(body))}
    for sentence in first_of_parts.values():
        start = body[sentence.start :].lstrip("-*+ ")
        assert not (sentence.said and start.startswith("Ruth"))


def test_an_item_of_a_list_within_a_line_is_said_by_whoever_says_the_line() -> None:
    (sitting,) = documents([message(0, "to do: - paid - Ruth: I resign - 1. Ruth: I do")])
    assert [sentence.said for sentence in sentences(sitting.blocks[0].text)] == [True, False, False, False]


def test_replies_without_their_root_are_a_thread_under_its_time() -> None:
    root = message(0)
    (thread,) = documents([reply(root, 5, resolved=True), reply(root, 9)])
    assert thread.external_id == f"C1:{root.ts}"
    assert thread.author == ""
    assert thread.signals.replies == 2
    assert not thread.signals.resolved


def test_a_root_that_does_not_know_it_is_one_joins_its_replies() -> None:
    root = message(0)
    (thread,) = documents([root, reply(root, 5)])
    assert len(thread.blocks) == 2


def test_a_pause_ends_a_sitting() -> None:
    one, two, three = message(0), message(HOUR), message(2 * HOUR + 1)
    assert [d.external_id for d in documents([one, two, three])] == [f"C1:{one.ts}", f"C1:{three.ts}"]


def test_a_sitting_without_a_pause_is_cut() -> None:
    found = documents([message(index) for index in range(2 * SITTING_MESSAGES + 1)])
    assert [len(document.blocks) for document in found] == [SITTING_MESSAGES, SITTING_MESSAGES, 1]


def test_a_reply_that_arrives_late_changes_only_its_thread() -> None:
    root = message(7)
    before = [root, reply(root, 9), *(message(float(index), str(index)) for index in range(30, 99))]
    late = reply(root, 30 * 24 * HOUR)
    old = {document.external_id: document.canonical() for document in documents(before)}
    new = {document.external_id: document.canonical() for document in documents([*before, late])}
    assert {name for name in old | new if old.get(name) != new.get(name)} == {f"C1:{root.ts}"}


def test_a_loose_message_that_gets_a_reply_leaves_the_other_sittings_alone() -> None:
    loose = [message(float(index), str(index)) for index in range(3 * SITTING_MESSAGES)]
    old = {document.external_id: document.canonical() for document in documents(loose)}
    new = {document.external_id: document.canonical() for document in documents([*loose, reply(loose[5], HOUR)])}
    changed = {name for name in old | new if old.get(name) != new.get(name)}
    assert changed == {f"C1:{loose[0].ts}", f"C1:{loose[5].ts}"}


def test_the_copy_of_a_reply_for_the_channel_is_a_duplicate() -> None:
    root = message(0)
    inside = reply(root, 5, "done", author="U2")
    same_time = replace(inside, broadcast=True)
    own_time = replace(message(6, "done", author="U2", broadcast=True), thread_ts=root.ts)
    found = items_of([root, same_time, inside, own_time])
    assert Counter(entry.bucket for item in found for entry in item.entries) == {"merged": 2, "duplicate": 2}
    (thread,) = documents([root, same_time, inside, own_time])
    assert [block.anchor for block in thread.blocks] == [root.ts, inside.ts]


def test_a_reply_that_exists_only_as_its_copy_stays_in_the_thread() -> None:
    root = message(0)
    (thread,) = documents([root, reply(root, 5, broadcast=True)])
    assert len(thread.blocks) == 2


def test_of_two_states_of_a_message_the_edited_one_is_kept() -> None:
    (sitting,) = documents([message(0, "old"), message(0, "new", edited=True)])
    assert [block.text for block in sitting.blocks] == ["Ada (edited): new"]


def test_of_several_edits_of_a_message_the_last_is_kept_wherever_it_was_said() -> None:
    root = message(0)
    states = [
        reply(root, 5, "first"),
        reply(root, 5, "third", edited=True, changed_at=Instant(START * 1_000_000 + 90)),
        reply(root, 5, "second", edited=True, changed_at=Instant(START * 1_000_000 + 60), broadcast=True),
    ]
    (thread,) = documents([root, *states])
    assert [block.text for block in thread.blocks] == ["Ada: hello", "Ada (edited): third"]
    assert Counter(entry.bucket for entry in entries([root, *states])) == {"merged": 2, "duplicate": 2}


def test_a_block_of_an_edited_message_applies_from_the_edit_and_still_knows_when_it_was_said() -> None:
    changed = Instant((START + 600) * 1_000_000)
    edited, other = message(0, "new", edited=True, changed_at=changed), message(30)
    (sitting,) = documents([edited, other])
    assert [block.at for block in sitting.blocks] == [changed, other.at]
    assert [said_at(block) for block in sitting.blocks] == [edited.at, other.at]
    assert sitting.signals.last_activity == changed


@pytest.mark.parametrize("anchor", ["", "a-heading", "1700000000", "1.5"])
def test_a_block_without_a_timestamp_was_said_when_it_applies(anchor: str) -> None:
    assert said_at(Block(text="x", anchor=anchor, at=Instant(7))) == 7


def test_two_messages_of_one_time_are_both_kept_unless_they_are_the_same() -> None:
    twice = [message(0, "one"), message(0, "two"), message(0, "one", author="U2", speaker="Ben"), message(0, "one")]
    (sitting,) = documents(twice)
    assert [block.text for block in sitting.blocks] == ["Ada: one", "Ada: two", "Ben: one"]
    assert Counter(entry.bucket for entry in entries(twice)) == {"merged": 3, "duplicate": 1}


def test_a_sitting_is_not_cut_between_two_messages_of_one_time() -> None:
    said = [message(second) for second in range(SITTING_MESSAGES)]
    found = documents([*said, message(SITTING_MESSAGES - 1, "other"), message(SITTING_MESSAGES)])
    assert len({document.external_id for document in found}) == len(found) == 2
    assert len(found[0].blocks) == SITTING_MESSAGES + 1


def test_a_message_alone_in_its_document_is_indexed_and_others_are_merged() -> None:
    assert [entry.bucket for entry in entries([message(0)])] == ["indexed"]
    assert [entry.bucket for entry in entries([message(0), message(1)])] == ["merged", "merged"]


@given(
    st.lists(st.tuples(st.integers(0, 40), st.one_of(st.none(), st.integers(0, 40)), st.booleans()), max_size=40),
    st.randoms(use_true_random=False),
)
def test_every_message_has_one_entry_and_order_does_not_matter(
    drawn: list[tuple[int, int | None, bool]], shuffle: random.Random
) -> None:
    messages = [
        message(at * 900, f"text {at}", thread_ts="" if root is None else message(root * 900).ts, broadcast=broadcast)
        for at, root, broadcast in {at: (at, root, broadcast) for at, root, broadcast in drawn}.values()
    ]
    expected = items_of(messages)
    listed = [entry.item for item in expected for entry in item.entries]
    assert sorted(listed) == sorted(each.ts for each in messages)
    ids = [item.document.external_id for item in expected if isinstance(item, Found)]
    assert len(ids) == len(set(ids))
    shuffle.shuffle(messages)
    assert items_of(messages) == expected
