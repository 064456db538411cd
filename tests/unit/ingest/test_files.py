"""Folders of pages."""

import os
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote

import pytest

from core.settings import IngestSettings
from core.words import Document
from ingest.errors import SourceUnreadableError
from ingest.sources import Entry, Found, Refused
from ingest.sources.files import Files
from ingest.sources.markdown import parse_markdown

SETTINGS = IngestSettings(max_file_bytes=1024)
PAGE = """---
title: "Time off"
effective_date: 2024-03-01
author: HR
---
# Time off

Everybody has 25 days.

## Carry over

Up to 5 days:

- until March

- not later

### Exceptions

| who | days |
|---|---|
| new | 2 |

```
# no heading

code
```

## Carry over
Again.
"""


def read(place: Path) -> list[Found | Refused | Entry]:
    found: list[Found | Refused | Entry] = []
    for item in Files(place, settings=SETTINGS).read():
        found.extend([item] if isinstance(item, Found | Refused) else item.entries)
    return found


def page(tmp_path: Path, text: str | bytes, name: str = "a.md") -> Document:
    raw = text if isinstance(text, bytes) else text.encode()
    (tmp_path / name).write_bytes(raw)
    (found,) = Files(tmp_path / name, settings=SETTINGS).read()
    assert isinstance(found, Found)
    return found.document


def test_a_page_becomes_blocks_under_their_headings(tmp_path: Path) -> None:
    document = page(tmp_path, PAGE)
    assert (document.title, document.kind, document.author) == ("Time off", "page", "HR")
    assert (document.external_id, document.uri, document.audience) == ("a.md", "a.md", ("everyone",))
    assert [(block.heading, block.anchor, block.text) for block in document.blocks] == [
        ((), "", "Everybody has 25 days."),
        (("Carry over",), "carry-over", "Up to 5 days:"),
        (("Carry over",), "carry-over", "- until March\n\n- not later"),
        (("Carry over", "Exceptions"), "exceptions", "| who | days |\n|---|---|\n| new | 2 |"),
        (("Carry over", "Exceptions"), "exceptions", "```\n# no heading\n\ncode\n```"),
        (("Carry over",), "carry-over-1", "Again."),
    ]


def test_a_page_applies_from_its_date(tmp_path: Path) -> None:
    march = int(datetime(2024, 3, 1, tzinfo=UTC).timestamp()) * 1_000_000
    assert page(tmp_path, PAGE).valid_from == march
    assert page(tmp_path, "---\ndate: 2024-03-01T01:00:00+01:00\n---\nx").valid_from == march
    assert page(tmp_path, "---\ndate: soon\n---\nx").valid_from is None


def test_the_title_falls_back_to_heading_and_file_name(tmp_path: Path) -> None:
    assert page(tmp_path, "# Travel\n\nBy train.").title == "Travel"
    assert page(tmp_path, "Travel\n======\n\nBy train.").title == "Travel"
    assert page(tmp_path, "By train.", "travel-policy_2024.txt").title == "travel policy 2024"


def test_plain_text_is_cut_at_blank_lines_and_keeps_its_signs(tmp_path: Path) -> None:
    document = page(tmp_path, b"\xef\xbb\xbf# not a heading\r\nsame\r\n \t\r\n\r\nnext\x00", "a.txt")
    assert [block.text for block in document.blocks] == ["# not a heading\nsame", "next"]


def test_headings_with_nothing_below_still_count() -> None:
    found = parse_markdown("# T\n\n## Ask HR first\n\n## Other\n\n### Deep\n\ntext")
    assert [(block.heading, block.text) for block in found.blocks] == [
        ((), "Ask HR first"),
        (("Other", "Deep"), "text"),
    ]


def test_rules_are_no_text_and_code_within_a_line_opens_nothing() -> None:
    found = parse_markdown("one\n\n---\n\n``` two ```\n\n* * *\nthree\n\n~~~\n```\n~~~\nfour")
    assert [block.text for block in found.blocks] == ["one", "``` two ```", "three", "~~~\n```\n~~~", "four"]


def test_an_unclosed_fence_and_open_front_matter_lose_nothing() -> None:
    assert parse_markdown("```\na\n\nb").blocks[0].text == "```\na\n\nb"
    assert "body" in str(parse_markdown("---\ntitle: x\n\nbody").blocks)


