"""What libraries log becomes an event without its content."""

import logging
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from workers.logs import EventHandler

CANARY = "canary-77aa"


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    made = logging.getLogger("celery.somewhere")
    made.propagate = False
    made.addHandler(EventHandler())
    yield made
    made.handlers.clear()


def test_arguments_further_lines_and_errors_texts_stay_out(logger: logging.Logger) -> None:
    with capture_logs() as logs:
        logger.warning("The body was: %s\n%s", CANARY, CANARY)
        try:
            raise ValueError(CANARY)  # noqa: TRY301 - raised for its logging
        except ValueError:
            logger.exception("Failed for %r\nsee below", CANARY)
        logger.error(ValueError(CANARY))
    assert CANARY not in str(logs)
    assert [entry["event"] for entry in logs] == ["The body was: %s", "Failed for %r", "ValueError"]
    assert logs[1]["error"] == "ValueError"
    assert {entry["logger"] for entry in logs} == {"celery.somewhere"}
    assert [entry["log_level"] for entry in logs] == ["warning", "error", "error"]


def test_the_same_event_is_written_once_a_minute_with_what_was_left_out(logger: logging.Logger) -> None:
    times = iter([0.0, 0.0, 10.0, 20.0, 30.0, 30.0, 70.0, 70.0])
    logger.handlers[:] = [EventHandler(lambda: next(times))]
    with capture_logs() as logs:
        for _ in range(3):
            logger.error("Cannot connect: %s", CANARY)
        logger.error("Something else")
        logger.error("Cannot connect: %s", CANARY)
    said = [(entry["event"], entry.get("repeated")) for entry in logs]
    assert said == [("Cannot connect: %s", None), ("Something else", None), ("Cannot connect: %s", 2)]
