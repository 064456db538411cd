"""What was deleted is gone at once, from every store, and no old export brings it back."""

import json
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import insert, select, update

from core import tables as t
from core.catalog import answers, tombstones
from core.catalog.answers import StoredAnswer
from core.catalog.passages import Reader
from core.errors import UnknownPrincipalError
from core.words import Instant, document_id_of
from features.store import DOCUMENT_VIEW
from generation.answers import AskRequest, DoneEvent
from ingest.errors import DocumentNotFoundError
from retrieval.query import Query
from tests.support.installation import PAGES, installation, live_texts, write_pages
from tests.support.slack_export import ExportBuilder
from threadwise.runtime import Threadwise

EVERYTHING = Reader(principals=(), unrestricted=True)
TOPICS = (
    "bicycles",
    "invoices",
    "laptops",
    "parking",
    "vacation",
    "heating",
    "visitors",
    "printers",
    "lunches",
    "keys",
)
ADA, BEN = "T1/U1", "T1/U2"


def pages(count: int) -> dict[str, str]:
    """So many pages about something else each."""
    return {
        f"page{n:02}.md": f"# About {TOPICS[n % 10]} {n}\n\nThe code word of page {n} is quokka{n:02}. Ask the office."
        for n in range(count)
    }


def company() -> ExportBuilder:
    """Two people in a public channel: a thread of both, one of Ada alone, and loose words of Ben."""
    export = ExportBuilder().user("U1", "Ada").user("U2", "Ben").channel("C1", "hr", ["U1", "U2"], is_general=True)
    export.private("G1", "board", ["U1", "U2"])
    shared, own = "1700000000.000100", "1700090000.000100"
    export.say("hr", shared, "Where is the wombat policy?", thread_ts=shared)
    export.say("hr", "1700000060.000200", "The policy is on the wiki.", user="U2", thread_ts=shared)
    export.say("hr", own, "My secret is a numbat.", thread_ts=own)
    export.say("hr", "1700090060.000200", "It lives in the garden.", thread_ts=own)
    return export.say("hr", "1700200000.000100", "Coffee is in the kitchen.", user="U2")


def texts_found(threadwise: Threadwise, question: str) -> str:
    """Everything that a search shows."""
    found = threadwise.search(Query(text=question, reader=EVERYTHING, top_k=20))
    return "\n".join(f"{passage.title} {passage.text}" for passage in found.passages)


def answered(threadwise: Threadwise, question: str, key_id: str = "k") -> StoredAnswer:
    """The stored answer to a question."""
    events = list(threadwise.ask(AskRequest(question=question, reader=EVERYTHING, key_id=key_id)))
    done = next(event for event in events if isinstance(event, DoneEvent))
    return threadwise.answer(done.answer.answer_id)


def left_in(threadwise: Threadwise, kind: tombstones.Kind, key: str) -> dict[str, int]:
    """The stores in which something is left."""
    return {store: count for store, count in threadwise.deletions.look(kind, key).items() if count}


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Threadwise]:
    """An installation without a language model."""
    threadwise, _ = installation(tmp_path / "data")
    threadwise.language_model = None
    with threadwise:
        yield threadwise


def test_deleted_documents_are_unreadable_on_the_next_request_and_no_old_export_brings_them_back(
    opened: Threadwise,
    tmp_path: Path,
    full_size: bool,  # noqa: FBT001 - a fixture
) -> None:
    count = 50 if full_size else 4
    docs = write_pages(tmp_path / "docs", pages(count + 1))
    total = sum(opened.ingest(docs, name="docs").buckets.values())
    for n in range(count):
        word, document_id = f"quokka{n:02}", document_id_of("docs", f"page{n:02}.md")
        question = f"What is the code word {word} of page {n}?"
        assert word in texts_found(opened, question)
        (tombstone,) = opened.deletions.delete([document_id], reason="test")
        assert word not in texts_found(opened, question)
        assert word not in answered(opened, question).text
        length = opened.store.read_columns(DOCUMENT_VIEW, [document_id], ["length"])["length"]
        assert length != length, "not a number: nothing is known"  # noqa: PLR0124
        assert tombstone.purged_at, tombstone.receipts
        report = opened.ingest(docs, name="docs")
        assert report.buckets == {"indexed": total - n - 1, "tombstoned": n + 1}
        assert word not in texts_found(opened, question)
    assert not [text for text in live_texts(opened) for n in range(count) if f"quokka{n:02}" in text]
    assert f"quokka{count:02}" in texts_found(opened, f"code word quokka{count:02}")


