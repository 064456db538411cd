"""Every command teaches what it does, and a wrong argument is refused before anything is opened."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.exceptions import TyperException
from typer.testing import CliRunner

from api.cli import app, bad_use
from api.errors import exit_code

RUNNER = CliRunner()


def commands(command: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of every command that does something."""
    below = getattr(command, "commands", None)
    if below is None:
        yield path
    else:
        for name, child in below.items():
            yield from commands(child, (*path, name))


ALL = sorted(commands(typer.main.get_command(app)))


def test_there_is_a_command_for_everything_that_can_be_asked() -> None:
    assert {path[0] for path in ALL} >= {"up", "ingest", "ask", "search", "sources", "runs", "models", "keys", "eval"}
    of_runs = {"list", "show", "ledger", "watch", "cancel", "start", "every", "apply", "pause", "resume", "retry"}
    assert {path[1] for path in ALL if path[0] == "runs"} == of_runs
    assert {path[1] for path in ALL if path[0] == "dead-letters"} == {"list", "show", "retry", "ignore"}


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_help_teaches_with_an_example_and_every_command_has_json(path: tuple[str, ...]) -> None:
    done = RUNNER.invoke(app, [*path, "--help"])
    assert done.exit_code == 0
    assert f"Example: threadwise {' '.join(path)}" in " ".join(done.output.split())
    assert "--json" in done.output


WRONG = {
    "a port that is none": ("up", "--port", "70000"),
    "a host without a name": ("up", "--host", " "),
    "an empty path": ("ingest", " "),
    "a policy that does not exist": ("ingest", "x", "--personal-data", "no"),
    "a number without its figure": ("search", "x", "--top-k"),
    "no question": ("ask",),
    "no passages": ("ask", "x", "--top-k", "0"),
    "a negative seed": ("ask", "x", "--seed", "-1"),
    "no run": ("runs", "show"),
    "a list without an end": ("runs", "list", "--limit", "100000"),
    "a schedule in the past": ("runs", "every", "docs", "-5"),
    "a source without a name": ("runs", "start", " "),
    "a plan without a hash": ("runs", "apply", " "),
    "nothing to pause": ("runs", "pause"),
    "nothing to try again": ("runs", "retry"),
    "letters and all of them": ("dead-letters", "retry", "3", "--all"),
    "a letter that is no number": ("dead-letters", "show", "x"),
    "a letter before the first": ("dead-letters", "ignore", "0"),
    "letters in no state": ("dead-letters", "list", "--state", "lost"),
    "a key without a name": ("keys", "create", "--name", " "),
    "a scope that does not exist": ("keys", "create", "--name", "n", "--scope", "root"),
    "a scope that only the service's own key has": ("keys", "create", "--name", "n", "--scope", "local"),
    "a key that has ended already": ("keys", "create", "--name", "n", "--expires-days", "0"),
    "an empty principal": ("keys", "create", "--name", "n", "--principal", ""),
    "an unknown part of a command": ("runs", "stop", "x"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_typed_wrongly_ends_with_2_and_touches_nothing(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THREADWISE_DATA_DIR", str(tmp_path / "data"))
    with pytest.raises(TyperException) as refused:
        app(WRONG[case], standalone_mode=False)
    error = bad_use(refused.value)
    assert (error.code, exit_code(error)) == ("bad_use", 2)
    assert error.message.endswith((".", "?"))
    assert error.hint.endswith(" --help")
    assert not (tmp_path / "data").exists()
