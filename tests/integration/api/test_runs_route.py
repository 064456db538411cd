"""Runs over REST: submitted in three forms, followed, cancelled; and uploads that leave nothing behind."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.installation import PAGES, live_texts, write_pages
from tests.support.rest import Door, events_of, new_key
from threadwise.errors import QueueFullError

MARKDOWN = {"Content-Type": "text/markdown"}
PAGE = b"# Parking\n\nVisitors park behind the hall.\n"


def work(door: Door, run_id: str) -> str:
    return door.threadwise.runs.work(run_id, lambda: False)


def uploads(door: Door) -> list[Path]:
    folder = door.threadwise.settings.data_dir / "uploads"
    return list(folder.iterdir()) if folder.exists() else []


def submitted(response: Any) -> str:  # noqa: ANN401 - the test client's own
    assert response.status_code == 202, response.text
    run_id: str = response.json()["run_id"]
    assert response.headers["location"] == f"/v1/runs/{run_id}"
    return run_id


@pytest.fixture
def no_new_uploads(door: Door) -> Iterator[None]:
    """What is refused leaves no file behind."""
    before = uploads(door)
    yield
    assert uploads(door) == before


def test_an_uploaded_page_becomes_a_run_and_is_found(door: Door) -> None:
    where = "/v1/runs?source=parking&filename=../parking.md"
    run_id = submitted(door.client.post(where, content=PAGE, headers=door.admin | MARKDOWN))
    assert door.client.get(f"/v1/runs/{run_id}", headers=door.admin).json()["state"] == "queued"
    assert work(door, run_id) == "succeeded"
    found = door.client.post("/v1/search", headers=door.ask, json={"question": "where do visitors park"}).json()
    assert found["passages"][0]["source"] == "parking"


def test_a_run_of_a_known_source_needs_its_name_alone(door: Door) -> None:
    run_id = submitted(door.client.post("/v1/runs", json={"source": "pages"}, headers=door.admin))
    assert work(door, run_id) == "succeeded"
    only = submitted(door.client.post("/v1/runs", json={"source": "pages", "document": "vpn.md"}, headers=door.admin))
    assert work(door, only) == "succeeded"


def test_a_path_of_this_machine_needs_the_local_scope(door: Door, tmp_path: Path) -> None:
    path = str(write_pages(tmp_path / "more", {"keys.md": "# Keys\n\nKeys lie at the reception.\n"}))
    body = {"path": path}
    refused = door.client.post("/v1/runs", json=body, headers=door.admin)
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    response = door.client.post("/v1/runs", json=body, headers=door.local)
    assert response.json()["source"] == "more"
    work(door, submitted(response))
    assert any("reception" in text for text in live_texts(door.threadwise))


def test_a_source_nobody_knows_is_refused_and_the_try_is_written_down(door: Door) -> None:
    refused = door.client.post("/v1/runs", json={"source": "nobody"}, headers=door.admin)
    assert (refused.status_code, refused.json()["code"]) == (404, "unknown_source")
    latest = door.client.get("/v1/audit", headers=door.admin, params={"limit": 1}).json()["acts"][0]
    assert (latest["act"], latest["target"], latest["outcome"]) == ("submit_run", "nobody", "unknown_source")


@pytest.mark.parametrize(
    ("where", "content", "kind", "refusal"),
    [
        ("?source=s", b"", "text/plain", (422, "empty_upload")),
        ("?source=s", b"x" * 5001, "text/plain", (413, "body_too_large")),
        ("?source=s", b"x", "image/png", (415, "unsupported_media_type")),
        ("?source=s", b"x", "multipart/form-data; boundary=x", (415, "unsupported_media_type")),
        ("", b"x", "text/plain", (422, "invalid_request")),
        ("?source=s&path=/etc", b"x", "text/plain", (422, "invalid_request")),
        ("?source=s&kind=nothing", b"x", "text/plain", (422, "unknown_kind")),
    ],
)
@pytest.mark.usefixtures("no_new_uploads")
def test_an_upload_that_cannot_be_taken_leaves_nothing(
    door: Door, where: str, content: bytes, kind: str, refusal: tuple[int, str]
) -> None:
    response = door.client.post(f"/v1/runs{where}", content=content, headers=door.admin | {"Content-Type": kind})
    assert (response.status_code, response.json()["code"]) == refusal


@pytest.mark.usefixtures("no_new_uploads")
def test_an_upload_is_counted_while_it_comes_whatever_it_says_of_itself(door: Door) -> None:
    endless = (b"x" * 1000 for _ in range(1000))
    response = door.client.post("/v1/runs?source=s", content=endless, headers=door.admin | MARKDOWN)
    assert (response.status_code, response.json()["code"]) == (413, "body_too_large")


@pytest.mark.usefixtures("no_new_uploads")
def test_an_upload_whose_run_cannot_be_queued_leaves_nothing(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: object) -> str:
        raise QueueFullError("Twenty runs wait already.")

    monkeypatch.setattr(door.threadwise.runs, "submit", full)
    response = door.client.post("/v1/runs?source=s", content=PAGE, headers=door.admin | MARKDOWN)
    assert (response.status_code, response.json()["code"]) == (429, "queue_full")
    assert int(response.headers["retry-after"]) > 0


@pytest.mark.usefixtures("no_new_uploads")
def test_a_key_without_the_scope_writes_nothing_to_the_disk(door: Door) -> None:
    response = door.client.post("/v1/runs?source=s", content=PAGE, headers=door.ask | MARKDOWN)
    assert response.status_code == 403


def test_a_run_is_followed_until_it_has_ended(door: Door) -> None:
    run_id = submitted(door.client.post("/v1/runs", json={"source": "pages"}, headers=door.admin))
    worker = threading.Timer(0.2, work, (door, run_id))
    worker.start()
    events = events_of(door.client.get(f"/v1/runs/{run_id}/events", headers=door.admin).text)
    worker.join()
    assert events[0][0] == "progress"
    numbers = {"stage", "done", "total", "chunks", "rate", "eta_seconds", "seconds", "problems"}
    assert events[0][1].keys() == numbers | {"state", "paused"}
    assert (events[0][1]["stage"], events[-1][0], events[-1][1]["state"]) == ("queued", "done", "succeeded")
    shown = door.client.get(f"/v1/runs/{run_id}", headers=door.admin).json()
    assert events[-1][1] == shown
    assert {name: events[-2][1][name] for name in numbers} == {name: shown[name] for name in numbers}


def test_following_ends_when_the_key_does(door: Door) -> None:
    headers = new_key(door.threadwise, "admin")
    run_id = submitted(door.client.post("/v1/runs", json={"source": "pages"}, headers=door.admin))
    number = headers["Authorization"].split("_")[1]
    revoking = threading.Timer(0.2, door.threadwise.keyring.revoke, (number,))
    revoking.start()
    events = events_of(door.client.get(f"/v1/runs/{run_id}/events", headers=headers).text)
    revoking.join()
    assert (events[-1][0], events[-1][1]["code"]) == ("error", "unauthorized")
    door.client.post(f"/v1/runs/{run_id}/cancel", headers=door.admin)


def test_a_run_that_waits_is_cancelled_at_once(door: Door) -> None:
    run_id = submitted(door.client.post("/v1/runs", json={"source": "pages"}, headers=door.admin))
    cancelled = door.client.post(f"/v1/runs/{run_id}/cancel", headers=door.admin)
    assert (cancelled.status_code, cancelled.json()["state"]) == (202, "cancelled")
    listed = door.client.get("/v1/runs", params={"source": "pages", "limit": 1}, headers=door.admin).json()["runs"]
    assert [row["run_id"] for row in listed] == [run_id]


def test_what_a_run_could_not_take_is_listed(door: Door, tmp_path: Path) -> None:
    folder = write_pages(tmp_path / "odd", PAGES)
    (folder / "broken.md").write_bytes(b"\xff\xfe\xff not text")
    body = {"path": str(folder), "source": "odd"}
    run_id = submitted(door.client.post("/v1/runs", json=body, headers=door.local))
    assert work(door, run_id) == "succeeded_with_quarantine"
    rows = door.client.get(f"/v1/runs/{run_id}/quarantine", headers=door.admin).json()["quarantined"]
    assert [(row["place"], bool(row["code"]), bool(row["reason"])) for row in rows] == [("broken.md", True, True)]


@pytest.mark.parametrize("tail", ["", "/events", "/quarantine"])
def test_a_run_nobody_knows_is_not_found(door: Door, tail: str) -> None:
    response = door.client.get(f"/v1/runs/{'0' * 32}{tail}", headers=door.admin)
    assert (response.status_code, response.json()["code"]) == (404, "run_not_found")
