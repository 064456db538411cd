"""docker-compose.yml and what goes with it, read once, and filled in as compose would."""

import re
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from core.settings import Section, Settings

ROOT = Path(__file__).resolve().parents[2]
FILLED_IN: Final = {"POSTGRES_PASSWORD": "0a1b2c3d" * 8, "VALKEY_PASSWORD": "4e5f6a7b" * 8}
OURS: Final = ("api", "worker", "clock")
_SUBSTITUTE: Final = re.compile(r"\$\$|\$\{(?P<name>\w+)(?::(?P<rule>[-?])(?P<rest>[^}]*))?\}")


@cache
def composition() -> dict[str, Any]:
    """The whole file."""
    whole: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    return whole


def services() -> dict[str, dict[str, Any]]:
    """Every service by its name."""
    found: dict[str, dict[str, Any]] = composition()["services"]
    return found


def example() -> dict[str, str]:
    """The lines of deploy/env.example, comments left out."""
    lines = (ROOT / "deploy" / "env.example").read_text(encoding="utf-8").splitlines()
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name: value for name, _, value in pairs}


def filled_in(text: str, given: dict[str, str]) -> str:
    """The text as compose reads it. Raises `KeyError` for a value that has to be given and is not."""

    def value(found: re.Match[str]) -> str:
        if found[0] == "$$":
            return "$"
        present = given.get(found["name"], "")
        if present or found["rule"] == "-":
            return present or found["rest"]
        raise KeyError(found["name"])

    return _SUBSTITUTE.sub(value, text)


def environment_of(service: str, given: dict[str, str]) -> dict[str, str]:
    """What the processes of a service find in their environment."""
    pairs = services()[service].get("environment", {}).items()
    return {name: filled_in(str(value), given) for name, value in pairs}


def known_variables() -> set[str]:
    """Every variable that core/settings.py reads."""
    names: set[str] = set()
    for name, field in Settings.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            names |= {f"THREADWISE_{name}__{inner}".upper() for inner in kind.model_fields}
        else:
            names.add(f"THREADWISE_{name}".upper())
    return names