def test_no_file_of_the_installation_holds_the_text_any_more(opened: Threadwise, tmp_path: Path) -> None:
    docs = write_pages(tmp_path / "docs", PAGES | {"secret.md": "# Xylorimba\n\nZygomorphic xylorimba things.\n"})
    opened.ingest(docs, name="docs")
    assert "Zygomorphic" in texts_found(opened, "zygomorphic xylorimba")
    answered(opened, "What about zygomorphic things?")
    with opened.database.write() as session:
        session.execute(t.answer.update().values(question="?"))  # the question is the asker's own
    opened.deletions.delete([document_id_of("docs", "secret.md")])
    holding = [
        path.relative_to(tmp_path / "data").as_posix()
        for path in (tmp_path / "data").rglob("*")
        if path.is_file() and any(word in path.read_bytes().lower() for word in (b"zygomorphic", b"xylorimba"))
    ]
    assert not holding


def test_an_answer_that_leans_on_a_deleted_document_goes_with_what_was_thought_of_it(
    opened: Threadwise, tmp_path: Path
) -> None:
    opened.ingest(write_pages(tmp_path / "docs", PAGES), name="docs")
    given = answered(opened, "How many days of leave does everybody have?")
    assert "25 days" in given.text
    opened.rate(given.id, key_id="k", value=1)
    (tombstone,) = opened.deletions.delete([document_id_of("docs", "leave.md")])
    with opened.database.read() as session:
        assert answers.find(session, given.id) is None
        assert session.execute(select(t.feedback)).first() is None
    removed = {receipt.store: receipt.ids for receipt in tombstone.receipts}
    assert (removed["answers"], removed["feedback"]) == ((given.id,), (given.id,))


def test_the_second_look_finds_what_is_left_and_another_purge_takes_it(opened: Threadwise, tmp_path: Path) -> None:
    document_id = document_id_of("docs", "leave.md")
    opened.ingest(write_pages(tmp_path / "docs", PAGES), name="docs")
    texts_found(opened, "leave")  # makes the index of words
    with opened.database.read() as session:
        sha = session.execute(select(t.document.c.blob_sha).where(t.document.c.id == document_id)).scalar_one()
    blob = opened.blobs.get(sha)
    (engines,) = (tmp_path / "data" / "engines").iterdir()
    shutil.copytree(engines, tmp_path / "older")
    (tombstone,) = opened.deletions.delete([document_id])
    assert left_in(opened, "document", document_id) == {}
    removed = {receipt.store: receipt.ids for receipt in tombstone.receipts}
    opened.blobs.put(blob)
    shutil.rmtree(engines)
    shutil.copytree(tmp_path / "older", engines)
    with opened.database.write() as session:
        space = session.execute(select(t.space.c.id)).scalar_one()
        session.execute(insert(t.embedding).values(text_sha=removed["vectors"][0], space_id=space, vector=b""))
        answers.keep(session, citing(document_id))
    assert left_in(opened, "document", document_id) == {"blobs": 1, "words": 1, "vectors": 1, "answers": 1}
    (again,) = opened.deletions.purge([("document", document_id)])
    assert left_in(opened, "document", document_id) == {}
    assert again.purged_at
    assert {receipt.store: len(receipt.ids) for receipt in again.receipts}["answers"] == 1


