"""Building a generation beside the one that readers see, letting them see it, going back, clearing away."""

import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import structlog

from core.blobs import BlobStore
from core.catalog import builds, clearing, sequence
from core.catalog import generations as catalog
from core.catalog.builds import Account
from core.catalog.generations import LITTER, Generation, GenerationNotFoundError
from core.clock import Clock
from core.crashpoints import crashpoint
from core.database import Database, Session
from core.errors import ThreadwiseError
from core.settings import IngestSettings
from features.engine_pair import engine_folder
from ingest.building import Builder, GenerationBusyError
from ingest.recipe import Recipe
from ingest.work import Report
from threadwise.gate import Gate
from threadwise.recipes import Recipes

TRIES = 5  # to find a moment at which nothing is owed
DELETED_AT_ONCE = 2_000  # rows of a kind in one transaction

Stop = Callable[[], bool]
log = structlog.get_logger(__name__)


class GateRefusedError(ThreadwiseError):
    """A generation is not what it should be; readers go on seeing the one they see."""

    code = "gate_refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRow:
    """A generation in a list, with its account."""

    generation: Generation
    account: Account
    is_live: bool

    def as_json(self) -> dict[str, object]:
        """The shape that tools rely on."""
        one, account = self.generation, self.account
        names = ("id", "state", "pipeline", "space_id", "created_at", "settled_at", "error")
        return {name: getattr(one, name) for name in names} | {
            "live": self.is_live,
            "recipe": one.recipe,
            "missing": account.missing,
            **asdict(account),
        }


