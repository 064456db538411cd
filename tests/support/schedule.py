"""Which process runs what where a test run has several (`pytest -n 2`).

The tests of a file in one mode are one piece of work: what they share is made once. A process stays with the mode it
began with, so that PostgreSQL is started by one of them, and helps with the other mode only when nothing else is left.
"""

import re
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Final

import pytest
from xdist.scheduler import LoadScopeScheduling

from core.settings import EmbeddingSettings
from features.minilm import prepare
from tests.support.databases import MODES

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.workermanage import WorkerController

_BETWEEN_PARAMETERS: Final = re.compile(r"[\[\]-]")


def work_of(nodeid: str) -> str:
    """The piece of work that a test belongs to: its file, followed by its mode where it has one."""
    file, _, name = nodeid.partition("::")
    words = _BETWEEN_PARAMETERS.split(name)[1:]
    return "::".join([file, *(mode for mode in MODES if mode in words)])


def next_work(waiting: Collection[str], own: str, others: Collection[str]) -> str:
    """The next of some pieces of work, in their order, for a process of the mode `own`, empty while it has none.

    First what is of its own mode, then of one that no other process has, then of no mode, then whatever waits.
    """
    wanted: tuple[Callable[[str], bool], ...] = (
        lambda mode: bool(mode) and mode == own,
        lambda mode: bool(mode) and not own and mode not in others,
        lambda mode: not mode,
        lambda _mode: True,
    )
    return next(work for is_wanted in wanted for work in waiting if is_wanted(_mode_of(work)))


def _mode_of(work: str) -> str:
    return work.partition("::")[2]


class Schedule(LoadScopeScheduling):  # type: ignore[misc] # what it derives from has no annotations
    """Hands out pieces of work, the next when the last one has nearly ended."""

    def __init__(self, config: pytest.Config, log: "Producer") -> None:
        super().__init__(config, log)
        self._modes: dict[WorkerController, str] = {}

    def _split_scope(self, nodeid: str) -> str:
        return work_of(nodeid)

    def _assign_work_unit(self, node: "WorkerController") -> None:
        others = [mode for other, mode in self._modes.items() if other is not node]
        work = next_work(self.workqueue, self._modes.get(node, ""), others)
        self._modes[node] = _mode_of(work) or self._modes.get(node, "")
        self.workqueue.move_to_end(work, last=False)
        super()._assign_work_unit(node)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: "Producer") -> Schedule:
    """Pieces in the order of collection, in which the long ones come before the unit tests."""
    config.option.loadscopereorder = False
    return Schedule(config, log)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes() -> None:
    """Make the embedding model before several processes find at once that there is none."""
    prepare(EmbeddingSettings().cache_dir)