def citing(document_id: str) -> StoredAnswer:
    """An answer that cites the document."""
    return StoredAnswer(
        id="a" * 32,
        asked_at=Instant(1),
        key_id="k",
        principals=(),
        question="?",
        status="quoted",
        text="25 days",
        citations=[{"document_id": document_id, "chunk_id": "c" * 32, "quote": "25 days"}],
        generation_id=1,
        model="",
        template="",
        trace={},
    )


def test_what_was_written_late_is_found_once_the_grace_is_over(opened: Threadwise, tmp_path: Path) -> None:
    document_id = document_id_of("docs", "leave.md")
    opened.ingest(write_pages(tmp_path / "docs", PAGES), name="docs")
    opened.deletions.delete([document_id])
    with opened.database.write() as session:
        answers.keep(session, citing(document_id))
    assert opened.deletions.purge_due() == 0, "whoever answers may still be writing"
    long_ago = int(opened.deletions.grace_seconds * 2_000_000)
    c = t.tombstone.c
    with opened.database.write() as session:
        session.execute(update(t.tombstone).values(at=c.at - long_ago, purged_at=c.purged_at - long_ago))
    assert opened.deletions.purge_due() == 1
    assert opened.deletions.purge_due() == 0
    assert left_in(opened, "document", document_id) == {}


def test_a_document_that_is_allowed_again_comes_with_the_next_ingestion(opened: Threadwise, tmp_path: Path) -> None:
    docs, document_id = write_pages(tmp_path / "docs", PAGES), document_id_of("docs", "leave.md")
    opened.ingest(docs, name="docs")
    opened.deletions.delete([document_id])
    opened.ingest(docs, name="docs")
    opened.deletions.allow(document_id)
    with pytest.raises(DocumentNotFoundError):
        opened.deletions.allow(document_id)
    assert opened.ingest(docs, name="docs").buckets == {"indexed": 3}
    assert [text for text in live_texts(opened) if "25 days" in text]


def test_a_document_that_nobody_knows_cannot_be_deleted_and_one_that_was_can_be_again(
    opened: Threadwise, tmp_path: Path
) -> None:
    document_id = document_id_of("docs", "leave.md")
    opened.ingest(write_pages(tmp_path / "docs", PAGES), name="docs")
    with pytest.raises(DocumentNotFoundError):
        opened.deletions.delete([document_id, "0" * 32])
    assert opened.deletions.listing() == [], "all of them or none"
    (first,) = opened.deletions.delete([document_id, document_id])
    assert {receipt.store for receipt in first.receipts if receipt.ids} >= {"documents", "chunks", "vectors", "blobs"}
    (second,) = opened.deletions.delete([document_id])
    assert (second.id, second.receipts) == (first.id, first.receipts)


def test_an_older_catalogue_is_told_what_was_deleted_since(opened: Threadwise, tmp_path: Path) -> None:
    docs, export = write_pages(tmp_path / "docs", PAGES), company().zipped(tmp_path / "export.zip")
    gone, allowed = document_id_of("docs", "leave.md"), document_id_of("docs", "vpn.md")
    older, _ = installation(tmp_path / "older")
    with older:
        for one in (opened, older):
            one.ingest(docs, name="docs")
            one.ingest(export, name="slack")
        opened.deletions.delete([gone, allowed])
        opened.deletions.erase(ADA)
        opened.deletions.allow(allowed)
        lines = opened.deletions.file.entries()
        assert older.deletions.replay(lines) == 2
        assert older.deletions.replay(lines) == 0
        assert live_texts(older) == live_texts(opened) | {text for text in live_texts(older) if "client" in text}
        assert left_in(older, "document", gone) == {}
        assert not [text for text in live_texts(older) if "numbat" in text or "25 days" in text]
        older.ingest(docs, name="docs")
        older.ingest(export, name="slack")
        assert not [text for text in live_texts(older) if "numbat" in text or "25 days" in text]


