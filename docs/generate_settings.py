"""Writes docs/settings.md from core/settings.py: `make settings`."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, get_args, get_origin

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from annotated_types import Ge, Gt, Le, Lt  # noqa: E402
from pydantic import BaseModel  # noqa: E402
from pydantic.fields import FieldInfo  # noqa: E402

from core.settings import Section, Settings  # noqa: E402

TARGET = ROOT / "docs" / "settings.md"
HEAD = """# Settings

Every setting has a default and one environment variable: `THREADWISE_<NAME>` for the installation,
`THREADWISE_<SECTION>__<NAME>` (two underscores) for a section. Nothing else is read from the environment.
An unknown name inside a section, or a value out of range, stops the start with a message that names it.

This page is written by `make settings` from `core/settings.py`; a test fails when it is stale.
"""


def render() -> str:
    """The whole page."""
    own = {name: field for name, field in Settings.model_fields.items() if section_of(field) is None}
    sections = [(name, section) for name, field in Settings.model_fields.items() if (section := section_of(field))]
    parts = [HEAD, table("Installation", "Where everything lies.", own, prefix="")]
    parts += [table(name, first_sentence(kind), kind.model_fields, prefix=f"{name}__") for name, kind in sections]
    return "\n".join(parts)


def section_of(field: FieldInfo) -> type[Section] | None:
    """The section that a field of `Settings` holds, None for a plain value."""
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, Section) else None


def first_sentence(kind: type[BaseModel]) -> str:
    """The first line of a section's docstring."""
    return (kind.__doc__ or "").strip().splitlines()[0]


def table(title: str, sentence: str, fields: dict[str, FieldInfo], *, prefix: str) -> str:
    """One section of the page."""
    rows = "\n".join(row(prefix + name, field) for name, field in fields.items())
    heading = f"## {title.capitalize()}\n\n{sentence}\n\n"
    return f"{heading}| variable | default | values | meaning |\n| --- | --- | --- | --- |\n{rows}\n"


def row(name: str, field: FieldInfo) -> str:
    """One setting; the pipe of a Markdown table is escaped in its description."""
    meaning = (field.description or "").replace("|", "\\|")
    return f"| `THREADWISE_{name.upper()}` | {default_of(field)} | {' '.join(values(field))} | {meaning} |"


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
