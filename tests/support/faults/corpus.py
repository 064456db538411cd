"""Made-up pages in several sources, what an undisturbed ingestion makes of them, and what may never differ from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import and_, func, select

from core import tables as t
from core.settings import Settings
from tests.support.faults.houses import toy_house
from tests.support.installation import write_pages
from threadwise.digest import catalogue_digest
from threadwise.runtime import Threadwise

SUBJECTS = ("leave", "bikes", "the VPN", "travel", "the canteen", "keys", "printers", "parking", "training", "pensions")


def pages(name: str, count: int, words: Mapping[int, str] | None = None) -> dict[str, str]:
    """So many small pages of one source, each one chunk; `words` are put into the page of that number."""
    told = words or {}
    return {
        f"page{place:03}.md": f"# Page {place} of {name}\n\nAbout {SUBJECTS[place % len(SUBJECTS)]}: "
        f"the answer to question {place} is {place * 7}. {told.get(place, '')}\n"
        for place in range(count)
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Undisturbed:
    """What ingestion makes of some sources when nothing happens to it."""

    sources: Mapping[str, Path]
    digest: Mapping[str, str]
    buckets: Mapping[str, Mapping[str, int]]


def undisturbed(folder: Path, names: Sequence[str], count: int, words: Mapping[int, str] | None = None) -> Undisturbed:
    """Write the sources below the folder and ingest them one after the other."""
    written = {name: write_pages(folder / "sources" / name, pages(name, count, words)) for name in names}
    with toy_house(Settings(data_dir=folder / "data")) as house:
        reports = {name: house.ingest(path, name=name) for name, path in written.items()}
        return Undisturbed(
            sources=written,
            digest=catalogue_digest(house),
            buckets={name: report.buckets for name, report in reports.items()},
        )


def assert_as_undisturbed(house: Threadwise, runs: Mapping[str, str], wanted: Undisturbed) -> None:
    """Nothing lost, nothing doubled: each source's run (by its name) ended like the one that nothing disturbed."""
    for source, run_id in runs.items():
        standing = house.runs.standing(run_id)
        assert (standing.run.state, standing.run.error_code) == ("succeeded", ""), (source, standing)
        assert set(standing.progress.states) == {"committed"}, (source, standing.progress.states)
        assert standing.buckets == wanted.buckets[source], source
    assert doubled(house) == []
    assert catalogue_digest(house) == wanted.digest


def doubled(house: Threadwise) -> list[object]:
    """Effects that happened twice: versions of a document by one run, live chunks at one place, work of a document."""
    v, c, w = t.version.c, t.chunk.c, t.work.c
    twice = func.count() > 1
    live = and_(c.live, c.version_id == t.document.c.version_id)
    statements = (
        select(v.document_id, v.run_id).group_by(v.document_id, v.run_id).having(twice),
        select(c.document_id, c.generation_id, c.ordinal)
        .where(c.live)
        .group_by(c.document_id, c.generation_id, c.ordinal)
        .having(twice),
        select(c.id).join(t.document, t.document.c.id == c.document_id).where(c.live, ~live),
        select(w.run_id, w.external_id).group_by(w.run_id, w.external_id).having(twice),
    )
    with house.database.read() as session:
        return [tuple(row) for statement in statements for row in session.execute(statement)]
