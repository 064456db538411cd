"""Every error has one stable code, and the doors know what each means."""

import importlib
import json
import re
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest

from api import errors
from core.errors import InvalidSettingError, ThreadwiseError, UnknownPrincipalError
from retrieval.errors import NothingIngestedError

ROOT = Path(__file__).resolve().parents[3]
FOLDERS = ("core", "features", "ingest", "retrieval", "generation", "threadwise", "workers", "api")
RAISES_ITS_OWN = re.compile(r"^class \w+\(\w*Error\b", re.MULTILINE)


def error_classes() -> set[type[ThreadwiseError]]:
    """The product's own errors: every module that defines one is imported first."""
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if RAISES_ITS_OWN.search(path.read_text(encoding="utf-8")):
                importlib.import_module(path.relative_to(ROOT).with_suffix("").as_posix().replace("/", "."))
    return {found for found in below(ThreadwiseError) if found.__module__.partition(".")[0] in FOLDERS}


def below(parent: type[ThreadwiseError]) -> Iterator[type[ThreadwiseError]]:
    for child in parent.__subclasses__():
        yield child
        yield from below(child)


def test_every_error_has_a_code_of_its_own() -> None:
    classes = error_classes()
    assert len(classes) > 30, "hardly any error was found: the rule would pass on nothing"
    without = [found.__name__ for found in classes if "code" not in vars(found)]
    assert not without
    assert not {code: times for code, times in Counter(found.code for found in classes).items() if times > 1}


def test_every_error_has_one_exit_code_and_one_status() -> None:
    codes = {found.code for found in error_classes()} | {ThreadwiseError.code}
    for table, grouped in ((errors.EXIT_OF, errors._EXITS.values()), (errors.HTTP_OF, errors._HTTP.values())):
        assert set(table) == codes
        assert not [code for code, times in Counter(chain(*grouped)).items() if times > 1]


def test_no_error_is_a_success_and_each_status_has_one_title() -> None:
    assert errors.DONE not in errors.EXIT_OF.values()
    assert all(400 <= status < 600 for status, _ in errors._HTTP)
    assert len({status for status, _ in errors._HTTP}) == len(errors._HTTP)


@pytest.mark.parametrize("code", sorted(errors.HTTP_OF))
def test_what_was_asked_wrongly_is_no_fault_of_the_service(code: str) -> None:
    ours = {"invalid_setting"}  # typed by whoever runs the command, but never by whoever sends a request
    if errors.EXIT_OF[code] == errors.BAD_USE and code not in ours:
        assert errors.HTTP_OF[code][0] < 500


def test_an_error_that_the_tables_do_not_know_has_failed() -> None:
    class LaterVersionError(ThreadwiseError):
        code = "from_a_later_version"

    LaterVersionError.__module__ = __name__
    error = LaterVersionError("Something new.")
    assert (errors.exit_code(error), errors.http_status(error), errors.http_title(error)) == (1, 500, "Internal error")


def test_an_error_of_the_service_keeps_its_own_code_hint_and_exit_code() -> None:
    problem = {"code": "busy", "detail": "Too many questions.", "hint": "Try again in 2 s.", "retryable": True}
    error = errors.ServiceRefusedError.of(problem, 429)
    assert errors.as_text(error) == "error[busy]: Too many questions. Try again in 2 s."
    assert json.loads(errors.as_json(error))["error"]["retryable"] is True
    assert errors.http_status(error) == 429


def test_an_answer_without_a_problem_document_is_an_error_with_its_status() -> None:
    error = errors.ServiceRefusedError.of({}, 502)
    assert errors.as_text(error) == "error[service_refused]: The service answered with status 502."
    assert not error.retryable
    assert errors.ServiceRefusedError("Another.").code == "service_refused"


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("empty_audience", errors.BAD_USE),
        ("invalid_lambda", errors.BAD_USE),
        ("unknown_principal", errors.BAD_USE),
        ("database_unavailable", errors.DEPENDENCY_DOWN),
        ("model_unavailable", errors.DEPENDENCY_DOWN),
        ("source_unreadable", errors.FAILED),
        ("nothing_ingested", errors.FAILED),
        ("schema_too_new", errors.FAILED),
    ],
)
def test_an_error_decides_the_exit_code_by_its_code(code: str, status: int) -> None:
    raised = next(found for found in error_classes() if found.code == code)
    assert errors.exit_code(raised("Something happened.")) == status


def test_an_error_is_one_line_for_a_person_whatever_its_message_holds() -> None:
    broken = InvalidSettingError("connection failed:\n\tIs it\x1b[31m running\u202e?", hint="Check it.")
    assert errors.as_text(broken) == "error[invalid_setting]: connection failed: Is it[31m running? Check it."


def test_an_error_is_one_object_for_a_program() -> None:
    shown = errors.as_json(NothingIngestedError("Nothing\nyet.", hint="Ingest."))
    assert "\n" not in shown
    assert json.loads(shown) == {
        "error": {"code": "nothing_ingested", "message": "Nothing\nyet.", "hint": "Ingest.", "retryable": False}
    }


def test_an_error_about_bytes_that_are_no_text_can_be_printed() -> None:
    odd = UnknownPrincipalError("No principal '\udcff' is known.")
    assert json.loads(errors.as_json(odd).encode().decode())["error"]["code"] == "unknown_principal"
    assert errors.as_text(odd).encode()
