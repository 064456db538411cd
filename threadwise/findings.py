"""What a check of an installation can find: kinds, how bad each is, and what its repair does."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

Severity = Literal["broken", "repairable", "litter"]
Progress = Callable[[str, int, int], None]
"""Called with (stage, done, total) as long work goes on."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What a finding means. `repair` says what `--repair` does about it, or what a person has to do."""

    severity: Severity
    meaning: str
    repair: str


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One thing that is not as it should be. `place` names it by ids: it never holds a text or a name."""

    kind: str
    place: str

    @property
    def severity(self) -> Severity:
        """How bad it is."""
        return KINDS[self.kind].severity

    def as_json(self) -> dict[str, str]:
        """The shape that tools rely on."""
        kind = KINDS[self.kind]
        return {
            "kind": self.kind,
            "place": self.place,
            "severity": kind.severity,
            "meaning": kind.meaning,
            "repair": kind.repair,
        }


_AGAIN = "its document is brought again by the next run of its source"
_REDO = "run `threadwise ingest` for its source: that run sets the document aside and says so"

KINDS: Mapping[str, Kind] = {
    "file_damaged": Kind("broken", "the database file itself is damaged", "restore a backup"),
    "pointer_wrong": Kind("repairable", "readers do not see the active generation", "they see the active one"),
    "version_wrong": Kind("repairable", "a document names no version of its own", "its newest version is named"),
    "superseded_live": Kind("repairable", "a chunk of an older version is live", "it is taken from readers"),
    "deleted_readable": Kind("repairable", "something of a deleted document is live", "it is deleted, purged again"),
    "deleted_left": Kind("repairable", "something of a purged document is left", "it is deleted, purged again"),
    "deleted_blob_left": Kind("repairable", "the blob of a purged document is left", "it is deleted"),
    "chunk_damaged": Kind("repairable", "a chunk's text or id is not what was cut", f"it is withdrawn; {_AGAIN}"),
    "chunks_missing": Kind("repairable", "a part of a document has no chunk", _AGAIN),
    "embedding_missing": Kind("repairable", "a live chunk has no vector", "its text is embedded again"),
    "embedding_damaged": Kind("repairable", "a vector is no unit vector of its space", "its text is embedded again"),
    "embedding_unused": Kind("litter", "a vector belongs to no chunk", "it is deleted"),
    "interval_wrong": Kind("repairable", "a chunk ends before it begins", "its end is corrected"),
    "change_missing": Kind("repairable", "engines were never told of a live chunk", "they are told"),
    "counter_behind": Kind("repairable", "the counter of changes is behind them", "it is raised"),
    "signals_missing": Kind("repairable", "a live document has no signals", "they are read from its blob"),
    "audience_wrong": Kind("repairable", "an audience has other principals than it was made for", "as its blobs say"),
    "work_left": Kind("repairable", "a run has ended with work left", "the work is closed"),
    "ledger_line_lost": Kind("repairable", "a ledger lacks a document of its run", "a line says so; counted anew"),
    "blob_damaged": Kind("repairable", "a blob is missing or altered", f"its reference goes; {_AGAIN}"),
    "work_blob_damaged": Kind("broken", "the blob of open work is missing or altered", _REDO),
    "blob_unused": Kind("litter", "a blob that nothing refers to", "it is deleted"),
    "words_damaged": Kind("repairable", "an index of words cannot be read", "it is built again"),
    "words_wrong": Kind("repairable", "an index of words differs from the catalogue", "it is built again"),
    "vectors_wrong": Kind("broken", "the vectors that load are not those of the live chunks", "tell the developers"),
    "registry_damaged": Kind("repairable", "the feature registry cannot be read", "it is made again"),
    "engine_folder_unused": Kind("litter", "an engine of a generation that is gone", "it is deleted"),
    "upload_unused": Kind("litter", "an upload that no source and no run reads", "it is deleted"),
    "leftover": Kind("litter", "a file that was never finished", "it is deleted"),
}
"""Every kind by its stable name."""
