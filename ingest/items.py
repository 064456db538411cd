"""What a source hands over: documents, what it left out and what it had to refuse, and the lines of its ledger."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from core.words import Bucket, Document, Instant


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the ledger: what became of one message (Slack), file or corpus line."""

    channel: str
    item: str
    bucket: Bucket
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """A document, with one entry for each message or file that went into it."""

    document: Document
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Skipped:
    """What reaches no document, each with its reason."""

    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """A place that could not be read; `code` is stable. A day file holds no countable message, so no entries.

    `doubts` is the prefix of the external ids whose present state this leaves open: with the empty prefix that of
    every document of the source, with None that of no document. A prefix that ends in neither `:` nor `/` is one whole
    id, and that of a file with all that is in it: `faq.csv` and `faq.csv#…`. `between` narrows it to what was said from
    the first to before the second instant.
    """

    place: str
    code: str
    reason: str
    entries: tuple[Entry, ...] = ()
    doubts: str | None = ""
    between: tuple[Instant, Instant] | None = None


Item = Found | Skipped | Refused


class Source(Protocol):
    """Where documents come from. Reading twice gives the same items in the same order."""

    @property
    def kind(self) -> str:
        """The name of its kind, as `--kind` takes it."""

    @property
    def workspace(self) -> str | None:
        """The workspace principal that its documents belong to, None where there is no workspace."""

    @property
    def workspaces(self) -> tuple[str, ...]:
        """Every workspace whose people and conversations its principals are, sorted; empty where there is none."""

    @property
    def covered(self) -> tuple[Instant, Instant] | None:
        """From when to before when it says anything; None for all of the time."""

    def fingerprint(self) -> str:
        """SHA-256 (hex) over the bytes and names that `read` would use and the options that shape its result."""

    def read(self) -> Iterator[Item]:
        """Stream everything in a stable order; what is broken is refused by itself and never ends the stream."""

    def memberships(self) -> Iterable[tuple[str, str]]:
        """Pairs of (principal, a principal that it holds), sorted."""

    def audience_of(self, external_id: str) -> tuple[str, ...] | None:
        """Who may read that document by the present listings and options; valid after `read`.

        None where the source no longer lists the place that the document belongs to.
        """
