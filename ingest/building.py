"""Making what is owed to a generation: stored documents are cut and embedded by its recipe, and committed each once.

One builder at a time works on a generation. Another takes over when it has stood still for long enough by that one's
own monotonic time; whatever the first one still has in hand can no longer be written then.
"""

import itertools
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from random import random

import structlog

from core.blobs import BlobStore
from core.catalog import builds, documents, generations, sequence
from core.catalog.builds import Account, Owed
from core.catalog.documents import NewVersion, Target
from core.catalog.generations import Generation, GenerationNotFoundError
from core.catalog.runs import WorkItem
from core.clock import Clock
from core.crashpoints import crashpoint
from core.database import Database, Session
from core.errors import LostClaimError, ThreadwiseError
from core.settings import IngestSettings
from ingest.errors import DocumentStuckError, RunStoppedError
from ingest.faults import backoff, code_of, fault_of, told
from ingest.lanes import GROUP, Lanes
from ingest.prepare import Prepared, Preparer
from ingest.recipe import Recipe
from ingest.stillness import Stillness
from ingest.work import Report

CLAIM = 32  # documents claimed at once by one thread
RECOUNT_SECONDS = 1.0
ABOUT_DOCUMENTS = ("transient", "permanent")  # the faults that count as an attempt

log = structlog.get_logger(__name__)


class GenerationBusyError(ThreadwiseError):
    """Somebody else works on this generation, or its documents change faster than they can be made."""

    code = "generation_busy"
    retryable = True


class Builder:
    """Works off what is owed to generations of one catalogue, from its rows and blobs alone."""

    def __init__(self, database: Database, blobs: BlobStore, *, settings: IngestSettings, clock: Clock) -> None:
        self.database = database
        self.blobs = blobs
        self.settings = settings
        self.clock = clock

    def work_off(self, generation: Generation, recipe: Recipe, *, stop: Callable[[], bool], report: Report) -> Account:
        """Return when nothing is owed to the generation for the moment.

        Raises `GenerationBusyError`, `RunStoppedError` when `stop` turned true, `LostClaimError` when somebody else
        took over, and what `fault_of` calls nobody's attempt. It goes on where it was when it is called again.
        """
        number, token = generation.id, uuid.uuid4().hex
        self._take(number, token, stop)
        with self._kept(number, token) as lost:
            try:
                with self.database.write() as session:
                    builds.adopt(session, number, token, max_attempts=self.settings.max_attempts)
                while owed := self._sources(number):
                    for source_id, source in owed:
                        target = Target(
                            source_id=source_id,
                            source=source,
                            run_id="",
                            generation_id=number,
                            space_id=recipe.space.id,
                        )
                        _SourceBuild(self, recipe, target, token, lambda: stop() or lost.is_set()).run(report)
            except RunStoppedError:
                if lost.is_set():
                    raise LostClaimError(f"Generation {number} was taken over by somebody else.") from None
                raise
            finally:
                self._let_go(number, token)
        return self.account(number)

    def account(self, number: int) -> Account:
        """How far the generation is."""
        with self.database.read() as session:
            return builds.account(session, number)

    def _sources(self, number: int) -> list[tuple[int, str]]:
        with self.database.read() as session:
            return builds.sources_owed(session, number)

    def _take(self, number: int, token: str, stop: Callable[[], bool]) -> None:
        lease, first = self.settings.lease_seconds, None
        stillness: Stillness[int] = Stillness(longest_gap=lease / 2)
        while True:
            with self.database.read() as session:
                seen = generations.holder(session, number)
            still = stillness.look({number: seen}, time.monotonic())[number]
            if not seen[0] or still >= lease:
                with self.database.write() as session:
                    if generations.hold(session, number, token, seen):
                        return
                self._require_standing(number)
            first = first or seen
            if seen[0] and seen != first:
                raise GenerationBusyError(f"Somebody is working on generation {number}.", hint="Wait for them.")
            if stop():
                raise RunStoppedError("Building was stopped.", hint="It goes on where it was.")
            time.sleep(min(lease / 10, 0.5))

    def _require_standing(self, number: int) -> None:
        """Whoever could not take a generation waits for its holder, and for nobody where it is given up."""
        with self.database.read() as session:
            generation = generations.find(session, number)
        if generation.state not in builds.STANDING:
            raise GenerationNotFoundError(
                f"Generation {number} is {generation.state}.", hint="Run: threadwise generations build"
            )

    @contextmanager
    def _kept(self, number: int, token: str) -> Iterator[threading.Event]:
        """Say that this builder lives for as long as the block lasts; the event is set once it has lost its claim."""
        lost, done = threading.Event(), threading.Event()
        thread = threading.Thread(target=self._beat, args=(number, token, lost, done), daemon=True)
        thread.start()
        try:
            yield lost
        finally:
            done.set()
            thread.join()

    def _beat(self, number: int, token: str, lost: threading.Event, done: threading.Event) -> None:
        while not done.wait(self.settings.lease_seconds / 3):
            try:
                with self.database.write() as session:
                    held = generations.beat(session, number, token)
            except ThreadwiseError as error:
                log.warning("generation_not_kept", generation=number, code=error.code)
                continue
            if not held:
                lost.set()
                return

    def _let_go(self, number: int, token: str) -> None:
        try:
            with self.database.write() as session:
                builds.release(session, number, token)
                generations.let_go(session, number, token)
        except ThreadwiseError as error:
            log.warning("generation_not_released", generation=number, code=error.code)