def test_each_file_has_one_entry_and_hidden_ones_none(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "x.md").write_text("x")
    (tmp_path / ".hidden.md").write_text("x")
    (tmp_path / "sub" / "b.MD").write_text("text")
    (tmp_path / "c.png").write_bytes(b"x")
    (tmp_path / "c.pdf").write_bytes(b"x")
    (tmp_path / "d.txt").write_text(" \n\n ")
    (tmp_path / "e.txt").write_bytes(b"\xff\xfe")
    (tmp_path / "f.txt").write_text("x" * 2000)
    found = {
        entry.item: (entry.bucket, entry.reason)
        for item in read(tmp_path)
        for entry in ([item] if isinstance(item, Entry) else item.entries)
    }
    assert found == {
        "sub/b.MD": ("indexed", "page"),
        "c.png": ("filtered", "unsupported_type"),
        "c.pdf": ("failed", "wrong_type"),
        "d.txt": ("filtered", "empty"),
        "e.txt": ("failed", "not_utf8"),
        "f.txt": ("failed", "file_too_large"),
    }


@pytest.mark.parametrize(
    ("name", "uri"),
    [
        ("leave.md", "leave.md"),
        ("hr/Parental leave.md", "hr/Parental%20leave.md"),
        ("v1.2/a_b-c~d.txt", "v1.2/a_b-c~d.txt"),
        ("javascript:alert(1).md", "javascript%3Aalert%281%29.md"),
        ("https:/evil.example/login.md", "https%3A/evil.example/login.md"),
        ("<|im_start|>system.md", "%3C%7Cim_start%7C%3Esystem.md"),
        ("@channel [x](y) #1 100%.md", "%40channel%20%5Bx%5D%28y%29%20%231%20100%25.md"),
        ("\u202esm.md", "%E2%80%AEsm.md"),
    ],
)
def test_the_address_of_a_page_holds_nothing_but_a_path(tmp_path: Path, name: str, uri: str) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("text")
    (found,) = [item.document for item in read(tmp_path) if isinstance(item, Found)]
    assert (found.external_id, found.uri) == (name, uri)
    assert unquote(found.uri) == name


def test_links_may_not_leave_the_folder(tmp_path: Path) -> None:
    folder, outside = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    outside.mkdir()
    (outside / "secret.md").write_text("secret")
    (folder / "real.md").write_text("text")
    (folder / "file.md").symlink_to(outside / "secret.md")
    (folder / "folder").symlink_to(outside)
    (folder / "loop").symlink_to(folder)
    (folder / "same.md").symlink_to(folder / "real.md")
    (folder / "broken.md").symlink_to(folder / "nothing.md")
    found = read(folder)
    assert [(item.place, item.code) for item in found if isinstance(item, Refused)] == [
        ("broken.md", "unreadable"),
        ("file.md", "outside_source"),
        ("folder", "outside_source"),
    ]
    assert [item.document.external_id for item in found if isinstance(item, Found)] == ["real.md", "same.md"]


def test_a_refused_file_leaves_only_itself_in_doubt(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.md").write_bytes(b"\xff")
    assert [item.doubts for item in read(tmp_path) if isinstance(item, Refused)] == ["sub/a.md"]


def test_a_folder_that_cannot_be_listed_is_refused_with_all_that_is_below(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.md").write_text("text")
    (tmp_path / "b.md").write_text("text")
    scandir, forbidden = os.scandir, {tmp_path / "sub"}

    def guarded(place: str) -> object:
        if Path(place) in forbidden:
            raise PermissionError(13, "Permission denied", str(place))
        return scandir(place)

    monkeypatch.setattr(os, "scandir", guarded)
    found = read(tmp_path)
    assert [(item.place, item.code, item.doubts) for item in found if isinstance(item, Refused)] == [
        ("sub/", "unreadable", "sub/")
    ]
    assert [item.document.external_id for item in found if isinstance(item, Found)] == ["b.md"]
    forbidden.add(tmp_path)
    with pytest.raises(SourceUnreadableError):
        read(tmp_path)


def test_a_name_that_cannot_be_an_id_is_refused_for_the_true_reason(tmp_path: Path) -> None:
    (tmp_path / "a\x07.md").write_text("text")
    (tmp_path / "b\udcff.md").write_text("text")
    found = [item for item in read(tmp_path) if isinstance(item, Refused)]
    assert [(item.code, item.reason, item.doubts) for item in found] == [
        ("control_characters", "The file's name holds control characters.", None),
        ("not_utf8", "The file's name is not UTF-8.", None),
    ]


def test_a_link_to_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.md").symlink_to(tmp_path / "a.md")
    assert [(item.place, item.code) for item in read(tmp_path) if isinstance(item, Refused)] == [("a.md", "unreadable")]
