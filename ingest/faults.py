"""What an error means for the work at hand: whose fault it is, and when to try again."""

from typing import Literal

from core.errors import DatabaseUnavailableError, LostClaimError, StorageFullError, ThreadwiseError
from features.errors import ModelUnavailableError
from ingest.errors import GenerationSwitchedError

Fault = Literal["transient", "permanent", "storage_full", "dependency_down", "overtaken"]

BACKOFF_SECONDS = 0.5
LONGEST_BACKOFF_SECONDS = 30.0


def fault_of(error: BaseException) -> Fault:
    """Only `transient` and `permanent` are about the document; the others are nobody's attempt."""
    if isinstance(error, LostClaimError | GenerationSwitchedError):
        return "overtaken"
    if isinstance(error, StorageFullError):
        return "storage_full"
    if isinstance(error, DatabaseUnavailableError | ModelUnavailableError):
        return "dependency_down"
    if isinstance(error, ThreadwiseError) and not error.retryable:
        return "permanent"
    return "transient"


def backoff(attempt: int, draw: float) -> float:
    """Seconds to wait after the given attempt (from 1); `draw` in [0, 1). Full jitter: any time up to the bound.

    After Brooker, "Exponential Backoff and Jitter" (AWS Architecture Blog, 2015).
    """
    bound: float = min(LONGEST_BACKOFF_SECONDS, BACKOFF_SECONDS * 2.0 ** min(attempt - 1, 16))
    return draw * bound


def told(error: BaseException) -> str:
    """What may be stored and shown of an error. A foreign message might quote the document: only its class is kept."""
    return str(error) if isinstance(error, ThreadwiseError) else type(error).__name__


def code_of(error: BaseException) -> str:
    """The stable code of an error, `unexpected` for one that is not ours."""
    return error.code if isinstance(error, ThreadwiseError) else "unexpected"
