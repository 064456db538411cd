"""What was read of a conversation survives a kill at any byte, up to the last page that was whole."""

from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.slack.pull_log import Log
from api.slack.pull_messages import ts_of

ABOUT = {"conversation": "C1", "start": "", "newest": ""}
FIRST = 1_700_000_000_000_000
DAY = 86_400_000_000
PAGES = [[{"ts": ts_of(FIRST - page * DAY + row), "text": f"{page}/{row} ü"} for row in range(3)] for page in range(4)]


def filled(path: Path) -> None:
    with Log(path, about=ABOUT) as log:
        for page in PAGES:
            log.add(page)
            log.reached(page[0]["ts"], unchanged=[page[1]["ts"]], malformed=1)
        log.reached(log.latest, is_whole=True)


def read(path: Path) -> tuple[list[dict[str, Any]], str, int, set[str], bool]:
    with Log(path, about=ABOUT) as log:
        rows = [row for day in reversed(log.days) for row in log.messages(day)]
        return rows, log.latest, log.malformed, log.unchanged, log.is_whole


def test_everything_is_there_again(tmp_path: Path) -> None:
    filled(tmp_path / "log")
    rows, latest, malformed, unchanged, is_whole = read(tmp_path / "log")
    assert rows == [row for page in PAGES for row in page]
    assert (latest, malformed, is_whole) == (PAGES[-1][0]["ts"], 4, True)
    assert unchanged == {page[1]["ts"] for page in PAGES}


@given(cut=st.integers(0, 1200), rubbish=st.binary(max_size=4))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_log_that_was_cut_off_holds_whole_pages_and_takes_more(tmp_path: Path, cut: int, rubbish: bytes) -> None:
    path = tmp_path / "log"
    path.unlink(missing_ok=True)
    filled(path)
    path.write_bytes(path.read_bytes()[:cut] + rubbish.replace(b"\n", b""))
    rows, latest, malformed, _, _ = read(path)
    assert rows == [row for page in PAGES[:malformed] for row in page]
    assert latest == (PAGES[malformed - 1][0]["ts"] if malformed else "")
    with Log(path, about=ABOUT) as log:
        log.add(PAGES[0])
        log.reached(PAGES[0][0]["ts"])
    assert len(read(path)[0]) == len(rows) + 3


def test_a_log_about_something_else_is_begun_anew(tmp_path: Path) -> None:
    filled(tmp_path / "log")
    with Log(tmp_path / "log", about=ABOUT | {"start": "1.000000"}) as log:
        assert (log.days, log.latest, log.is_whole) == ([], "", False)


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    filled(tmp_path / "log")
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600