class Generations:
    """The generations of one catalogue."""

    def __init__(
        self,
        database: Database,
        blobs: BlobStore,
        recipes: Recipes,
        gate: Gate,
        *,
        data_dir: Path,
        settings: IngestSettings,
        grace_seconds: float,
        clock: Clock,
    ) -> None:
        self.database = database
        self.recipes = recipes
        self.gate = gate
        self.data_dir = data_dir
        self.grace_seconds = grace_seconds
        self.clock = clock
        self.builder = Builder(database, blobs, settings=settings, clock=clock)

    def listed(self) -> list[GenerationRow]:
        """Every generation in the order in which they were begun."""
        with self.database.read() as session:
            live = catalog.live_id(session)
            return [
                GenerationRow(generation=one, account=builds.account(session, one.id), is_live=one.id == live)
                for one in catalog.listed(session)
            ]

    def row(self, number: int) -> GenerationRow:
        """One generation. Raises `GenerationNotFoundError`."""
        with self.database.read() as session:
            one = catalog.find(session, number)
            live = catalog.live_id(session)
            return GenerationRow(generation=one, account=builds.account(session, number), is_live=number == live)

    def build(self, *, stop: Stop, report: Report, anew: bool = False) -> GenerationRow:
        """Make every live document by the present settings, beside what readers see; at the end it is ready.

        It goes on with what was begun by the same settings, unless `anew`; what was begun by others is cancelled.
        Raises `GateRefusedError` when it is not what it should be (then it has failed), `GenerationBusyError`,
        `RunStoppedError` when `stop` turned true.
        """
        recipe = self.recipes.present()
        number = self._begun(recipe, anew=anew)
        generation = self.row(number).generation
        for _ in range(TRIES):
            if _is_owed_nothing(self.builder.work_off(generation, recipe, stop=stop, report=report)):
                self._judge(generation, self.gate.reasons(generation, recipe))
                return self.row(number)
        raise _busy(number)

    def reasons(self, number: int | None = None) -> list[str]:
        """What stands in the way of a generation, by default of the one that waits; nothing is written."""
        generation = self._waiting() if number is None else self.row(number).generation
        account = self.builder.account(generation.id)
        owed = account.pending + account.missing
        open_ones = [f"{owed} documents are still owed."] if owed and not self.row(generation.id).is_live else []
        return open_ones + self.gate.reasons(generation, self.recipes.of(generation))

    def activate(self, number: int | None = None, *, stop: Stop, report: Report) -> GenerationRow:
        """Let readers see a generation that is ready, by default the one that waits, once it passes the gate again.

        Raises `GateRefusedError`, `GenerationNotFoundError`, `GenerationBusyError`, `RunStoppedError`.
        """
        generation = self._waiting() if number is None else self.row(number).generation
        if generation.state not in ("ready", "retired"):
            raise GenerationNotFoundError(
                f"Generation {generation.id} is {generation.state}, not ready.",
                hint="Run: threadwise generations build",
            )
        return self._go_live(generation, stop=stop, report=report, gate=True)

    def rollback(self, *, stop: Stop, report: Report) -> GenerationRow:
        """Let readers see the generation again that they saw before; what changed since is made up for first.

        Raises `GenerationNotFoundError` when there is none, `GenerationBusyError`, `RunStoppedError`.
        """
        with self.database.read() as session:
            generation = catalog.newest_retired(session)
        if generation is None:
            raise GenerationNotFoundError(
                "There is no generation to go back to.", hint="See threadwise generations list"
            )
        return self._go_live(generation, stop=stop, report=report, gate=False)

    def retry(self, number: int | None = None, *, stop: Stop, report: Report) -> GenerationRow:
        """Try again what a generation that stands goes without, by default the one that waits; the live one too.

        Raises `GenerationBusyError`, `RunStoppedError`.
        """
        generation = self._waiting() if number is None else self.row(number).generation
        with self.database.write() as session:
            builds.retry(session, generation.id)
        self.builder.work_off(generation, self.recipes.of(generation), stop=stop, report=report)
        return self.row(generation.id)

    def cancel(self, number: int | None = None) -> GenerationRow:
        """Give up a generation that no reader has seen. Raises `GenerationNotFoundError` for any other."""
        generation = self._waiting() if number is None else self.row(number).generation
        with self.database.write() as session:
            sequence.lock(session)
            if not catalog.settle(session, generation.id, before=catalog.UNSEEN, after="cancelled"):
                raise GenerationNotFoundError(f"Generation {generation.id} is {generation.state}: it stays.")
        return self.row(generation.id)

    def collect(self, *, everything: bool = False) -> list[int]:
        """Delete what nobody can need any more, and return the numbers of those generations.

        The newest retired one stays for a rollback unless `everything`. Killed and called again, it goes on.
        """
        with self.database.write() as session:
            sequence.lock(session)
            found = catalog.collectable(session, grace_seconds=self.grace_seconds, also_newest=everything)
            for one in found:
                catalog.settle(session, one.id, before=LITTER, after="deleted", error=one.error)
            gone = [one for one in catalog.listed(session) if one.state == "deleted"]
        for one in found:
            while self._delete_some(one.id):
                crashpoint("collect.batch")
        for one in gone:
            shutil.rmtree(engine_folder(self.data_dir, one.id, one.created_at), ignore_errors=True)
        return [one.id for one in found]

    def _delete_some(self, number: int) -> int:
        with self.database.write() as session:
            sequence.lock(session)
            return clearing.delete_some(session, number, DELETED_AT_ONCE)

    def _begun(self, recipe: Recipe, *, anew: bool) -> int:
        with self.database.write() as session:
            sequence.lock(session)
            if catalog.live_id(session) is None:
                raise GenerationNotFoundError("Nothing has been ingested yet.", hint="Run: threadwise ingest PATH")
            begun = catalog.unseen(session)
            if begun is not None:
                if not anew and (begun.pipeline, begun.space_id) == (recipe.pipeline, recipe.space.id):
                    return begun.id
                catalog.settle(session, begun.id, before=catalog.UNSEEN, after="cancelled", error="Another was begun.")
            return catalog.start(
                session, pipeline=recipe.pipeline, space=recipe.space, recipe=recipe.stored, now=self.clock()
            )

    def _judge(self, generation: Generation, reasons: list[str]) -> None:
        """Note what the gate said of a generation that was just built, and raise it."""
        text = " ".join(reasons)
        with self.database.write() as session:
            if generation.state == "building":
                after: catalog.State = "failed" if reasons else "ready"
                catalog.settle(session, generation.id, before=("building",), after=after, error=text)
            else:
                catalog.explain(session, generation.id, text)
        if reasons:
            raise _refused(generation, reasons)

    def _go_live(self, generation: Generation, *, stop: Stop, report: Report, gate: bool) -> GenerationRow:
        recipe = self.recipes.of(generation)
        for _ in range(TRIES):
            if not _is_owed_nothing(self.builder.work_off(generation, recipe, stop=stop, report=report)):
                continue
            if gate:
                self._judge(generation, self.gate.reasons(generation, recipe))
            self.gate.feed(generation)
            crashpoint("swap.before")
            with self.database.write() as session:
                swapped = self._swap(session, generation, gate=gate)
            crashpoint("swap.after")
            if swapped:
                log.info("generation_live", generation=generation.id)
                return self.row(generation.id)
        raise _busy(generation.id)

    def _swap(self, session: Session, generation: Generation, *, gate: bool) -> bool:
        """The end of the gate and the swap; False when something was committed since the gate looked."""
        sequence.lock(session)
        account = builds.account(session, generation.id)
        if not _is_owed_nothing(account):
            return False
        if gate and (reasons := self.gate.of_account(account)):
            raise _refused(generation, reasons)
        if not catalog.swap(session, generation.id):
            raise GenerationNotFoundError(f"Generation {generation.id} may not be taken any more.")
        return True

    def _waiting(self) -> Generation:
        with self.database.read() as session:
            found = catalog.unseen(session)
        if found is None:
            raise GenerationNotFoundError("No generation waits.", hint="Run: threadwise generations build")
        return found


def _is_owed_nothing(account: Account) -> bool:
    return not account.pending and not account.missing


def _refused(generation: Generation, reasons: list[str]) -> GateRefusedError:
    return GateRefusedError(
        f"Generation {generation.id} may not be seen: {' '.join(reasons)}",
        hint="Readers see what they saw. Try again with: threadwise generations build",
    )


def _busy(number: int) -> GenerationBusyError:
    return GenerationBusyError(f"Documents change faster than generation {number} follows.", hint="Try again later.")
