"""What a run says of each file that it looked at."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.installation import PoisonError, installation
from threadwise.runtime import Threadwise

Told = dict[str, tuple[str, str, str]]

PAGES = {
    "leave.md": "# Leave\n\nEverybody has 25 days.\n",
    "travel.md": "# Travel\n\nBy train.\n",
    "old.md": "# Old\n\nGone soon.\n",
    "empty.md": "\n",
    "drafts/later.md": "# Later\n\nNot yet.\n",
    "tool.exe": "MZ",
    "faq.csv": "id,question,answer\n1,Who?,Me.\n2,When?,\n",
}


def brought(threadwise: Threadwise, folder: Path) -> Told:
    """What became of each file of the folder, once it has been read anew; every count of the ledger is among them."""
    report = threadwise.ingest(folder, name="docs", options={"exclude": ["drafts"]})
    ledger = threadwise.runs.ledger(report.run_id)
    files = ledger["files"]
    assert report.unchanged == sum(row["documents"] for row in files if row["change"] == "unchanged")
    assert sum(row["items"] for row in files) == sum(line["items"] for line in ledger["lines"])
    assert len({row["file"] for row in files}) == len(files)
    return {row["file"]: (row["bucket"], row["reason"], row["change"]) for row in files}


def refuse_poison(text: str) -> None:
    """An embedder that dies of one page."""
    if "poison" in text:
        raise PoisonError("No.")


def forbid(monkeypatch: pytest.MonkeyPatch, forbidden: Path) -> None:
    """Let nobody list this folder; permissions would not stop the superuser."""
    scandir = os.scandir

    def guarded(place: str) -> Iterator[os.DirEntry[str]]:
        if Path(place) == forbidden:
            raise PermissionError(13, "Permission denied", place)
        return scandir(place)

    monkeypatch.setattr(os, "scandir", guarded)


def test_the_ledger_says_of_each_file_what_became_of_it(tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    (folder / "drafts").mkdir(parents=True)
    for name, text in PAGES.items():
        (folder / name).write_text(text)
    (folder / "binary.md").write_bytes(b"\xff\xfe\xfa")
    (folder / "snake.md").write_text("# Snake\n\nIts poison.\n")
    threadwise, _ = installation(tmp_path / "data", before=refuse_poison)
    with threadwise:
        left_out = {
            "drafts/later.md": ("filtered", "excluded_file", ""),
            "empty.md": ("filtered", "empty", ""),
            "faq.csv#2": ("filtered", "empty", ""),
            "tool.exe": ("filtered", "unsupported_type", ""),
        }
        assert brought(threadwise, folder) == left_out | {
            "binary.md": ("failed", "not_utf8", ""),
            "faq.csv#1": ("indexed", "faq", "added"),
            "leave.md": ("indexed", "page", "added"),
            "old.md": ("indexed", "page", "added"),
            "snake.md": ("failed", "poison", ""),
            "travel.md": ("indexed", "page", "added"),
        }
        (folder / "leave.md").write_text("# Leave\n\nEverybody has 26 days.\n")
        (folder / "old.md").unlink()
        (folder / "binary.md").unlink()
        (folder / "snake.md").unlink()
        rest = left_out | {
            "faq.csv#1": ("indexed", "faq", "unchanged"),
            "travel.md": ("indexed", "page", "unchanged"),
        }
        assert brought(threadwise, folder) == rest | {
            "leave.md": ("indexed", "page", "changed"),
            "old.md": ("", "", "removed"),
        }
        again = rest | {"leave.md": ("indexed", "page", "unchanged")}
        assert brought(threadwise, folder) == again
        assert brought(threadwise, folder) == again, "of a source that is as it was the run before it tells"


def test_names_that_patterns_leave_out_are_those_that_lie_there_now(tmp_path: Path) -> None:
    folder, other = tmp_path / "docs", tmp_path / "others"
    for place, names in ((folder, ("a.md", "drafts/b.md")), (other, ("a.md", "drafts/d.md"))):
        (place / "drafts").mkdir(parents=True)
        for name in names:
            (place / name).write_text("# Page\n\nSome words.\n")
    threadwise, _ = installation(tmp_path / "data")
    with threadwise:
        assert set(brought(threadwise, folder)) == {"a.md", "drafts/b.md"}
        (folder / "drafts/b.md").rename(folder / "drafts/c.md")
        assert set(brought(threadwise, folder)) == {"a.md", "drafts/c.md"}
        assert set(brought(threadwise, other)) == {"a.md", "drafts/d.md"}


def test_a_file_that_is_broken_now_says_how_many_former_documents_still_stand(tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "faq.csv").write_text("id,question,answer\n1,Who?,Me.\n2,When?,Now.\n")
    for name in ("page.md", "snake.md", "other.md"):
        (folder / name).write_text("# Page\n\nSome words.\n")
    threadwise, _ = installation(tmp_path / "data", before=refuse_poison)
    with threadwise:
        brought(threadwise, folder)
        for name in ("faq.csv", "page.md", "new.md"):
            (folder / name).write_bytes(b"\xff\xfe\xfa")
        (folder / "snake.md").write_text("# Snake\n\nIts poison.\n")
        report = threadwise.ingest(folder, name="docs")
        rows = threadwise.runs.ledger(report.run_id)["files"]
        told = {row["file"]: (row["bucket"], row["change"], row["documents"]) for row in rows}
        assert told == {
            "faq.csv": ("failed", "unchanged", 2),
            "new.md": ("failed", "", 0),
            "other.md": ("indexed", "unchanged", 1),
            "page.md": ("failed", "unchanged", 1),
            "snake.md": ("failed", "unchanged", 1),
        }
        (folder / "new.md").write_text("# New\n\nMended.\n")
        (folder / "page.md").unlink()
        threadwise.ingest(folder, name="docs")
        later = {row["file"]: row["change"] for row in threadwise.runs.ledger(report.run_id)["files"]}
        assert later["new.md"] == "", "what was added since did not stand then"
        assert later["page.md"] == "", "what is gone since does not stand any more"


def test_documents_below_a_folder_that_cannot_be_listed_stand_in_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "docs"
    (folder / "hr" / "rules").mkdir(parents=True)
    for name in ("a.md", "hr/b.md", "hr/rules/c.md"):
        (folder / name).write_text("# Page\n\nSome words.\n")
    threadwise, _ = installation(tmp_path / "data")
    with threadwise:
        brought(threadwise, folder)
        forbid(monkeypatch, folder / "hr")
        report = threadwise.ingest(folder, name="docs")
        rows = threadwise.runs.ledger(report.run_id)["files"]
    told = {row["file"]: (row["bucket"], row["change"], row["documents"]) for row in rows}
    assert told == {"a.md": ("indexed", "unchanged", 1), "hr/": ("failed", "unchanged", 2)}
