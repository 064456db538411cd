"""Successive exports of one workspace: exactly what was touched differs."""

from pathlib import Path

import pytest

from core.settings import IngestSettings
from core.words import Document
from ingest.sources import Found
from ingest.sources.slack_export import SlackExport
from tests.support.growing_export import GrownPlaces, grow
from tests.support.slack_export import ExportBuilder

START = 1_700_000_000
HOUR = 3600


def company() -> ExportBuilder:
    """Three channels with threads, a long sitting, and messages that stand alone."""
    builder = ExportBuilder().user("U1", "Ada").user("U2", "Ben")
    for number, name in enumerate(("general", "random", "tiny"), start=1):
        builder.channel(f"C{number}", name, is_general=name == "general")
        for index in range(2 if name == "tiny" else 8):
            root = f"{START + index * 100 * HOUR}.000{number}00"
            for reply in range(4):
                ts = f"{START + index * 100 * HOUR + reply * 60}.000{number}00"
                builder.say(name, ts, f"{name} {index} reply {reply}", user=f"U{1 + reply % 2}", thread_ts=root)
            alone = START + index * 100 * HOUR + 50 * HOUR
            builder.say(name, f"{alone}.000{number}11", f"{name} alone {index}")
        for index in range(5):
            builder.say(name, f"{START + 5000 * HOUR + index * 60}.000{number}22", f"{name} talk {index}")
    return builder


def documents(place: Path) -> dict[str, Document]:
    items = SlackExport(place, name="acme", settings=IngestSettings()).read()
    return {item.document.external_id: item.document for item in items if isinstance(item, Found)}


def differences(before: dict[str, Document], after: dict[str, Document]) -> GrownPlaces:
    both = before.keys() & after.keys()
    changed = {name for name in both if before[name].content_sha != after[name].content_sha}
    signals = {name for name in both - changed if before[name].canonical() != after[name].canonical()}
    return GrownPlaces(
        frozenset(changed), frozenset(signals), frozenset(after.keys() - both), frozenset(before.keys() - both), ""
    )


@pytest.mark.parametrize("seed", range(5))
def test_a_grown_export_changes_exactly_the_documents_that_were_touched(tmp_path: Path, seed: int) -> None:
    old = company().zipped(tmp_path / "old.zip")
    places = grow(old, tmp_path / "new.zip", seed=seed)
    before, after = documents(old), documents(tmp_path / "new.zip")
    found = differences(before, after)
    renamed = {name for name in before if name.startswith(f"{places.renamed}:")}
    assert renamed
    assert found.changed == places.changed | renamed
    assert (found.signals, found.added, found.removed) == (places.signals, places.added, places.removed)
    assert all(after[name].title.startswith("#tiny-renamed") for name in renamed)


def test_growing_twice_with_one_seed_is_the_same(tmp_path: Path) -> None:
    old = company().zipped(tmp_path / "old.zip")
    assert grow(old, tmp_path / "a.zip", seed=3) == grow(old, tmp_path / "b.zip", seed=3)
    assert documents(tmp_path / "a.zip") == documents(tmp_path / "b.zip")
