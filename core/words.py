"""The words of Threadwise as immutable values: code, documentation and commands use the same names.

Times are whole microseconds since 1970-01-01 UTC: exact for Slack's timestamps, comparable in SQL, NumPy and
Tantivy alike. An open start is `OPEN_FROM`, an open end `OPEN_TO`.
"""

import hashlib
import json
from bisect import bisect_right
from dataclasses import asdict, dataclass, field
from typing import Literal, NewType

Instant = NewType("Instant", int)

MICROS = 1_000_000
"""In a second."""

OPEN_FROM = Instant(0)
OPEN_TO = Instant(2**53 - 1)  # the largest integer that JSON readers keep exact: the year 2255
EVERYONE = "everyone"

Bucket = Literal["indexed", "merged", "filtered", "duplicate", "tombstoned", "failed"]
BUCKETS: tuple[Bucket, ...] = ("indexed", "merged", "filtered", "duplicate", "tombstoned", "failed")
ChangeKind = Literal["added", "changed", "removed"]


def digest_of(*parts: str) -> str:
    """SHA-256 (hex) over the parts, each preceded by its length so that no two lists of parts collide."""
    sha = hashlib.sha256()
    for part in parts:
        raw = part.encode()
        sha.update(f"{len(raw)}:".encode())
        sha.update(raw)
    return sha.hexdigest()


def document_id_of(source: str, external_id: str) -> str:
    """The same source name and external id give the same document id on every installation."""
    return digest_of(source, external_id)[:32]


def chunk_id_of(source: str, external_id: str, content_sha: str, pipeline: str, ordinal: int) -> str:
    """The recipe of every chunk id: it can never change, because answers and feedback refer to it."""
    return digest_of(source, external_id, content_sha, pipeline, str(ordinal))[:32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """What makes two vectors comparable. Vectors of different spaces never meet."""

    model: str
    revision: str
    runtime: str
    dimension: int
    max_tokens: int
    normalised: bool = True
    query_prefix: str = ""
    document_prefix: str = ""

    @property
    def id(self) -> str:
        """Sixteen hex digits of the hash over every field."""
        return digest_of(json.dumps(asdict(self), sort_keys=True))[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """The smallest piece of a document with a place of its own: one Slack message, one paragraph."""

    text: str
    anchor: str = ""  # a Slack timestamp, a heading's slug: what a permalink to this block ends with
    at: Instant | None = None
    heading: tuple[str, ...] = ()
    speaker: str = ""
    by: str = ""  # the principal that said it, where the source knows; no part of the content


@dataclass(frozen=True, slots=True, kw_only=True)
class Signals:
    """Scalar facts about a document that ranking may use. Changing them never re-embeds anything."""

    last_activity: Instant | None = None
    replies: int = 0
    reactions: int = 0
    people: int = 0
    resolved: bool = False
    official: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One thing in a source with a stable external id: a Slack thread, a sitting of loose messages, a page."""

    external_id: str
    kind: str
    title: str
    uri: str
    audience: tuple[str, ...]  # sorted principals, never empty
    blocks: tuple[Block, ...]
    author: str = ""
    context: str = ""  # a line that is put in front of every chunk, beside the title
    valid_from: Instant | None = None
    language: str = ""  # ISO 639-1, empty where nobody can be sure; no part of the content
    signals: Signals = field(default_factory=Signals)

    def content(self) -> dict[str, object]:
        """Everything that reaches an index: a change in it is a new version."""
        return {
            "kind": self.kind,
            "title": self.title,
            "uri": self.uri,
            "author": self.author,
            "context": self.context,
            "valid_from": self.valid_from,
            "blocks": [[b.text, b.anchor, b.at, list(b.heading), b.speaker] for b in self.blocks],
        }

    def canonical(self) -> bytes:
        """The stored form: JSON with sorted keys. Equal documents give equal bytes."""
        whole = self.content() | {
            "external_id": self.external_id,
            "audience": list(self.audience),
            "signals": asdict(self.signals),
        }
        if any(block.by for block in self.blocks):
            whole["by"] = [block.by for block in self.blocks]
        if self.language:
            whole["language"] = self.language
        return json.dumps(whole, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()

    @property
    def content_sha(self) -> str:
        """SHA-256 (hex) of what reaches an index; audience, language and signals are not part of it."""
        return hashlib.sha256(json.dumps(self.content(), sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    @classmethod
    def from_canonical(cls, raw: bytes) -> "Document":
        """The inverse of `canonical`."""
        data = json.loads(raw)
        rows = data.pop("blocks")
        people = data.pop("by", None) or [""] * len(rows)
        blocks = tuple(
            Block(text=text, anchor=anchor, at=at, heading=tuple(heading), speaker=speaker, by=by)
            for (text, anchor, at, heading, speaker), by in zip(rows, people, strict=True)
        )
        signals = Signals(**data.pop("signals"))
        return cls(blocks=blocks, signals=signals, audience=tuple(data.pop("audience")), **data)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A span of one version that fits the embedder.

    `start` and `end` are character offsets into the document's body (`ingest.chunking.body_of`), so that
    neighbouring chunks can be merged without repeating their overlap. What is embedded and indexed is `indexed_text`.
    """

    id: str
    ordinal: int
    text: str
    context: str
    start: int
    end: int
    anchor: str  # the stored form of where its parts stand: see core.anchors
    author: str
    valid_from: Instant

    @property
    def indexed_text(self) -> str:
        """Title and thread context in front of the chunk's own text."""
        return f"{self.context}\n{self.text}" if self.context else self.text

    @property
    def text_sha(self) -> str:
        """The key of the embedding cache, together with the space."""
        return hashlib.sha256(self.indexed_text.encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """Text on its way into an answer, read through the barrier. `score` is normalised over the pool of its question.

    `uri` is the address of what was found. The text may begin before it and go on behind it: `places` are the offsets
    into it, ascending, from which on it stands at another address.
    """

    chunk_id: str
    document_id: str
    external_id: str
    source: str
    title: str
    uri: str
    text: str
    score: float
    signals: dict[str, float]
    places: tuple[tuple[int, str], ...] = ()

    def uri_at(self, offset: int) -> str:
        """The address of the character at this offset of the text."""
        place = bisect_right(self.places, offset, key=lambda one: one[0])
        return self.places[place - 1][1] if place else self.uri
