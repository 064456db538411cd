"""The command line's half of the REST service: the `threadwise up` of this machine as an installation."""

import time
from collections.abc import Callable, Generator, Sequence
from typing import Any, Self

import httpx

from api.connection import Connection, part
from api.endpoint import Endpoint
from api.errors import DEPENDENCY_DOWN, InterruptionError, exit_code
from api.installation import Ask, Ingest, Json, Letters, NewKey, Order, Search, absolute, ended_well, planned_well
from api.progress import Progress
from core.errors import ThreadwiseError

PATIENCE = (0.2, 0.5, 1.0, 2.0, 4.0)
"""Seconds before each new try to follow a run: a door that died is back within them."""


class Client:
    """An installation through its running service. Close it, or use it as a context manager."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.connection = Connection(endpoint, transport=transport, sleep=sleep)

    def search(self, order: Search) -> Json:
        """Ranked passages."""
        return self.connection.object("POST", "/v1/search", _body(order))

    def ask(self, order: Ask) -> Generator[tuple[str, Json], None, None]:
        """Typed events as they come; the last is `done`."""
        body = _body(order) | {"stream": True}
        for name, data in self.connection.events("POST", "/v1/ask", body):
            yield name, data
            if name == "done":
                return
        raise self.connection.broke_off()

    def ingest(self, order: Ingest, progress: Progress) -> Json:
        """Submit a path and follow its run to the end."""
        return ended_well(self.follow(self._submit(_ingest(order)), progress))

    def plan(self, order: Ingest, progress: Progress) -> Json:
        """Have a path compared with the catalogue and nothing done about it."""
        run = self.follow(self._submit(_ingest(order) | {"plan": True}), progress)
        return self.plan_of(planned_well(run)["run_id"])

    def plan_of(self, run_id: str) -> Json:
        """What a planned run would do."""
        return self.connection.object("GET", f"/v1/runs/{part(run_id)}/plan")

    def apply(self, plan_hash: str, progress: Progress) -> Json:
        """Do exactly what a plan says, and follow the run to the end."""
        started = self.connection.object("POST", f"/v1/plans/{part(plan_hash)}/apply")
        return ended_well(self.follow(str(started["run_id"]), progress))

    def again(self, source: str, document: str | None, progress: Progress) -> Json:
        """Submit a known source, or one of its documents, and follow the run to the end."""
        fields = {"source": source} | ({} if document is None else {"document": document})
        return ended_well(self.follow(self._submit(fields), progress))

    def sources(self) -> list[Json]:
        """Every source."""
        return self.connection.rows("/v1/sources", "sources")

    def schedule(self, source: str, minutes: int) -> Json:
        """Read a source every so many minutes."""
        return self.connection.object("PATCH", f"/v1/sources/{part(source)}", {"every_minutes": minutes})

    def pause(self, source: str) -> Json:
        """Take no run of a source any more."""
        return self.connection.object("POST", f"/v1/sources/{part(source)}/pause")

    def resume(self, source: str) -> Json:
        """Take its runs again."""
        return self.connection.object("POST", f"/v1/sources/{part(source)}/resume")

    def letters(self, wanted: Letters) -> list[Json]:
        """Dead letters."""
        fields = {name: str(value) for name, value in wanted.as_json().items()}
        return self.connection.rows("/v1/dead-letters", "dead_letters", fields)

    def letter(self, number: int) -> Json:
        """One dead letter."""
        return self.connection.object("GET", f"/v1/dead-letters/{number}")

    def retry_letters(self, numbers: Sequence[int] | None, source: str | None, progress: Progress) -> list[Json]:
        """Queue runs for dead letters and follow each to the end."""
        every: dict[str, Any] = {"all": True} if source is None else {"source": source}
        body = every if numbers is None else {"ids": list(numbers)}
        queued = self.connection.object("POST", "/v1/dead-letters/retry", body)
        return [ended_well(self.follow(str(run_id), progress)) for run_id in queued["run_ids"]]

    def ignore_letters(self, numbers: Sequence[int]) -> int:
        """Do without what these dead letters name."""
        return int(self.connection.object("POST", "/v1/dead-letters/ignore", {"ids": list(numbers)})["ignored"])

    def runs(self, source: str | None, limit: int) -> list[Json]:
        """The newest runs."""
        wanted = {"limit": str(limit)} | ({} if source is None else {"source": source})
        return self.connection.rows("/v1/runs", "runs", wanted)

    def run(self, run_id: str) -> Json:
        """One run and where it stands."""
        return self.connection.object("GET", f"/v1/runs/{part(run_id)}")

    def follow(self, run_id: str, progress: Progress) -> Json:
        """Show the run's progress until it has ended; a service that was restarted meanwhile is asked again."""
        waits, connection = list(PATIENCE), self.connection
        while True:
            try:
                self._watch(run_id, progress)
                return self.run(run_id)
            except KeyboardInterrupt as stopped:
                raise InterruptionError(
                    f"Run {run_id} goes on.",
                    hint=f"threadwise runs watch {run_id} follows it, threadwise runs cancel {run_id} ends it.",
                ) from stopped
            except ThreadwiseError as error:
                if exit_code(error) != DEPENDENCY_DOWN or not waits or not connection.endpoint.is_alive:
                    raise
                connection.sleep(waits.pop(0))

    def cancel(self, run_id: str) -> Json:
        """Ask for the end of a run."""
        self.connection.object("POST", f"/v1/runs/{part(run_id)}/cancel")
        return self.run(run_id)

    def quarantined(self, run_id: str) -> list[tuple[str, str, str]]:
        """(place, code, reason) of what a run could not take."""
        rows = self.connection.rows(f"/v1/runs/{part(run_id)}/quarantine", "quarantined")
        return [(str(row["place"]), str(row["code"]), str(row["reason"])) for row in rows]

    def ledger(self, run_id: str) -> Json:
        """Where everything went that a run read, and what was noticed in it."""
        return self.connection.object("GET", f"/v1/runs/{part(run_id)}/ledger")

    def create_key(self, order: NewKey) -> Json:
        """The new key with its secret."""
        return self.connection.object("POST", "/v1/keys", order.as_json())

    def keys(self) -> list[Json]:
        """Every key."""
        return self.connection.rows("/v1/keys", "keys")

    def revoke_key(self, key_id: str) -> Json:
        """End a key."""
        return self.connection.object("DELETE", f"/v1/keys/{part(key_id)}")

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _submit(self, fields: Json) -> str:
        return str(self.connection.object("POST", "/v1/runs", fields)["run_id"])

    def _watch(self, run_id: str, progress: Progress) -> None:
        for name, data in self.connection.events("GET", f"/v1/runs/{part(run_id)}/events"):
            if name == "done":
                return
            if name == "progress":
                progress(data)
        raise self.connection.broke_off()


def _ingest(order: Ingest) -> dict[str, Any]:
    fields = _body(order)
    reading: dict[str, Any] = fields.pop("reading")
    return fields | reading | {"path": absolute(order.path)}


def _body(order: Order) -> dict[str, Any]:
    """An order as the service reads it: `as` is a word that Python keeps for itself."""
    fields = order.as_json()
    if "as_principal" in fields:
        fields["as"] = fields.pop("as_principal")
    return fields
