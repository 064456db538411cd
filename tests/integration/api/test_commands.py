"""The commands of ingestion as a person and a program read them, over one data folder."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from api.cli import app
from tests.support.installation import PAGES, write_pages

pytestmark = pytest.mark.embedded_only("what commands print, in which the database has no part")
Command = Callable[..., str]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder for all tests here; each has a source of its own."""
    return tmp_path_factory.mktemp("commands") / "data"


@pytest.fixture
def command(data: Path) -> Command:
    """Types a command, which has to end well; what it printed on standard output."""

    def typed(*arguments: object) -> str:
        done = CliRunner().invoke(app, [*map(str, arguments), "--data-dir", str(data)], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.stdout

    return typed


def shape(text: str) -> Any:  # noqa: ANN401 - whatever was printed
    """One line of JSON and nothing else."""
    assert text.count("\n") == 1
    return json.loads(text)


def test_a_plan_names_what_it_would_do_and_the_command_that_does_it(command: Command, tmp_path: Path) -> None:
    many = {f"page{number:02}.md": f"# Page {number}\n\nThe answer is {number * 7}.\n" for number in range(12)}
    folder = write_pages(tmp_path / "docs", many)
    said = command("ingest", folder, "--source", "planned", "--plan")
    assert "12 added, 0 changed, 0 removed, 0 audience changed, 0 unchanged, 0 refused" in said
    assert "    page09.md\n    … and 2 more (--json names them)\n" in said
    apply = said.splitlines()[-1].rpartition("threadwise ")[2].split()
    assert apply[:2] == ["runs", "apply"]

    again = shape(command("ingest", folder, "--source", "planned", "--plan", "--json"))
    assert (again["plan_hash"], again["documents"]["added"]) == (apply[2], sorted(many))
    shown = command("runs", "show", again["run_id"])
    assert "  so far     planned" in shown
    assert f"threadwise runs apply {apply[2]}" in shown
    report = shape(command(*apply, "--json"))
    assert (report["run_id"], report["state"], report["documents"]["added"]) == (again["run_id"], "succeeded", 12)
    assert shape(command(*apply, "--json")) == report


def test_what_could_not_be_taken_is_shown_and_decided_about(command: Command, tmp_path: Path) -> None:
    folder = write_pages(tmp_path / "docs", PAGES)
    (folder / "broken.md").write_bytes(b"\xff\xfe\xff not text")
    run_id = shape(command("ingest", folder, "--source", "odd", "--json"))["run_id"]
    assert "Could not be taken:\n  broken.md: not_utf8: " in command("runs", "show", run_id)
    (letter,) = shape(command("dead-letters", "--source", "odd", "--json"))["dead_letters"]
    assert "broken.md" in command("dead-letters", "list", "--source", "odd")
    assert f"Dead letter {letter['id']}: open\n" in command("dead-letters", "show", letter["id"])
    (again,) = shape(command("runs", "retry", "--source", "odd", "--json"))["runs"]
    assert again["documents"]["quarantined"] == 1
    (newer,) = shape(command("dead-letters", "--source", "odd", "--json"))["dead_letters"]
    assert command("dead-letters", "ignore", newer["id"]) == "1 of 1 were open and are ignored now.\n"
    assert "No dead letter" in command("dead-letters", "list", "--source", "odd")
    assert "nothing to try again" in command("dead-letters", "retry", "--source", "odd")


def test_a_paused_source_is_listed_as_paused_until_it_is_resumed(command: Command, tmp_path: Path) -> None:
    folder = write_pages(tmp_path / "docs", PAGES)
    command("ingest", folder, "--source", "still")
    assert "threadwise runs resume still" in command("runs", "pause", "still")
    rows = {row.split()[0]: row.split()[-1] for row in command("sources").splitlines()}
    assert (rows["SOURCE"], rows["still"]) == ("PAUSED", "asked")
    command("runs", "resume", "still")
    assert command("sources").splitlines()[-1].split()[-1] == "-"


def test_documents_that_are_nearly_the_same_are_shown_in_pairs(command: Command, tmp_path: Path) -> None:
    text = "# Parking\n\n" + " ".join(f"Place {number} is for visitors of floor {number}." for number in range(9))
    folder = write_pages(tmp_path / "docs", {"old.md": f"{text}\n", "new.md": f"{text}\n"})
    assert command("documents", "twins") == "No two documents are nearly the same.\n"
    command("ingest", folder, "--source", "twins")
    assert "100%   twins   old.md    twins          new.md  the same" in command("documents", "twins")
    told = shape(command("documents", "twins", "--source", "twins", "--json"))
    (pair,) = told["twins"]
    assert (told["total"], told["waiting"], pair["similarity"], pair["same_audience"]) == (1, 0, 1.0, True)
    assert [one["audience"] for one in pair["documents"]] == [["everyone"], ["everyone"]]
