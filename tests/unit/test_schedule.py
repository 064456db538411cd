"""Of two processes each keeps to a mode, and nothing is left over or done twice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.databases import MODES
from tests.support.schedule import next_work, work_of

FILES = ("a.py", "b.py", "c.py")
WORKS = st.sampled_from([*FILES, *(f"{file}::{mode}" for file in FILES for mode in MODES)])


@pytest.mark.parametrize(
    ("nodeid", "work"),
    [
        ("tests/e2e/test_cli.py::test_it[server]", "tests/e2e/test_cli.py::server"),
        ("tests/e2e/test_cli.py::test_it[embedded-an empty question]", "tests/e2e/test_cli.py::embedded"),
        ("tests/e2e/test_cli.py::test_it[True-embedded]", "tests/e2e/test_cli.py::embedded"),
        ("tests/unit/deploy/test_a_server.py::test_server", "tests/unit/deploy/test_a_server.py"),
        ("tests/unit/test_a.py::test_it[no::mode]", "tests/unit/test_a.py"),
    ],
)
def test_a_piece_of_work_is_a_file_in_one_mode(nodeid: str, work: str) -> None:
    assert work_of(nodeid) == work


@pytest.mark.parametrize(
    ("own", "others", "work"),
    [
        ("", [], "b.py::embedded"),
        ("", ["embedded"], "b.py::server"),
        ("server", ["embedded"], "b.py::server"),
        ("embedded", ["server"], "b.py::embedded"),
        ("", ["embedded", "server"], "a.py"),
    ],
)
def test_a_process_keeps_its_mode_or_takes_one_that_nobody_has(own: str, others: list[str], work: str) -> None:
    assert next_work(["a.py", "b.py::embedded", "b.py::server"], own, others) == work


def test_a_process_whose_mode_is_done_does_what_has_none_and_then_helps_with_the_other() -> None:
    waiting = ["b.py::server", "a.py", "c.py"]
    order = []
    while waiting:
        order.append(next_work(waiting, "embedded", ["server"]))
        waiting.remove(order[-1])
    assert order == ["a.py", "c.py", "b.py::server"]


@given(st.lists(WORKS, min_size=1, unique=True), st.sampled_from(["", *MODES]), st.lists(st.sampled_from(MODES)))
def test_there_is_always_a_next_piece_and_it_waits(waiting: list[str], own: str, others: list[str]) -> None:
    assert next_work(waiting, own, others) in waiting