def test_a_tombstone_of_a_source_that_is_not_known_yet_waits_for_it(opened: Threadwise, tmp_path: Path) -> None:
    with installation(tmp_path / "other")[0] as other:
        docs = write_pages(tmp_path / "docs", PAGES)
        other.ingest(docs, name="docs")
        other.deletions.delete([document_id_of("docs", "leave.md")])
        assert opened.deletions.replay(other.deletions.file.entries()) == 1
        assert opened.ingest(docs, name="docs").buckets == {"indexed": 2, "tombstoned": 1}


def test_the_file_of_tombstones_is_for_its_owner_and_survives_a_line_that_was_cut_off(
    opened: Threadwise, tmp_path: Path
) -> None:
    opened.ingest(write_pages(tmp_path / "docs", PAGES), name="docs")
    opened.deletions.delete([document_id_of("docs", "leave.md")], reason="r", requested_by="me")
    place = opened.deletions.file.path
    assert place.stat().st_mode & 0o777 == 0o600
    with place.open("ab") as file:
        file.write(b'{"kind": "docu')
    opened.deletions.delete([document_id_of("docs", "vpn.md")])
    names = [entry["external_id"] for entry in opened.deletions.file.entries()]
    assert names == ["leave.md", "vpn.md"]
    first = json.loads(place.read_text().splitlines()[0])
    assert (first["kind"], first["source"], first["reason"], first["requested_by"]) == ("document", "docs", "r", "me")


@pytest.fixture
def erased(opened: Threadwise, tmp_path: Path) -> tombstones.Tombstone:
    """Ada has asked and said things, and is erased."""
    export = company()
    opened.ingest(export.zipped(tmp_path / "export.zip"), name="slack")
    coffee, secret = (document_id_of("slack", f"C1:{ts}") for ts in ("1700200000.000100", "1700090000.000100"))
    own = replace(citing(coffee), id="1" * 32, key_id=ADA)
    other = replace(citing(coffee), id="2" * 32, key_id=BEN)
    cites = replace(citing(secret), id="3" * 32, key_id=BEN)
    with opened.database.write() as session:
        for answer in (own, other, cites):
            answers.keep(session, answer)
    opened.rate(other.id, key_id=ADA, value=-1, comment="no")
    for number, user in enumerate(("U1", "U2")):
        payload = {"team": "T1", "user": user, "text": "a question"}
        opened.inbox.accept(entry_id=f"e{number}", kind="question", line=user, payload=payload)
    tombstone = opened.deletions.erase(ADA, reason="asked for it", requested_by="me")
    removed = {receipt.store: set(receipt.ids) for receipt in tombstone.receipts}
    assert removed["answers"] == {own.id, cites.id}
    assert removed["feedback"] == {other.id}
    assert removed["inbox"] == {"e0"}
    return tombstone


def test_an_erased_person_is_gone_and_the_others_words_stay(
    opened: Threadwise, tmp_path: Path, erased: tombstones.Tombstone
) -> None:
    assert live_texts(opened) == {"Ben: The policy is on the wiki.", "Ben: Coffee is in the kitchen."}
    assert erased.purged_at
    assert (erased.key, erased.external_id) == (tombstones.person_key(ADA), "")
    removed = {receipt.store: len(receipt.ids) for receipt in erased.receipts}
    wanted = {"documents": 1, "versions": 2, "chunks": 2, "vectors": 2, "blobs": 2, "memberships": 2}
    assert removed.items() >= wanted.items()
    assert left_in(opened, "person", erased.key) == {}
    with opened.database.read() as session:
        assert not [who for (who,) in session.execute(select(t.membership.c.principal)) if who == ADA]
    blobs = [path.read_text() for path in (tmp_path / "data" / "blobs").rglob("*") if path.is_file()]
    assert len(blobs) == 2
    assert not [blob for blob in blobs if ADA in blob or "wombat" in blob]
    assert erased.key not in {ADA, ""}
    assert ADA not in opened.deletions.file.path.read_text()


