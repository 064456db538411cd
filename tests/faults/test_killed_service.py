"""`kill -9` for every process of a running service while it works a run: the run ends as if nothing had happened.

The short form uploads a made-up export and kills each process once, the parts of the run at which it does so drawn from
SEED. `FULL=1 make faults` kills each ten times, and uploads the largest public export where `THREADWISE_EVAL_DATA`
names one.
"""

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import select

from api.client import Client
from api.endpoint import find
from api.installation import Ask, Json
from core import clock
from core import tables as t
from core.catalog.overview import Standing
from core.errors import ThreadwiseError
from core.settings import Settings
from ingest.pipeline import IngestReport
from tests.support.doorbell import Doorbell, Service, eventually
from tests.support.installation import PAGES, write_pages
from tests.support.service import PARTS, Part, Start, WholeService, whole_services
from tests.support.slack_export import ExportBuilder
from threadwise.digest import catalogue_digest
from threadwise.opening import SubmitRequest
from threadwise.runtime import Threadwise
from workers.clock import relay

SOURCE = "slack"
TEAM = "T1"
THREADS = 160
WORDS = 14  # of a message: its thread is one chunk
MESSAGES = 3
PRIVATE = "kestrel"  # said in the private channel and nowhere else
FACT = "The coffee machine on the third floor is repaired by Olga every Thursday."
QUESTIONS = ("Who repairs the coffee machine on the third floor?", f"What did they say about the {PRIVATE}?")
EVERY_SECONDS = 0.4
LONGEST_DELAY = 0.2
OPENING_SECONDS = 1.0  # until a worker has opened its installation and planned the run
LONGEST_RUN = 400.0
AWAY = {"service_unavailable", "service_not_ready", "shutting_down"}


@dataclass(frozen=True, slots=True)
class Undisturbed:
    """What an ingestion makes of the same archive when nothing happens to it."""

    archive: Path
    report: IngestReport
    digest: dict[str, str]
    quarantined: list[tuple[str, str, str]]
    states: dict[str, int]


@dataclass(frozen=True, slots=True)
class Asked:
    """One question: when it was asked and answered, and the answer or the code of the refusal."""

    at: float
    until: float
    answer: Json | None = None
    code: str = ""
    retryable: bool = False


@dataclass(slots=True)
class Watched:
    """A run of a service, read from the catalogue, which answers whatever has been killed."""

    threadwise: Threadwise
    run_id: str

    def standing(self) -> Standing:
        return self.threadwise.runs.standing(self.run_id)

    @property
    def is_open(self) -> bool:
        return self.standing().run.is_open

    def share(self) -> float:
        """Of its documents, how many are settled: 0 while it is being planned, 1 once it has ended."""
        standing = self.standing()
        total = standing.progress.total
        return 1.0 if not standing.run.is_open else standing.progress.settled / total if total else 0.0

    def await_share(self, share: float) -> None:
        eventually(lambda: self.share() >= share, LONGEST_RUN)

    def await_end(self) -> None:
        eventually(lambda: not self.is_open, LONGEST_RUN)


@dataclass(frozen=True, slots=True)
class Kill:
    """A part to be killed some seconds after a share of the run is done."""

    part: Part
    share: float
    delay: float


@dataclass(slots=True)
class Kills:
    """What was killed and when."""

    times: list[tuple[float, Part]] = field(default_factory=list)

    def carry_out(self, plan: list[Kill], service: WholeService, run: Watched) -> None:
        """Kill what is there, or wait until it is back; a run that has ended is hit no more."""
        for kill in plan:
            run.await_share(kill.share)
            time.sleep(kill.delay)
            eventually(partial(self._hit, kill.part, service, run), 60)

    def of(self, part: Part) -> list[float]:
        return [at for at, killed in self.times if killed == part]

    def _hit(self, part: Part, service: WholeService, run: Watched) -> bool:
        if not run.is_open:
            return True
        at = time.monotonic()
        if hit := service.kill(part):
            self.times.append((at, part))
        return hit


def planned(draw: Random, rounds: int, last_share: float) -> list[Kill]:
    """Every part once a round, in any order, spread over the run; the first may hit it before it is planned."""
    parts = [part for _ in range(rounds) for part in draw.sample(PARTS, len(PARTS))]
    shares = [(place + draw.uniform(-0.5, 0.5)) * last_share / len(parts) for place in range(len(parts))]
    return [
        Kill(part, share, draw.uniform(0, LONGEST_DELAY if share > 0 else OPENING_SECONDS))
        for part, share in zip(parts, shares, strict=True)
    ]


def asked(client: Client, question: str) -> Asked:
    """The last event of an answer, as somebody of the workspace once it is known."""
    at = time.monotonic()
    try:
        workspace = next((row["workspace"] for row in client.sources() if row["workspace"]), None)
        events = list(client.ask(Ask(question=question, as_principal=workspace)))
    except ThreadwiseError as error:
        return Asked(at, time.monotonic(), code=error.code, retryable=error.retryable)
    return Asked(at, time.monotonic(), answer=events[-1][1])


