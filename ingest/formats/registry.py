"""Which parser reads which file, and where it runs."""

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from pathlib import PurePosixPath

from ingest.formats.parsed import Parsed, Parser, WrongTypeError
from ingest.formats.sandbox import Sandbox

VERSION = "1"
"""Of what the parsers make of their files: with another one every folder is read again."""

ZIP, PDF, OLE = b"PK\x03\x04", b"%PDF-", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
FOREIGN = (
    *(ZIP, PDF, OLE, b"\x7fELF", b"MZ\x90", b"\x1f\x8b", b"7z\xbc\xaf", b"{\\rtf"),
    *(b"\x89PNG", b"\xff\xd8\xff", b"GIF8"),
)
PDF_BEGINS_WITHIN = 1024  # bytes: what other readers allow, too


@dataclass(frozen=True, slots=True)
class Format:
    """A parser by its module, whether it runs in a process of its own, and what its files begin with."""

    module: str
    is_sandboxed: bool
    magic: tuple[bytes, ...] = ()
    within: int = 0  # the first bytes among which it may begin; 0 = at the very first

    def check(self, raw: bytes) -> None:
        """Raises WrongTypeError for bytes that cannot be of this format."""
        begins = any(mark in raw[: self.within] if self.within else raw.startswith(mark) for mark in self.magic)
        if (self.magic and not begins) or (not self.magic and raw.startswith(FOREIGN)):
            raise WrongTypeError("It is of another type than its name says.", hint="Give it its true ending.")


TEXT = Format("ingest.formats.text", is_sandboxed=False)
TABLE = Format("ingest.formats.tables", is_sandboxed=False)
HTML = Format("ingest.formats.html", is_sandboxed=True)
MAIL = Format("ingest.formats.mail", is_sandboxed=True)
# A file of Office with a password is one of OLE: its parser says so better than its type does.
FORMATS = {
    ".md": TEXT,
    ".markdown": TEXT,
    ".txt": TEXT,
    ".csv": TABLE,
    ".tsv": TABLE,
    ".json": Format("ingest.formats.faq", is_sandboxed=False),
    ".html": HTML,
    ".htm": HTML,
    ".xhtml": HTML,
    ".pdf": Format("ingest.formats.pdf", is_sandboxed=True, magic=(PDF,), within=PDF_BEGINS_WITHIN),
    ".docx": Format("ingest.formats.word", is_sandboxed=True, magic=(ZIP, OLE)),
    ".pptx": Format("ingest.formats.slides", is_sandboxed=True, magic=(ZIP, OLE)),
    ".xlsx": Format("ingest.formats.sheets", is_sandboxed=True, magic=(ZIP, OLE)),
    ".eml": MAIL,
    ".mbox": MAIL,
}
SUFFIXES = tuple(FORMATS)


def format_of(name: str) -> Format | None:
    """The format that a file's ending names, None for one that nobody reads."""
    return FORMATS.get(PurePosixPath(name).suffix.lower())


def sandbox_for(names: Iterable[str], *, parse_seconds: float, parse_memory_mb: int) -> Sandbox:
    """A sandbox that holds the parsers of these files and no others: each takes time to load."""
    found = {known.module for known in map(format_of, names) if known is not None and known.is_sandboxed}
    return Sandbox(sorted(found), parse_seconds=parse_seconds, parse_memory_mb=parse_memory_mb)


def documents_of(raw: bytes, name: str, sandbox: Sandbox) -> list[Parsed]:
    """The documents in a file of a known ending; raises a RefusedError."""
    known = FORMATS[PurePosixPath(name).suffix.lower()]
    known.check(raw)
    if known.is_sandboxed:
        return sandbox.parse(known.module, raw, name)
    parser: Parser = import_module(known.module).parse
    return parser(raw, name)
