"""The repository speaks of itself alone: nothing in it points at where or how it was written."""

import re
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT, repository_files

OUTSIDE = re.compile(
    r"""
      (?<![\w.])/work/                                # a folder of one machine
    | \.\./shared | \bshared/(?:data|reference)
    | \bDESIGN\.md\b                                  # a file that is not here
    | \bissue \s+ \#?\d | \bissues \s+ \#\d
    | \bsession \s+ (?:\d|one\b|two\b|three\b)
    | \bthe \s+ brief\b
    | \bas \s+ an \s+ AI\b
    | \bthe \s+ (?:CEO|mission) \s+ (?:asks|wants|says)\b
    | /tmp/[a-z]
    """,
    re.VERBOSE | re.IGNORECASE,
)
EXEMPT = {Path(__file__).resolve()}


def text_of(path: Path) -> str:
    """The file's text, or nothing if it is not text."""
    raw = path.read_bytes()
    return "" if b"\0" in raw[:8192] else raw.decode("utf-8", errors="replace")


def mentions(text: str) -> list[str]:
    return [line.strip()[:160] for line in text.splitlines() if OUTSIDE.search(line)]


def test_no_file_mentions_what_lies_outside_of_the_repository() -> None:
    files = [p for p in repository_files() if p not in EXEMPT and p.relative_to(ROOT).parts[0] != ".ci"]
    assert files, "no file was found: the rule would pass on nothing"
    found = {str(path.relative_to(ROOT)): lines for path in files if (lines := mentions(text_of(path)))}
    assert not found


@pytest.mark.parametrize("line", ["see /work/x", "fixed in issue #12", "as session 3 found", "from ../shared/data"])
def test_the_rule_recognises_a_pointer_to_the_outside(line: str) -> None:
    assert mentions(line)


@pytest.mark.parametrize("line", ["an issue of trust", "https://host.example/work/x", "one session per thread"])
def test_the_rule_leaves_ordinary_words_alone(line: str) -> None:
    assert not mentions(line)