def is_answered(client: Client, fact: str) -> bool:
    answer = asked(client, QUESTIONS[0]).answer
    return answer is not None and fact in str(answer["text"])


def ask_until(done: threading.Event, service: WholeService) -> list[Asked]:
    """Ask now and then; what is no answer and no error of ours is raised."""
    answers: list[Asked] = []
    with Client(service.endpoint) as client:
        while not done.wait(EVERY_SECONDS):
            answers.append(asked(client, QUESTIONS[len(answers) % len(QUESTIONS)]))
    return answers


@contextmanager
def questions(service: WholeService) -> Iterator[list[Asked]]:
    """Somebody asks inside; afterwards the list holds what became of it."""
    answers: list[Asked] = []
    done = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ask_until, done, service)
        try:
            yield answers
        finally:
            done.set()
        answers += asking.result()


def assert_only_killed_doors_refuse(answers: list[Asked], kills: list[float]) -> None:
    """A door refuses from when it is killed until it is back. Before the first plan there is nothing to ask."""
    last, opened = float("-inf"), False
    for one in answers:
        if one.answer is not None or (one.code == "nothing_ingested" and not opened):
            last, opened = one.at, one.answer is not None
            continue
        assert one.code in AWAY, one
        assert one.retryable, one
        assert any(last <= at <= one.until for at in kills), (one, kills)


def assert_nothing_private(answers: list[Asked]) -> None:
    for one in answers:
        if one.answer is not None:
            quotes = " ".join(str(citation["quote"]) for citation in one.answer["citations"])
            assert PRIVATE not in quotes, one.answer


def words(draw: Random, vocabulary: list[str], count: int) -> str:
    return " ".join(draw.choices(vocabulary, k=count)).capitalize() + "."


def made_up_export(place: Path) -> Path:
    """Threads of invented words in five channels, the last of them private; the same every time."""
    draw = Random(7)
    vocabulary = ["".join(draw.choices("aeioulmnrst", k=draw.randint(3, 8))) for _ in range(2000)]
    builder = ExportBuilder(team=TEAM).user("U1", "Ada").user("U2", "Ben")
    channels = [f"room{number}" for number in range(4)]
    for channel in channels:
        builder.channel(channel.upper(), channel, ["U1", "U2"])
    builder.private("G1", "board", ["U2"])
    for number in range(THREADS):
        channel = [*channels, "board"][number % 5]
        begun = f"{1_700_000_000 + number * 3600}.000100"
        said = FACT if number == 0 else f"{PRIVATE} " * (channel == "board") + words(draw, vocabulary, WORDS)
        builder.say(channel, begun, said, thread_ts=begun)
        for reply in range(1, MESSAGES):
            at = f"{1_700_000_000 + number * 3600 + reply}.000100"
            builder.say(channel, at, words(draw, vocabulary, WORDS), user="U2", thread_ts=begun)
    return builder.zipped(place)


