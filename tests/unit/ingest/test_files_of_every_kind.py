"""Files of other kinds than text, what is said beside them, and which of them are read."""

import json
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.settings import IngestSettings
from core.words import OPEN_TO, Document, Instant
from ingest.items import Entry, Found, Item, Refused
from ingest.options import SourceOptions
from ingest.sources.files import Files
from tests.support import pdf_files

SETTINGS = IngestSettings(max_file_bytes=100_000)
PDF = pdf_files.pdf([pdf_files.lines("By train.")], properties={"ModDate": "D:20240301", "Author": "HR"})
FAQ = b"id,question,answer\n1,Who?,HR\n2,When?,\n3,Where?,Berlin\n"
Contents = Mapping[str, bytes | str]


def at(year: int, month: int = 1, day: int = 1) -> Instant:
    return Instant(int(datetime(year, month, day, tzinfo=UTC).timestamp()) * 1_000_000)


def filled(folder: Path, files: Contents) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def zipped(folder: Path, files: Contents) -> Path:
    with zipfile.ZipFile(folder / "handbook.zip", "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return folder / "handbook.zip"


def read(place: Path, *, now: Instant = OPEN_TO, **options: tuple[str, ...]) -> list[Item]:
    return list(Files(place, settings=SETTINGS, options=SourceOptions(**options), now=now).read())  # type: ignore[arg-type]


def documents(place: Path, *, now: Instant = OPEN_TO, **options: tuple[str, ...]) -> dict[str, Document]:
    found = [item.document for item in read(place, now=now, **options) if isinstance(item, Found)]
    return {document.external_id: document for document in found}


def ledger(items: list[Item]) -> dict[str, tuple[str, str]]:
    entries: list[Entry] = [entry for item in items for entry in item.entries]
    assert len({entry.item for entry in entries}) == len(entries)
    return {entry.item: (entry.bucket, entry.reason) for entry in entries}


def test_a_pdf_and_a_page_are_documents_like_any_other(tmp_path: Path) -> None:
    found = documents(filled(tmp_path, {"travel rules.pdf": PDF, "hr/leave.html": "<h1>Leave</h1><p>25 days."}))
    travel, leave = found["travel rules.pdf"], found["hr/leave.html"]
    assert (travel.title, travel.uri, travel.author) == ("travel rules", "travel%20rules.pdf", "HR")
    assert (travel.blocks[0].text, travel.blocks[0].anchor) == ("By train.", "page=1")
    assert (leave.title, leave.blocks[0].text, leave.kind) == ("Leave", "25 days.", "page")


def test_a_file_of_several_documents_has_one_for_each_of_its_parts(tmp_path: Path) -> None:
    items = read(filled(tmp_path, {"the faq.csv": FAQ}))
    assert ledger(items) == {
        "the faq.csv#1": ("indexed", "faq"),
        "the faq.csv#2": ("filtered", "empty"),
        "the faq.csv#3": ("indexed", "faq"),
    }
    first = next(item.document for item in items if isinstance(item, Found))
    assert (first.external_id, first.uri, first.title, first.kind) == (
        "the faq.csv#1",
        "the%20faq.csv#1",
        "Who?",
        "faq",
    )


def test_what_cannot_be_read_is_refused_by_itself(tmp_path: Path) -> None:
    items = read(
        filled(
            tmp_path,
            {
                "a.pdf": pdf_files.encrypted(),
                "b.pdf": pdf_files.pdf([[]]),
                "c.pdf": b"%PDF-1.7 nothing",
                "d.pdf": b"PK\3\4 a zip",
                "e.html": "<div>" * 10_000,
                "f.md": PDF,
                "g.json": '{"a": 1}',
                "h.docx": PDF,
                "i.html": "",
                "k.zip": b"PK",
                "l.md": "text",
            },
        )
    )
    assert ledger(items) == {
        "a.pdf": ("failed", "encrypted_document"),
        "b.pdf": ("failed", "no_text"),
        "c.pdf": ("failed", "unreadable_document"),
        "d.pdf": ("failed", "wrong_type"),
        "e.html": ("failed", "document_too_large"),
        "f.md": ("failed", "wrong_type"),
        "g.json": ("failed", "unknown_json"),
        "h.docx": ("failed", "wrong_type"),
        "i.html": ("filtered", "empty"),
        "k.zip": ("filtered", "unsupported_type"),
        "l.md": ("indexed", "page"),
    }
    refused = [item for item in items if isinstance(item, Refused)]
    assert all(item.doubts == item.place for item in refused)


def test_what_is_said_beside_a_file_wins_over_what_it_says_itself(tmp_path: Path) -> None:
    said = json.dumps({"title": "Travel", "author": "Finance", "effective_date": "2025-02-01"})
    page = "---\ntitle: T\ndate: 2024-01-01\nauthor: HR\n---\ntext"
    plain: Contents = {"a.pdf": PDF, "b.md": page, "c.md": page, "faq.csv": FAQ}
    beside = {"a.pdf.meta.json": said, "b.md.meta.json": "{}", "c.md.meta.json": said, "faq.csv.meta.json": said}
    found = documents(filled(filled(tmp_path, plain), beside))
    shown = {name: (document.title, document.author, document.valid_from) for name, document in found.items()}
    assert shown == {
        "a.pdf": ("Travel", "Finance", at(2025, 2)),
        "b.md": ("T", "HR", at(2024)),
        "c.md": ("Travel", "Finance", at(2025, 2)),
        "faq.csv#1": ("Who?", "Finance", at(2025, 2)),
        "faq.csv#3": ("Where?", "Finance", at(2025, 2)),
    }


@pytest.mark.parametrize(
    "said", ["", "[]", "{", '{"title": 1}', '{"effective_date": "soon"}', '{"author": []}', '{"audience": []}']
)
def test_a_broken_word_beside_a_file_leaves_the_file_in_doubt(tmp_path: Path, said: str) -> None:
    (refused,) = read(filled(tmp_path, {"a.md": "text", "a.md.meta.json": said}))
    assert isinstance(refused, Refused)
    assert (refused.place, refused.code, refused.doubts) == ("a.md", "broken_sidecar", "a.md")


def test_a_message_of_a_mailbox_that_cannot_be_read_is_refused_and_keeps_its_former_state(tmp_path: Path) -> None:
    good = "From jo@example.org Mon Jan 01 00:00:00 2024\nSubject: Hours\nMessage-ID: <1@x>\n\nNine to five.\n"
    bad = "From jo@example.org Mon Jan 01 00:00:00 2024\nMessage-ID: <2@x>\n"
    bad += "Content-Type: multipart/mixed; boundary=b\n\n" + "--b\n\nx\n" * 1_100
    found, refused = read(filled(tmp_path, {"a.mbox": good + "\n" + bad}))
    assert isinstance(found, Found)
    assert isinstance(refused, Refused)
    assert (found.document.external_id, refused.place, refused.doubts) == ("a.mbox#1@x", "a.mbox#2@x", "a.mbox#2@x")
    assert ledger([refused]) == {"a.mbox#2@x": ("failed", refused.code)}


def test_a_word_beside_nothing_is_no_document(tmp_path: Path) -> None:
    items = read(filled(tmp_path, {"gone.md.meta.json": "{}", "a.md": "text"}))
    assert ledger(items) == {"a.md": ("indexed", "page"), "gone.md.meta.json": ("filtered", "unsupported_type")}


def test_a_time_of_change_counts_where_nothing_better_is_known_and_not_from_the_future(tmp_path: Path) -> None:
    filled(tmp_path, {"a.pdf": PDF})
    assert documents(tmp_path)["a.pdf"].valid_from == at(2024, 3)
    assert documents(tmp_path, now=at(2024, 3))["a.pdf"].valid_from == at(2024, 3)
    assert documents(tmp_path, now=at(2024, 2))["a.pdf"].valid_from is None


def test_patterns_say_what_is_read(tmp_path: Path) -> None:
    filled(tmp_path, {"hr/a.md": "a", "hr/draft-b.md": "b", "it/c.md": "c", "d.txt": "d", "hr/a.md.meta.json": "{}"})
    items = read(tmp_path, include=("hr", "*.txt"), exclude=("draft-*",))
    assert ledger(items) == {
        "d.txt": ("indexed", "page"),
        "hr/a.md": ("indexed", "page"),
        "hr/draft-b.md": ("filtered", "excluded_file"),
        "it/c.md": ("filtered", "excluded_file"),
    }


def test_a_file_by_itself_brings_what_is_said_beside_it_and_nothing_else(tmp_path: Path) -> None:
    filled(tmp_path, {"a.md": "text", "a.md.meta.json": '{"title": "T"}', "b.md": "other"})
    assert {name: document.title for name, document in documents(tmp_path / "a.md").items()} == {"a.md": "T"}


def test_a_zip_is_read_like_the_folder_it_was_made_of(tmp_path: Path) -> None:
    files: Contents = {"a.pdf": PDF, "hr/b.md": "text", "hr/b.md.meta.json": "{}", "c.png": "x", "faq.csv": FAQ}
    (tmp_path / "folder").mkdir()
    assert read(zipped(tmp_path, files)) == read(filled(tmp_path / "folder", files))


def test_a_hostile_entry_of_a_zip_is_refused_by_itself(tmp_path: Path) -> None:
    items = read(zipped(tmp_path, {"../up.md": "x", "../up.png": "x", "a.md": "text", "big.md": b"x" * 200_000}))
    found = ledger(items)
    assert found["a.md"] == ("indexed", "page")
    assert [bucket for bucket, _ in found.values()].count("failed") == 3
    assert found["big.md"] == ("failed", "file_too_large")


def test_only_what_shapes_the_result_changes_the_fingerprint(tmp_path: Path) -> None:
    def fingerprint(**options: tuple[str, ...]) -> str:
        chosen = SourceOptions(**options)  # type: ignore[arg-type]
        return Files(tmp_path, settings=SETTINGS, options=chosen).fingerprint()

    filled(tmp_path, {"a.md": "text", "b.png": "x", "hr/c.md": "c"})
    first, excluding = fingerprint(), fingerprint(exclude=("hr",))
    filled(tmp_path, {"b.png": "y"})
    assert fingerprint() == first != excluding
    filled(tmp_path, {"hr/c.md": "changed"})
    assert fingerprint(exclude=("hr",)) == excluding
    assert fingerprint() != first
    filled(tmp_path, {"a.md.meta.json": "{}"})
    assert fingerprint(exclude=("hr",)) != excluding
