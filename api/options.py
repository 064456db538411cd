"""What several commands take, and how an argument becomes text."""

import os
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
DataDir = Annotated[
    str | None, typer.Option("--data-dir", help="Where the catalogue lives [env: THREADWISE_DATA_DIR, default: data].")
]
AsPrincipal = Annotated[str | None, typer.Option("--as", help="Read as WORKSPACE/USER instead of `everyone`.")]
TopK = Annotated[int | None, typer.Option(min=1, max=100, help="Passages to look at.")]
Sources = Annotated[list[str] | None, typer.Option("--source", help="Only this source. Repeatable.")]
RunId = Annotated[str, typer.Argument(help="The run, as `threadwise runs` lists it.")]


def decoded(value: str) -> str:
    """An argument as UTF-8, whatever the locale made of its bytes; a replacement for each byte that is no text."""
    return os.fsencode(value).decode(errors="replace")


def text(value: str) -> str:
    """An argument as text, without the white space around it."""
    return decoded(value).strip()


def texts(values: list[str] | None) -> tuple[str, ...]:
    """Each argument as text."""
    return tuple(map(decoded, values or ()))


def present(value: str, what: str) -> str:
    """An argument that says something. Raises `typer.BadParameter` otherwise."""
    if not (said := text(value)):
        raise typer.BadParameter(f"{what} is empty")
    return said
