"""What a plan writes when it becomes real, on both databases."""

from dataclasses import replace

import pytest

from core.catalog import letters
from core.database import Database
from core.words import Instant
from ingest.enacting import Resolution, enact
from tests.support.documents import NOW, new_target

NOTHING = Resolution(
    base="",
    content="",
    generation_id=1,
    fingerprint="",
    unchanged=0,
    workspace="",
    memberships=[],
    narrowed={},
    refused=[],
    location="/docs",
    audience=None,
    options={},
    workspaces=[],
    whole=True,
)


@pytest.mark.parametrize("whole", [True, False])
def test_only_a_run_of_the_whole_source_settles_what_earlier_ones_refused(database: Database, *, whole: bool) -> None:
    target = new_target(database)
    with database.write() as session:
        letters.add_places(session, target.run_id, [("a.md", "not_utf8", "…")], NOW)
        enact(session, replace(NOTHING, whole=whole), target, now=Instant(NOW + 1))
        assert len(letters.listing(session)) == (0 if whole else 1)
