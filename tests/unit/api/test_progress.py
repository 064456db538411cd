"""Long work says how far it is and how long it will take, without flooding a log."""

import io
import re
import sys
import time

import pytest

from api.progress import LINE_EVERY_SECONDS, PlainLines, ingest_progress


def test_a_line_says_how_far_the_work_is_and_when_it_will_be_done() -> None:
    out = io.StringIO()
    now = time.monotonic()
    PlainLines(out, started=now - 10, shown=now - LINE_EVERY_SECONDS)(50, 150, 400)
    line = out.getvalue()
    assert line.startswith("50/150 documents, 400 chunks, 5.0 documents/s, ETA 20 s")
    assert line.endswith("\n")


def test_a_line_is_not_followed_by_another_at_once() -> None:
    out = io.StringIO()
    now = time.monotonic()
    show = PlainLines(out, started=now - 10, shown=now - LINE_EVERY_SECONDS)
    show(50, 150, 400)
    show(51, 150, 401)
    assert out.getvalue().count("\n") == 1


def test_nothing_is_said_before_there_is_anything_to_reckon_with() -> None:
    out = io.StringIO()
    now = time.monotonic()
    PlainLines(out, started=now - 10, shown=now - 10)(0, 150, 0)
    PlainLines(out)(10, 150, 20)
    assert not out.getvalue()


def test_progress_goes_to_stderr_and_never_into_the_answer(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.progress.LINE_EVERY_SECONDS", 0.0)
    with ingest_progress(quiet=False) as show:
        show(1, 2, 3)
    shown = capsys.readouterr()
    assert "1/2 documents" in shown.err
    assert not shown.out


def test_a_terminal_sees_a_bar_with_an_eta(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "120")
    with ingest_progress(quiet=False) as show:
        show(1, 2, 3)
    shown = capsys.readouterr()
    plain = re.sub(r"\x1b\[[^a-zA-Z]*[a-zA-Z]", "", shown.err)
    assert re.search(r"Ingesting .* 1/2 documents, 3 chunks, ETA [-\d]", plain)
    assert not shown.out


def test_quiet_work_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with ingest_progress(quiet=True) as show:
        show(1, 2, 3)
    assert capsys.readouterr() == ("", "")