@pytest.mark.usefixtures("erased")
def test_an_old_export_does_not_bring_an_erased_person_back(opened: Threadwise, tmp_path: Path) -> None:
    before = live_texts(opened)
    report = opened.ingest(tmp_path / "export.zip", name="slack")
    assert (report.added, report.changed, report.removed) == (0, 0, 0)
    assert report.buckets == {"indexed": 2, "tombstoned": 3}
    assert live_texts(opened) == before


@pytest.mark.usefixtures("erased")
def test_a_colleague_may_still_answer_in_a_thread_of_an_erased_person(opened: Threadwise, tmp_path: Path) -> None:
    later = company().say("hr", "1700300000.000100", "Numbats eat termites.", user="U2", thread_ts="1700090000.000100")
    opened.ingest(later.zipped(tmp_path / "later.zip"), name="slack")
    assert "Ben: Numbats eat termites." in live_texts(opened)
    assert not [text for text in live_texts(opened) if "Ada" in text]


def test_nobody_is_erased_by_a_name_that_was_typed_wrong(opened: Threadwise, tmp_path: Path) -> None:
    opened.ingest(company().zipped(tmp_path / "export.zip"), name="slack")
    with pytest.raises(UnknownPrincipalError):
        opened.deletions.erase("T1/U9")
    assert opened.deletions.listing() == []


@pytest.mark.parametrize("deletes_first", [True, False])
def test_a_document_that_is_deleted_while_its_source_is_ingested_stays_away(
    tmp_path: Path,
    deletes_first: bool,  # noqa: FBT001 - a parameter
) -> None:
    document_id = document_id_of("docs", "leave.md")

    def delete_meanwhile(text: str) -> None:
        marker = "30 days" if deletes_first else "every five years"
        if marker in text and not threadwise.deletions.listing():
            wait_for_commit(threadwise, document_id, "30 days" if not deletes_first else "25 days")
            threadwise.deletions.delete([document_id])

    threadwise, _ = installation(tmp_path / "data", before=delete_meanwhile, workers=1)
    with threadwise:
        docs = write_pages(tmp_path / "docs", PAGES)
        threadwise.ingest(docs, name="docs")
        newer = {
            "leave.md": "# Leave\n\nEverybody has 30 days of leave.\n",
            "vpn.md": "# VPN\n\nNew every five years.\n",
        }
        report = threadwise.ingest(write_pages(docs, PAGES | newer), name="docs")
        assert len(threadwise.deletions.listing()) == 1
        assert not [text for text in live_texts(threadwise) if "days of leave" in text]
        assert [text for text in live_texts(threadwise) if "five years" in text]
        assert sum(report.buckets.values()) == 3
        assert left_in(threadwise, "document", document_id) == {}
        assert threadwise.ingest(docs, name="docs").buckets == {"indexed": 2, "tombstoned": 1}


def wait_for_commit(threadwise: Threadwise, document_id: str, said: str) -> None:
    """Until readers see this state of the document."""
    for _ in range(1000):
        if any(said in text for text in live_texts(threadwise)):
            return
        threading.Event().wait(0.01)
    pytest.fail(f"{document_id} was not committed")


@pytest.mark.embedded_only("is about SQLite's log")
def test_a_reader_that_is_in_the_way_of_emptying_the_log_is_waited_for_later(
    opened: Threadwise, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.catalog.purging.CHECKPOINT_MS", 10)
    opened.ingest(write_pages(tmp_path / "docs", PAGES), name="docs")
    reading = sqlite3.connect(tmp_path / "data" / "threadwise.sqlite3", isolation_level=None)
    reading.execute("BEGIN")
    reading.execute("SELECT count(*) FROM chunk").fetchone()
    (tombstone,) = opened.deletions.delete([document_id_of("docs", "leave.md")])
    assert (tombstone.purged_at, tombstone.receipts[-1].left) == (None, 1)
    reading.close()
    assert opened.deletions.purge_due() == 1
    assert opened.deletions.listing()[0].purged_at
