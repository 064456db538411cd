"""Whether an installation is sound: the catalogue with itself, with the blobs, and with everything derived from it.

Each stage looks at one state of the catalogue. What it finds it looks for once more in a later state: what only the
moment between two writes showed is gone then, so that a check beside a running ingestion raises no false alarm.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from core.blobs import BlobStore
from core.catalog import integrity
from core.catalog.integrity import OF_CATALOGUE, OF_CHUNKS, Generation, Query, Scope
from core.database import Database, Session
from core.settings import IndexSettings
from threadwise import checks, derived
from threadwise.derived import Litter
from threadwise.findings import Finding, Progress

Stage = Callable[[], Iterable[Finding]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """One look at an installation: at what was recorded `since` (microseconds), in one generation or in all."""

    database: Database
    blobs: BlobStore
    data_dir: Path
    index: IndexSettings
    since: int = 0
    only: int | None = None
    young_seconds: float = derived.YOUNG_SECONDS
    report: Progress = lambda _stage, _done, _total: None

    def findings(self) -> list[Finding]:
        """Everything that is not as it should be, sorted; a damaged database file is all that is said of it."""
        if self.only is not None:
            return self._confirmed(self._of_generations())
        return self._confirmed([self._file]) or self._confirmed(
            [self._catalogue, *self._of_generations(), self._blobs, *([] if self.since else [self._litter])]
        )

    def _confirmed(self, stages: Sequence[Stage]) -> list[Finding]:
        """What a stage finds twice, in two states of the catalogue."""
        found: set[Finding] = set()
        for done, stage in enumerate(stages):
            self.report("stages", done, len(stages))
            if seen := set(stage()):
                found |= seen & set(stage())
        self.report("stages", len(stages), len(stages))
        return sorted(found)

    def _of_generations(self) -> list[Stage]:
        return [self._chunks, self._documents, self._vectors, self._engines]

    def _file(self) -> list[Finding]:
        if self.since:
            return []
        with self._still() as session:
            return [Finding("file_damaged", place) for place in integrity.file_damages(session)]

    def _catalogue(self) -> list[Finding]:
        with self._still() as session:
            derived_from_it = derived.registry(session, self.data_dir)
            return [*self._asked(session, OF_CATALOGUE.items()), *derived_from_it]

    def _chunks(self) -> list[Finding]:
        with self._still() as session:
            return list(self._asked(session, OF_CHUNKS.items()))

    def _documents(self) -> list[Finding]:
        with self._still() as session:
            generations = self._generations(session)
            scope = self._scope(generations)
            return list(checks.documents(session, scope, generations, self.blobs, self.report))

    def _blobs(self) -> list[Finding]:
        with self._still() as session:
            return list(checks.versions_and_work(session, self._scope(()), self.blobs, self.report))

    def _vectors(self) -> list[Finding]:
        with self._still() as session:
            spaces = sorted({generation.space_id for generation in self._generations(session)})
            found = list(checks.vectors(session, spaces))
            whole = self.only is None and not self.since
            return [*found, *(checks.unused_vectors(session, spaces) if whole else ())]

    def _engines(self) -> list[Finding]:
        with self._still() as session:
            generations = self._generations(session)
            found = [
                finding
                for generation in generations
                for finding in derived.vectors(session, generation, self.index)
                if not self.since
            ]
        for done, generation in enumerate(generations):
            self.report("engines", done, len(generations))
            found.extend(derived.words(self.database, self.data_dir, generation))
        return found

    def _litter(self) -> list[Finding]:
        with self._still() as session:
            return sorted(self.litter.find(session))

    @property
    def litter(self) -> Litter:
        """What lies about in the data folder."""
        return Litter(data_dir=self.data_dir, young_seconds=self.young_seconds)

    def _asked(self, session: Session, queries: Iterable[tuple[str, Query]]) -> Iterator[Finding]:
        scope = self._scope(self._generations(session))
        for kind, query in queries:
            yield from (Finding(kind, place) for place in query(session, scope))

    def _scope(self, generations: Iterable[Generation]) -> Scope:
        return Scope(generations=tuple(generation.id for generation in generations), since=self.since)

    def _generations(self, session: Session) -> list[Generation]:
        return [one for one in integrity.standing(session) if self.only in (None, one.id)]

    @contextmanager
    def _still(self) -> Iterator[Session]:
        with self.database.read() as session:
            integrity.hold_still(session)
            yield session


def check_generation(
    database: Database, blobs: BlobStore, data_dir: Path, index_settings: IndexSettings, generation_id: int
) -> list[Finding]:
    """What is wrong with one generation, whether readers see it or not; nothing is changed, engines are not fed.

    Documents that are still owed to it, or that it goes without, are not missed.
    """
    return Inspection(
        database=database, blobs=blobs, data_dir=data_dir, index=index_settings, only=generation_id
    ).findings()
