"""What admins do with runs: submit, watch, cancel, schedule; and what a worker does with one."""

import shutil
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from core.catalog import overview, queue, runs, sources
from core.catalog.overview import RunRow, SourceRow, Standing
from core.catalog.queue import ClaimedRun
from core.catalog.sources import KnownSource
from core.errors import RunNotFoundError, ThreadwiseError, UnknownSourceError
from core.settings import IngestSettings, QueueSettings
from ingest.errors import SourceNotFoundError
from ingest.pipeline import Ingestion, Request
from ingest.queued import QueuedRuns
from ingest.sources import Source, open_source
from ingest.work import Report

UPLOAD_SECONDS = 3600.0  # after which an upload that nobody submitted is given up
AS_IN_SOURCE = "as-in-source"
"""An audience that ends an earlier one: the source itself says again who may read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitRequest:
    """A run to be queued. Without a path the source is read from where it was read last; None keeps what is known."""

    source: str
    path: str | None = None
    kind: str | None = None
    audience: tuple[str, ...] | None = None
    workspace_url: str | None = None
    allow_empty: bool = False
    document: str | None = None
    requested_by: str = ""


class RunQueue:
    """The queue of one installation."""

    def __init__(self, ingestion: Ingestion, *, ingest: IngestSettings, settings: QueueSettings, uploads: Path) -> None:
        self.ingestion = ingestion
        self.database = ingestion.database
        self.clock = ingestion.clock
        self.ingest = ingest
        self.settings = settings
        self.uploads = uploads
        self.queued = QueuedRuns(ingestion, self._opened, settings)

    def submit(self, request: SubmitRequest) -> str:
        """Queue a run and return its id; whoever is told the id may count on the run.

        What can be seen to be wrong at once raises here: a source that is not known, a path with nothing at it, of an
        unknown kind or of another kind than the source.
        """
        known = self._known(request.source)
        path = str(Path(request.path).absolute()) if request.path else (known.location if known else "")
        if not path:
            raise UnknownSourceError(f"No source {request.source!r} is known.", hint="Upload it, or give its path.")
        audience = _audience(request.audience, known)
        # What kind it is is found out anew unless somebody says it: an export must never be read as a folder of pages.
        source = open_source(
            path,
            request.kind,
            name=request.source,
            settings=self.ingest,
            audience=audience,
            workspace_url=request.workspace_url,
        )
        values: dict[str, Any] = {"path": path, "kind": request.kind, "audience": audience}
        values["workspace_url"] = request.workspace_url
        values |= {"allow_empty": request.allow_empty, "document": request.document}
        run_id, now = uuid.uuid4().hex, self.clock()
        with self.database.write() as session:
            number = sources.source_id(session, name=request.source, kind=source.kind, now=now)
            queue.submit(
                session, run_id=run_id, source_id=number, request=values, requested_by=request.requested_by, now=now
            )
        return run_id

    def submit_all(self, requested_by: str) -> tuple[list[str], dict[str, ThreadwiseError]]:
        """Queue a run for every source: the ids of the runs, and by source why one could not be queued."""
        queued: list[str] = []
        refused: dict[str, ThreadwiseError] = {}
        for row in self.sources():
            try:
                queued.append(self.submit(SubmitRequest(source=row.name, requested_by=requested_by)))
            except ThreadwiseError as error:
                refused[row.name] = error
        return queued, refused

    def work(self, run_id: str, stop: Callable[[], bool], report: Report = lambda _s, _t, _c: None) -> str:
        """Work a run as far as it goes, and return the state it is in then.

        It is given back when `stop` turns true, or when its time is over and another source waits.
        """
        until = time.monotonic() + self.settings.slice_seconds
        self.queued.work(run_id, lambda: stop() or self._is_others_turn(run_id, until), report)
        self._forget_uploads()
        return self.standing(run_id).run.state

    def standing(self, run_id: str) -> Standing:
        """Where a run stands. Raises `RunNotFoundError`."""
        with self.database.read() as session:
            found = overview.standing(session, run_id)
        if found is None:
            raise RunNotFoundError(f"There is no run {run_id}.", hint="threadwise runs lists them.")
        return found

    def latest(self, *, source: str | None = None, limit: int = 20) -> list[RunRow]:
        """The newest runs first."""
        with self.database.read() as session:
            return overview.latest_runs(session, source=source, limit=limit)

    def sources(self) -> list[SourceRow]:
        """Every source with its newest run."""
        with self.database.read() as session:
            return overview.sources(session)

    def cancel(self, run_id: str) -> bool:
        """Ask for the end of a run; False if it had ended. Raises `RunNotFoundError`."""
        self.standing(run_id)
        with self.database.write() as session:
            return queue.request_cancel(session, run_id, self.clock())

    def quarantined(self, run_id: str) -> list[tuple[str, str, str]]:
        """(place, code, reason) of everything a run could not take."""
        with self.database.read() as session:
            return runs.quarantined(session, run_id)

    def schedule(self, name: str, every_minutes: int) -> None:
        """Read a source again at this interval, 0 = only when asked. Raises `UnknownSourceError`."""
        with self.database.write() as session:
            if not sources.set_schedule(session, name, every_minutes):
                raise UnknownSourceError(f"No source {name!r} is known.", hint="threadwise sources lists them.")

    def _forget_uploads(self) -> None:
        """Delete uploads that no source was read from last and no run has still to read."""
        if not self.uploads.is_dir():
            return
        with self.database.read() as session:
            needed = {Path(path).parent for path in (*queue.open_paths(session), *sources.locations(session))}
        # One that is coming in right now belongs to no run yet.
        old = time.time() - UPLOAD_SECONDS
        for folder in self.uploads.iterdir():
            # Another worker may be deleting the same one, and what is no folder is none of ours.
            with suppress(OSError):
                if folder not in needed and max(file.stat().st_mtime for file in (folder, *folder.iterdir())) < old:
                    shutil.rmtree(folder, ignore_errors=True)

    def _is_others_turn(self, run_id: str, until: float) -> bool:
        if time.monotonic() < until:
            return False
        with self.database.read() as session:
            return queue.others_wait(session, run_id)

    def _known(self, name: str) -> KnownSource | None:
        with self.database.read() as session:
            return sources.known_source(session, name)

    def _opened(self, claimed: ClaimedRun) -> tuple[Source, Request]:
        """The source of a run and how to read it: as it was submitted, else as it was read last."""
        known, asked = self._known(claimed.source), SubmitRequest(source=claimed.source, **_as_asked(claimed))
        path = asked.path or (known.location if known else "")
        if not path:
            raise SourceNotFoundError(f"The source {claimed.source!r} was never read.", hint="Upload it.")
        # A schedule reads as the last run did, what was submitted has settled it already.
        audience = asked.audience if asked.path else _audience(None, known)
        opened = partial(open_source, path, name=claimed.source, settings=self.ingest, audience=audience)
        source = opened(asked.kind, workspace_url=asked.workspace_url)
        request = Request(
            name=claimed.source,
            location=path,
            audience=audience,
            allow_empty=asked.allow_empty,
            document=asked.document,
        )
        return source, request


def _as_asked(claimed: ClaimedRun) -> dict[str, Any]:
    names = asdict(SubmitRequest(source="")).keys() - {"source", "requested_by"}
    values = {name: value for name, value in claimed.request.items() if name in names}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


def _audience(given: tuple[str, ...] | None, known: KnownSource | None) -> tuple[str, ...] | None:
    """The audience that replaces the source's own: the one that is given, else the one it had."""
    if given == (AS_IN_SOURCE,):
        return None
    return known.audience if given is None and known else given
