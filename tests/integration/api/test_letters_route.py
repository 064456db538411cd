"""What no run could take waits for somebody to decide; a source that is paused waits to be resumed."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.installation import PAGES, write_pages
from tests.support.rest import Door

BROKEN = b"\xff\xfe\xff not text"


def work(door: Door, run_id: str) -> str:
    return door.threadwise.runs.work(run_id, lambda: False)


def ingested(door: Door, folder: Path, source: str) -> str:
    body = {"path": str(folder), "source": source}
    run_id: str = door.client.post("/v1/runs", json=body, headers=door.local).json()["run_id"]
    work(door, run_id)
    return run_id


def letters(door: Door, **wanted: str) -> list[dict[str, Any]]:
    told = door.client.get("/v1/dead-letters", params=wanted, headers=door.admin).json()
    rows: list[dict[str, Any]] = told["dead_letters"]
    return rows


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a page that cannot be read."""
    folder = write_pages(tmp_path / "pages", PAGES)
    (folder / "broken.md").write_bytes(BROKEN)
    return folder


def test_what_could_not_be_taken_is_a_letter_until_it_is_tried_again_with_success(door: Door, folder: Path) -> None:
    run_id = ingested(door, folder, "repaired")
    (letter,) = letters(door, source="repaired")
    assert (letter["place"], letter["run_id"], letter["state"]) == ("broken.md", run_id, "open")
    assert door.client.get(f"/v1/dead-letters/{letter['id']}", headers=door.admin).json() == letter
    standing = door.client.get(f"/v1/runs/{run_id}", headers=door.admin).json()
    assert [(row["place"], row["code"]) for row in standing["problems"]] == [("broken.md", letter["code"])]

    (folder / "broken.md").write_text("# Whole\n\nNow it is text.\n")
    retried = door.client.post("/v1/dead-letters/retry", json={"ids": [letter["id"]]}, headers=door.admin)
    assert retried.status_code == 202
    assert [work(door, again) for again in retried.json()["run_ids"]] == ["succeeded"]
    assert letters(door, source="repaired") == []
    act = door.client.get("/v1/audit", headers=door.admin, params={"limit": 1}).json()["acts"][0]
    assert (act["act"], act["target"], act["outcome"]) == ("retry_letters", str(letter["id"]), "done")


def test_what_is_ignored_waits_for_nobody(door: Door, folder: Path) -> None:
    ingested(door, folder, "ignored")
    ignored = door.client.post("/v1/dead-letters/ignore", json={"source": "ignored"}, headers=door.admin)
    assert ignored.json() == {"ignored": 1}
    assert letters(door, source="ignored") == []
    assert [row["place"] for row in letters(door, source="ignored", state="ignored")] == ["broken.md"]


def test_what_waits_is_counted(door: Door, folder: Path) -> None:
    ingested(door, folder, "counted")
    text = door.client.get("/metrics", headers=door.admin).text
    assert f"\nthreadwise_dead_letters_open {len(letters(door))}.0\n" in text
    assert "\nthreadwise_sources_stale 0.0\n" in text
    assert "\nthreadwise_sources_paused 0.0\n" in text


@pytest.mark.parametrize("body", [{}, {"ids": [1], "source": "pages"}, {"ids": []}])
def test_letters_are_named_in_one_way(door: Door, body: dict[str, object]) -> None:
    for act in ("retry", "ignore"):
        refused = door.client.post(f"/v1/dead-letters/{act}", json=body, headers=door.admin)
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid_request")


def test_a_letter_nobody_knows_is_not_found(door: Door) -> None:
    missing = door.client.get("/v1/dead-letters/999999", headers=door.admin)
    assert (missing.status_code, missing.json()["code"]) == (404, "letter_not_found")


def test_no_run_of_a_paused_source_is_taken_until_it_is_resumed(door: Door, folder: Path) -> None:
    ingested(door, folder, "team/pages")
    paused = door.client.post("/v1/sources/team/pages/pause", headers=door.admin)
    assert (paused.status_code, paused.json()["paused"]) == (200, "asked")
    body = {"source": "team/pages", "document": "vpn.md"}
    run_id = door.client.post("/v1/runs", json=body, headers=door.admin).json()["run_id"]
    assert work(door, run_id) == "queued"
    assert door.client.get(f"/v1/runs/{run_id}", headers=door.admin).json()["stage"] == "paused"
    resumed = door.client.post("/v1/sources/team/pages/resume", headers=door.admin)
    assert (resumed.status_code, resumed.json()["paused"]) == (200, "")
    assert work(door, run_id).startswith("succeeded")


@pytest.mark.parametrize("act", ["pause", "resume"])
def test_a_source_nobody_knows_is_neither_paused_nor_resumed(door: Door, act: str) -> None:
    missing = door.client.post(f"/v1/sources/nobody/{act}", headers=door.admin)
    assert (missing.status_code, missing.json()["code"]) == (404, "unknown_source")
