"""Requests: what is taken, what is refused, and what is made of text that no database can keep."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from api.errors import ServiceNotReadyError
from api.rest.listeners import Pace
from api.rest.readiness import Readiness
from api.rest.schemas import AskBody, FeedbackBody, KeyBody, RunBody, SearchBody, UploadQuery
from core.catalog.overview import RunRow, Standing
from core.catalog.runs import Progress
from core.errors import DatabaseUnavailableError
from core.words import Instant


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"question": None},
        {"question": ["a"]},
        {"question": "a", "unknown": 1},
        {"question": "a", "top_k": "5"},
        {"question": "a", "top_k": True},
        {"question": "a", "top_k": 0},
        {"question": "a", "top_k": 10**400},
        {"question": "a", "temperature": float("nan")},
        {"question": "a", "temperature": float("inf")},
        {"question": "a", "use_rag": "yes"},
        {"question": "a", "use_rag": 1},
        {"question": "a", "n": 5},
        {"question": "a", "seed": -1},
        {"question": "a", "mode": "shout"},
        {"question": "a", "sources": ["s"] * 51},
        {"question": "a", "sources": ["s" * 201]},
        {"question": "a", "as_principal": "T1"},
    ],
)
def test_a_question_of_the_wrong_shape_is_refused(body: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        AskBody.model_validate(body)


@given(text=st.text(st.characters(exclude_categories=())))
def test_any_text_becomes_one_that_every_database_can_keep(text: str) -> None:
    kept = SearchBody.model_validate({"question": text, "as": "T1"}).question
    kept.encode("utf-8", "strict")
    assert "\0" not in kept
    assert len(kept) == len(text)


def test_feedback_is_for_or_against() -> None:
    assert FeedbackBody.model_validate({"answer_id": "a", "value": -1}).value == -1
    for value in (0, 2, "1", None):
        with pytest.raises(ValidationError):
            FeedbackBody.model_validate({"answer_id": "a", "value": value})


def test_a_run_names_what_it_is_of() -> None:
    with pytest.raises(ValidationError, match="name a source, a path"):
        RunBody.model_validate({"kind": "files"})
    assert RunBody.model_validate({"path": "/x"}).source is None


def test_the_query_of_an_upload_is_text_and_nothing_else() -> None:
    query = UploadQuery.model_validate({"source": "s", "allow_empty": "true", "audience": ["everyone"]})
    assert (query.allow_empty, query.audience, query.filename) == (True, ["everyone"], "upload")
    with pytest.raises(ValidationError):
        UploadQuery.model_validate({"source": "s", "path": "/etc/passwd"})


def test_a_key_has_known_scopes() -> None:
    with pytest.raises(ValidationError):
        KeyBody.model_validate({"name": "k", "scopes": ["root"]})


def standing(settled: int, total: int = 100, state: str = "running") -> Standing:
    row = RunRow(
        run_id="r",
        source="s",
        state=state,
        requested_by="",
        attempt=1,
        cancel_requested=False,
        is_held=False,
        error_code="",
        error="",
        queued_at=Instant(0),
        started_at=Instant(0),
        finished_at=None,
    )
    states = {"committed": settled, "pending": total - settled}
    counts = Progress(states=states, changes={}, chunks=settled, embedded=0, unchanged=0, refused=0, state=state)
    return Standing(run=row, progress=counts, buckets={})


def test_a_run_is_done_when_its_pace_says_so() -> None:
    now = 0.0
    pace = Pace(lambda: now)
    assert pace.progress(standing(0))["eta_seconds"] is None
    now = 5.0
    shape = pace.progress(standing(20))
    assert (shape["rate"], shape["eta_seconds"], shape["stage"]) == (4.0, 20, "embedding")


def test_the_pace_of_a_run_is_that_of_its_last_seconds() -> None:
    now = 0.0
    pace = Pace(lambda: now)
    rates = []
    for second in range(60):
        now = float(second)
        settled = second if second < 30 else 30 + 2 * (second - 30)
        rates.append(pace.progress(standing(settled, total=1000))["rate"])
    assert (rates[29], rates[-1]) == (1.0, 2.0)


def test_a_run_that_waits_has_no_pace() -> None:
    shape = Pace(lambda: 1.0).progress(standing(0, 0, "queued"))
    assert (shape["stage"], shape["rate"], shape["eta_seconds"]) == ("waiting", None, None)


def test_what_is_not_loaded_yet_is_not_ready_and_says_why() -> None:
    tries: list[int] = []

    def load() -> None:
        tries.append(1)
        if len(tries) == 1:
            raise DatabaseUnavailableError("The disk is full.")
        if len(tries) == 2:
            raise ZeroDivisionError

    readiness = Readiness(load, retry_seconds=0.001)
    with pytest.raises(ServiceNotReadyError, match="being loaded"):
        readiness.check()
    readiness.start()
    readiness._thread.join(10)
    readiness.check()
    assert len(tries) == 3


def test_what_cannot_be_loaded_is_named() -> None:
    def load() -> None:
        readiness.stop()
        raise DatabaseUnavailableError("The disk is full.")

    readiness = Readiness(load)
    readiness._run()
    with pytest.raises(ServiceNotReadyError, match="The disk is full"):
        readiness.check()
