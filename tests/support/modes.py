"""Tests of whole parts run twice, in the embedded mode and in the server mode (tests/support/databases.py).

These are all of the places below, and others that ask for the fixture `run_mode`. Two marks say otherwise:
`no_database` and `embedded_only("reason")`.
"""

from collections.abc import Generator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from tests.support import databases
from tests.support.databases import MODES, Mode

if TYPE_CHECKING:
    from _pytest.fixtures import SubRequest  # pytest has no public name for it

PLACES = (
    "integration",
    "faults",
    "e2e",
    "contract/test_online_store.py",
    "unit/features/test_engines.py",
    "unit/features/test_vectors.py",
    "unit/features/test_words.py",
)
IN_BOTH_MODES = tuple(Path(__file__).parents[1] / name for name in PLACES)
RUNNING = pytest.StashKey[pytest.Item]()
MARKS = (
    "embedded_only(reason): is about SQLite, its file or its locks, or about what only the embedded mode has",
    "no_database: opens neither a catalogue nor a doorbell, and so runs once",
)


def pytest_configure(config: pytest.Config) -> None:
    """The marks of the two modes."""
    for mark in MARKS:
        config.addinivalue_line("markers", mark)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each test that may open a database is one of each mode."""
    asks = "run_mode" in metafunc.fixturenames
    is_inside = any(metafunc.definition.path.is_relative_to(folder) for folder in IN_BOTH_MODES)
    if not asks and (not is_inside or metafunc.definition.get_closest_marker("no_database")):
        return
    if not asks:
        metafunc.fixturenames.append("run_mode")
    metafunc.parametrize("run_mode", MODES, indirect=True, scope="session")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what has no meaning in the server mode; every mode begins before anything that is opened in it."""
    left_out = [item for item in items if _mode_of(item) == "server" and _is_embedded_only(item)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in set(left_out)]
    for item in items:
        if _mode_of(item) is not None:
            names = cast("pytest.Function", item).fixturenames
            names[:] = ["run_mode", *[name for name in names if name != "run_mode"]]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Whatever is opened for a test, by itself or by its fixtures, is opened in its mode."""
    item.config.stash[RUNNING] = item
    with databases.running_in(_mode_of(item) or "embedded"):
        return (yield)


def pytest_fixture_setup(fixturedef: pytest.FixtureDef[object], request: "SubRequest") -> None:
    """What several tests share is shared within a mode: it ends with the mode, and is made again in the next."""
    is_shared = fixturedef.scope != "function" and fixturedef.argname not in {"run_mode", "postgres"}
    if is_shared and _mode_of(request.config.stash[RUNNING]) is not None:
        databases.at_end_of_mode(partial(fixturedef.finish, request))


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """The databases of a test's own folder go with it."""
    own = cast("pytest.Function", item).funcargs.get("tmp_path")
    if isinstance(own, Path):
        databases.forget_below(own)


def _mode_of(item: pytest.Item) -> Mode | None:
    """The mode of a test that runs in both; None for one that opens no database."""
    called = getattr(item, "callspec", None)
    mode: Mode | None = called.params.get("run_mode") if called else None
    return mode


def _is_embedded_only(item: pytest.Item) -> bool:
    mark = item.get_closest_marker("embedded_only")
    if mark is not None and not (len(mark.args) == 1 and str(mark.args[0]).strip()):
        message = f"{item.nodeid}: embedded_only needs its reason"
        raise pytest.UsageError(message)
    return mark is not None
