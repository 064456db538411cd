"""Every error has one stable code, and the doors know what each means."""

import importlib
import json
import re
from collections import Counter
from collections.abc import Iterator
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


def test_the_tables_of_exit_codes_name_only_errors_that_exist_and_each_once() -> None:
    codes = {found.code for found in error_classes()}
    assert codes >= errors._BAD_USE | errors._DEPENDENCY_DOWN
    assert not errors._BAD_USE & errors._DEPENDENCY_DOWN


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
