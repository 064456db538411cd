"""Plain folder names work only while nobody else claims them, and only while they say what is inside."""

import importlib.util
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.architecture.tree import FOLDERS, ROOT, repository_files

CATCH_ALL = {"utils", "util", "helpers", "helper", "manager", "common", "base", "misc"}


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_top_level_name_resolves_into_this_repository(folder: str) -> None:
    spec = importlib.util.find_spec(folder)
    assert spec is not None
    assert spec.origin is not None
    assert Path(spec.origin).resolve().parent == ROOT / folder


@pytest.mark.parametrize("folder", [*FOLDERS, "tests"])
def test_no_installed_package_claims_one_of_our_names(folder: str) -> None:
    assert set(packages_distributions().get(folder, [])) <= {"threadwise"}


def test_no_module_is_a_catch_all() -> None:
    python = [path.relative_to(ROOT) for path in repository_files() if path.suffix == ".py"]
    assert python, "no Python file was found: the rule would pass on nothing"
    assert not [str(path) for path in python if CATCH_ALL & {part.removesuffix(".py") for part in path.parts}]
