"""Zips made to hurt: refused as a whole or entry by entry, by a stable code and within bounds."""

import os
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.errors import FileTooLargeError, SourceUnreadableError
from ingest.sources import zipped
from ingest.sources.archive import Rooted, opened
from ingest.sources.zipped import DIRECTORY_BYTES, MEMBERS, NotRegularError, ZipTooLargeError
from tests.support.hostile_zips import RawEntry, deflated, ending, packed_zeros, write
from tests.support.measured import Measure, Reading, measuring, read_whole

BOUND_KIB = 64 * 1024
LETTERS = b"abcdefghijklmnopqrstuvwxyz"
PACKED = packed_zeros(100)
GOOD = RawEntry(name="good.txt", raw=b"good")
BOMB = RawEntry(name="bomb.txt", packed=PACKED, size=100_000_000)
SYMLINK, DEVICE, FIFO, FOLDER = 0o120777, 0o020666, 0o010644, 0o040755


@pytest.fixture(scope="module")
def measure() -> Iterator[Measure]:
    with measuring() as measure:
        yield measure


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "a.zip"


def refused_whole(reading: Reading, code: str) -> None:
    assert reading.code == code
    assert reading.kib <= BOUND_KIB


def refused_entry(reading: Reading, name: str, code: str) -> None:
    """Of this entry and a good one only the good one was read."""
    assert reading.code == ""
    assert reading.entries == {name: code, "good.txt": ""}
    assert reading.kib <= BOUND_KIB


def test_a_flat_bomb_is_refused_without_a_look_inside(place: Path, measure: Measure) -> None:
    reading = measure(write(place, [BOMB, GOOD]))
    refused_entry(reading, "bomb.txt", "suspicious_ratio")
    assert reading.read < 20_000


def test_a_bomb_in_many_small_entries_is_refused_whole(place: Path, measure: Measure) -> None:
    raw = bytes(1_000_000)
    packed, crc = deflated(raw), zlib.crc32(raw)
    entries = [RawEntry(name=f"{number}.txt", packed=packed, size=len(raw), crc=crc) for number in range(101)]
    refused_whole(measure(write(place, entries)), "zip_too_large")


def test_a_small_zip_may_pack_as_well_as_it_likes(place: Path, measure: Measure) -> None:
    reading = measure(write(place, [RawEntry(name="a.txt", raw=bytes(1_000_000))]))
    assert (reading.code, reading.entries) == ("", {"a.txt": ""})


