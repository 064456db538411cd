"""What every kind of source promises."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from core.settings import IngestSettings
from core.words import BUCKETS, Document
from ingest.sources import Found, Source, open_source
from tests.support.slack_export import small_workspace

LATE = {"ts": "1700009999.000100", "user": "U2", "text": "One more thing."}


@dataclass(frozen=True)
class Case:
    """A source on disk, and a way to add one document's worth to it."""

    kind: str
    write: Callable[[Path, bool], Path]
    entries: int

    def at(self, folder: Path, *, grown: bool = False, audience: list[str] | None = None) -> Source:
        folder.mkdir(exist_ok=True)
        place = self.write(folder, grown)
        return open_source(place, name="s", settings=IngestSettings(), audience=audience)


def slack_zip(folder: Path, grown: bool) -> Path:  # noqa: FBT001 - the shape of Case.write
    builder = small_workspace()
    return (builder.raw("general", "2023-11-15", LATE) if grown else builder).zipped(folder / "export.zip")


def slack_folder(folder: Path, grown: bool) -> Path:  # noqa: FBT001 - the shape of Case.write
    builder = small_workspace()
    return (builder.raw("general", "2023-11-15", LATE) if grown else builder).unpacked(folder / "export")


def files(folder: Path, grown: bool) -> Path:  # noqa: FBT001 - the shape of Case.write
    (folder / "a.md").write_text("# Leave\n\n25 days.\n\n## Carry over\n\nUntil March.")
    (folder / "b.txt").write_bytes(b"\xff")
    (folder / "c.pdf").write_bytes(b"x")
    if grown:
        (folder / "d.txt").write_text("One more thing.")
    return folder


def beir(folder: Path, grown: bool) -> Path:  # noqa: FBT001 - the shape of Case.write
    lines = [
        {"_id": "1", "title": "Leave", "text": "25 days."},
        {"_id": "1", "text": "x"},
        {"_id": "2", "text": "Train."},
    ]
    more = [{"_id": "3", "text": "One more thing."}] if grown else []
    (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, [*lines, *more])))
    (folder / "queries.jsonl").write_text("")
    return folder


CASES = {
    "slack zip": Case("slack-export", slack_zip, 5),
    "slack folder": Case("slack-export", slack_folder, 5),
    "files": Case("files", files, 3),
    "beir": Case("beir", beir, 3),
}


@pytest.fixture(params=list(CASES.values()), ids=list(CASES))
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


def documents(source: Source) -> Iterator[Document]:
    for item in source.read():
        if isinstance(item, Found):
            yield item.document


def test_reading_twice_gives_the_same(case: Case, tmp_path: Path) -> None:
    source = case.at(tmp_path / "one")
    first = list(source.read())
    assert source.kind == case.kind
    assert first == list(source.read()) == list(case.at(tmp_path / "two").read())
    assert list(source.memberships()) == list(case.at(tmp_path / "two").memberships())


def test_the_fingerprint_changes_with_the_content_and_only_then(case: Case, tmp_path: Path) -> None:
    before = case.at(tmp_path / "one").fingerprint()
    assert len(before) == 64
    assert before == case.at(tmp_path / "one").fingerprint()
    assert before != case.at(tmp_path / "one", grown=True).fingerprint()
    assert before != case.at(tmp_path / "two", audience=["hr"]).fingerprint()


def test_something_added_is_one_more_document(case: Case, tmp_path: Path) -> None:
    before = {document.external_id: document for document in documents(case.at(tmp_path / "s"))}
    after = {document.external_id: document for document in documents(case.at(tmp_path / "s", grown=True))}
    assert len(after) == len(before) + 1
    assert after.items() >= before.items() if case.kind != "slack-export" else set(after) > set(before)


def test_documents_survive_their_stored_form(case: Case, tmp_path: Path) -> None:
    found = list(documents(case.at(tmp_path / "s")))
    assert found
    assert [Document.from_canonical(document.canonical()) for document in found] == found


def test_every_entry_is_in_one_bucket(case: Case, tmp_path: Path) -> None:
    entries = [entry for item in case.at(tmp_path / "s").read() for entry in item.entries]
    assert len(entries) == len({(entry.channel, entry.item, entry.bucket) for entry in entries}) == case.entries
    assert {entry.bucket for entry in entries} <= set(BUCKETS)
    assert all(entry.reason for entry in entries)


def test_no_document_is_without_audience_text_or_a_name_of_its_own(case: Case, tmp_path: Path) -> None:
    found = list(documents(case.at(tmp_path / "s")))
    assert all(document.audience == tuple(sorted(document.audience)) != () for document in found)
    assert all(any(block.text.strip() for block in document.blocks) for document in found)
    assert len({document.external_id for document in found}) == len(found)


def test_an_audience_given_holds_for_every_document(case: Case, tmp_path: Path) -> None:
    found = list(documents(case.at(tmp_path / "s", audience=["it", "hr", "it"])))
    assert {document.audience for document in found} == {("hr", "it")}


def test_who_may_read_a_document_can_be_asked_by_its_id(case: Case, tmp_path: Path) -> None:
    for audience in (None, ["hr"]):
        source = case.at(tmp_path / "s", audience=audience)
        found = list(documents(source))
        assert [source.audience_of(document.external_id) for document in found] == [d.audience for d in found]
