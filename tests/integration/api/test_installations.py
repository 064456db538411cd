"""What is asked of an installation is answered alike by this process and by a service, whose run a worker takes."""

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.client import Client
from api.endpoint import Endpoint
from api.errors import RunFailedError
from api.installation import REPORT, Ingest, Installation, Letters, ended_well
from api.local import Local
from core.errors import ThreadwiseError
from tests.support.installation import PAGES, write_pages
from tests.support.rest import BASE, Door

Opened = Callable[[], Installation]


def nothing(_standing: Mapping[str, Any], /) -> None:
    """A progress that shows nothing."""


@contextmanager
def worker(door: Door) -> Iterator[None]:
    """Somebody who takes runs while the `with` lasts."""
    ended = threading.Event()

    def work() -> None:
        while not ended.wait(0.02):
            door.threadwise.runs.work_next(ended.is_set)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


class ThroughTheDoor(httpx.BaseTransport):
    """Requests to the application in this process; a stream comes when it is whole."""

    def __init__(self, door: Door) -> None:
        self.door = door

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Ask the application."""
        given = self.door.client.request(
            request.method, str(request.url), content=request.read(), headers=dict(request.headers)
        )
        return httpx.Response(given.status_code, headers=dict(given.headers), content=given.content)


@pytest.fixture(params=["here", "through the service"])
def asked(door: Door, request: pytest.FixtureRequest) -> Iterator[Installation]:
    """The installation in this process, or behind its service with a worker beside it."""
    if request.param == "here":
        yield Local(door.threadwise)
        return
    endpoint = Endpoint(BASE, door.local["Authorization"].removeprefix("Bearer "), os.getpid())
    with worker(door), Client(endpoint, transport=ThroughTheDoor(door)) as client:
        yield client


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three pages and a file that is none."""
    folder = write_pages(tmp_path / "odd", PAGES)
    (folder / "broken.md").write_bytes(b"\xff\xfe\xff not text")
    return folder


def test_a_plan_is_made_looked_at_and_applied_once(asked: Installation, folder: Path, tmp_path: Path) -> None:
    source = tmp_path.name
    plan = asked.plan(Ingest(path=str(folder), source=source), nothing)
    assert plan["documents"] == {"added": sorted(PAGES), "changed": [], "removed": [], "audience_changed": []}
    assert (plan["counts"]["added"], plan["counts"]["refused"], plan["ledger"]["total"]) == (3, 1, 4)
    assert plan["chunks"] == 3
    assert asked.plan_of(plan["run_id"]) == plan
    with pytest.raises(RunFailedError, match="is planned"):
        ended_well(asked.follow(plan["run_id"], nothing))
    reports = [asked.apply(plan["plan_hash"], nothing) for _ in range(2)]
    assert reports[0] == reports[1]
    assert set(reports[0]) == {"source", *REPORT}
    assert reports[0]["documents"] == {"added": 3, "changed": 0, "unchanged": 0, "removed": 0, "quarantined": 1}
    run = asked.run(plan["run_id"])
    assert (run["stage"], run["done"], run["total"]) == ("ended", 3, 3)


def test_what_could_not_be_taken_is_listed_tried_again_and_ignored(
    asked: Installation, folder: Path, tmp_path: Path
) -> None:
    source = tmp_path.name
    report = asked.ingest(Ingest(path=str(folder), source=source), nothing)
    assert report["documents"]["quarantined"] == 1
    wanted = Letters(source=source)
    (letter,) = asked.letters(wanted)
    assert asked.letter(letter["id"]) == letter
    (again,) = asked.retry_letters([letter["id"]], None, nothing)
    assert again["documents"]["quarantined"] == 1
    (newer,) = asked.letters(wanted)
    assert asked.ignore_letters([newer["id"]]) == 1
    assert asked.letters(wanted) == []
    assert asked.retry_letters(None, source, nothing) == []


def test_a_source_is_paused_and_resumed(asked: Installation, folder: Path, tmp_path: Path) -> None:
    source = tmp_path.name
    asked.ingest(Ingest(path=str(folder), source=source), nothing)
    assert (asked.pause(source)["paused"], asked.resume(source)["paused"]) == ("asked", "")


@pytest.mark.parametrize(
    ("ask", "code"),
    [
        (lambda asked: asked.apply("0a1b", nothing), "plan_not_found"),
        (lambda asked: asked.plan_of("0" * 32), "run_not_found"),
        (lambda asked: asked.pause("nobody"), "unknown_source"),
        (lambda asked: asked.resume("nobody"), "unknown_source"),
        (lambda asked: asked.letter(10**6), "letter_not_found"),
        (lambda asked: asked.retry_letters([10**6], None, nothing), "letter_not_found"),
        (lambda asked: asked.ignore_letters([10**6]), "letter_not_found"),
        (lambda asked: asked.letters(Letters(source="nobody")), "unknown_source"),
    ],
)
def test_what_is_not_there_is_the_same_error(
    asked: Installation, ask: Callable[[Installation], object], code: str
) -> None:
    with pytest.raises(ThreadwiseError) as caught:
        ask(asked)
    assert caught.value.code == code
