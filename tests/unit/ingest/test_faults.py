"""Whose fault an error is, and how long its document waits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import BlobDamagedError, DatabaseUnavailableError, LostClaimError, StorageFullError
from features.errors import ModelUnavailableError
from ingest.errors import DocumentStuckError, GenerationSwitchedError
from ingest.faults import BACKOFF_SECONDS, LONGEST_BACKOFF_SECONDS, Fault, backoff, code_of, fault_of, told

DRAWS = st.floats(0, 1, exclude_max=True)


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (OSError("x"), "transient"),
        (DocumentStuckError("x"), "transient"),
        (BlobDamagedError("x"), "permanent"),
        (StorageFullError("x"), "storage_full"),
        (DatabaseUnavailableError("x"), "dependency_down"),
        (ModelUnavailableError("x"), "dependency_down"),
        (LostClaimError("x"), "overtaken"),
        (GenerationSwitchedError("x"), "overtaken"),
    ],
)
def test_every_error_is_somebodys_or_nobodys_fault(error: Exception, fault: Fault) -> None:
    assert fault_of(error) == fault


@given(st.integers(1, 10_000), DRAWS)
def test_a_wait_is_never_longer_than_the_bound_of_its_attempt(attempt: int, draw: float) -> None:
    bound = min(LONGEST_BACKOFF_SECONDS, BACKOFF_SECONDS * 2.0 ** (attempt - 1)) if attempt < 64 else 30.0
    assert 0.0 <= backoff(attempt, draw) <= bound
    assert backoff(attempt, draw) <= LONGEST_BACKOFF_SECONDS


@given(st.integers(1, 100), DRAWS)
def test_the_same_draw_waits_no_shorter_after_one_attempt_more(attempt: int, draw: float) -> None:
    assert backoff(attempt, draw) <= backoff(attempt + 1, draw)


@given(st.text(min_size=1))
def test_nothing_of_a_foreign_message_is_kept(secret: str) -> None:
    assert (told(OSError(secret)), code_of(OSError(secret))) == ("OSError", "unexpected")


def test_an_error_of_ours_is_told_in_its_own_words() -> None:
    error = DocumentStuckError("It took longer.", hint="Look at it.")
    assert (told(error), code_of(error)) == ("It took longer. Look at it.", "document_stuck")
