"""What Word, slides and workbooks have in common: a ZIP of XML that is checked before a library unpacks it."""

import struct
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from docx.oxml import parse_xml

from core.words import Instant
from ingest.formats.dates import instant_of
from ingest.formats.parsed import DocumentTooLargeError, EncryptedDocumentError, UnreadableDocumentError, WrongTypeError
from ingest.markup import one_line

MEMBERS = 10_000
TOTAL_BYTES = 512 * 1024 * 1024
SMALL = 1024 * 1024
RATIO = 100
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
DECLARATION = "<!DOCTYPE"
DECLARATIONS = tuple(DECLARATION.encode(encoding) for encoding in ("ascii", "utf-16-le", "utf-16-be"))
XML = (".xml", ".rels", ".vml")
CHUNK = 1024 * 1024
NAME_CHARACTERS = 200
EFFECTIVE = ("effective date", "effective_date", "effectivedate", "valid from")
BROKEN = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, ValueError, NotImplementedError)


@dataclass(frozen=True, slots=True)
class Properties:
    """What an office file says of itself."""

    title: str = ""
    author: str = ""
    modified: Instant | None = None
    valid_from: Instant | None = None


def checked(raw: bytes) -> zipfile.ZipFile:
    """The file as an archive that no library can be hurt by: small enough, and no XML in it declares entities.

    Raises EncryptedDocumentError, WrongTypeError, UnreadableDocumentError or DocumentTooLargeError.
    """
    if raw.startswith(OLE):
        # Office wraps a file with a password into the container that its formats before 2007 are made of.
        if ENCRYPTED in raw:
            raise EncryptedDocumentError("It opens with a password only.", hint="Save it without one.")
        raise WrongTypeError("It is a file of Office before 2007.", hint="Save it in the present format.")
    try:
        archive = zipfile.ZipFile(BytesIO(raw))
        entries = archive.infolist()
        _check_entries(entries, len(raw))
        for entry in entries:
            _check_content(archive, entry)
    except BROKEN as error:
        raise UnreadableDocumentError("It is no sound file of Office.") from error
    return archive


def properties(archive: zipfile.ZipFile) -> Properties:
    """Title, author and times; what is missing or no XML says nothing."""
    core = _texts(archive, "docProps/core.xml")
    custom = _texts(archive, "docProps/custom.xml")
    return Properties(
        title=one_line(core.get("title", ""), NAME_CHARACTERS),
        author=one_line(core.get("creator", ""), NAME_CHARACTERS),
        modified=instant_of(core.get("modified", "")) or instant_of(core.get("created", "")),
        valid_from=next(filter(None, (instant_of(custom.get(name, "")) for name in EFFECTIVE)), None),
    )


def _check_entries(entries: Sequence[zipfile.ZipInfo], packed: int) -> None:
    if any(entry.flag_bits & 1 for entry in entries):
        raise EncryptedDocumentError("Parts of it open with a password only.", hint="Save it without one.")
    total = sum(entry.file_size for entry in entries)
    if len(entries) > MEMBERS or total > TOTAL_BYTES or (total > SMALL and total > RATIO * packed):
        raise DocumentTooLargeError(f"Its {packed} bytes unpack to {len(entries)} parts and {total} bytes.")
    for entry in entries:
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise UnreadableDocumentError("It is packed as no office program packs.")
        if entry.file_size > SMALL and entry.file_size > RATIO * entry.compress_size:
            raise DocumentTooLargeError(
                f"A part of it unpacks to {entry.file_size} bytes, over {RATIO} times its size."
            )


def _check_content(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
    """Unpack it once, in pieces and never beyond its stated size: its sum has to be right, and XML without entities."""
    before = b""
    with archive.open(entry) as stream:
        while piece := stream.read(CHUNK):
            window = before[-2 * len(DECLARATION) :] + piece
            if entry.filename.endswith(XML) and any(mark in window for mark in DECLARATIONS):
                raise UnreadableDocumentError("Its XML declares a document type, which no office program writes.")
            before = piece


def _texts(archive: zipfile.ZipFile, name: str) -> dict[str, str]:
    """The text of each child of the root by its name: an own property's is the one it was given."""
    try:
        root: Any = parse_xml(archive.read(name))
    except (KeyError, SyntaxError, ValueError):
        return {}
    found: dict[str, str] = {}
    for child in root:
        tag = child.tag.rpartition("}")[2] if isinstance(child.tag, str) else ""
        found.setdefault(str(child.get("name") or tag).casefold(), "".join(child.itertext()))
    return found
