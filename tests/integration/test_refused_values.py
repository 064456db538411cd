"""What a database may not hold is kept whole, or refused by an error of ours: alike in both modes, never a crash."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from core.errors import ThreadwiseError
from tests.support.installation import installation, write_pages
from tests.support.rest import door
from tests.support.slack_export import ExportBuilder
from threadwise.opening import SubmitRequest
from threadwise.runtime import Threadwise

LONG = "n" * 300
PAGE = {"leave.md": "# Leave\n\nEverybody has 25 days of leave.\n"}
ADDRESSES = {
    "a source": ("PATCH", "/v1/sources/%00", {"every_minutes": 1}),
    "an answer": ("GET", "/v1/answers/%00", None),
    "a run": ("GET", "/v1/runs/%00", None),
    "the runs of a source": ("GET", "/v1/runs?source=%00", None),
    "a key": ("DELETE", "/v1/keys/%00", None),
}


def export_of_a_long_user(folder: Path) -> Path:
    builder = ExportBuilder().user(f"U{LONG}", "Ada").private("G1", "board", [f"U{LONG}"])
    return builder.say("board", "1767600000.000100", "How many days?", user=f"U{LONG}").zipped(folder / "export.zip")


ACTS: dict[str, Callable[[Threadwise, Path], object]] = {
    "the name of a source": lambda house, pages: house.ingest(pages, name=LONG),
    "the name of a queued source": lambda house, pages: house.runs.submit(SubmitRequest(source=LONG, path=str(pages))),
    "the name of a key": lambda house, _: house.keyring.create(name=LONG, scopes=("ask",), principals=("everyone",)),
    "who asked for a run": lambda house, pages: house.runs.submit(
        SubmitRequest(source="docs", path=str(pages), requested_by=LONG)
    ),
    "a schedule": lambda house, _: house.runs.schedule("docs", 10**10),
    "a user of an export": lambda house, pages: house.ingest(export_of_a_long_user(pages.parent), name="slack"),
}


@pytest.mark.parametrize("what", ACTS)
def test_what_is_too_long_is_kept_whole_or_refused(tmp_path: Path, what: str) -> None:
    pages = write_pages(tmp_path / "docs", PAGE)
    with installation(tmp_path / "data")[0] as threadwise:
        threadwise.ingest(pages, name="docs")
        with suppress(ThreadwiseError):
            ACTS[what](threadwise, pages)


def test_a_long_audience_quarantines_no_page(tmp_path: Path) -> None:
    with installation(tmp_path / "data")[0] as threadwise, suppress(ThreadwiseError):
        report = threadwise.ingest(write_pages(tmp_path / "docs", PAGE), name="docs", audience=(LONG,))
        assert (report.added, report.quarantined) == (1, 0)


@pytest.mark.parametrize("what", ADDRESSES)
def test_an_address_with_a_character_that_no_database_holds_is_not_found(tmp_path: Path, what: str) -> None:
    method, address, body = ADDRESSES[what]
    with installation(tmp_path / "data")[0] as threadwise, door(threadwise) as service:
        answer = service.client.request(method, address, headers=service.local, json=body)
    assert answer.status_code < 500, answer.text
