"""Finding what somebody said in what is stored, and writing again what others said beside it."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Literal

import structlog

from core.blobs import BlobStore
from core.catalog import documents, generations, people, purging, sequence, tombstones
from core.catalog.documents import NewVersion, Target
from core.catalog.purging import Place
from core.clock import Clock
from core.database import Database
from core.errors import BlobDamagedError
from core.words import Chunk, Document, document_id_of
from ingest import buried
from ingest.recipe import Recipe

log = structlog.get_logger(__name__)

State = Literal["alone", "shared", "past"]
"""What readers see of a document is the person's alone or of others too; or the person spoke only in older states."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """A document in which somebody speaks, in whichever of its stored states."""

    place: Place
    source: str
    state: State


class Eraser:
    """Reads and writes the documents of one installation again without what erased people said."""

    def __init__(self, database: Database, blobs: BlobStore, recipe: Callable[[], Recipe], clock: Clock) -> None:
        self.database = database
        self.blobs = blobs
        self.recipe = recipe
        self.clock = clock

    def spoken(self, key: str) -> list[Spoken]:
        """Every document in which the person of this key says something, in any state that is stored.

        An older state that nobody can read any more counts as theirs: who speaks in it can no longer be told.
        """
        return self._look(key)[0]

    def left(self, key: str) -> int:
        """In how many documents the person of this key may still say something.

        These are the `spoken` ones and those of which readers see a state whose blob is lost.
        """
        spoken, unread = self._look(key)
        return len(spoken) + unread

    def _look(self, key: str) -> tuple[list[Spoken], int]:
        with self.database.read() as session:
            names = purging.source_names(session)
            forms = [
                (sha, Place(document_id_of(names[source_id], name), source_id, name), is_live)
                for sha, source_id, name, is_live in purging.stored_forms(session)
            ]
        speaks = {sha: self._speaks(sha, key) for sha in {sha for sha, *_ in forms}}
        theirs = {sha for sha, said in speaks.items() if said}
        lost = {sha for sha, said in speaks.items() if said is None}
        unread = {place for sha, place, is_live in forms if is_live and sha in lost}
        places = {place for sha, place, _ in forms if sha in theirs or (sha in lost and place not in unread)}
        states: dict[Place, State] = dict.fromkeys(places, "alone")
        for sha, place, is_live in forms:
            if is_live and place in places:
                states[place] = "past" if sha not in theirs else self._state(sha, key)
        ordered = sorted(states.items(), key=lambda one: one[0].document_id)
        return [Spoken(place, names[place.source_id], state) for place, state in ordered], len(unread)

    def rewrite(self, spoken: Spoken) -> bool:
        """Commit the document's present state without what erased people say; False where it was overtaken.

        Embeds what was not embedded yet. Nothing else is committed under the same lock.
        """
        place = spoken.place
        with self.database.read() as session:
            form = people.live_form(session, place.document_id)
            erased = tombstones.erased_people(session)
        before = self._read(form.blob_sha) if form else None
        after = buried.without(before, erased) if before else None
        if form is None or after is None:
            return False
        new = self._prepared(spoken.source, after)
        with self.database.write() as session:
            sequence.lock(session)
            generation_id = generations.live_id(session)
            if generation_id is None or people.live_form(session, place.document_id) != form:
                return False
            target = Target(
                source_id=place.source_id,
                source=spoken.source,
                run_id=form.run_id,
                generation_id=generation_id,
                space_id=self.recipe().space.id,
            )
            documents.commit_versions(session, target, [new], now=self.clock())
        return True

    def _prepared(self, source: str, document: Document) -> NewVersion:
        recipe = self.recipe()
        chunks = recipe.chunker(source)(document)
        with self.database.read() as session:
            cached = documents.cached_texts(session, recipe.space.id, sorted({chunk.text_sha for chunk in chunks}))
        blob_sha = self.blobs.put(document.canonical())
        self.blobs.flush()
        vectors = _embedded(recipe, [chunk for chunk in chunks if chunk.text_sha not in cached])
        return NewVersion(document=document, blob_sha=blob_sha, chunks=chunks, vectors=vectors)

    def _speaks(self, sha: str, key: str) -> bool | None:
        """Whether they do; None where nobody can tell."""
        document = self._read(sha) if sha else None
        return None if document is None else buried.speaks(document, frozenset({key}))

    def _state(self, sha: str, key: str) -> State:
        document = self._read(sha)
        return "shared" if document and buried.without(document, frozenset({key})) else "alone"

    def _read(self, sha: str) -> Document | None:
        try:
            return Document.from_canonical(self.blobs.get(sha))
        except BlobDamagedError:
            log.warning("blob_not_searched", blob=sha)
            return None


def _embedded(recipe: Recipe, chunks: Collection[Chunk]) -> dict[str, bytes]:
    texts = {chunk.text_sha: chunk.indexed_text for chunk in chunks}
    if not texts:
        return {}
    rows = recipe.embedder().embed_documents(list(texts.values())).astype("<f4", copy=False)
    return {sha: row.tobytes() for sha, row in zip(texts, rows, strict=True)}
