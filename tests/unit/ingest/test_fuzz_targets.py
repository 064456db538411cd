"""The targets of `make fuzz` on what they begin with, and what their driver makes of what it hears."""

import base64
import zipfile
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz import drive
from tests.fuzz.draws import Draws
from tests.fuzz.zip_bytes import DEFLATED, Member, zip_of

OUTCOME = drive.Outcome(name="json", status=0, executions=100, seconds=2.0, peak_mb=64, slowest=0.01, said="", found=())


@pytest.mark.parametrize("name", drive.NAMES)
def test_a_target_takes_every_input_it_begins_with(name: str) -> None:
    target = drive.target_of(name)
    seeds = list(target.seeds())
    assert seeds
    assert max(map(len, seeds)) <= target.MAX_BYTES, "the fuzzer would cut it"
    for seed in seeds:
        target.one_input(seed)


@pytest.mark.parametrize("name", drive.NAMES)
@settings(max_examples=20, deadline=None)
@given(data=st.binary(max_size=256))
def test_a_target_takes_any_bytes(name: str, data: bytes) -> None:
    drive.target_of(name).one_input(data)


def test_bytes_decide_and_never_run_out() -> None:
    draws = Draws(b"\x07\x02\x03ab\xffcd\x01\x02")
    assert draws.byte() == 7
    assert draws.pick("xyz") == "z"
    assert draws.text() == "ab\udcff"
    assert draws.raw(2) == b"cd"
    assert draws.number(4) == 0x201
    assert draws.done
    assert (draws.byte(), draws.text(), draws.rest(), draws.pick("xyz")) == (0, "", b"", "x")


def test_a_zip_that_tells_the_truth_is_one() -> None:
    members = [Member(name=b"a.json", content=b"[]"), Member(name=b"b/c", content=b"x" * 999, method=DEFLATED)]
    with zipfile.ZipFile(BytesIO(zip_of(members, comment=b"said"))) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == {"a.json": b"[]", "b/c": b"x" * 999}


def test_an_input_that_takes_too_long_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[bytes] = []
    watched = drive.timed(taken.append)
    watched(b"quick")
    monkeypatch.setattr(drive, "MAX_SECONDS", -1.0)
    with pytest.raises(drive.TooSlowError):
        watched(b"slow")
    assert taken == [b"quick", b"slow"]


@pytest.mark.parametrize(
    "outcome",
    [
        pytest.param(replace(OUTCOME, status=77), id="status"),
        pytest.param(replace(OUTCOME, executions=0), id="nothing done"),
        pytest.param(replace(OUTCOME, found=(Path("crash-1"),)), id="finding"),
    ],
)
def test_a_target_that_broke_did_nothing_or_found_something_has_failed(outcome: drive.Outcome) -> None:
    assert not OUTCOME.failed
    assert outcome.failed
    assert "FAILED" in drive.report([outcome])


def test_a_finding_is_told_with_the_command_that_repeats_it(tmp_path: Path) -> None:
    crash = tmp_path / "crash-1"
    crash.write_bytes(b"\0[NaN]")
    said = "INFO: much\n=== Uncaught Python exception: ===\nValueError: so\n"
    told = drive.explain(replace(OUTCOME, status=77, said=said, found=(crash,)))
    assert "INFO" not in told
    assert "ValueError: so" in told
    assert told.endswith(f"tests/fuzz/drive.py json --repeat {base64.b64encode(crash.read_bytes()).decode()}")


def test_one_input_is_repeated_without_a_fuzzer() -> None:
    assert drive.main(["json", "--repeat", base64.b64encode(b"\0[NaN]").decode()]) == 0
