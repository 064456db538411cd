"""What is sent twice is done once, what is planned is done when it is applied, and an upload is never half there."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from core.errors import DatabaseUnavailableError
from tests.support.installation import live_texts
from tests.support.rest import Door, Headers, new_key

MARKDOWN = {"Content-Type": "text/markdown"}
PAGE = b"# Lockers\n\nA locker is rented for a year.\n"


def once(key: str) -> Headers:
    return {"Idempotency-Key": key}


def work(door: Door, run_id: str) -> str:
    return door.threadwise.runs.work(run_id, lambda: False)


def uploads(door: Door) -> set[Path]:
    folder = door.threadwise.settings.data_dir / "uploads"
    return set(folder.iterdir()) if folder.exists() else set()


def upload(door: Door, source: str, content: bytes = PAGE, key: str = "") -> Any:  # noqa: ANN401 - the test client's own
    where = f"/v1/runs?source={source}&filename={source}.md"
    headers = door.admin | MARKDOWN | (once(key) if key else {})
    return door.client.post(where, content=content, headers=headers)


@pytest.fixture(autouse=True)
def nothing_waits(door: Door) -> Iterator[None]:
    """What one test has queued stands in no other's way."""
    yield
    for run in door.threadwise.runs.latest(limit=100):
        if run.is_open:
            door.threadwise.runs.cancel(run.run_id)


def test_the_same_request_with_the_same_key_is_the_same_run(door: Door) -> None:
    headers = door.admin | once("again")
    first, second = (door.client.post("/v1/runs", json={"source": "pages"}, headers=headers) for _ in range(2))
    assert first.status_code == second.status_code == 202
    assert first.json()["run_id"] == second.json()["run_id"]
    work(door, first.json()["run_id"])
    third = door.client.post("/v1/runs", json={"source": "pages"}, headers=headers).json()
    assert (third["run_id"], third["state"]) == (first.json()["run_id"], "succeeded")


def test_the_order_and_the_spaces_of_a_body_make_no_other_request(door: Door) -> None:
    headers = door.admin | once("spelled") | {"Content-Type": "application/json"}
    bodies = (b'{"source":"pages","allow_empty":false}', b'{ "allow_empty": false, "source": "pages" }')
    told = {door.client.post("/v1/runs", content=body, headers=headers).json()["run_id"] for body in bodies}
    assert len(told) == 1


