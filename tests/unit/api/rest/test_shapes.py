"""Requests: what is taken, what is refused, and what is made of text that no database can keep."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from api.errors import ServiceNotReadyError
from api.rest.readiness import Readiness
from api.rest.schemas import AskBody, FeedbackBody, KeyBody, LettersBody, RunBody, SearchBody, UploadQuery
from core.errors import DatabaseUnavailableError


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


def test_a_plan_is_of_one_source() -> None:
    assert RunBody.model_validate({"source": "s", "plan": True}).plan
    assert UploadQuery.model_validate({"source": "s", "plan": "true"}).plan
    with pytest.raises(ValidationError, match="say nothing else"):
        RunBody.model_validate({"all": True, "plan": True})


@pytest.mark.parametrize(
    "body", [{}, {"ids": []}, {"ids": [1], "source": "s"}, {"source": "s", "all": True}, {"ids": ["1"]}]
)
def test_letters_are_named_in_exactly_one_way(body: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        LettersBody.model_validate(body)


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
