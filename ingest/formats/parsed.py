"""What a reader of one format makes of a file, and why it refuses one."""

from collections.abc import Callable
from dataclasses import dataclass

from core.errors import ThreadwiseError
from core.words import Block, Instant
from ingest.errors import RefusedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """One document out of a file. Without blocks it is counted by its part as empty and indexed nowhere."""

    blocks: tuple[Block, ...]
    title: str = ""
    kind: str = "page"  # page, faq, email, sheet, ...
    part: str = ""  # a row's or a message's id where a file holds several: what follows `#` in its id and uri
    author: str = ""
    valid_from: Instant | None = None  # the effective date that it declares itself
    modified: Instant | None = None  # when the file says it was last changed: used where nothing better is known
    trouble: str = ""  # the code of why this part could not be read, where the rest of the file could
    reason: str = ""  # the trouble in words, without any of the file
    context: str = ""  # a line in front of every chunk: a category, a section


# Bytes and the file's name give the documents of the file, none where there is nothing to read; raises RefusedError.
Parser = Callable[[bytes, str], list[Parsed]]


class UnreadableDocumentError(RefusedError):
    """The file is not what its name says, or it is damaged."""

    code = "unreadable_document"


class EncryptedDocumentError(RefusedError):
    """The file opens with a password only."""

    code = "encrypted_document"


class DocumentTooLargeError(RefusedError):
    """The file holds more pages, cells or characters than a document may."""

    code = "document_too_large"


class NoTextError(RefusedError):
    """The file holds pictures of text, or drawings: nothing that can be read without recognising letters."""

    code = "no_text"


class WrongTypeError(RefusedError):
    """The bytes are of another format than the name says."""

    code = "wrong_type"


class SandboxError(RefusedError):
    """The process that read the file ended; the next file gets a new one."""

    code = "parser_crashed"


class ParserTimeoutError(SandboxError):
    """Reading the file took longer than `ingest.parse_seconds`."""

    code = "parser_timeout"


class ParserMemoryError(SandboxError):
    """Reading the file took more memory than `ingest.parse_memory_mb`."""

    code = "parser_memory"


class ParserUnavailableError(ThreadwiseError):
    """No process for parsing can be started: this says nothing about any file."""

    code = "parser_unavailable"
    retryable = True
