"""What the fault tests share: a seed that repeats them, and processes that are cheap to kill."""

import os
import time
from collections.abc import Iterator
from random import Random

import pytest

from tests.support.faults.corpus import Undisturbed, undisturbed
from tests.support.faults.nursery import Nursery


@pytest.fixture
def seed() -> int:
    """Printed, and taken from SEED to repeat a failure."""
    number = int(os.environ.get("SEED") or time.time_ns() % 1_000_000)
    print(f"SEED={number}")
    return number


@pytest.fixture
def draw(seed: int) -> Random:
    """Where every random choice of a test comes from."""
    return Random(seed)


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    """Where processes come from that a test kills."""
    grown = Nursery()
    yield grown
    grown.close()


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """A few small sources, and what becomes of them when nothing happens."""
    return undisturbed(tmp_path_factory.mktemp("corpus"), [f"source{place}" for place in range(4)], 40)
