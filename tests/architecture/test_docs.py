"""What the documents promise is there: settings, commands, decisions, links."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from typer.main import get_command

from api.cli import app
from tests.architecture.tree import ROOT, repository_files

HEADINGS = ("Context", "Decision", "Consequences", "Alternatives", "References")
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))
PAGES = [path for path in repository_files() if path.suffix == ".md" and "handbook" not in path.parts]


def generator() -> ModuleType:
    """The script, loaded by path: an installed package calls itself `docs` as well."""
    spec = importlib.util.spec_from_file_location("generate_settings", ROOT / "docs" / "generate_settings.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def commands_of(text: str) -> set[str]:
    """Every `make TARGET` inside code, fenced or inline."""
    code = re.findall(r"```.*?```|`[^`\n]+`", text, re.DOTALL)
    return {target for piece in code for target in re.findall(r"\bmake ([a-z]+)", piece)}


def options_of(line: str) -> set[str]:
    return set(re.findall(r"--[a-z][a-z-]*", line.partition(" #")[0])) - {"--help"}


def options_known(command: Any) -> set[str]:  # noqa: ANN401 - a command of typer, which hides their class
    """The options of a command, of a group those of all its commands."""
    own = {option for parameter in command.params for option in parameter.opts}
    parts = getattr(command, "commands", {}).values()
    return own.union(*(options_known(part) for part in parts))


def test_the_page_of_settings_says_what_the_code_says() -> None:
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert page == generator().render(), "run `make settings`"


def test_every_make_command_of_the_documents_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    promised = {path.relative_to(ROOT).as_posix(): commands_of(path.read_text(encoding="utf-8")) for path in PAGES}
    assert {"demo", "test"} <= promised["README.md"]
    assert not {name: commands - targets for name, commands in promised.items() if commands - targets}


def test_every_command_line_that_is_shown_can_be_typed() -> None:
    shown = (ROOT / "README.md").read_text(encoding="utf-8") + (ROOT / "Makefile").read_text(encoding="utf-8")
    lines = re.findall(r"^\s*(?:\$\(BIN\)/)?threadwise ([a-z]+)(.*)$", shown, re.MULTILINE)
    assert {name for name, _ in lines} >= {"ingest", "search"}
    known = {name: options_known(command) for name, command in getattr(get_command(app), "commands", {}).items()}
    assert not [f"{name}{rest}" for name, rest in lines if not options_of(rest) <= known.get(name, {""})]


def test_every_make_target_explains_itself() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    declared = set(re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[1].split())  # type: ignore[index]
    assert declared == set(re.findall(r"^([a-z]+):.*## ", makefile, re.MULTILINE))


def test_decisions_are_numbered_without_a_gap() -> None:
    numbers = [int(path.name[:4]) for path in DECISIONS]
    assert numbers == list(range(1, len(DECISIONS) + 1))


@pytest.mark.parametrize("decision", DECISIONS, ids=lambda path: path.stem)
def test_a_decision_has_its_five_headings(decision: Path) -> None:
    text = decision.read_text(encoding="utf-8")
    assert text.startswith(f"# {decision.name[:4]} ")
    assert tuple(re.findall(r"^## (\w+)$", text, re.MULTILINE)) == HEADINGS


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_into_the_repository_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?://|#|mailto:)([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert not [link for link in links if not (page.parent / link).exists()]
