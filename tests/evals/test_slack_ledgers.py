"""Public Slack exports are accounted for message by message, and grow in exactly the places that were touched."""

import json
import zipfile
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import select

from core import tables as t
from core.settings import IngestSettings
from ingest.sources import Found, Item
from ingest.sources.slack_export import SlackExport
from tests.support.generations import house
from tests.support.growing_export import grow
from threadwise.runtime import Threadwise

pytestmark = pytest.mark.eval
EXPORTS = ("houstondatavis", "olake", "tenacademy")


def items_of(place: Path, name: str) -> list[Item]:
    return list(SlackExport(place, name=name, settings=IngestSettings()).read())


def raw_messages(place: Path) -> tuple[Counter[tuple[str, str]], int]:
    """Every message object by folder and time, and the number of lines in the log of apps."""
    with zipfile.ZipFile(place) as archive:
        names = [name for name in archive.namelist() if name.endswith(".json")]
        days = [(name.partition("/")[0], json.loads(archive.read(name))) for name in names if "/" in name]
        logs = [len(json.loads(archive.read(name))) for name in names if name == "integration_logs.json"]
    return Counter((folder, message["ts"]) for folder, day in days for message in day), sum(logs)


@pytest.mark.parametrize("name", EXPORTS)
def test_every_message_of_a_public_export_is_in_exactly_one_line(name: str, eval_data: Path) -> None:
    place = eval_data / "slack" / f"{name}.zip"
    messages, logs = raw_messages(place)
    entries = [entry for item in items_of(place, name) for entry in item.entries]
    assert Counter((entry.channel, entry.item) for entry in entries if entry.channel) == messages
    assert sum(entry.reason == "integration_log" for entry in entries) == logs
    for (bucket, reason), count in sorted(Counter((entry.bucket, entry.reason) for entry in entries).items()):
        print(f"{name}: {bucket:10} {reason:28} {count:6}")


@pytest.mark.parametrize("seed", [1, 2])
def test_a_grown_public_export_changes_exactly_what_was_touched(seed: int, eval_data: Path, tmp_path: Path) -> None:
    old, new = eval_data / "slack" / "tenacademy.zip", tmp_path / "grown.zip"
    places = grow(old, new, seed=seed)
    before, after = (
        {item.document.external_id: item.document for item in items_of(place, "acme") if isinstance(item, Found)}
        for place in (old, new)
    )
    renamed = {name for name in before if name.startswith(f"{places.renamed}:")}
    both = before.keys() & after.keys()
    changed = {name for name in both if before[name].content_sha != after[name].content_sha}
    assert renamed
    assert changed == places.changed | renamed
    assert {name for name in both - changed if before[name] != after[name]} == places.signals
    assert after.keys() - both == places.added
    assert before.keys() - both == places.removed


def versions(threadwise: Threadwise) -> dict[str, int]:
    """The live version of each document that is there, by its external id."""
    d = t.document.c
    with threadwise.database.read() as session:
        rows = session.execute(select(d.external_id, d.version_id).where(d.version_id.is_not(None)))
        return {row.external_id: row.version_id for row in rows}


def test_an_export_that_grows_twice_is_ingested_only_where_it_was_touched(eval_data: Path, tmp_path: Path) -> None:
    places = [eval_data / "slack" / "tenacademy.zip", tmp_path / "grown.zip", tmp_path / "again.zip"]
    touched = [grow(old, new, seed=seed) for seed, (old, new) in enumerate(pairwise(places), start=3)]
    with house(tmp_path / "data") as threadwise:
        first = threadwise.ingest(places[0], name="acme")
        held = versions(threadwise)
        assert first.added == len(held)
        for place, touch in zip(places[1:], touched, strict=True):
            report = threadwise.ingest(place, name="acme")
            found = versions(threadwise)
            renamed = {name for name in held if name.startswith(f"{touch.renamed}:")}
            assert {name for name in held.keys() & found if held[name] != found[name]} == touch.changed | renamed
            assert found.keys() - held == touch.added
            assert held.keys() - found == touch.removed
            assert report.unchanged == len(held.keys() & found) - len(touch.changed | renamed | touch.signals)
            print(report.as_json(), len(touch.signals))
            held = found
        assert threadwise.ingest(places[-1], name="acme").embedded == 0