def test_more_than_is_allowed_together_is_refused_whole(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(place, [GOOD, RawEntry(name="b.txt", raw=b"b")])
    for total, expected in ((5, nullcontext()), (4, pytest.raises(ZipTooLargeError))):
        monkeypatch.setattr(zipped, "TOTAL", total)
        with expected, opened(place, 10) as archive:
            assert archive.read("b.txt") == b"b"


def test_a_zip_inside_is_handed_over_as_it_is(tmp_path: Path, place: Path) -> None:
    inner = write(tmp_path / "inner.zip", [BOMB]).read_bytes()
    write(place, [RawEntry(name="inner.zip", raw=inner)])
    with opened(place, 10**6) as archive:
        assert archive.names() == ("inner.zip",)
        assert archive.read("inner.zip") == inner


def test_entries_that_share_their_bytes_refuse_the_zip(place: Path, measure: Measure) -> None:
    kernel = RawEntry(name="b", raw=bytes(900_000))
    quoting = RawEntry(name="a", packed=kernel.local(), size=900_000)
    inside = RawEntry(name="b", packed=kernel.body, size=900_000, at=len(quoting.local()) - len(kernel.local()))
    refused_whole(measure(write(place, [quoting], records=[inside])), "zip_overlapping")


def test_two_records_of_one_entry_refuse_the_zip(place: Path, measure: Measure) -> None:
    twice = RawEntry(name="good.txt", raw=b"good", at=0)
    refused_whole(measure(write(place, [GOOD], records=[twice])), "zip_overlapping")


@pytest.mark.parametrize("at", [10**6, 2**32 - 2])
def test_an_entry_beyond_the_end_refuses_the_zip(place: Path, measure: Measure, at: int) -> None:
    refused_whole(measure(write(place, [GOOD], records=[RawEntry(name="far.txt", at=at)])), "zip_overlapping")


@pytest.mark.parametrize(
    "name",
    [
        "../evil.txt",
        "a/../../evil.txt",
        "a/./b.txt",
        "a//b.txt",
        "/etc/passwd",
        "C:/evil.txt",
        "c:evil.txt",
        "..\\evil.txt",
        "a\\b.txt",
        "a.txt\x00.exe",
        "a\nb.txt",
        "a\x85b.txt",
        "__MACOSX/../evil.txt",
        "n" * 1025,
    ],
)
def test_a_name_that_is_no_path_below_the_source_is_refused(place: Path, measure: Measure, name: str) -> None:
    refused_entry(measure(write(place, [RawEntry(name=name, raw=b"evil"), GOOD])), name, "unsafe_name")


@pytest.mark.parametrize("mode", [SYMLINK, DEVICE, FIFO, FOLDER])
def test_what_is_no_regular_file_is_refused(place: Path, measure: Measure, mode: int) -> None:
    entry = RawEntry(name="odd.txt", raw=b"/etc/passwd", mode=mode)
    refused_entry(measure(write(place, [entry, GOOD])), "odd.txt", "not_a_regular_file")


@pytest.mark.parametrize("flag", [0x1, 0x40, 0x2000])
def test_an_encrypted_entry_is_refused(place: Path, measure: Measure, flag: int) -> None:
    entry = RawEntry(name="secret.txt", raw=b"secret", flags=0x800 | flag)
    refused_entry(measure(write(place, [entry, GOOD])), "secret.txt", "encrypted_entry")


def test_an_entry_over_the_limit_is_refused_unread(place: Path) -> None:
    write(place, [RawEntry(name="large.txt", raw=b"12345"), GOOD])
    with opened(place, 4) as archive:
        with pytest.raises(FileTooLargeError):
            archive.read("large.txt")
        assert archive.read("good.txt") == b"good"


LIARS = {
    "more comes out": RawEntry(name="liar.txt", packed=PACKED, size=999_999),
    "more comes out, the start is as announced": RawEntry(
        name="liar.txt", packed=PACKED, size=10, crc=zlib.crc32(bytes(10))
    ),
    "less comes out": RawEntry(name="liar.txt", raw=b"short", size=6),
    "another checksum": RawEntry(name="liar.txt", raw=b"text", crc=1),
    "the end is missing": RawEntry(name="liar.txt", raw=LETTERS, packed=deflated(LETTERS)[:-9]),
    "nothing that unpacks": RawEntry(name="liar.txt", packed=b"\xff" * 100, size=100),
    "more is stored": RawEntry(name="liar.txt", raw=b"text", method=0, size=3, crc=zlib.crc32(b"tex")),
    "less is stored": RawEntry(name="liar.txt", raw=b"text", method=0, size=5),
    "bzip2": RawEntry(name="liar.txt", method=12, packed=b"x"),
    "lzma": RawEntry(name="liar.txt", method=14, packed=b"x"),
    "unknown": RawEntry(name="liar.txt", method=97, packed=b"x"),
}


@pytest.mark.parametrize("liar", LIARS.values(), ids=LIARS)
def test_an_entry_that_is_not_what_it_says_is_refused(place: Path, measure: Measure, liar: RawEntry) -> None:
    reading = measure(write(place, [liar, GOOD]))
    refused_entry(reading, "liar.txt", "unreadable")
    assert reading.read < 200_000


def test_of_names_that_differ_in_capitals_the_first_is_read(place: Path, measure: Measure) -> None:
    entries = [RawEntry(name=name, raw=name.encode()) for name in ("Über/A.txt", "über/a.TXT")]
    refused = measure(write(place, [*entries, GOOD]))
    assert refused.entries == {"Über/A.txt": "", "über/a.TXT": "colliding_name", "good.txt": ""}


def test_words_that_differ_in_more_than_capitals_do_not_collide(place: Path) -> None:
    write(place, [RawEntry(name="Masse.txt"), RawEntry(name="Maße.txt")])
    with opened(place, 10) as archive:
        assert archive.refused() == ()


def test_of_entries_of_one_name_in_any_form_the_first_counts_and_is_reported(place: Path) -> None:
    names = ("\u00e4.txt", "a\u0308.txt", "\u00e4.txt")
    write(place, [RawEntry(name=name, raw=str(number).encode()) for number, name in enumerate(names)])
    with opened(place, 10) as archive:
        assert archive.repeated() == archive.names() == ("\u00e4.txt",)
        assert archive.read("\u00e4.txt") == b"0"


def test_a_second_entry_does_not_stand_in_for_a_refused_one(place: Path) -> None:
    write(place, [RawEntry(name="good.txt", raw=b"elsewhere", mode=SYMLINK), GOOD])
    with opened(place, 10) as archive:
        assert archive.repeated() == ("good.txt",)
        with pytest.raises(NotRegularError):
            archive.read("good.txt")


def test_what_reading_refuses_is_listed_beforehand(place: Path) -> None:
    odd = [RawEntry(name="x/link", mode=SYMLINK), RawEntry(name="x/../y"), RawEntry(name="x/GOOD.txt")]
    write(place, [RawEntry(name="x/good.txt", raw=b"good"), *odd])
    with opened(place, 10) as archive:
        for found, prefix in ((archive, "x/"), (Rooted(archive, "x/"), "")):
            assert {name.removeprefix(prefix): error.code for name, error in found.refused()} == {
                "../y": "unsafe_name",
                "GOOD.txt": "colliding_name",
                "link": "not_a_regular_file",
            }
            for name, error in found.refused():
                with pytest.raises(type(error)):
                    found.read(name)


def test_more_entries_than_fit_16_bits_are_read(place: Path) -> None:
    number = 65_600
    body = RawEntry(name="00000", method=0).local()
    record = RawEntry(name="00000", method=0).record(0)
    names = [b"%05d" % index for index in range(number)]
    bodies = b"".join(body[:-5] + name for name in names)
    offsets = [struct.pack("<I", len(body) * index) for index in range(number)]
    listed = b"".join(record[:-9] + at + name for at, name in zip(offsets, names, strict=True))
    place.write_bytes(bodies + listed + ending(number, size=len(listed), at=len(bodies)))
    with opened(place, 10) as archive:
        assert len(archive.names()) == number
        assert archive.read("65599") == b""


@pytest.mark.parametrize("claimed", [1, MEMBERS + 1])
def test_too_many_entries_are_refused_whatever_number_is_claimed(place: Path, measure: Measure, claimed: int) -> None:
    directory = RawEntry(name="a").record(0) * (MEMBERS + 1)
    place.write_bytes(directory + ending(claimed, size=len(directory), at=0))
    refused_whole(measure(place), "zip_too_many_entries")


def test_a_directory_that_is_too_large_is_refused_unread(place: Path, measure: Measure) -> None:
    with place.open("wb") as stream:
        stream.truncate(DIRECTORY_BYTES + 1)
        stream.seek(0, os.SEEK_END)
        stream.write(ending(1, size=DIRECTORY_BYTES + 1, at=0))
    reading = measure(place)
    refused_whole(reading, "zip_too_many_entries")
    assert reading.read < 200_000


@pytest.mark.parametrize("kept", [0, 3, 30, 60, -1])
def test_a_zip_without_its_end_is_refused_whole(place: Path, measure: Measure, kept: int) -> None:
    whole = write(place, [GOOD]).read_bytes()
    place.write_bytes(whole[:kept])
    refused_whole(measure(place), "source_unreadable")


def test_a_zip_without_its_beginning_is_refused_whole(place: Path, measure: Measure) -> None:
    whole = write(place, [GOOD, RawEntry(name="b.txt", raw=b"b")]).read_bytes()
    place.write_bytes(whole[10:])
    refused_whole(measure(place), "zip_overlapping")


def test_hidden_entries_and_folders_are_passed_over(place: Path) -> None:
    names = (".git/config", "__MACOSX/._a.txt", "a/.DS_Store", "folder/", "../folder/", "./b.txt")
    write(place, [RawEntry(name=name) for name in names])
    with opened(place, 10) as archive:
        assert archive.names() == ("b.txt",)
        assert archive.read("b.txt") == b""


ENTRY_CODES = {
    "",
    "unreadable",
    "file_too_large",
    "unsafe_name",
    "not_a_regular_file",
    "encrypted_entry",
    "suspicious_ratio",
}
PARTS = st.text("abcxyz-_ .äß", min_size=1, max_size=6).filter(lambda part: not part.startswith("."))
NAMES = st.lists(PARTS, min_size=1, max_size=3).map("/".join)


@given(files=st.dictionaries(NAMES, st.binary(max_size=200), max_size=5), method=st.sampled_from([0, 8]))
@settings(max_examples=40)
def test_what_an_honest_tool_packs_comes_out_as_it_went_in(files: dict[str, bytes], method: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "a.zip"
        with zipfile.ZipFile(place, "w", method) as archive:
            for name, raw in files.items():
                archive.writestr(name, raw)
        with opened(place, 200) as found:
            assert {name: found.read(name) for name in found.names()} == files
            assert (found.refused(), found.repeated(), found.unreadable()) == ((), (), ())


@given(raw=st.binary(max_size=300), at=st.integers(0, 299), value=st.integers(0, 255))
@settings(max_examples=50)
def test_a_changed_byte_gives_other_entries_or_a_refusal_and_nothing_else(raw: bytes, at: int, value: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = write(Path(folder) / "a.zip", [GOOD, RawEntry(name="b/c.txt", raw=raw)])
        whole = bytearray(place.read_bytes())
        whole[-1 - at % len(whole)] = value
        place.write_bytes(whole)
        with suppress(SourceUnreadableError):
            assert set(read_whole(place, max_bytes=1000).values()) <= ENTRY_CODES
