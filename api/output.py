"""Writing to standard output and standard error, whatever became of them."""

import os
import sys

import typer

from api.rendering import ascii_json, json_text, one_line


def print_text(text: str) -> None:
    """Write a text and a line end."""
    write(text + "\n")


def write(text: str) -> None:
    """Write to standard output at once: whoever reads it may be gone, and at exit it is too late to say so."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        let_go_of_output()
        raise OSError(error.errno, error.strerror, "standard output") from error


def print_json(value: object) -> None:
    """Write one line of JSON that standard output can be written with."""
    print_text(fitting(json_text(value)))


def fitting(text: str) -> str:
    """JSON with escapes for letters that standard output does not have."""
    return text if (sys.stdout.encoding or "").lower().startswith("utf") else ascii_json(text)


def tell(text: str) -> None:
    """Say something to a person beside the answer: one line on standard error."""
    typer.echo(one_line(text), err=True)


def let_go_of_output() -> None:
    """What cannot be written now would fail once more when the interpreter closes standard output."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def wants_json() -> bool:
    """Whether a program reads what this command prints."""
    return "--json" in sys.argv
