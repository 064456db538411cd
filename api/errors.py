"""How an error leaves by the command line: exit code and text. Errors themselves know neither."""

from typing import Final

from api.rendering import json_text, one_line
from core.errors import ThreadwiseError

DONE: Final = 0
FAILED: Final = 1
BAD_USE: Final = 2
DEPENDENCY_DOWN: Final = 3
INTERRUPTED: Final = 130  # 128 + SIGINT, as a shell reports it

_BAD_USE = frozenset(
    {
        "bad_use",
        "empty_audience",
        "empty_question",
        "invalid_filter",
        "invalid_lambda",
        "invalid_setting",
        "invalid_top_k",
        "not_an_evaluation_set",
        "source_kind",
        "source_name_taken",
        "source_not_found",
        "unknown_feature",
        "unknown_kind",
        "unknown_principal",
        "workspace_taken",
    }
)
_DEPENDENCY_DOWN = frozenset({"database_unavailable", "model_unavailable"})


class BadUseError(ThreadwiseError):
    """The command line cannot be understood: an unknown option, a missing argument, a value out of range."""

    code = "bad_use"


class InterruptionError(ThreadwiseError):
    """Somebody stopped the command with Ctrl-C."""

    code = "interrupted"
    retryable = True

    @classmethod
    def now(cls) -> "InterruptionError":
        """The error of a command that was stopped."""
        return cls("The command was stopped.", hint="Run it again: what was committed is kept.")


class FileSystemError(ThreadwiseError):
    """A file or folder cannot be read or written."""

    code = "file_system"

    @classmethod
    def of(cls, error: OSError) -> "FileSystemError":
        """The same failure in our own terms."""
        place = "" if error.filename is None else f"{error.filename}: "
        return cls(f"{place}{error.strerror or error}.", hint="Check that it exists, its rights and the space left.")


def exit_code(error: ThreadwiseError) -> int:
    """1 failed, 2 bad use, 3 a dependency is down, 130 interrupted."""
    if error.code == InterruptionError.code:
        return INTERRUPTED
    if error.code in _BAD_USE:
        return BAD_USE
    return DEPENDENCY_DOWN if error.code in _DEPENDENCY_DOWN else FAILED


def as_text(error: ThreadwiseError) -> str:
    """One line for a person: stable code, what happened, what to do."""
    return one_line(f"error[{error.code}]: {error}")


def as_json(error: ThreadwiseError) -> str:
    """The same for a program."""
    shape = {"code": error.code, "message": error.message, "hint": error.hint, "retryable": error.retryable}
    return json_text({"error": shape})
