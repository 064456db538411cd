"""Zips of exports that are damaged, encrypted or hold a name twice."""

import warnings
import zipfile
from pathlib import Path

import pytest

from core.settings import IngestSettings
from ingest.errors import SourceUnreadableError
from ingest.sources import Found, Item, Refused, open_source
from tests.support.slack_export import small_workspace


def items_of(place: Path, kind: str | None = None) -> list[Item]:
    return list(open_source(place, kind, name="acme", settings=IngestSettings()).read())


def refused(items: list[Item]) -> list[tuple[str, str, str | None]]:
    return [(item.place, item.code, item.doubts) for item in items if isinstance(item, Refused)]


def documents(items: list[Item]) -> int:
    return sum(isinstance(item, Found) for item in items)


def with_twice(place: Path, name: str, content: bytes) -> Path:
    with warnings.catch_warnings(), zipfile.ZipFile(place, "a") as archive:
        warnings.simplefilter("ignore")
        archive.writestr(name, content)
    return place


def test_of_two_entries_of_one_name_the_first_is_read_and_the_other_reported(tmp_path: Path) -> None:
    place = small_workspace().zipped(tmp_path / "a.zip")
    items = items_of(with_twice(place, "salaries/2023-11-14.json", b"[]"))
    assert refused(items) == [("salaries/2023-11-14.json", "duplicate_entry", "G1:")]
    assert documents(items) == 3


def test_a_listing_that_is_there_twice_stops_the_source(tmp_path: Path) -> None:
    place = with_twice(small_workspace().zipped(tmp_path / "a.zip"), "channels.json", b"[]")
    with pytest.raises(SourceUnreadableError, match="twice"):
        items_of(place)


def patched(place: Path, at: bytes, offset: int, value: bytes) -> Path:
    """The zip with bytes replaced at an offset from every occurrence of a signature."""
    raw = bytearray(place.read_bytes())
    start = raw.find(at)
    while start >= 0:
        raw[start + offset : start + offset + len(value)] = value
        start = raw.find(at, start + 4)
    place.write_bytes(raw)
    return place


@pytest.mark.parametrize(
    ("offset", "value"),
    [(6, b"\xff\x00"), (46, b"\xff\xfe")],
    ids=["a version of the future", "a name that is not UTF-8"],
)
def test_a_zip_that_cannot_be_opened_says_so(tmp_path: Path, offset: int, value: bytes) -> None:
    place = patched(small_workspace().zipped(tmp_path / "a.zip"), b"PK\x01\x02", offset, value)
    patched(place, b"PK\x01\x02", 8, b"\x00\x08")
    for kind in (None, "slack-export"):
        with pytest.raises(SourceUnreadableError):
            items_of(place, kind)


@pytest.mark.parametrize(("flags", "method"), [(1, 8), (0, 14), (0, 12), (0, 97)])
def test_an_entry_that_cannot_be_unpacked_is_refused(tmp_path: Path, flags: int, method: int) -> None:
    place = tmp_path / "a.zip"
    with zipfile.ZipFile(small_workspace().zipped(place), "a") as archive:
        archive.writestr("general/2024-01-01.json", b"\xff" * 40, zipfile.ZIP_STORED)
    raw = bytearray(place.read_bytes())
    local = raw.rindex(b"PK\x03\x04")
    central = raw.rindex(b"PK\x01\x02")
    for at in (local + 6, central + 8):
        raw[at : at + 4] = flags.to_bytes(2, "little") + method.to_bytes(2, "little")
    place.write_bytes(raw)
    items = items_of(place)
    code = "encrypted_entry" if flags else "unreadable"
    assert refused(items) == [("general/2024-01-01.json", code, "C1:")]
    assert documents(items) == 3