@pytest.fixture(scope="module")
def archive(full_size: bool, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: FBT001 - a fixture
    """What is uploaded."""
    data = os.environ.get("THREADWISE_EVAL_DATA")
    if full_size and data:
        return Path(data) / "slack" / "tenacademy.zip"
    return made_up_export(tmp_path_factory.mktemp("export") / "export.zip")


@pytest.fixture(scope="module")
def undisturbed(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """The same archive, ingested in this process."""
    with Threadwise(Settings(data_dir=tmp_path_factory.mktemp("undisturbed"))) as threadwise:
        report = threadwise.ingest(archive, name=SOURCE, kind="slack-export")
        standing = threadwise.runs.standing(report.run_id)
        assert (standing.run.state, report.quarantined) == ("succeeded", 0)
        print(f"{standing.progress.total} documents, {report.chunks} chunks in {report.seconds:.1f} s undisturbed")
        return Undisturbed(
            archive,
            report,
            catalogue_digest(threadwise),
            threadwise.quarantined(report.run_id),
            dict(standing.progress.states),
        )


@pytest.fixture
def up(full_size: bool) -> Iterator[Start]:  # noqa: FBT001 - a fixture
    """Starts services that notice soon what was killed: slow ones, or such as many kills do not discourage."""
    settings = {"INGEST__LEASE_SECONDS": 1, "QUEUE__SWEEP_SECONDS": 0.5, "LLM__KIND": "none"}
    patient = {"QUEUE__MAX_ATTEMPTS": 100, "INGEST__MAX_ATTEMPTS": 100}
    with whole_services(**settings, **(patient if full_size else {"INGEST__WORKERS": 1})) as start:
        yield start


@contextmanager
def watched(service: WholeService, run_id: str) -> Iterator[Watched]:
    with Threadwise(Settings(data_dir=service.folder)) as threadwise:
        yield Watched(threadwise, run_id)


def assert_as_undisturbed(folder: Path, run_id: str, wanted: Undisturbed) -> None:
    with Threadwise(Settings(data_dir=folder)) as threadwise:
        standing = threadwise.runs.standing(run_id)
        assert (standing.run.state, standing.run.error_code) == ("succeeded", "")
        assert standing.progress.states == wanted.states, "every document is committed, none is quarantined"
        assert threadwise.quarantined(run_id) == wanted.quarantined
        assert standing.buckets == wanted.report.buckets
        assert catalogue_digest(threadwise) == wanted.digest


def assert_stops(service: WholeService) -> None:
    """SIGTERM ends everything and leaves nothing."""
    assert service.terminate() == 0, service.log.read_text()
    eventually(lambda: not service.left(), 2)
    assert not (service.folder / "up.json").exists()


def test_a_run_ends_like_an_undisturbed_one_whichever_process_is_killed(
    up: Start,
    undisturbed: Undisturbed,
    tmp_path: Path,
    draw: Random,
    full_size: bool,  # noqa: FBT001 - a fixture
) -> None:
    rounds = 10 if full_size else 1
    service, kills = up(tmp_path / "data"), Kills()
    begun = time.monotonic()
    run_id = service.upload(undisturbed.archive, SOURCE)
    with watched(service, run_id) as run, questions(service) as answers:
        kills.carry_out(planned(draw, rounds, 0.9 if full_size else 0.5), service, run)
        run.await_end()
        seconds = time.monotonic() - begun
    print(f"run of {seconds:.1f} s, kills {[(part, round(at - begun, 1)) for at, part in kills.times]}")
    codes = [one.code for one in answers if one.answer is None]
    print(f"{len(answers)} questions, refused { {code: codes.count(code) for code in sorted(set(codes))} }")
    assert len(kills.times) == rounds * len(PARTS), "every kill hit the run"
    assert_only_killed_doors_refuse(answers, kills.of("api"))
    assert_nothing_private(answers)
    with Client(service.endpoint) as client:
        eventually(lambda: is_answered(client, "" if full_size else FACT))
    assert_stops(service)
    assert_as_undisturbed(service.folder, run_id, undisturbed)


@pytest.mark.embedded_only("what ties the processes of a service together knows no database")
def test_a_supervisor_that_is_killed_takes_all_along_and_the_next_ends_the_run(
    up: Start, undisturbed: Undisturbed, tmp_path: Path, draw: Random
) -> None:
    service = up(tmp_path / "data")
    run_id = service.upload(undisturbed.archive, SOURCE)
    share = draw.uniform(0.0, 0.4)
    with watched(service, run_id) as run:
        run.await_share(share)
        seconds = service.kill_supervisor()
        print(f"killed at {run.share():.2f} of the run, all gone after {seconds:.1f} s")
        assert run.is_open
        assert find(service.folder) is None, "what is left behind leads nobody to it"
        again = up(service.folder)
        run.await_end()
    assert_stops(again)
    assert_as_undisturbed(service.folder, run_id, undisturbed)


@pytest.mark.embedded_only("what a worker gives back on either database is tested with the workers")
def test_a_service_that_is_stopped_in_the_middle_of_a_run_goes_on_at_the_next_start_at_no_charge(
    up: Start, undisturbed: Undisturbed, tmp_path: Path, draw: Random
) -> None:
    service = up(tmp_path / "data")
    run_id = service.upload(undisturbed.archive, SOURCE)
    share = draw.uniform(0.1, 0.4)
    with watched(service, run_id) as run:
        run.await_share(share)
        assert_stops(service)
        standing = run.standing()
        print(f"stopped at {run.share():.2f} of the run")
        assert (standing.run.is_open, standing.run.attempt) == (True, 0)
        again = up(service.folder)
        run.await_end()
        assert run.standing().run.attempt == 1
        with run.threadwise.database.read() as session:
            assert set(session.execute(select(t.work.c.attempt).where(t.work.c.run_id == run_id)).scalars()) == {1}
    assert_stops(again)
    assert_as_undisturbed(service.folder, run_id, undisturbed)


@pytest.mark.parametrize("event", ["the run ends", "the pool child is killed"])
def test_a_worker_hears_the_next_ring_although_its_broker_was_away_when(event: str, tmp_path: Path) -> None:
    with Threadwise(Settings(data_dir=tmp_path / "data")) as house, closing(Doorbell()) as doorbell:
        house.database.migrate()
        doorbell.start()
        worker = Service("worker", house.settings.data_dir, doorbell.url, INGEST__LEASE_SECONDS=1)
        with closing(worker.ready()):
            first = submitted(house, doorbell, write_pages(tmp_path / "first", PAGES))
            eventually(lambda: house.runs.standing(first).run.attempt == 1)
            doorbell.kill()
            for pid in worker.children() if event == "the pool child is killed" else ():
                os.kill(pid, signal.SIGKILL)
            eventually(lambda: "Couldn't" in worker.text, 90)  # tell the broker what became of the ring
            doorbell.start()
            second = submitted(house, doorbell, write_pages(tmp_path / "second", PAGES))
            eventually(lambda: house.runs.standing(second).run.state == "succeeded", 90)


def submitted(house: Threadwise, doorbell: Doorbell, path: Path) -> str:
    """The id of a run that its worker was rung for."""
    run_id = house.runs.submit(SubmitRequest(source=path.name, path=str(path)))
    relay(house.database, doorbell.bell().ring, clock.now)
    return run_id
