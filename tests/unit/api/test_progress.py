"""Long work says how far it is and how long it will take, without flooding a log."""

import io
import re
import sys
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.progress import LINE_EVERY_SECONDS, PlainLines, counted, duration, ingest_progress, line_of

HALF = {"stage": "embedding", "done": 50, "total": 150, "chunks": 400, "rate": 5.0, "eta_seconds": 20.0}


def test_a_line_says_how_far_the_work_is_and_when_it_will_be_done() -> None:
    out = io.StringIO()
    PlainLines(out, shown=time.monotonic() - LINE_EVERY_SECONDS)(HALF)
    assert out.getvalue() == "embedding: 50/150 documents, 400 chunks, 5.0 documents/s, ETA 20 s\n"


def test_a_line_is_not_followed_by_another_at_once() -> None:
    out = io.StringIO()
    show = PlainLines(out, shown=time.monotonic() - LINE_EVERY_SECONDS)
    show(HALF)
    show(HALF | {"done": 51})
    assert out.getvalue().count("\n") == 1


def test_work_that_ends_soon_says_nothing() -> None:
    out = io.StringIO()
    PlainLines(out)(HALF)
    assert not out.getvalue()


def test_a_run_that_is_paused_says_why() -> None:
    assert line_of(HALF | {"stage": "paused", "paused": "storage_full"}) == "paused: storage_full"


@pytest.mark.parametrize("stage", ["queued", "planning"])
def test_before_there_is_anything_to_reckon_with_only_the_stage_is_said(stage: str) -> None:
    assert line_of(HALF | {"stage": stage, "total": 0}) == stage


def test_what_nobody_can_tell_is_left_out() -> None:
    assert line_of(HALF | {"rate": None, "eta_seconds": None}) == "embedding: 50/150 documents, 400 chunks"


@given(settled=st.integers(0, 1000), left=st.integers(0, 1000), seconds=st.floats(0, 1e6))
def test_work_that_only_counts_has_the_pace_of_all_its_time(settled: int, left: int, seconds: float) -> None:
    shown: list[Any] = []
    now = iter((100.0, 100.0 + seconds))
    counted(shown.append, clock=lambda: next(now))(settled, settled + left, 7)
    (standing,) = shown
    assert (standing["done"], standing["total"], standing["chunks"]) == (settled, settled + left, 7)
    if standing["rate"] is None:
        assert standing["eta_seconds"] is None
    else:
        assert standing["eta_seconds"] * standing["rate"] == pytest.approx(left)


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (125, "2 min 5 s"), (4800, "1 h 20 min")]
)
def test_a_time_is_said_as_people_say_it(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_progress_goes_to_stderr_and_never_into_the_answer(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.progress.LINE_EVERY_SECONDS", 0.0)
    with ingest_progress(quiet=False) as show:
        show(HALF)
    shown = capsys.readouterr()
    assert "50/150 documents" in shown.err
    assert not shown.out


def test_a_terminal_sees_a_bar_with_an_eta(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "120")
    with ingest_progress(quiet=False) as show:
        show(HALF | {"stage": "planning", "total": 0, "done": 0})
        show(HALF)
    shown = capsys.readouterr()
    plain = re.sub(r"\x1b\[[^a-zA-Z]*[a-zA-Z]", "", shown.err)
    assert re.search(r"embedding .* 50/150 documents, 400 chunks, 5.0 documents/s, ETA 20 s", plain)
    assert not shown.out


def test_quiet_work_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with ingest_progress(quiet=True) as show:
        show(HALF)
    assert capsys.readouterr() == ("", "")