def test_another_request_under_the_same_key_is_refused(door: Door) -> None:
    headers = door.admin | once("taken")
    assert door.client.post("/v1/runs", json={"source": "pages"}, headers=headers).status_code == 202
    body = {"source": "pages", "document": "vpn.md"}
    refused = door.client.post("/v1/runs", json=body, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (409, "idempotency_conflict")


def test_a_key_is_that_of_whoever_sends_it(door: Door) -> None:
    senders = (door.admin, new_key(door.threadwise, "admin"))
    told = [door.client.post("/v1/runs", json={"source": "pages"}, headers=who | once("mine")) for who in senders]
    assert told[0].json()["run_id"] != told[1].json()["run_id"]


def test_an_upload_that_is_sent_twice_is_kept_once(door: Door) -> None:
    before = uploads(door)
    first, second = (upload(door, "lockers", key="sent-twice") for _ in range(2))
    assert first.json()["run_id"] == second.json()["run_id"]
    assert len(uploads(door) - before) == 1
    assert work(door, first.json()["run_id"]) == "succeeded"
    other = upload(door, "lockers", PAGE + b"Or two.\n", key="sent-twice")
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")
    assert len(uploads(door) - before) == 1


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 201, "schlüssel".encode("latin-1")])
def test_a_key_that_is_none_is_refused(door: Door, key: str | bytes) -> None:
    headers: dict[Any, Any] = door.admin | {"Idempotency-Key": key}
    refused = door.client.post("/v1/runs", json={"source": "pages"}, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_request")


def test_a_key_stands_for_one_run_and_not_for_many(door: Door) -> None:
    refused = door.client.post("/v1/runs", json={"all": True}, headers=door.admin | once("many"))
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_request")


def test_an_upload_whose_run_may_be_there_nevertheless_is_kept_for_it(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit: Callable[[Any], str] = door.threadwise.runs.submit

    def answer_lost(wanted: object) -> str:
        submit(wanted)
        raise DatabaseUnavailableError("The connection broke.")

    monkeypatch.setattr(door.threadwise.runs, "submit", answer_lost)
    assert upload(door, "shelves").status_code == 503
    monkeypatch.undo()
    run_id = door.threadwise.runs.latest(source="shelves", limit=1)[0].run_id
    assert work(door, run_id) == "succeeded"


def test_an_upload_and_the_folders_that_name_it_are_on_the_disk_before_its_run_is(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    fsync, submit = os.fsync, door.threadwise.runs.submit

    def seen(number: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{number}").readlink()))
        fsync(number)

    def submitted(wanted: Any) -> str:  # noqa: ANN401 - a request
        path = Path(wanted.path)
        assert {str(place) for place in (path, path.parent, path.parent.parent)} <= set(synced)
        return submit(wanted)

    monkeypatch.setattr(os, "fsync", seen)
    monkeypatch.setattr(door.threadwise.runs, "submit", submitted)
    assert upload(door, "synced").status_code == 202


class Usage(NamedTuple):
    """What a disk says of itself, in bytes."""

    total: int
    used: int
    free: int


def test_without_room_on_the_disk_an_upload_is_refused_and_leaves_nothing(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = uploads(door)
    monkeypatch.setattr(shutil, "disk_usage", lambda _place: Usage(10, 9, 1))
    refused = upload(door, "full")
    assert (refused.status_code, refused.json()["code"]) == (507, "storage_full")
    assert str(door.threadwise.settings.data_dir) not in refused.text
    assert uploads(door) == before


def test_a_plan_is_shown_and_does_nothing_until_it_is_applied(door: Door) -> None:
    where = "/v1/runs?source=planned&filename=planned.md&plan=true"
    run_id = door.client.post(where, content=PAGE, headers=door.admin | MARKDOWN).json()["run_id"]
    assert work(door, run_id) == "planned"
    plan = door.client.get(f"/v1/runs/{run_id}/plan", headers=door.admin).json()
    assert (plan["source"], plan["counts"]["added"], plan["documents"]["added"]) == ("planned", 1, ["planned.md"])
    assert (plan["chunks"], plan["chunks_to_embed"] <= 1, plan["ledger"]["total"]) == (1, True, 1)
    assert not [row for row in door.threadwise.runs.sources() if row.name == "planned" and row.documents]

    applied = [door.client.post(f"/v1/plans/{plan['plan_hash']}/apply", headers=door.admin) for _ in range(2)]
    assert [(answer.status_code, answer.json()["run_id"]) for answer in applied] == [(202, run_id)] * 2
    assert work(door, run_id) == "succeeded"
    assert any("locker" in text for text in live_texts(door.threadwise))
    acts = door.client.get("/v1/audit", headers=door.admin, params={"limit": 2}).json()["acts"]
    assert {(act["act"], act["target"], act["outcome"]) for act in acts} == {("apply_plan", plan["plan_hash"], "done")}


def test_a_plan_whose_world_has_changed_is_refused(door: Door) -> None:
    where = "/v1/runs?source=moving&filename=moving.md"
    run_id = door.client.post(f"{where}&plan=true", content=PAGE, headers=door.admin | MARKDOWN).json()["run_id"]
    assert work(door, run_id) == "planned"
    plan = door.client.get(f"/v1/runs/{run_id}/plan", headers=door.admin).json()
    newer = door.client.post(where, content=b"# Other\n\nAnother page.\n", headers=door.admin | MARKDOWN).json()
    assert work(door, newer["run_id"]) == "succeeded"
    refused = door.client.post(f"/v1/plans/{plan['plan_hash']}/apply", headers=door.admin)
    assert (refused.status_code, refused.json()["code"]) == (409, "world_changed")
    assert "plan" in refused.json()["hint"].lower()


@pytest.mark.parametrize(("method", "place"), [("GET", f"/v1/runs/{'0' * 32}/plan"), ("POST", "/v1/plans/0a1b/apply")])
def test_a_plan_that_nobody_made_is_not_found(door: Door, method: str, place: str) -> None:
    missing = door.client.request(method, place, headers=door.admin)
    assert missing.status_code == 404
    assert missing.json()["code"] in {"plan_not_found", "run_not_found"}
