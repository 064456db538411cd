"""Writes docs/settings.md from core/settings.py, docker-compose.yml and deploy/native.py: `make settings`."""

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal, get_args, get_origin

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import yaml  # noqa: E402
from annotated_types import Ge, Gt, Le, Lt  # noqa: E402
from pydantic import BaseModel  # noqa: E402
from pydantic.fields import FieldInfo  # noqa: E402

from core.settings import Section, Settings  # noqa: E402
from deploy import native  # noqa: E402

TARGET = ROOT / "docs" / "settings.md"
COMPOSE = ROOT / "docker-compose.yml"
PREFIX = "THREADWISE_"
HEAD = """# Settings

Every setting has a default and one environment variable: `THREADWISE_<NAME>` for the installation,
`THREADWISE_<SECTION>__<NAME>` (two underscores) for a section. Nothing else is read from the environment.
An unknown name inside a section, or a value out of range, stops the start with a message that names it.

There are two modes and one code. *Embedded* is what you get without setting anything: `threadwise up` and every other
command. *Server* is [docker-compose.yml](../docker-compose.yml), where `${…}` and "from `.env`" stand for what the file
`.env` beside it says; *natively* is `make server`, the same without containers, which leaves alone what you have set
yourself. An empty field means: as embedded. [guides/server.md](guides/server.md) tells how to run it.

This page is written by `make settings` from `core/settings.py`, `docker-compose.yml` and `deploy/native.py`; a test
fails when it is stale.
"""


def render() -> str:
    """The whole page."""
    own = {name: field for name, field in Settings.model_fields.items() if section_of(field) is None}
    sections = [(name, section) for name, field in Settings.model_fields.items() if (section := section_of(field))]
    server = server_cells()
    parts = [HEAD, table("Installation", "Where everything lies.", own, prefix="", server=server)]
    for name, kind in sections:
        parts.append(table(name, first_sentence(kind), kind.model_fields, prefix=f"{name}__", server=server))
    return "\n".join(parts)


def server_cells() -> dict[str, str]:
    """What server mode sets, by variable without its prefix: in containers, then as processes of one machine."""
    cells = {name: shown(value) for name, value in composed().items()}
    for name, words in native.SETTINGS.items():
        cells[name] = f"{cells[name]}; natively {words}" if name in cells else f"natively {words}"
    return cells


def composed() -> dict[str, str]:
    """Every setting of docker-compose.yml, by variable without its prefix. Services that share one agree on it."""
    services = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"].values()
    pairs = (pair for service in services for pair in service.get("environment", {}).items())
    return {name.removeprefix(PREFIX): str(value) for name, value in pairs if name.startswith(PREFIX)}


def shown(value: str) -> str:
    """A value of docker-compose.yml as a reader understands it."""
    if default := re.fullmatch(r"\$\{\w+:-(.*)\}", value):
        return f"`{default[1]}`, or from `.env`" if default[1] else "from `.env`"
    return f"`{re.sub(r':[?][^}]*', '', value)}`"


def section_of(field: FieldInfo) -> type[Section] | None:
    """The section that a field of `Settings` holds, None for a plain value."""
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, Section) else None


def first_sentence(kind: type[BaseModel]) -> str:
    """The first line of a section's docstring."""
    return (kind.__doc__ or "").strip().splitlines()[0]


def table(title: str, sentence: str, fields: dict[str, FieldInfo], *, prefix: str, server: Mapping[str, str]) -> str:
    """One section of the page."""
    rows = "\n".join(row((prefix + name).upper(), field, server) for name, field in fields.items())
    head = "| variable | embedded (default) | server | values | meaning |\n| --- | --- | --- | --- | --- |"
    return f"## {title.capitalize()}\n\n{sentence}\n\n{head}\n{rows}\n"


def row(name: str, field: FieldInfo, server: Mapping[str, str]) -> str:
    """One setting; the pipe of a Markdown table is escaped in its description."""
    meaning = (field.description or "").replace("|", "\\|")
    cells = (f"`{PREFIX}{name}`", default_of(field), server.get(name, ""), " ".join(values(field)), meaning)
    return f"| {' | '.join(cells)} |".replace("|  |", "| |")


def default_of(field: FieldInfo) -> str:
    """The default as it would be typed; the reader's own home folder reads `~`."""
    default = field.get_default(call_default_factory=True, validated_data={})
    text = str(default).replace(str(Path.home()), "~") if isinstance(default, Path) else str(default)
    return f"`{text}`" if text else "empty"


def values(field: FieldInfo) -> Iterator[str]:
    """The type, or the words to choose from, and the bounds."""
    kind = field.annotation
    if get_origin(kind) is Literal:
        yield ", ".join(f"`{choice}`" for choice in get_args(kind))
    else:
        yield {
            "Path": "path",
            "str": "text",
            "int": "whole number",
            "float": "number",
            "bool": "true or false",
            "SecretStr": "secret",
        }.get(getattr(kind, "__name__", ""), f"`{kind}`")
    for bound in field.metadata:
        match bound:
            case Ge(ge=limit):
                yield f"≥ {limit}"
            case Gt(gt=limit):
                yield f"> {limit}"
            case Le(le=limit):
                yield f"≤ {limit}"
            case Lt(lt=limit):
                yield f"< {limit}"


if __name__ == "__main__":
    TARGET.write_text(render(), encoding="utf-8")
