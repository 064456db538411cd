"""The composition root: everything long-lived, built once and only when it is needed.

Web, worker and command line ask the same object. A test sets a property before its first use to replace a part.
"""

import gc
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any, Literal, Self

from threadpoolctl import threadpool_limits

from core import clock
from core.blobs import BlobStore
from core.catalog import answers, audiences, builds, generations, likeness, passages, runs, sources
from core.catalog.answers import StoredAnswer
from core.catalog.likeness import Pair
from core.catalog.passages import Reader
from core.database import Database
from core.errors import AnswerNotFoundError, UnknownPrincipalError, UnknownSourceError
from core.settings import Settings
from core.words import EVERYONE
from features.embedding import Embedder, embed_question, open_embedder
from features.store import FeatureStore, open_feature_store
from generation.answering import Answerer
from generation.answers import AskRequest, Event
from generation.evidence import EvidenceFinder
from generation.model import LanguageModel
from generation.prompts import GROUNDED, UNGROUNDED, with_shots
from ingest.errors import SourceNameTakenError, SourceUnreadableError
from ingest.likeness import METHOD
from ingest.pipeline import Ingestion, IngestReport
from ingest.recipe import Recipe
from ingest.work import Report
from retrieval.errors import NothingIngestedError
from retrieval.query import Query
from retrieval.retriever import Ranking, Retriever
from threadwise.deletions import Deletions
from threadwise.gate import Gate
from threadwise.generations import Generations
from threadwise.inbox import Inbox
from threadwise.keyring import Keyring
from threadwise.language import open_language_model
from threadwise.maintenance import Maintenance
from threadwise.opening import Opening, SubmitRequest
from threadwise.recipes import Recipes
from threadwise.run_queue import RunQueue


