"""The threads that prepare documents. One that is stuck is left behind, and another takes its place."""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from core.catalog.runs import WorkItem
from ingest.prepare import Prepared, Preparer, Watched

GROUP = 64  # documents that may share one transaction
GATHER_SECONDS = 0.25
IDLE_SECONDS = 0.05
FAREWELL_SECONDS = 15.0  # half of what a whole service has to end
ABANDONED = "abandoned lane"
"""The name of a thread that nobody waits for any more."""

Claim = Callable[[], list[WorkItem]]


@dataclass(slots=True)
class Lane:
    """One thread, what it has in hand, and since when (monotonic seconds)."""

    ended: threading.Event = field(default_factory=threading.Event)
    at_hand: tuple[WorkItem, float] | None = None
    claimed: set[int] = field(default_factory=set)  # not handed over yet
    thread: threading.Thread | None = None

    def begin(self, item: WorkItem) -> None:
        """This item is being worked on from now."""
        self.at_hand = (item, time.monotonic())


class Lanes:
    """A fixed number of lanes that claim, prepare and hand over until stopped."""

    def __init__(self, claim: Claim, preparer: Preparer, *, room: int) -> None:
        self._claim = claim
        self._preparer = preparer
        self._stop = threading.Event()
        self._lanes: list[Lane] = []
        self.ready: queue.Queue[Prepared] = queue.Queue(maxsize=room)
        self.crashes: list[Exception] = []

    def start(self, count: int) -> None:
        """Let that many more lanes work."""
        for _ in range(count):
            lane = Lane()
            lane.thread = threading.Thread(target=self._guard, args=(lane,), daemon=True)
            self._lanes.append(lane)
            lane.thread.start()

    def next_group(self, missing: int) -> list[Prepared]:
        """What became ready within `GATHER_SECONDS`, at most `GROUP` documents: one wait for the disk for all."""
        group: list[Prepared] = []
        deadline = time.monotonic() + GATHER_SECONDS
        while len(group) < GROUP and (left := deadline - time.monotonic()) > 0 and not self.crashes:
            try:
                group.append(self.ready.get(timeout=left))
            except queue.Empty:
                break
            # What is tried again is alone in hand: nothing else will come.
            if len(group) >= missing or group[-1].item.attempt > 1:
                break
        return group

    def stuck(self, seconds: float) -> list[tuple[WorkItem, set[int]]]:
        """Leave behind each lane that has been at one item for longer; another one takes its place.

        For each: the item, and the ids of what else the lane had claimed.
        """
        late = time.monotonic() - seconds
        found = []
        for lane in list(self._lanes):
            at_hand = lane.at_hand
            if at_hand is not None and at_hand[1] < late and lane.thread is not None:
                self._lanes.remove(lane)
                lane.ended.set()
                lane.thread.name = ABANDONED
                found.append((at_hand[0], lane.claimed - {at_hand[0].id}))
                self.start(1)
        return found

    def close(self) -> list[Prepared]:
        """Stop, wait a while for what is being prepared, and return what was ready."""
        self._stop.set()
        deadline = time.monotonic() + FAREWELL_SECONDS
        for lane in self._lanes:
            if lane.thread is not None:
                lane.thread.join(max(0.0, deadline - time.monotonic()))
                if lane.thread.is_alive():
                    lane.thread.name = ABANDONED
        return [self.ready.get_nowait() for _ in range(self.ready.qsize())]

    def _guard(self, lane: Lane) -> None:
        try:
            self._work(lane)
        except Exception as error:  # noqa: BLE001 - raised again by the committing thread
            if not lane.ended.is_set():
                self.crashes.append(error)

    def _work(self, lane: Lane) -> None:
        watched = Watched(lane.begin, lambda: self._is_over(lane))
        while not self._is_over(lane):
            items = self._claim()
            lane.claimed = {item.id for item in items}
            if not items:
                self._stop.wait(IDLE_SECONDS)
            self._hand_over(lane, items, watched)
            lane.at_hand = None

    def _hand_over(self, lane: Lane, items: Sequence[WorkItem], watched: Watched) -> None:
        for prepared in self._preparer.prepare(items, watched):
            lane.at_hand = None
            while not self._is_over(lane):
                try:
                    self.ready.put(prepared, timeout=IDLE_SECONDS)
                except queue.Full:
                    continue
                lane.claimed.discard(prepared.item.id)
                break
            if self._is_over(lane):
                return

    def _is_over(self, lane: Lane) -> bool:
        return self._stop.is_set() or lane.ended.is_set()
