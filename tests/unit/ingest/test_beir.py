"""Corpora in BEIR form."""

import json
from pathlib import Path

from core.settings import IngestSettings
from ingest.sources import Found, Refused, Skipped
from ingest.sources.beir import BeirCorpus


def read(tmp_path: Path, *lines: str) -> list[Found | Skipped | Refused]:
    (tmp_path / "corpus.jsonl").write_text("\n".join(lines))
    return list(BeirCorpus(tmp_path, settings=IngestSettings(max_file_bytes=1024)).read())


def test_a_line_becomes_a_page_of_paragraphs(tmp_path: Path) -> None:
    (found,) = read(tmp_path, json.dumps({"_id": "7", "title": "A  title", "text": "one\ntwo\n\nthree\x00"}))
    assert isinstance(found, Found)
    document = found.document
    assert (document.external_id, document.kind, document.title) == ("7", "page", "A title")
    assert [block.text for block in document.blocks] == ["one\ntwo", "three"]
    assert document.audience == ("everyone",)


def test_bad_lines_are_refused_where_they_stand(tmp_path: Path) -> None:
    good = json.dumps({"_id": "1", "text": "x"})
    found = read(
        tmp_path, good, "{", "[]", json.dumps({"text": "x"}), "", "x" * 3000, json.dumps({"_id": 2, "text": "y"})
    )
    assert [(item.place, item.code) for item in found if isinstance(item, Refused)] == [
        ("corpus.jsonl:2", "broken_json"),
        ("corpus.jsonl:3", "broken_json"),
        ("corpus.jsonl:4", "broken_json"),
        ("corpus.jsonl:6", "file_too_large"),
    ]
    assert [item.document.external_id for item in found if isinstance(item, Found)] == ["1", "2"]
    assert all(len(item.entries) == 1 for item in found)


def test_repeated_ids_and_empty_documents_are_counted(tmp_path: Path) -> None:
    lines = [{"_id": "1", "text": "x"}, {"_id": "1", "text": "y"}, {"_id": "2"}, {"_id": "3", "title": "only"}]
    found = read(tmp_path, *map(json.dumps, lines))
    assert [entry.bucket for item in found for entry in item.entries] == ["indexed", "duplicate", "filtered", "indexed"]
