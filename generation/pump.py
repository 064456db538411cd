"""Waiting for something that may take long, without being deaf to a wish to stop meanwhile."""

import queue
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, suppress
from typing import TypeVar

from generation.model import Delta, End

POLL_SECONDS = 0.05
T = TypeVar("T")


def awaited(items: "queue.SimpleQueue[T]", stop: Callable[[], bool]) -> T | None:
    """The next item, or None once `stop` turned true, which is noticed within `POLL_SECONDS`."""
    while not stop():
        with suppress(queue.Empty):
            return items.get(timeout=POLL_SECONDS)
    return None


def pumped(source: Generator[Delta | End], stop: Callable[[], bool]) -> Iterator[Delta | End]:
    """What the source yields, until it ends or `stop` turns true.

    The source runs on a thread of its own, which closes it as soon as it yields something that nobody wants any more.
    What it raises is raised here.
    """
    items: queue.SimpleQueue[Delta | End | BaseException | type[StopIteration]] = queue.SimpleQueue()
    unwanted = threading.Event()

    def run() -> None:
        try:
            with closing(source):
                for item in source:
                    if unwanted.is_set():
                        return
                    items.put(item)
        except Exception as error:  # noqa: BLE001 - raised again by whoever listens
            items.put(error)
        items.put(StopIteration)

    threading.Thread(target=run, name="model-server", daemon=True).start()
    try:
        while isinstance(item := awaited(items, stop), Delta | End):
            yield item
        if isinstance(item, BaseException):
            raise item
    finally:
        unwanted.set()
