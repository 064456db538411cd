"""What the command line says of itself: versions, help, and what that costs."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

pytestmark = pytest.mark.no_database
ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"feast", "torch", "numpy", "sqlalchemy", "faiss", "tantivy", "onnxruntime", "langchain_core"}
COMMANDS = {
    "ingest": ("--source", "--kind", "--audience", "--workspace-url", "--plan", "--data-dir", "--json"),
    "search": ("--as", "--top-k", "--source", "--kind", "--author", "--mmr-lambda", "--data-dir", "--json"),
    "eval": ("--keep", "--json"),
    "features": ("list", "apply"),
    "runs": ("apply", "pause", "resume", "retry"),
    "dead-letters": ("list", "show", "retry", "ignore"),
}


def run(*arguments: str, data: Path, python: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """One command over a data folder that nothing may make."""
    return subprocess.run(
        [sys.executable, *python, "-m", "api.cli", *arguments],
        cwd=ROOT,
        env=os.environ | {"THREADWISE_DATA_DIR": str(data)},
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_version_is_told(tmp_path: Path) -> None:
    done = run("--version", data=tmp_path / "data")
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert (done.returncode, done.stdout) == (0, f"threadwise {version}\n")


@pytest.mark.parametrize("name", COMMANDS)
def test_help_names_every_option_of_a_command(name: str, tmp_path: Path) -> None:
    done = run(name, "--help", data=tmp_path / "data")
    assert (done.returncode, done.stderr) == (0, "")
    assert not [option for option in COMMANDS[name] if option not in done.stdout]


def test_help_names_every_command_and_loads_nothing_heavy(tmp_path: Path) -> None:
    done = run("--help", data=tmp_path / "data", python=("-X", "importtime"))
    assert done.returncode == 0
    assert not [name for name in COMMANDS if name not in done.stdout]
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "typer" in loaded
    assert not loaded & HEAVY
    assert not (tmp_path / "data").exists()


def test_no_command_at_all_shows_the_help(tmp_path: Path) -> None:
    done = run(data=tmp_path)
    assert done.returncode == 2
    assert "Usage:" in done.stdout + done.stderr
