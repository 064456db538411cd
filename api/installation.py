"""An installation as the command line sees it: through its running service, or opened in this process.

Both give the same JSON shapes, so that whoever reads what a command prints need not know which it was.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from api.errors import RunFailedError, ServiceRefusedError
from api.progress import Progress

Json = Mapping[str, Any]
MICROS = 1_000_000
REPORT = ("run_id", "state", "documents", "chunks", "embedded", "ledger", "seconds")
"""What an ingestion reports, in this order."""
DOCUMENTS = ("added", "changed", "unchanged", "removed", "quarantined")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What somebody wants. An option that was not given is None or empty, and the settings decide."""

    def as_json(self) -> dict[str, Any]:
        """What was given and nothing else."""
        return {name: value for name, value in asdict(self).items() if value is not None and value != ()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Search(Order):
    """Passages that answer a question."""

    question: str
    as_principal: str | None = None
    top_k: int | None = None
    mmr_lambda: float | None = None
    sources: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask(Order):
    """An answer to a question."""

    question: str
    as_principal: str | None = None
    top_k: int | None = None
    sources: tuple[str, ...] = ()
    use_rag: bool = True
    seed: int = 0
    trace: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingest(Order):
    """A path to bring into the catalogue, or up to date."""

    path: str
    source: str | None = None
    kind: str | None = None
    audience: tuple[str, ...] | None = None
    reading: Mapping[str, Any] = field(default_factory=dict)  # fields of `ingest.options.SourceOptions`
    allow_empty: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey(Order):
    """A key to be made: who it reads as, what it may do, and for how long."""

    name: str
    scopes: tuple[str, ...]
    principals: tuple[str, ...]
    expires_days: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Letters(Order):
    """Dead letters, the newest first: of one source or of all, in one state."""

    source: str | None = None
    state: str = "open"
    limit: int = 100


class Installation(Protocol):
    """What commands ask of an installation. Every method may raise a `ThreadwiseError`."""

    def search(self, order: Search) -> Json:
        """Ranked passages."""
        ...

    def ask(self, order: Ask) -> Generator[tuple[str, Json], None, None]:
        """Typed events (name, data); the last is `done` with the whole answer."""
        ...

    def ingest(self, order: Ingest, progress: Progress) -> Json:
        """What became of a run that brings a path in: `source` and everything in `REPORT`."""
        ...

    def plan(self, order: Ingest, progress: Progress) -> Json:
        """What a run of this path would do, with the `plan_hash` that `apply` takes; nothing of it is done."""
        ...

    def plan_of(self, run_id: str) -> Json:
        """The same of a run that was planned before."""
        ...

    def apply(self, plan_hash: str, progress: Progress) -> Json:
        """What became of a plan that was done: `source` and everything in `REPORT`."""
        ...

    def again(self, source: str, document: str | None, progress: Progress) -> Json:
        """The same of a run that reads a known source once more, or only one of its documents."""
        ...

    def sources(self) -> list[Json]:
        """Every source."""
        ...

    def schedule(self, source: str, minutes: int) -> Json:
        """Read a source every so many minutes from now on, 0 for no more."""
        ...

    def pause(self, source: str) -> Json:
        """The source, of which no run is taken from now on."""
        ...

    def resume(self, source: str) -> Json:
        """The source, whose runs are taken again."""
        ...

    def letters(self, wanted: Letters) -> list[Json]:
        """Dead letters: what runs could not take."""
        ...

    def letter(self, number: int) -> Json:
        """One dead letter."""
        ...

    def retry_letters(self, numbers: Sequence[int] | None, source: str | None, progress: Progress) -> list[Json]:
        """Reports of the runs that try these dead letters again; None for every open one, of the source if named."""
        ...

    def ignore_letters(self, numbers: Sequence[int]) -> int:
        """How many dead letters wait for nobody any more."""
        ...

    def runs(self, source: str | None, limit: int) -> list[Json]:
        """The newest runs."""
        ...

    def run(self, run_id: str) -> Json:
        """One run and where it stands."""
        ...

    def follow(self, run_id: str, progress: Progress) -> Json:
        """The same once it has ended, or is planned and waits to be applied."""
        ...

    def cancel(self, run_id: str) -> Json:
        """The same after its end was asked for."""
        ...

    def quarantined(self, run_id: str) -> list[tuple[str, str, str]]:
        """(place, code, reason) of what a run could not take."""
        ...

    def ledger(self, run_id: str) -> Json:
        """Where everything went that a run read (`lines`), and what was noticed in it (`quality`)."""
        ...

    def create_key(self, order: NewKey) -> Json:
        """The new key with its `secret`, which is never shown again."""
        ...

    def keys(self) -> list[Json]:
        """Every key, without its secret."""
        ...

    def revoke_key(self, key_id: str) -> Json:
        """The key, which opens nothing any more."""
        ...


@contextmanager
def opened(data_dir: str | None) -> Iterator[Installation]:
    """The service that runs on the data folder, or the folder itself where none does."""
    from api.endpoint import find  # noqa: PLC0415 - --help needs none of this
    from core.settings import load_settings  # noqa: PLC0415

    settings = load_settings(data_dir)
    if (endpoint := find(settings.data_dir)) is not None:
        from api.client import Client  # noqa: PLC0415

        with Client(endpoint) as client:
            yield client
    else:
        from api.local import Local  # noqa: PLC0415
        from threadwise.runtime import Threadwise  # noqa: PLC0415

        with Threadwise(settings) as threadwise:
            yield Local(threadwise)


def report_of(run: Json) -> dict[str, Any]:
    """The shape of an ingestion's report, out of a run's, beside the name of its `source`."""
    started, ended = run.get("started_at") or 0, run.get("finished_at") or run.get("started_at") or 0
    whole = {"seconds": round((ended - started) / MICROS, 3)} | dict(run)
    whole["documents"] = {name: run["documents"][name] for name in DOCUMENTS}
    return {name: whole[name] for name in ("source", *REPORT)}


def absolute(path: str) -> str:
    """The whole path: the service has a working directory of its own."""
    return str(Path(path).expanduser().absolute())


def is_settled(run: Json) -> bool:
    """Whether nothing more will become of a run unless somebody asks for it."""
    return run["finished_at"] is not None or run["state"] == "planned"


def planned_well(run: Json) -> Json:
    """The run, which is planned. Raises what `ended_well` raises for one that ended otherwise."""
    if run["state"] != "planned":
        ended_well(run)
    return run


def ended_well(run: Json) -> dict[str, Any]:
    """What a run did. Raises the error that it ended with, or `RunFailedError` if it did not end as it should."""
    if run["error_code"]:
        raise ServiceRefusedError.of({"code": run["error_code"], "detail": run["error"]}, 0)
    if run["state"] == "planned":
        raise RunFailedError(
            f"Run {run['run_id']} is planned and nothing of it is done.",
            hint=f"threadwise runs show {run['run_id']} says how to apply it.",
        )
    if not is_settled(run):
        raise RunFailedError(
            f"Run {run['run_id']} is {run['state']} and waits.",
            hint="A source that is paused waits until it is resumed: threadwise sources shows it.",
        )
    if not str(run["state"]).startswith("succeeded"):
        raise RunFailedError(
            f"Run {run['run_id']} is {run['state']}.", hint="What it committed stays. threadwise runs lists all runs."
        )
    return report_of(run)
