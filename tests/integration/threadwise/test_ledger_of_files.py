"""What a run says of each file that it looked at."""

from pathlib import Path

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
    assert sum(row["items"] for row in files) == sum(line["items"] for line in ledger["lines"])
    assert len({row["file"] for row in files}) == len(files)
    return {row["file"]: (row["bucket"], row["reason"], row["change"]) for row in files}


def refuse_poison(text: str) -> None:
    """An embedder that dies of one page."""
    if "poison" in text:
        raise PoisonError("No.")


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
