"""An installation opened in this process, for commands where no service runs."""

import time
from collections.abc import Generator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from api.installation import Ask, Ingest, Json, Letters, NewKey, Search, ended_well, is_settled, planned_well
from api.options import text
from api.output import tell
from api.progress import Progress, counted
from core.catalog.keys import Key
from generation.answers import AskRequest
from retrieval.query import Query
from threadwise.opening import SubmitRequest
from threadwise.runtime import Threadwise

POLL_SECONDS = 0.5
WHO = "command line"


class Local:
    """Asks the composition root itself."""

    def __init__(self, threadwise: Threadwise) -> None:
        self.threadwise = threadwise

    def search(self, order: Search) -> Json:
        """Ranked passages."""
        fields = order.as_json()
        reader = self.threadwise.reader(fields.pop("as_principal", None))
        return self.threadwise.search(Query(text=fields.pop("question"), reader=reader, **fields)).as_json()

    def ask(self, order: Ask) -> Generator[tuple[str, Json], None, None]:
        """Typed events as they come; the last is `done`."""
        fields = order.as_json()
        reader = self.threadwise.reader(fields.pop("as_principal", None))
        for event in self.threadwise.ask(AskRequest(reader=reader, **fields)):
            yield event.name, event.as_json()

    def ingest(self, order: Ingest, progress: Progress) -> Json:
        """Ingest here and now."""
        name = self._name_of(order)
        report = self.threadwise.ingest(
            Path(order.path),
            name=name,
            kind=order.kind,
            audience=order.audience,
            options=order.reading,
            allow_empty=order.allow_empty,
            report=counted(progress),
        )
        if self.threadwise.recipes.is_outdated():
            tell("The settings cut or embed in another way than what readers see: threadwise generations build")
        return {"source": name} | report.as_json()

    def plan(self, order: Ingest, progress: Progress) -> Json:
        """Plan here and now."""
        queue, name = self.threadwise.runs, self._name_of(order)
        wanted = SubmitRequest(
            source=name,
            path=order.path,
            kind=order.kind,
            audience=order.audience,
            options=order.reading,
            allow_empty=order.allow_empty,
            requested_by=WHO,
            plan_only=True,
        )
        return self.plan_of(planned_well(self._worked(queue.submit(wanted), progress))["run_id"])

    def plan_of(self, run_id: str) -> Json:
        """What a planned run would do."""
        return self.threadwise.runs.plan(run_id)

    def apply(self, plan_hash: str, progress: Progress) -> Json:
        """Do what a plan says, here and now."""
        return ended_well(self._worked(self.threadwise.runs.apply(plan_hash), progress))

    def again(self, source: str, document: str | None, progress: Progress) -> Json:
        """Queue a run and work it here."""
        queue = self.threadwise.runs
        run_id = queue.submit(SubmitRequest(source=source, document=document, requested_by=WHO))
        return ended_well(self._worked(run_id, progress))

    def sources(self) -> list[Json]:
        """Every source."""
        return [row.as_json() for row in self.threadwise.runs.sources()]

    def schedule(self, source: str, minutes: int) -> Json:
        """Read a source every so many minutes, once a service runs."""
        self.threadwise.runs.schedule(source, minutes)
        return self._source(source)

    def pause(self, source: str) -> Json:
        """Take no run of a source any more."""
        self.threadwise.runs.pause(source)
        return self._source(source)

    def resume(self, source: str) -> Json:
        """Take its runs again."""
        self.threadwise.runs.resume(source)
        return self._source(source)

    def letters(self, wanted: Letters) -> list[Json]:
        """Dead letters."""
        return [letter.as_json() for letter in self.threadwise.runs.letters(**wanted.as_json())]

    def letter(self, number: int) -> Json:
        """One dead letter."""
        return self.threadwise.runs.letter(number).as_json()

    def retry_letters(self, numbers: Sequence[int] | None, source: str | None, progress: Progress) -> list[Json]:
        """Queue runs for dead letters and work them here."""
        queued = self.threadwise.runs.retry_letters(numbers, source, WHO)
        return [ended_well(self._worked(run_id, progress)) for run_id in queued]

    def ignore_letters(self, numbers: Sequence[int]) -> int:
        """Do without what these dead letters name."""
        return self.threadwise.runs.ignore_letters(numbers)

    def runs(self, source: str | None, limit: int) -> list[Json]:
        """The newest runs."""
        return [row.as_json() for row in self.threadwise.runs.latest(source=source, limit=limit)]

    def run(self, run_id: str) -> Json:
        """One run and where it stands."""
        return self.threadwise.runs.standing(run_id).as_json()

    def follow(self, run_id: str, progress: Progress) -> Json:
        """Look at the run until it has ended: some other process works it."""
        run = self.run(run_id)
        if run["state"] == "queued":
            tell("It waits for a worker: `threadwise up` starts one.")
        while not is_settled(run):
            progress(run)
            time.sleep(POLL_SECONDS)
            run = self.run(run_id)
        return run

    def cancel(self, run_id: str) -> Json:
        """Ask for the end of a run."""
        self.threadwise.runs.cancel(run_id)
        return self.run(run_id)

    def quarantined(self, run_id: str) -> list[tuple[str, str, str]]:
        """(place, code, reason) of what a run could not take."""
        return self.threadwise.runs.quarantined(run_id)

    def ledger(self, run_id: str) -> Json:
        """Where everything went that a run read, and what was noticed in it."""
        return self.threadwise.runs.ledger(run_id)

    def create_key(self, order: NewKey) -> Json:
        """The new key with its secret."""
        key, secret = self.threadwise.keyring.create(**order.as_json())
        return _shown(key) | {"secret": secret}

    def keys(self) -> list[Json]:
        """Every key."""
        return [_shown(key) for key in self.threadwise.keyring.every()]

    def revoke_key(self, key_id: str) -> Json:
        """End a key."""
        self.threadwise.keyring.revoke(key_id)
        return next(key for key in self.keys() if key["id"] == key_id)

    def _name_of(self, order: Ingest) -> str:
        return order.source or text(self.threadwise.free_name(Path(order.path)))

    def _source(self, name: str) -> Json:
        return next(row for row in self.sources() if row["name"] == name)

    def _worked(self, run_id: str, progress: Progress) -> Json:
        """The run after this process has worked it as far as it goes."""
        self.threadwise.runs.work(run_id, lambda: False, counted(progress))
        return self.run(run_id)


def _shown(key: Key) -> dict[str, Any]:
    return asdict(key)
