"""The import contracts of pyproject.toml, held by the tests as well as by `make lint`."""

import sys
import tomllib

import pytest
from importlinter import cli

from tests.architecture.tree import FOLDERS, ROOT

OPTIONS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]


def test_every_import_contract_is_kept(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "path", [*sys.path])  # the linter puts its working folder in front and leaves it there
    status = cli.lint_imports(no_cache=True, no_logo=True)
    assert status == cli.EXIT_STATUS_SUCCESS, capsys.readouterr().out


def test_every_folder_of_the_product_is_under_contract() -> None:
    housed = {*FOLDERS, "deploy"}
    assert set(OPTIONS["root_packages"]) == housed
    layers = next(contract["layers"] for contract in OPTIONS["contracts"] if contract["type"] == "layers")
    assert {name.strip() for layer in layers for name in layer.split("|")} == housed