class Threadwise:
    """One installation, opened. Close it, or use it as a context manager."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self.clock = clock.now
        self._loading = Lock()

    @cached_property
    def database(self) -> Database:
        """The catalogue, its schema up to date."""
        database = Database(self.settings.resolved_database_url)
        database.migrate()
        return database

    @cached_property
    def blobs(self) -> BlobStore:
        """Canonical documents beside the database."""
        return BlobStore(self.settings.data_dir / "blobs")

    @cached_property
    def embedder(self) -> Embedder:
        """The embedding model; its weights are loaded by the first text."""
        return open_embedder(self.settings.embedding)

    @cached_property
    def recipes(self) -> Recipes:
        """How the documents of each generation are cut and embedded."""
        return Recipes(
            lambda: self.database,
            embedding=self.settings.embedding,
            ingest=self.settings.ingest,
            embedder=lambda: self.embedder,
        )

    @cached_property
    def generations(self) -> Generations:
        """Builds generations beside the one that readers see, and lets them see another."""
        settings, where = self.settings, self.settings.data_dir
        share = settings.ingest.quarantine_share
        gate = Gate(
            database=self.database, blobs=self.blobs, data_dir=where, index=settings.index, quarantine_share=share
        )
        return Generations(
            self.database,
            self.blobs,
            self.recipes,
            gate,
            data_dir=where,
            settings=settings.ingest,
            grace_seconds=settings.ask.grace_seconds,
            clock=self.clock,
        )

    @property
    def recipe(self) -> Recipe:
        """How documents become chunks and vectors in the generation that readers see."""
        return self.recipes.live()

    @cached_property
    def ingestion(self) -> Ingestion:
        """Brings sources into the catalogue."""
        return Ingestion(
            self.database,
            self.blobs,
            lambda: self.recipe,
            settings=self.settings.ingest,
            clock=self.clock,
            locks=self.settings.data_dir / "locks",
        )

    @cached_property
    def store(self) -> FeatureStore:
        """The feature store with its engines."""
        return open_feature_store(
            data_dir=self.settings.data_dir, database_url=self.database.url, index=self.settings.index
        )

    @cached_property
    def retriever(self) -> Retriever:
        """Ranks what a reader may read."""
        # Products of a few dozen vectors: a second thread only waits for the first, and for whoever has its core.
        threadpool_limits(limits=1, user_api="blas")
        return Retriever(
            self.database,
            self.store,
            embed_question=lambda text, space_id: embed_question(self.recipes.embedder_of(space_id), text),
            settings=self.settings.retrieval,
            clock=self.clock,
        )

    @cached_property
    def runs(self) -> RunQueue:
        """Runs that workers take from a queue."""
        return RunQueue(self.ingestion, self.opening, settings=self.settings.queue, uploads=self.uploads)

    @cached_property
    def opening(self) -> Opening:
        """Opens sources."""
        return Opening(self.database, self.settings.ingest, self.clock)

    @property
    def uploads(self) -> Path:
        """Where files lie that came over the network."""
        return self.settings.data_dir.resolve() / "uploads"

    @cached_property
    def keyring(self) -> Keyring:
        """Keys, and the record of admin acts."""
        return Keyring(self.database, self.clock)

    @cached_property
    def deletions(self) -> Deletions:
        """Takes documents and people away for good."""
        return Deletions(
            self.database,
            self.blobs,
            recipe=lambda: self.recipe,
            data_dir=self.settings.data_dir,
            grace_seconds=self.settings.ask.grace_seconds,
            clock=self.clock,
        )

    @cached_property
    def maintenance(self) -> Maintenance:
        """Checks, repairs, rebuilds, backs up and restores."""
        return Maintenance(
            self.database,
            self.blobs,
            data_dir=self.settings.data_dir,
            index=self.settings.index,
            embedder_of=self.recipes.embedder_of,
            deletions=self.deletions,
            clock=self.clock,
        )

    @cached_property
    def inbox(self) -> Inbox:
        """Questions that came from Slack."""
        return Inbox(self.database, lease_seconds=self.settings.slack.lease_seconds, clock=self.clock)

    @cached_property
    def language_model(self) -> LanguageModel | None:
        """The model that words answers, loaded; None where quotes have to do."""
        return open_language_model(self.settings.llm, self.settings.embedding.cache_dir)

    @cached_property
    def answerer(self) -> Answerer:
        """Answers questions; the model is loaded by the first that needs it."""
        return Answerer(
            self.database,
            self.retriever,
            lambda space_id: EvidenceFinder(self.recipes.embedder_of(space_id).embed_documents),
            model=self._model_once,
            templates=(with_shots(GROUNDED, self.settings.ask.shots), UNGROUNDED),
            settings=self.settings.ask,
            clock=self.clock,
        )

    def ask(self, request: AskRequest) -> Iterator[Event]:
        """Events of one answer; closing the generator stops the model."""
        return self.answerer.ask(request)

    def answer(self, answer_id: str) -> StoredAnswer:
        """An answer that was given. Raises `AnswerNotFoundError`."""
        with self.database.read() as session:
            found = answers.find(session, answer_id)
        if found is None:
            raise AnswerNotFoundError(f"There is no answer {answer_id}.", hint="The answer itself says its id.")
        return found

    def may_read(self, reader: Reader, *, chunks: Collection[str], documents: Collection[str] = ()) -> bool:
        """Whether somebody may read, at this moment, all of these chunks and something of each of these documents."""
        with self.database.read() as session:
            live = generations.live_id(session)
            if live is None:
                return False
            at, readable = self.clock(), set[str]()
            # An answer keeps to the generation that it was given from; each that stands knows every deletion and right.
            for number in (live, *builds.standing(session)):
                if readable >= set(chunks):
                    break
                readable |= passages.readable_places(session, number, reader, at, sorted(chunks)).keys()
            open_documents = passages.readable_documents(session, live, reader, at, documents)
            return readable >= set(chunks) and open_documents >= set(documents)

    def rate(self, answer_id: str, *, key_id: str, value: Literal[-1, 1], comment: str = "") -> None:
        """Keep what somebody thinks of an answer; a second opinion of the same key replaces the first."""
        self.answer(answer_id)
        with self.database.write() as session:
            answers.rate(session, answer_id, key_id=key_id, value=value, comment=comment, now=self.clock())

    def _model_once(self) -> LanguageModel | None:
        with self._loading:
            return self.language_model

    def ingest(
        self,
        path: Path,
        *,
        name: str,
        kind: str | None = None,
        audience: tuple[str, ...] | None = None,
        options: Mapping[str, Any] | None = None,
        allow_empty: bool = False,
        report: Report = lambda _settled, _total, _chunks: None,
    ) -> IngestReport:
        """Ingest a Slack export or a folder of files under a source name.

        An `audience` holds for later runs too, until another one or `AS_IN_SOURCE` is given; so do `options`, fields of
        `SourceOptions`.
        """
        known = self.opening.known(name)
        asked = SubmitRequest(source=name, kind=kind, audience=audience, options=options or {}, allow_empty=allow_empty)
        request = self.opening.request(asked, known, _shown(path))
        if kind is None and known:
            # Telling what a path holds takes longer than seeing that nothing in it has changed.
            with suppress(SourceUnreadableError):
                if unchanged := self.ingestion.repeat(self.opening.source(path, request, known.kind), request):
                    return unchanged
        source = self.opening.source(path, request, given=asked.options)
        return self.ingestion.ingest(source, request, report)

    def free_name(self, path: Path) -> str:
        """The name that a path gives its source. Raises `SourceNameTakenError` if another path has it already."""
        shown = Path(_shown(path))
        name = (shown.name if path.is_dir() else shown.stem).strip()
        with self.database.read() as session:
            known = sources.known_source(session, name)
        if known and known.location not in ("", _shown(path)):
            raise SourceNameTakenError(
                f"The source {name!r} was read from another path.",
                hint=f"Say --source {name} if this is its newer state, or choose another name.",
            )
        return name

    def search(self, query: Query) -> Ranking:
        """Ranked passages that the query's reader may read."""
        return self.retriever.search(query)

    def quarantined(self, run_id: str) -> list[tuple[str, str, str]]:
        """(place, code, reason) of everything a run could not take."""
        with self.database.read() as session:
            return runs.quarantined(session, run_id)

    def twins(self, *, source: str | None = None, limit: int) -> tuple[int, list[Pair]]:
        """How many pairs of documents are nearly the same, in one source or in all, and the most alike; for admins.

        Raises `UnknownSourceError`.
        """
        with self.database.read() as session:
            if source is not None and sources.known_source(session, source) is None:
                raise UnknownSourceError(f"No source {source!r} is known.", hint="threadwise sources lists them.")
            return likeness.pairs(session, source=source, limit=limit)

    def uncompared(self) -> int:
        """How many documents no run has compared with others yet as they are now; the next one with work does."""
        with self.database.read() as session:
            return likeness.count_unsketched(session, METHOD)

    def reader(self, principal: str | None = None) -> Reader:
        """Who asks: the named principal with all it holds, or `everyone`. Raises `UnknownPrincipalError`."""
        if principal is None:
            return Reader(principals=(EVERYONE,))
        with self.database.read() as session:
            if not audiences.is_known_principal(session, principal):
                raise UnknownPrincipalError(
                    f"No principal {principal!r} is known.",
                    hint="Use WORKSPACE/USER as in the export's users.json, for example T0123/U0456.",
                )
        return Reader(principals=(principal,))

    def warm(self) -> None:
        """Load models and engines, so that the first question is as fast as the next."""
        reader = Reader(principals=())
        self._model_once()
        with suppress(NothingIngestedError):
            self.search(Query(text="warm up", reader=reader))
        # What stays for good need not be walked by every collection.
        gc.collect()
        gc.freeze()

    def ping(self) -> None:
        """Raise what a caller would meet: the database cannot be opened, the model is missing."""
        _ = self.recipes.live_embedder().space

    def close(self) -> None:
        """Close what was opened."""
        for name in ("language_model", "store", "database"):
            if (part := self.__dict__.pop(name, None)) is not None:
                part.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _shown(path: Path) -> str:
    """The whole path as text; bytes in it that are none become escapes, so that two paths stay two."""
    return os.fsencode(path.resolve()).decode(errors="backslashreplace")
