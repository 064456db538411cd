"""Tombstones beside the database: one line each, so that they outlive a database that is replaced by an older one."""

import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog

from core.catalog.tombstones import Tombstone

log = structlog.get_logger(__name__)

FIELDS = ("kind", "key", "source", "external_id", "reason", "requested_by", "at")
Entry = Mapping[str, Any]
"""`FIELDS` of a tombstone; of the kind `allowed` where a document may come back."""


def entry_of(tombstone: Tombstone) -> dict[str, Any]:
    """The line of a tombstone."""
    return {name: getattr(tombstone, name) for name in FIELDS}


class TombstoneFile:
    """Lines of JSON, only ever added, readable for their owner alone."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def note(self, entry: Entry) -> None:
        """Add a line unless it is there; it is on the disk when this returns."""
        with os.fdopen(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            content = file.read()
            known = {(one["kind"], one["key"], one["at"]) for one in _entries(content)}
            if (entry["kind"], entry["key"], entry["at"]) in known:
                return
            # A line that was cut off by a crash must not swallow this one.
            start = b"" if content.endswith(b"\n") or not content else b"\n"
            file.write(start + json.dumps(entry, ensure_ascii=False).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def entries(self) -> list[Entry]:
        """Every line that can be read, the oldest first."""
        try:
            return _entries(self.path.read_bytes())
        except FileNotFoundError:
            return []


def _entries(content: bytes) -> list[Entry]:
    found: list[Entry] = []
    for number, line in enumerate(content.splitlines(), 1):
        try:
            entry = json.loads(line) if line.strip() else None
        except ValueError:
            entry = None
        if isinstance(entry, dict) and all(name in entry for name in FIELDS):
            found.append(entry)
        elif line.strip():
            log.warning("tombstone_line_unreadable", line=number)
    return found
