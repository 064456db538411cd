"""What the processes of the fault tests do; the nursery imports this module and forks."""

import itertools
import os
import signal
import threading
import time
from collections import Counter
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Final, NoReturn

from sqlalchemy import Engine, event

from core.catalog.feeds import WordsRow
from core.database import Database
from core.settings import Settings, load_settings
from features import words, words_schema
from tests.support.faults.houses import toy_house
from tests.support.faults.times import JumpingClock
from threadwise.opening import Idempotency, SubmitRequest
from threadwise.runtime import Threadwise
from workers import clock, poller, worker

POLL_SECONDS: Final = 0.05
HANDFUL: Final = 32
"""Rings that are drawn from one look into their folder: with thousands in it a look for each would cost most."""
DEADLY_ROW: Final = 3
FOREVER: Final = 1e9
JUMPED: Final = "the clock has jumped"


def work(run_id: str, pause: float = 0.0, until: float = FOREVER) -> None:
    """One worker, rung once: works a run as far as it goes, or gives it back after some seconds."""
    late = time.monotonic() + until
    with toy_house(load_settings(), pause) as house:
        house.runs.work(run_id, lambda: time.monotonic() > late)


def accept(source: str, path: str, key: str) -> None:
    """Somebody sends a request with a key of its own."""
    with toy_house(load_settings()) as house:
        house.runs.submit(request_with(source, path, key))


def request_with(source: str, path: str, key: str) -> SubmitRequest:
    """A request that may be repeated."""
    return SubmitRequest(source=source, path=path, idempotency=Idempotency(key_id="k1", key=key, body_sha=key))


def poll(pause: float = 0.0) -> None:
    """`python -m workers.poller`: a worker without any broker, which also rescues."""
    vars(poller)["Threadwise"] = _toys(pause)
    vars(poller)["NICENESS"] = 0
    vars(poller)["poll"] = partial(poller.poll, seconds=POLL_SECONDS)
    poller.main()


def poll_by_a_jumping_clock(seed: int, pause: float = 0.0) -> None:
    """The same, in a process whose time of day jumps by hours all the time."""
    JumpingClock(seed, lambda: print(JUMPED, flush=True)).install()
    poll(pause)


def poll_and_die_in_a_commit(number: int, delay: float, pause: float = 0.0) -> None:
    """The same, until so many seconds after the commit of this number has begun."""
    begun = itertools.count(1)

    def die() -> None:
        time.sleep(delay)
        os.kill(os.getpid(), signal.SIGKILL)

    def on_commit(_connection: object) -> None:
        if next(begun) == number:
            threading.Thread(target=die, daemon=True).start()

    event.listen(Engine, "commit", on_commit)
    poll(pause)


def deliver(folder: str, seed: int, threads: int) -> None:
    """Answer the rings that lie in a folder as files, each once, in any order, until the folder is gone."""
    with toy_house(load_settings()) as house:
        answering = [
            threading.Thread(target=_answer, args=(house, Path(folder), Random(seed + place)))
            for place in range(threads)
        ]
        for thread in answering:
            thread.start()
        for thread in answering:
            thread.join()


def _answer(house: Threadwise, folder: Path, draw: Random) -> None:
    while folder.exists():
        lying = _lying(folder)
        for name in draw.sample(lying, min(len(lying), HANDFUL)):
            if _taken(folder / name):
                house.runs.work(name.partition(".")[0], lambda: False)
        if not lying:
            time.sleep(POLL_SECONDS)


def _lying(folder: Path) -> list[str]:
    with suppress(FileNotFoundError):  # the folder is gone
        return os.listdir(folder)  # noqa: PTH208 - of thousands only names are wanted
    return []


def _taken(ring: Path) -> bool:
    with suppress(FileNotFoundError):  # somebody was faster
        ring.unlink()
        return True
    return False


def answer_rings(pause: float = 0.0) -> None:
    """`python -m workers.worker`: a Celery worker with its pool."""
    vars(worker)["Threadwise"] = _toys(pause)
    vars(worker)["NICENESS"] = 0
    worker.main()


def keep_time() -> None:
    """`python -m workers.clock`."""
    clock.main()


def feed_words(url: str, folder: str, generation: int, point: str) -> None:
    """Feed the lexical index; die while it is written, after Tantivy's commit, or (no point) not by oneself."""

    def die(*_: object) -> NoReturn:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError

    usual, seen = words_schema.document, Counter[str]()

    def dying_document(row: WordsRow) -> Any:  # noqa: ANN401 - Tantivy's own object
        seen["rows"] += 1
        return die() if seen["rows"] == DEADLY_ROW else usual(row)

    if point == "writing":
        vars(words_schema)["document"] = dying_document
    elif point:
        vars(words)["write_whole"] = die
    words.WordIndex(Path(folder), generation).feed(Database(url))


def _toys(pause: float) -> Any:  # noqa: ANN401 - stands for the class
    def opened(settings: Settings) -> Threadwise:
        return toy_house(settings, pause)

    return opened
