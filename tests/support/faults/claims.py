"""A dictionary that does what the catalogue's claims, commits and rescues are to do: the model of a state machine."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

MAX_ATTEMPTS: Final = 3
OPEN: Final = ("queued", "planning", "running")


@dataclass(slots=True)
class Item:
    """The work of one document."""

    number: int
    state: str = "pending"
    attempt: int = 0
    token: str = ""

    def free(self, state: str = "pending") -> None:
        """Nobody has it in hand any more."""
        self.state, self.token = state, ""


@dataclass(slots=True)
class Run:
    """One run; `items` by external id."""

    source: str
    state: str = "queued"
    attempt: int = 0
    token: str = ""
    beat: int = 0
    cancel: bool = False
    items: dict[str, Item] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        """Whether it has not ended."""
        return self.state in OPEN

    def in_state(self, *states: str) -> list[Item]:
        """Its items in these states."""
        return [item for item in self.items.values() if item.state in states]

    def end(self, state: str, items: str = "") -> None:
        """It ends, and so do its open items."""
        self.state, self.token = state, ""
        for item in self.in_state("pending", "running") if items else ():
            item.free(items)

    def free(self, *, refund: bool) -> None:
        """Its holder gives it back with all that is in hand."""
        self.attempt -= refund
        self.token = ""
        self.state = "queued" if self.state == "planning" else self.state


@dataclass(slots=True)
class Model:
    """What is known about every run, source and document."""

    runs: dict[str, Run] = field(default_factory=dict)
    paused: set[str] = field(default_factory=set)
    served: dict[str, int] = field(default_factory=dict)
    live: dict[tuple[str, str], str] = field(default_factory=dict)  # (source, external id): the run that brought it
    buried: set[tuple[str, str]] = field(default_factory=set)
    turns: int = 0

    def is_free(self, run_id: str) -> bool:
        """Whether a worker may take it."""
        run = self.runs[run_id]
        held = any(other.source == run.source and other.token and other.is_open for other in self.runs.values())
        return run.is_open and not held and run.source not in self.paused

    def next_free(self) -> str | None:
        """The oldest run of the source that was served the longest time ago, or, among such, the older run."""
        ages = {run_id: age for age, run_id in enumerate(self.runs)}
        free = [run_id for run_id in self.runs if self.is_free(run_id)]
        return min(free, key=lambda one: (self.served.get(self.runs[one].source, 0), ages[one]), default=None)

    def claim(self, run_id: str, token: str) -> None:
        """A worker takes it."""
        run = self.runs[run_id]
        run.token, run.attempt, run.beat = token, run.attempt + 1, run.beat + 1
        run.state = "planning" if run.state == "queued" else run.state
        self.turns += 1
        self.served[run.source] = self.turns

    def holds(self, run_id: str, token: str) -> bool:
        """Whether what was found out under this token may be written."""
        return self.runs[run_id].is_open and self.runs[run_id].token == token

    def plan(self, run_id: str, numbers: Mapping[str, int]) -> None:
        """It has work; what its source had still open is superseded."""
        mine = self.runs[run_id]
        for run in self.runs.values():
            if run is not mine and run.source == mine.source and run.state in ("planning", "running"):
                run.end("superseded", "superseded")
        mine.state = "running"
        mine.items = {name: Item(number) for name, number in numbers.items()}

    def chosen(self, run_id: str, limit: int) -> set[str]:
        """Untried items, or when there are none left one that was tried, beside nothing else."""
        items = self.runs[run_id].items
        in_hand = [item for item in items.values() if item.state == "running"]
        if any(item.attempt > 1 for item in in_hand):
            return set()
        pending = {name: item for name, item in items.items() if item.state == "pending"}
        by_age = sorted(pending, key=lambda name: (pending[name].attempt, pending[name].number))
        fresh = [name for name in by_age if pending[name].attempt == 0]
        return set(fresh[:limit] or ([] if in_hand else by_age[:1]))

    def take(self, run_id: str, names: Collection[str], token: str) -> None:
        """A lane has these in hand now."""
        for name in names:
            item = self.runs[run_id].items[name]
            item.state, item.attempt, item.token = "running", item.attempt + 1, token

    def rescue(self, run_id: str) -> None:
        """Its holder is given up."""
        run = self.runs[run_id]
        for item in run.in_state("running"):
            item.free("quarantined" if item.attempt >= MAX_ATTEMPTS else "pending")
        run.free(refund=False)

    def release(self, run_id: str, token: str, *, refund: bool) -> None:
        """Its holder gives it back; what was in hand was not tried."""
        for item in self.runs[run_id].items.values():
            if item.state == "running" and item.token == token:
                item.free()
                item.attempt -= 1
        self.runs[run_id].free(refund=refund)

    def settle(self, run_id: str, name: str, *, failed: bool) -> None:
        """An item whose claim holds is written, or has failed."""
        run = self.runs[run_id]
        item, key = run.items[name], (run.source, name)
        if key in self.buried:
            item.free("cancelled")
        elif failed:
            item.free("quarantined" if item.attempt >= MAX_ATTEMPTS else "pending")
        else:
            item.free("committed")
            self.live[key] = run_id
        if item.state != "pending":
            run.attempt = min(run.attempt, 1)

    def bury(self, source: str, name: str) -> None:
        """A document is deleted for good."""
        self.buried.add((source, name))
        self.live.pop((source, name), None)
        for run in self.runs.values():
            if run.source == source and name in run.items and run.items[name].state in ("pending", "running"):
                run.items[name].free("cancelled")
