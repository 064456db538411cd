"""What the pages about ingestion say can be typed, sent and met."""

import re
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from api.cli import app
from api.errors import EXIT_OF, HTTP_OF
from api.rest.gate import PUBLIC, SCOPES
from core.settings import Settings

ROOT = Path(__file__).resolve().parents[3]
GUIDE = (ROOT / "docs" / "guides" / "ingesting.md").read_text(encoding="utf-8")
REST = (ROOT / "docs" / "rest.md").read_text(encoding="utf-8")
LINES = re.findall(r"^threadwise (.*)$", GUIDE, re.MULTILINE)


def found(words: list[str]) -> tuple[Any, list[str]]:
    """The command that these words name, and the words that are left for it."""
    command: Any = get_command(app)
    while words and words[0] in getattr(command, "commands", {}):
        command, words = command.commands[words[0]], words[1:]
    return command, words


@pytest.mark.parametrize("line", LINES)
def test_every_command_line_of_the_guide_can_be_typed(line: str) -> None:
    command, rest = found(line.split())
    assert command is not get_command(app)
    with command.make_context("threadwise", rest, resilient_parsing=False) as context:
        assert context.command is command


def test_every_code_and_setting_of_the_guide_exists() -> None:
    refused = re.findall(r"^\| `(\w+)` \|", GUIDE.partition("## When it is refused")[2], re.MULTILINE)
    assert len(refused) > 4
    assert not set(refused) - set(EXIT_OF) | set(refused) - set(HTTP_OF)
    settings = Settings()
    for section, field in re.findall(r"`THREADWISE_([A-Z]+)__([A-Z_]+)`", GUIDE + REST):
        assert hasattr(getattr(settings, section.lower()), field.lower())


def test_every_route_that_the_page_shows_is_there_and_every_route_of_runs_is_shown() -> None:
    told = set(re.findall(r"`(GET|POST|PATCH|DELETE) (/v1/[^\s`?]*)", REST))
    known = {(method, re.sub(r"\{[^}]*\}", "{}", path)) for method, path in SCOPES} | {("GET", path) for path in PUBLIC}
    shown = {(method, re.sub(r"\{[^}]*\}", "{}", path)) for method, path in told}
    assert not shown - known
    of_ingestion = {pair for pair in known if re.match(r"/v1/(runs|plans|dead-letters|sources)", pair[1])}
    assert not of_ingestion - shown
