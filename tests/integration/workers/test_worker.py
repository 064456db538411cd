"""A real worker behind a real broker: whatever happens to rings, the run gets done, and nothing else does."""

import base64
import json
import os
import pickle
import signal
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from core import clock
from core import tables as t
from core.settings import Settings
from ingest.rescue import Rescuer
from tests.support.doorbell import Doorbell, Service, eventually
from tests.support.installation import PAGES, live_texts, write_pages
from threadwise.opening import SubmitRequest
from threadwise.runtime import Threadwise
from workers.app import QUEUE, RUN
from workers.clock import relay
from workers.duties import Sweeper

CANARY = "canary-9f2c"
PAGE_COUNT = 24
QUICK = {"INGEST__LEASE_SECONDS": 1, "INGEST__WORKERS": 1}

Start = Callable[[], Service]


@pytest.fixture
def doorbell() -> Iterator[Doorbell]:
    bell = Doorbell()
    bell.start()
    yield bell
    bell.close()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Threadwise]:
    with Threadwise(Settings(data_dir=tmp_path / "data")) as threadwise:
        threadwise.database.migrate()
        yield threadwise


@pytest.fixture
def start(house: Threadwise, doorbell: Doorbell) -> Iterator[Start]:
    """Starts workers and returns when they are ready."""
    started: list[Service] = []

    def begin() -> Service:
        started.append(Service("worker", house.settings.data_dir, doorbell.url, **QUICK))
        return started[-1].ready()

    yield begin
    for service in started:
        service.close()


def submit(house: Threadwise, pages: Path) -> str:
    return house.runs.submit(SubmitRequest(source=pages.name, path=str(pages), requested_by="test"))


def ended(house: Threadwise, run_id: str) -> bool:
    return house.runs.standing(run_id).run.state.startswith("succeeded")


def attempts(house: Threadwise, run_id: str) -> int:
    with house.database.read() as session:
        return int(session.execute(select(t.run.c.attempt).where(t.run.c.id == run_id)).scalar_one())


def committed(house: Threadwise, run_id: str) -> int:
    with house.database.read() as session:
        done = select(t.work.c.id).where(t.work.c.run_id == run_id, t.work.c.state == "committed")
        return len(session.execute(done).all())


def pass_on(house: Threadwise, doorbell: Doorbell) -> None:
    relay(house.database, doorbell.bell().ring, clock.now)


def many_pages(folder: Path) -> Path:
    """Enough that a worker is still at it when it is stopped: a few seconds of embedding."""
    text = " ".join(f"Sentence {i} says that everybody has days of leave in the office." for i in range(60))
    return write_pages(folder, {f"page{i}.md": f"# Page {i}\n\nAbout {i}. {text}\n" for i in range(PAGE_COUNT)})


def test_a_ring_gets_its_run_done_and_what_is_no_ring_does_nothing(
    house: Threadwise, doorbell: Doorbell, start: Start, tmp_path: Path
) -> None:
    bell = doorbell.bell()
    bell.ring(uuid.uuid4().hex)
    envelope = json.loads(doorbell.pop(QUEUE))
    worker = start()
    evil = base64.b64encode(pickle.dumps({"args": [CANARY]})).decode()
    pickled = envelope | {"content-type": "application/x-python-serialize", "body": evil}
    stranger = envelope | {"headers": envelope["headers"] | {"task": f"os.{CANARY}"}}
    for garbage in (json.dumps(pickled), json.dumps(stranger)):
        doorbell.client.lpush(QUEUE, garbage)
    for arguments in ([CANARY], [], [uuid.uuid4().hex, CANARY], [7], [uuid.uuid4().hex]):
        bell._app.send_task(RUN, args=arguments, kwargs={}, queue=QUEUE)
    run_id = submit(house, write_pages(tmp_path / "pages", PAGES))
    pass_on(house, doorbell)
    for _ in range(5):
        bell.ring(run_id)
    eventually(lambda: ended(house, run_id))
    eventually(lambda: bell.waiting() == 0)
    assert attempts(house, run_id) == 1
    assert len(live_texts(house)) == len(PAGES)
    assert worker.terminate() < 30
    assert worker.text.count("ring_refused") == 4
    assert CANARY not in worker.text
    assert doorbell.client.llen("unacked") == 0


def test_a_broker_that_dies_or_forgets_loses_no_run(
    house: Threadwise, doorbell: Doorbell, start: Start, tmp_path: Path
) -> None:
    start()
    first = submit(house, write_pages(tmp_path / "first", PAGES))
    bell = doorbell.bell()
    doorbell.kill()
    with pytest.raises(Exception, match="takes no rings"):
        relay(house.database, bell.ring, clock.now)
    doorbell.start()
    assert relay(house.database, bell.ring, clock.now) == 1
    eventually(lambda: ended(house, first))
    second = submit(house, write_pages(tmp_path / "second", PAGES))
    relay(house.database, lambda _run: None, clock.now)  # the broker took the ring and lost it
    doorbell.client.flushall()
    sweeper = Sweeper(lambda: house.database, bell.waiting, clock.now, quiet_seconds=0.5)
    eventually(lambda: sweeper.sweep() == 1)
    relay(house.database, bell.ring, clock.now)
    eventually(lambda: ended(house, second))


@pytest.mark.parametrize("who", ["the worker", "its whole group"])
def test_a_worker_that_is_stopped_gives_its_run_back_and_another_ends_it(
    house: Threadwise, doorbell: Doorbell, start: Start, tmp_path: Path, who: str
) -> None:
    worker = start()
    run_id = submit(house, many_pages(tmp_path / "pages"))
    pass_on(house, doorbell)
    eventually(lambda: committed(house, run_id) > 0)
    if who == "its whole group":
        os.killpg(worker.process.pid, signal.SIGTERM)
    seconds = worker.terminate()
    print(f"stopped in {seconds:.1f} s", worker.text)
    done = committed(house, run_id)
    assert 0 < done < PAGE_COUNT, "the test wants it stopped in the middle"
    assert not ended(house, run_id)
    assert attempts(house, run_id) == 0
    start()
    pass_on(house, doorbell)
    eventually(lambda: ended(house, run_id), seconds=60)
    assert attempts(house, run_id) == 1


def test_a_pool_child_that_is_killed_costs_no_document(
    house: Threadwise, doorbell: Doorbell, start: Start, tmp_path: Path
) -> None:
    worker = start()
    run_id = submit(house, many_pages(tmp_path / "pages"))
    bell = doorbell.bell()
    relay(house.database, bell.ring, clock.now)
    eventually(lambda: committed(house, run_id) > 0)
    for pid in worker.children():
        os.kill(pid, signal.SIGKILL)
    rescuer = Rescuer(house.database, clock.now, QUICK["INGEST__LEASE_SECONDS"], max_attempts=3)

    def done() -> bool:
        rescuer.look()
        relay(house.database, bell.ring, clock.now)
        return ended(house, run_id)

    eventually(done, seconds=60)
    assert attempts(house, run_id) == 1, "of attempts without any progress"
    assert committed(house, run_id) == PAGE_COUNT