class _SourceBuild:
    """Makes what is owed of one source."""

    def __init__(self, builder: Builder, recipe: Recipe, target: Target, token: str, stop: Callable[[], bool]) -> None:
        self.builder = builder
        self.database = builder.database
        self.settings = builder.settings
        self.target = target
        self.token = token
        self.stop = stop
        preparer = Preparer(
            builder.database,
            builder.blobs,
            embedder=recipe.embedder(),
            chunker=recipe.chunker(target.source),
            target=target,
        )
        self._lanes = Lanes(self._claim, preparer, room=2 * GROUP)
        self._numbers = itertools.count(1)
        self._items: dict[int, Owed] = {}
        self._waiting: dict[str, float] = {}  # when a failed document may be tried again, in monotonic seconds

    def run(self, report: Report) -> None:
        """Return when nothing of the source is owed."""
        self._lanes.start(self.settings.workers)
        counted = 0.0
        try:
            while missing := self._count_owed():
                self._look_after_lanes()
                if self.stop():
                    raise RunStoppedError("Building was stopped.", hint="It goes on where it was.")
                if group := self._lanes.next_group(missing):
                    self._commit_group(group)
                if time.monotonic() - counted > RECOUNT_SECONDS:
                    counted = time.monotonic()
                    self._report(report)
        finally:
            ready = self._lanes.close()
            with suppress(ThreadwiseError):
                if ready:
                    self._commit_group(ready)
        self._report(report)

    def _count_owed(self) -> int:
        with self.database.read() as session:
            return builds.count_owed(session, self.target.generation_id, self.target.source_id, GROUP)

    def _report(self, report: Report) -> None:
        account = self.builder.account(self.target.generation_id)
        report(account.settled, account.documents, account.chunks)

    def _claim(self) -> list[WorkItem]:
        now = time.monotonic()
        waiting = [document_id for document_id, until in self._waiting.items() if until > now]
        source_id = self.target.source_id
        with self.database.write() as session:
            claimed = builds.claim(session, *self._place, source_id=source_id, limit=CLAIM, waiting=waiting)
        items = [self._item(owed) for owed in claimed]
        if items:
            crashpoint("build.claimed")
        return items

    def _item(self, owed: Owed) -> WorkItem:
        number = next(self._numbers)
        self._items[number] = owed
        return WorkItem(
            id=number,
            external_id=owed.external_id,
            change="added",
            blob_sha=owed.blob_sha,
            attempt=owed.attempt,
            token=self.token,
        )

    @property
    def _place(self) -> tuple[int, str]:
        return self.target.generation_id, self.token

    def _look_after_lanes(self) -> None:
        if self._lanes.crashes:
            raise self._lanes.crashes[0]
        for item, others in self._lanes.stuck(self.settings.document_seconds):
            error = DocumentStuckError(f"It took longer than {self.settings.document_seconds:g} seconds.")
            with self.database.write() as session:
                builds.release(session, *self._place, [self._items[number].document_id for number in others])
                self._fail(session, self._items[item.id], error)

    def _commit_group(self, group: Sequence[Prepared]) -> None:
        """Commit the group in one transaction, or one by one if that fails; raises what is nobody's attempt."""
        for prepared in group:
            if prepared.error is not None and fault_of(prepared.error) not in ABOUT_DOCUMENTS:
                raise prepared.error
        crashpoint("build.commit.before")
        try:
            with self.database.write() as session:
                self._commit(session, group)
        except Exception as error:
            if fault_of(error) not in ABOUT_DOCUMENTS:
                raise
            if len(group) > 1:
                log.warning("build_group_failed", documents=len(group), error=type(error).__name__)
                for prepared in group:
                    self._commit_group([prepared])
                return
            with self.database.write() as session:
                self._fail(session, self._items[group[0].item.id], error)
        crashpoint("build.commit.after")
        for prepared in group:
            self._items.pop(prepared.item.id, None)

    def _commit(self, session: Session, group: Sequence[Prepared]) -> None:
        """Write what may be written still; under this lock no document changes and no generation is switched."""
        sequence.lock(session)
        if not generations.is_held(session, *self._place):
            raise LostClaimError(f"Generation {self.target.generation_id} was taken over by somebody else.")
        owed = {prepared.item.id: self._items[prepared.item.id] for prepared in group}
        held = builds.still_owed(session, *self._place, list(owed.values()))
        # A document that was owed again while it was in hand may be in it twice, and is written once.
        mine = list({owed[one.item.id]: one for one in group if owed[one.item.id] in held}.values())
        for prepared in mine:
            if prepared.error is not None:
                self._fail(session, owed[prepared.item.id], prepared.error)
        made = [prepared for prepared in mine if prepared.document is not None and prepared.error is None]
        versions = [owed[prepared.item.id].version_id for prepared in made]
        documents.commit_built(session, self.target, _versions(made), versions, now=self.builder.clock())

    def _fail(self, session: Session, owed: Owed, error: Exception) -> None:
        code = code_of(error)
        log.warning("build_failed", document=owed.document_id, attempt=owed.attempt, code=code)
        final = fault_of(error) == "permanent" or owed.attempt >= self.settings.max_attempts
        self._waiting[owed.document_id] = time.monotonic() + backoff(owed.attempt, random())  # noqa: S311 - no secret
        builds.fail(session, *self._place, owed, final=final, code=code, error=told(error))


def _versions(group: Sequence[Prepared]) -> list[NewVersion]:
    return [
        NewVersion(
            document=prepared.document,
            blob_sha=prepared.item.blob_sha,
            chunks=prepared.chunks,
            vectors=prepared.vectors,
        )
        for prepared in group
        if prepared.document is not None
    ]
