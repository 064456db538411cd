"""Opening a source: as somebody asks for it, else as it was read last."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from core.catalog import sources
from core.catalog.queue import ClaimedRun
from core.catalog.sources import KnownSource
from core.clock import Clock
from core.database import Database
from core.errors import UnknownSourceError
from core.settings import IngestSettings
from ingest.errors import SourceNotFoundError
from ingest.options import SourceOptions, require_fit
from ingest.request import Request
from ingest.sources import Source, open_source

NOTHING: Mapping[str, Any] = MappingProxyType({})
AS_IN_SOURCE = "as-in-source"
"""An audience that ends an earlier one: the source itself says again who may read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Idempotency:
    """A request's own key, of the API key that sent it, and the SHA-256 (hex) of what was asked."""

    key_id: str
    key: str
    body_sha: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitRequest:
    """A run that somebody asks for. Without a path the source is read from where it was read last.

    An `audience` of None keeps what is known; `options` are fields of `SourceOptions`, those that are left out stay.
    """

    source: str
    path: str | None = None
    kind: str | None = None
    audience: tuple[str, ...] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    allow_empty: bool = False
    document: str | None = None
    plan_only: bool = False
    requested_by: str = ""
    idempotency: Idempotency | None = None


class Opening:
    """Opens the sources of one installation."""

    def __init__(self, database: Database, settings: IngestSettings, clock: Clock) -> None:
        self.database = database
        self.settings = settings
        self.clock = clock

    def known(self, name: str) -> KnownSource | None:
        """The source of that name, or None."""
        with self.database.read() as session:
            return sources.known_source(session, name)

    def request(self, asked: SubmitRequest, known: KnownSource | None, path: str) -> Request:
        """What is asked, settled with what is known. Raises `InvalidSettingError` and `ValueRefusedError`."""
        return Request(
            name=asked.source,
            location=path,
            audience=_audience(asked.audience, known),
            kind=asked.kind,
            options=SourceOptions().changed_by({**(known.options if known else {}), **asked.options}),
            allow_empty=asked.allow_empty,
            document=asked.document,
            plan_only=asked.plan_only,
        )

    def source(
        self, path: Path | str, request: Request, kind: str | None = None, *, given: Mapping[str, Any] = NOTHING
    ) -> Source:
        """The source at this path, read as the request says; raises what `open_source` raises.

        `given` are the options that somebody has just chosen: `UnfitOptionError` where they are none for its kind.
        """
        opened = partial(open_source, path, name=request.name, settings=self.settings, now=self.clock())
        source = opened(kind or request.kind, audience=request.audience, options=request.options)
        require_fit(source.kind, given)
        return source

    def asked(self, asked: SubmitRequest) -> tuple[Source, Request]:
        """What somebody asks for, opened to see that it is there. Raises `UnknownSourceError` too."""
        known = self.known(asked.source)
        path = str(Path(asked.path).absolute()) if asked.path else (known.location if known else "")
        if not path:
            raise UnknownSourceError(f"No source {asked.source!r} is known.", hint="Upload it, or give its path.")
        # What kind it is is found out anew unless somebody says it: an export must never be read as a folder of pages.
        request = self.request(asked, known, path)
        return self.source(path, request, given=asked.options), request

    def claimed(self, claimed: ClaimedRun) -> tuple[Source | None, Request]:
        """The source of a run and how to read it: as it was submitted, else as it was read last.

        None where nothing has to be read any more. Raises `SourceNotFoundError` and `SourceKindError`.
        """
        known, asked = self.known(claimed.source), _as_asked(claimed)
        path = asked.path or (known.location if known else "")
        # A schedule reads as the last run did, what was submitted has settled it already.
        request = self.request(asked, None if asked.path else known, path)
        if claimed.state == "running" or claimed.request.get("letters"):
            return None, request
        if not path:
            raise SourceNotFoundError(f"The source {claimed.source!r} was never read.", hint="Upload it.")
        source = self.source(path, request)
        if known:
            sources.require_kind(claimed.source, known.kind, source.kind)
        return source, request


def _as_asked(claimed: ClaimedRun) -> SubmitRequest:
    names = {"path", "kind", "audience", "options", "allow_empty", "document", "plan_only"}
    values: dict[str, Any] = {name: value for name, value in claimed.request.items() if name in names}
    if claimed.request.get("workspace_url"):  # of a run that was queued by an earlier release
        values["options"] = {"workspace_url": claimed.request["workspace_url"]}
    audience = values.pop("audience", None)
    return SubmitRequest(source=claimed.source, audience=None if audience is None else tuple(audience), **values)


def _audience(given: tuple[str, ...] | None, known: KnownSource | None) -> tuple[str, ...] | None:
    """The audience that replaces the source's own: the one that is given, else the one it had."""
    if given == (AS_IN_SOURCE,):
        return None
    return known.audience if given is None and known else given
