"""The one base of every error Threadwise raises on purpose.

An error says what went wrong, what to do about it, and whether trying again can help. How it is shown (an exit
code, a status, a Slack message) is decided at the door that shows it.
"""

from typing import ClassVar


class ThreadwiseError(Exception):
    """An expected failure: `code` is stable and may be relied upon, `retryable` says whether a repeat can succeed."""

    code: ClassVar[str] = "internal"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()


class InvalidSettingError(ThreadwiseError):
    """A setting has a value that cannot work."""

    code = "invalid_setting"


class DatabaseUnavailableError(ThreadwiseError):
    """The catalogue's database cannot be opened or reached."""

    code = "database_unavailable"
    retryable = True


class StorageFullError(ThreadwiseError):
    """There is no room left where something has to be written."""

    code = "storage_full"
    retryable = True


class ValueRefusedError(ThreadwiseError):
    """A value is longer, larger or of other characters than anything that can be stored."""

    code = "value_refused"


class SchemaTooNewError(ThreadwiseError):
    """The database was written by a newer Threadwise."""

    code = "schema_too_new"


class BlobDamagedError(ThreadwiseError):
    """A stored blob is missing or no longer hashes to its name."""

    code = "blob_damaged"


class UnknownPrincipalError(ThreadwiseError):
    """Nobody and no group of that name is known."""

    code = "unknown_principal"


class LostClaimError(ThreadwiseError):
    """The work item was taken over by somebody else; what was computed for it must not be written."""

    code = "lost_claim"


class RunNotFoundError(ThreadwiseError):
    """There is no run of this id."""

    code = "run_not_found"


class UnknownSourceError(ThreadwiseError):
    """No source of this name is known."""

    code = "unknown_source"


class AnswerNotFoundError(ThreadwiseError):
    """There is no answer of this id, or it is somebody else's."""

    code = "answer_not_found"


class KeyNotFoundError(ThreadwiseError):
    """There is no living key of this id."""

    code = "key_not_found"
