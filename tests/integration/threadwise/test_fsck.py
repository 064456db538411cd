"""The check of one generation, and the commands that keep an installation in order."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update
from typer.testing import CliRunner

from api.cli import app
from core import tables as t
from core.catalog import generations
from core.settings import Settings
from tests.support.damage import DAMAGES
from tests.support.installation import PAGES, write_pages
from threadwise.findings import KINDS, Finding
from threadwise.integrity import check_generation
from threadwise.runtime import Threadwise


@pytest.fixture
def installed(tmp_path: Path) -> Iterator[Threadwise]:
    """Three pages."""
    with Threadwise(Settings(data_dir=tmp_path / "data")) as threadwise:
        threadwise.ingest(write_pages(tmp_path / "pages", PAGES), name="handbook")
        yield threadwise


def of_generation(threadwise: Threadwise, number: int) -> list[Finding]:
    settings = threadwise.settings
    return check_generation(threadwise.database, threadwise.blobs, settings.data_dir, settings.index, number)


def run(data_dir: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Exit status and JSON of a command on a data folder."""
    done = CliRunner().invoke(app, [*arguments, "--data-dir", str(data_dir), "--json"], catch_exceptions=False)
    shape: dict[str, Any] = json.loads(done.stdout)
    return done.exit_code, shape


def test_a_generation_is_checked_by_itself_whether_readers_see_it_or_not(installed: Threadwise) -> None:
    with installed.database.write() as session:
        live = generations.live_id(session)
        assert live is not None
        known = generations.find(session, live)
        space = installed.embedder.space
        other = generations.start(
            session, pipeline=known.pipeline, space=space, recipe=known.recipe, now=installed.clock()
        )
    assert of_generation(installed, live) == []
    assert of_generation(installed, other) == [], "what is owed to it is not missed"
    assert installed.maintenance.fsck().status == 0

    with installed.database.write() as session:
        session.execute(update(t.build).values(state="done"))
        documents = session.execute(select(t.document.c.id).order_by(t.document.c.id)).scalars().all()

    assert of_generation(installed, live) == []
    assert of_generation(installed, other) == [Finding("chunks_missing", f"{other}/{number}") for number in documents]
    assert installed.maintenance.fsck(repair=True).status == 1, "it is owed to it again"
    assert of_generation(installed, other) == []


def test_the_command_says_by_its_exit_status_what_it_found(installed: Threadwise, tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert run(data, "fsck")[0] == 0
    DAMAGES["changes lost"].do(installed, random.Random(1))
    status, shape = run(data, "fsck", "--since", "60")
    assert (status, shape["status"]) == (2, "broken")
    [finding] = shape["findings"]
    assert (finding["kind"], finding["severity"]) == ("change_missing", "repairable")
    assert run(data, "fsck", "--since", "2999-01-01")[0] == 0
    assert run(data, "fsck", "--repair")[0] == 1
    assert run(data, "fsck")[0] == 0


def test_commands_rebuild_back_up_and_restore(installed: Threadwise, tmp_path: Path) -> None:
    assert installed.maintenance.fsck().status == 0
    status, shape = run(tmp_path / "data", "rebuild", "words")
    assert (status, [row["count"] for row in shape["rebuilt"]]) == (0, [len(PAGES)])
    status, shape = run(tmp_path / "data", "backup", str(tmp_path / "backup"))
    assert (status, shape["rows"]["document"], shape["damaged"]) == (0, len(PAGES), 0)
    status, shape = run(tmp_path / "other", "restore", str(tmp_path / "backup"))
    assert (status, shape["fsck"]["status"], shape["replaced"]) == (0, "clean", None)
    done = CliRunner().invoke(app, ["fsck", "--data-dir", str(tmp_path / "other")], catch_exceptions=False)
    assert done.stdout.startswith("clean, ")


@pytest.mark.no_database
def test_a_finding_names_no_text_and_says_what_is_done_about_it() -> None:
    for kind, meant in KINDS.items():
        assert Finding(kind, "1/2").as_json().keys() == {"kind", "place", "severity", "meaning", "repair"}
        assert meant.meaning
        assert meant.repair
