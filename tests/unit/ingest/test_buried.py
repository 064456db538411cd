"""What is buried does not come back, and every message of an export is still counted once."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.catalog.tombstones import person_key
from core.words import Block, Document, Instant, Signals
from ingest.buried import Graves, speaks, without
from ingest.conversations import Conversation, Message, documents_of
from ingest.items import Entry, Found, Item
from ingest.sources.slack_directory import directory_of
from ingest.sources.slack_messages import read_message

PEOPLE = ("T1/U1", "T1/U2", "T1/U3")
ADA = person_key("T1/U1")
GENERAL = Conversation(id="C1", folder="general", label="#general", audience=("T1",))

people_sets = st.sets(st.sampled_from(PEOPLE)).map(lambda names: frozenset(map(person_key, names)))
said = st.tuples(st.integers(0, 40), st.sampled_from(PEOPLE), st.sampled_from(["", "0"]))


def message(minute: int, by: str, text: str = "hello", thread: str = "") -> Message:
    ts = f"{1_700_000_000 + 60 * minute}.000100"
    author = by.partition("/")[2]
    return Message(
        ts=ts, at=Instant(int(ts.replace(".", ""))), speaker=author, text=text, author=author, by=by, thread_ts=thread
    )


def found_in(messages: list[Message]) -> list[Item]:
    return list(documents_of(GENERAL, messages, gap_minutes=5, permalink=lambda channel, ts: f"{channel}/{ts}"))


def thread(*by: str) -> Found:
    """A thread in which these people speak one after the other."""
    root = message(0, by[0], "Where is the policy?")
    replies = [message(place, name, f"reply {place}", root.ts) for place, name in enumerate(by[1:], 1)]
    (found,) = found_in([replace(root, thread_ts=root.ts), *replies])
    assert isinstance(found, Found)
    return found


def buckets(item: Item) -> list[tuple[str, str]]:
    return [(entry.bucket, entry.reason) for entry in item.entries]


@given(st.lists(said, max_size=12), people_sets, st.data())
def test_every_message_is_in_one_entry_whatever_is_buried(
    messages: list[tuple[int, str, str]], people: frozenset[str], data: st.DataObject
) -> None:
    root = message(0, "T1/U1").ts
    items = found_in(
        [message(minute, by, f"{place}", root if is_in else "") for place, (minute, by, is_in) in enumerate(messages)]
    )
    names = [item.document.external_id for item in items if isinstance(item, Found)]
    graves = Graves(frozenset(data.draw(st.sets(st.sampled_from(names)) if names else st.just(set()))), people)
    settled = [graves.settle(item) if isinstance(item, Found) else item for item in items]
    before, after = (
        [(entry.channel, entry.item) for item in some for entry in item.entries] for some in (items, settled)
    )
    assert Counter(after) == Counter(before)
    documents = [item.document for item in settled if isinstance(item, Found)]
    assert not {document.external_id for document in documents} & graves.names
    assert not any(speaks(document, people) for document in documents)


@given(st.lists(st.sampled_from(PEOPLE), min_size=1, max_size=6), people_sets, people_sets)
def test_it_does_not_matter_who_is_erased_first(by: list[str], some: frozenset[str], others: frozenset[str]) -> None:
    document = thread(*by).document
    at_once = without(document, some | others)
    first = without(document, some)
    second = without(first, others) if first else None
    assert (second.content() if second else None) == (at_once.content() if at_once else None)
    assert at_once is None or without(at_once, some | others) == at_once


def test_a_deleted_document_comes_back_as_nothing_but_entries() -> None:
    found = thread("T1/U1", "T1/U2")
    item = Graves(names=frozenset({found.document.external_id})).settle(found)
    assert not isinstance(item, Found)
    assert buckets(item) == [("tombstoned", "deleted")] * 2


def test_where_nothing_is_buried_nothing_changes() -> None:
    found = thread("T1/U1", "T1/U2")
    assert Graves().settle(found) is found
    assert Graves(frozenset({"C1:other"}), frozenset({person_key("T1/U9")})).settle(found) is found


def test_what_an_erased_person_asked_is_gone_from_title_and_author_and_the_others_stay() -> None:
    found = thread("T1/U1", "T1/U2", "T1/U3")
    item = Graves(people=frozenset({ADA})).settle(found)
    assert isinstance(item, Found)
    document = item.document
    assert [block.text for block in document.blocks] == ["U2: reply 1", "U3: reply 2"]
    assert (document.title, document.author) == ("#general: reply 1", "")
    assert (document.signals.replies, document.signals.people) == (2, 2)
    assert document.external_id == found.document.external_id
    assert buckets(item) == [("tombstoned", "erased"), ("merged", "thread"), ("merged", "thread")]


def test_a_message_that_is_left_alone_is_a_document_of_its_own() -> None:
    item = Graves(people=frozenset({ADA})).settle(thread("T1/U2", "T1/U1"))
    assert isinstance(item, Found)
    assert buckets(item) == [("indexed", "thread"), ("tombstoned", "erased")]
    assert item.document.author == "U2"
    assert item.document.signals.replies == 0


def test_where_only_erased_people_spoke_nothing_is_left() -> None:
    item = Graves(people=frozenset({ADA})).settle(thread("T1/U1", "T1/U1"))
    assert not isinstance(item, Found)
    assert buckets(item) == [("tombstoned", "erased")] * 2


def test_a_page_that_names_nobody_is_nobodys() -> None:
    page = Document(
        external_id="a.md",
        kind="page",
        title="A",
        uri="a.md",
        audience=("everyone",),
        blocks=(Block(text="T1/U1 wrote this."), Block(text="More.")),
    )
    found = Found(page, (Entry("", "a.md", "indexed", "page"),))
    assert Graves(people=frozenset({ADA, person_key("")})).settle(found) is found


@pytest.mark.parametrize(
    "other", [Graves(frozenset({"a"})), Graves(people=frozenset({"a"})), Graves(frozenset({"a", "b"}))]
)
def test_the_digest_says_that_something_else_is_buried(other: Graves) -> None:
    assert Graves().digest == ""
    assert other.digest not in ("", Graves(frozenset({"b"})).digest, Graves(people=frozenset({"b"})).digest)


def test_rights_of_erased_people_are_not_taken_over_again() -> None:
    pairs = [("T1/U1", "T1"), ("T1/U2", "T1")]
    assert Graves(people=frozenset({ADA})).living(pairs) == pairs[1:]
    assert Graves().living(pairs) == pairs


@given(st.lists(st.sampled_from(["", *PEOPLE]), min_size=1, max_size=4))
def test_who_said_what_is_stored_and_is_no_content(by: list[str]) -> None:
    blocks = tuple(Block(text=f"{place}", by=name) for place, name in enumerate(by))
    document = Document(
        external_id="x", kind="thread", title="t", uri="", audience=("T1",), blocks=blocks, signals=Signals()
    )
    nobody = replace(document, blocks=tuple(replace(block, by="") for block in blocks))
    assert Document.from_canonical(document.canonical()) == document
    assert document.content_sha == nobody.content_sha
    assert (document.canonical() == nobody.canonical()) == (not any(by))


@pytest.mark.parametrize(
    ("raw", "by"),
    [
        ({"user": "U1"}, "T1/U1"),
        ({"comment": {"user": "U2", "comment": "Nice."}, "subtype": "file_comment"}, "T1/U2"),
        ({"bot_id": "B1", "subtype": "bot_message", "username": "Robot"}, ""),
    ],
)
def test_slack_says_by_id_who_said_something(raw: dict[str, object], by: str) -> None:
    directory = directory_of({"users.json": [{"id": "U1", "team_id": "T1", "name": "ada"}]}, name="s")
    said = read_message({"ts": "1700000000.000100", "text": "hello"} | raw, directory)
    assert isinstance(said, Message)
    (found,) = found_in([said])
    assert isinstance(found, Found)
    assert [block.by for block in found.document.blocks] == [by]
