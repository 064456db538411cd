"""A live workspace, its clock, and the folder that it is read into."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.slack_pulled import Clock, populate
from tests.support.slack_server import SlackServer


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def slack(clock: Clock) -> Iterator[SlackServer]:
    with SlackServer(clock=clock) as server:
        populate(server, clock)
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "acme"
