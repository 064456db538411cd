"""Public Slack exports are accounted for message by message, and grow in exactly the places that were touched."""

import json
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from core.settings import IngestSettings
from ingest.sources import Found, Item
from ingest.sources.slack_export import SlackExport
from tests.support.growing_export import grow

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
