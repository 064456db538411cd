"""What is checked of every file of Office before a library opens it."""

import io
import struct
import zipfile
from collections.abc import Callable
from typing import BinaryIO, Protocol

import pytest
from docx import Document
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook  # type: ignore[import-untyped]
from pptx import Presentation

from core.words import Instant
from ingest.errors import RefusedError
from ingest.formats import office_text, sheets, slides, word
from ingest.formats.office_text import checked, properties
from ingest.formats.parsed import Parser

EXPANDING = b"""<?xml version="1.0"?>
<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>
<x>&b;</x>"""


class Savable(Protocol):
    """What the libraries agree on."""

    def save(self, path_or_stream: BinaryIO, /) -> None: ...


def saved(made: Savable) -> bytes:
    stream = io.BytesIO()
    made.save(stream)
    return stream.getvalue()


def docx() -> bytes:
    made = Document()
    made.add_paragraph("Text")
    return saved(made)


def pptx() -> bytes:
    made = Presentation()
    made.slides.add_slide(made.slide_layouts[5])
    return saved(made)


def xlsx() -> bytes:
    made = Workbook()
    made.active["A1"] = "Text"
    return saved(made)


KINDS = [(word.parse, docx), (slides.parse, pptx), (sheets.parse, xlsx)]
MAIN = {docx: "word/document.xml", pptx: "ppt/presentation.xml", xlsx: "xl/workbook.xml"}


def with_part(raw: bytes, name: str, content: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(raw)) as before, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as after:
        for entry in before.infolist():
            if entry.filename != name:
                after.writestr(entry, before.read(entry))
        after.writestr(name, content)
    return stream.getvalue()


def refusal(parse: Parser, raw: bytes) -> str:
    with pytest.raises(RefusedError) as refused:
        parse(raw, "a")
    return refused.value.code


@pytest.mark.parametrize(("parse", "made"), KINDS)
class TestEveryKind:
    def test_a_bomb_is_refused(self, parse: Parser, made: Callable[[], bytes]) -> None:
        raw = with_part(made(), "media/picture.png", bytes(20_000_000))
        assert refusal(parse, raw) == "document_too_large"

    def test_declared_entities_are_refused(self, parse: Parser, made: Callable[[], bytes]) -> None:
        for content in (EXPANDING, EXPANDING.decode().encode("utf-16")):
            assert refusal(parse, with_part(made(), MAIN[made], content)) == "unreadable_document"

    def test_a_truncated_file_is_refused(self, parse: Parser, made: Callable[[], bytes]) -> None:
        raw = made()
        for end in (0, 10, len(raw) // 2, len(raw) - 30):
            assert refusal(parse, raw[:end]) == "unreadable_document"

    def test_a_damaged_part_is_refused(self, parse: Parser, made: Callable[[], bytes]) -> None:
        raw = bytearray(made())
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            entry = archive.getinfo(MAIN[made])
        raw[entry.header_offset + 30 + len(entry.filename) + entry.compress_size // 2] ^= 0xFF
        assert refusal(parse, bytes(raw)) == "unreadable_document"

    def test_a_password_is_told_from_an_old_format(self, parse: Parser, made: Callable[[], bytes]) -> None:
        old = office_text.OLE + bytes(512)
        assert refusal(parse, old) == "wrong_type"
        assert refusal(parse, old + "EncryptedPackage".encode("utf-16-le")) == "encrypted_document"
        raw = bytearray(made())
        place = raw.index(b"PK\x01\x02") + 8
        raw[place : place + 2] = struct.pack("<H", 1)
        assert refusal(parse, bytes(raw)) == "encrypted_document"

    def test_more_parts_than_a_file_has_are_refused(
        self, parse: Parser, made: Callable[[], bytes], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(office_text, "MEMBERS", 3)
        assert refusal(parse, made()) == "document_too_large"


@pytest.mark.parametrize(
    ("parse", "raised"), [(word.parse, KeyError), (slides.parse, KeyError), (sheets.parse, KeyError)]
)
def test_another_archive_is_no_file_of_office(parse: Parser, raised: type[Exception]) -> None:
    with pytest.raises(raised):
        parse(with_part(b"PK\x05\x06" + bytes(18), "a.txt", b"Text"), "a")


@pytest.mark.parametrize("made", [docx, pptx, xlsx])
def test_a_date_that_the_file_declares_is_read(made: Callable[[], bytes]) -> None:
    own = b'<Properties xmlns:v="v"><property name="Effective date"><v:s>2024-03-01</v:s></property></Properties>'
    with checked(with_part(made(), "docProps/custom.xml", own)) as archive:
        about = properties(archive)
    assert about.valid_from == Instant(1_709_251_200_000_000)
    assert about.modified


WHOLE = docx()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255), st.binary(max_size=4))
def test_whatever_is_damaged_nothing_but_a_refusal_is_raised(place: int, change: int, inserted: bytes) -> None:
    raw = WHOLE[:place] + bytes([WHOLE[place] ^ change]) + inserted + WHOLE[place + 1 :]
    code = ""
    try:
        checked(raw).close()
    except RefusedError as error:
        code = error.code
    assert code in ("", "unreadable_document", "encrypted_document", "document_too_large")


def test_properties_that_are_no_xml_say_nothing() -> None:
    with checked(with_part(docx(), "docProps/core.xml", b"<no")) as archive:
        assert properties(archive) == office_text.Properties()
