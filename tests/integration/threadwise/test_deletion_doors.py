"""Deleting by REST and by the command line: who may, what is said, what is written down about it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from api.cli import app
from core.settings import LlmSettings, Settings
from core.tables import metadata
from core.words import document_id_of
from tests.support.installation import PAGES, live_texts, write_pages
from tests.support.rest import Door
from tests.support.rest import door as opened
from tests.support.slack_export import small_workspace
from threadwise.runtime import Threadwise

LEAVE, VPN = (document_id_of("docs", name) for name in ("leave.md", "vpn.md"))


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """An installation with three pages and a Slack export."""
    with Threadwise(Settings(data_dir=tmp_path / "data")) as threadwise:
        threadwise.ingest(write_pages(tmp_path / "docs", PAGES), name="docs")
        threadwise.ingest(small_workspace().zipped(tmp_path / "export.zip"), name="slack")
    return tmp_path / "data"


@pytest.fixture
def door(data_dir: Path) -> Iterator[Door]:
    """The service over it."""
    settings = Settings(data_dir=data_dir, llm=LlmSettings(kind="none"))
    with Threadwise(settings) as threadwise, opened(threadwise) as service:
        yield service


def test_an_admin_deletes_by_rest_and_every_act_is_written_down_without_a_name(door: Door) -> None:
    place, person = f"/v1/documents/{LEAVE}", {"principal": "T1/U1", "reason": "left"}
    question = {"question": "How many days of leave does everybody have?"}
    assert "25 days" in door.client.post("/v1/search", headers=door.local, json=question).text
    assert door.client.delete(place, headers=door.ask).status_code == 403
    assert door.client.delete(place).status_code == 401
    deleted = door.client.delete(place, headers=door.admin, params={"reason": "old"})
    assert deleted.status_code == 200
    assert {key: deleted.json()[key] for key in ("kind", "key", "source", "external_id", "reason")} == {
        "kind": "document",
        "key": LEAVE,
        "source": "docs",
        "external_id": "leave.md",
        "reason": "old",
    }
    assert not [receipt for receipt in deleted.json()["receipts"] if receipt["left"]]
    assert "25 days" not in door.client.post("/v1/search", headers=door.local, json=question).text
    assert door.client.delete("/v1/documents/none", headers=door.admin).status_code == 404
    erased = door.client.post("/v1/people/erase", headers=door.admin, json=person)
    assert erased.status_code == 200
    assert door.client.post("/v1/people/erase", headers=door.admin, json={"principal": "T1/U9"}).status_code == 422
    listed = door.client.get("/v1/deletions", headers=door.admin).json()["deletions"]
    assert [row["kind"] for row in listed] == ["person", "document"]
    acts = door.client.get("/v1/audit", headers=door.admin).json()["acts"]
    mine = [(act["act"], act["target"], act["outcome"]) for act in reversed(acts) if "e_" in act["act"]]
    assert mine[:3] == [
        ("delete_document", LEAVE, "done"),
        ("delete_document", "none", "document_not_found"),
        ("erase_person", erased.json()["key"], "done"),
    ]
    assert "T1/U1" not in json.dumps([listed, acts])
    assert "T1/U1" not in everything(door.threadwise)


def everything(threadwise: Threadwise) -> str:
    """Every row of every table."""
    with threadwise.database.read() as session:
        return repr([session.execute(table.select()).all() for table in metadata.sorted_tables])


def test_the_command_line_deletes_lists_allows_and_erases(data_dir: Path) -> None:
    def run(*arguments: str) -> str:
        done = CliRunner().invoke(app, ["documents", *arguments, "--data-dir", str(data_dir)], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output

    assert run("list") == "Nothing was deleted.\n"
    assert "leave.md" in run("delete", "leave.md", "--source", "docs", "--reason", "old")
    rows = json.loads(run("delete", VPN, "--json"))["deletions"]
    assert [(row["key"], row["requested_by"]) for row in rows] == [(VPN, "command line")]
    assert "1 chunks" in run("list")
    assert json.loads(run("allow", "vpn.md", "--source", "docs", "--json")) == {"allowed": [VPN]}
    assert json.loads(run("erase", "T1/U1", "--json"))["deletions"][0]["kind"] == "person"
    assert [row["kind"] for row in json.loads(run("list", "--json"))["deletions"]] == ["person", "document"]
    with Threadwise(Settings(data_dir=data_dir)) as threadwise:
        assert not [text for text in live_texts(threadwise) if "25 days" in text or "Ada" in text]
