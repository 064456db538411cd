"""E-mail: a document for each message, said by its sender when it was sent."""

import re
from collections.abc import Iterator
from datetime import UTC
from email.utils import parsedate_to_datetime
from itertools import islice

from core.words import Block, Instant, digest_of
from ingest.errors import RefusedError
from ingest.formats import html
from ingest.formats.dates import instant_at
from ingest.formats.mime import Leaf, Walk, read_head, words
from ingest.formats.outline import text_of
from ingest.formats.parsed import DocumentTooLargeError, Parsed, UnreadableDocumentError
from ingest.formats.parts import Parts
from ingest.markup import one_line

MESSAGES = 100_000
MESSAGE_CHARACTERS = 4 * 1024 * 1024
CHARACTERS = 32 * 1024 * 1024
TITLE_CHARACTERS = 200
NAME_CHARACTERS = 100
PART_CHARACTERS = 200
SIGNATURE_LINES = 15
KNOWN = frozenset({"from", "to", "subject", "date", "message-id", "received", "return-path", "mime-version"})
SEPARATOR = re.compile(rb"(?:\A|(?<=\n\n)|(?<=\n\r\n))From ([^\r\n]{1,200})\r?\n")
STAMP = re.compile(rb"\d\d:\d\d.*\d{4}")
ESCAPED_FROM = re.compile(rb"^>(?=>*From )", re.MULTILINE)
ADDRESS = re.compile(r'\s*"?([^"<>]*?)"?\s*<([^<>]*)>')
COMMENTED = re.compile(r"([^\s()]+)\s*\(([^()]*)\)\s*")
INTRODUCTION = re.compile(r".{0,300}\b(?:wrote|schrieb|écrit|escribió|scritto)\b.{0,100}:")
BEGINS = re.compile(r"\s*(?:On|Am|Le|El|Il)\b")


def parse(raw: bytes, name: str) -> list[Parsed]:
    """The message of an `.eml`, or the messages of an `.mbox`, where one that cannot be read has no blocks.

    Raises UnreadableDocumentError for what is no e-mail, or DocumentTooLargeError.
    """
    if not name.lower().endswith(".mbox"):
        return [_message(raw, "")] if raw.strip() else []
    parts = Parts()
    found: list[Parsed] = []
    characters = 0
    for one in _messages(raw):
        found.append(_of_many(one, parts))
        characters += sum(len(block.text) for block in found[-1].blocks)
        if len(found) > MESSAGES or characters > CHARACTERS:
            raise DocumentTooLargeError(
                f"It has more than the {MESSAGES} messages or the {CHARACTERS} characters allowed.", hint="Split it."
            )
    return found


def _messages(raw: bytes) -> Iterator[bytes]:
    lines = (match for match in SEPARATOR.finditer(raw) if STAMP.search(match[1]))
    starts = list(islice(lines, MESSAGES + 2))
    if raw.strip() and not (starts and starts[0].start() == 0):
        raise UnreadableDocumentError("It is no mailbox: it does not begin with a line From and a time.")
    ends = [*(match.start() for match in starts[1:]), len(raw)]
    for start, end in zip(starts, ends, strict=False):
        yield ESCAPED_FROM.sub(b"", raw[start.end() : end])


def _of_many(raw: bytes, parts: Parts) -> Parsed:
    said, _ = read_head(raw, 0, len(raw))
    given = one_line(said.get("message-id", "").strip(" <>"), PART_CHARACTERS)
    part = parts.unique(given or digest_of(raw.decode("latin-1"))[:16])
    try:
        return _message(raw, part)
    except RefusedError as error:
        return Parsed(blocks=(), kind="email", title=_subject(said), part=part, trouble=error.code)


def _subject(said: dict[str, str]) -> str:
    return one_line(words(said.get("subject", "")), TITLE_CHARACTERS)


def _message(raw: bytes, part: str) -> Parsed:
    said, _ = read_head(raw, 0, len(raw))
    if not KNOWN & said.keys():
        raise UnreadableDocumentError("It is no e-mail: it has none of the usual headers.")
    leaves = Walk(raw).leaves(0, len(raw))
    texts = [_said(leaf) for leaf in leaves if leaf.is_body]
    files = [f"[file: {one_line(leaf.file, NAME_CHARACTERS)}]" for leaf in leaves if leaf.file and not leaf.is_body]
    text = "\n\n".join(filter(None, [*texts, "\n".join(files)]))
    sender = _sender(said.get("from", ""))
    block = Block(text=text, at=_date(said.get("date", "")), speaker=sender)
    return Parsed(blocks=(block,) if text else (), kind="email", title=_subject(said), part=part, author=sender)


def _said(leaf: Leaf) -> str:
    text = leaf.text()
    if len(text) > MESSAGE_CHARACTERS:
        raise DocumentTooLargeError(f"A text of it has more than {MESSAGE_CHARACTERS} characters.")
    if leaf.type == "text/html":
        return text_of(html.read(text, is_piece=True).blocks, apart="\n\n")
    return _own_words(text)


def _own_words(text: str) -> str:
    """A plain text without the message that it answers, where that is quoted as a whole below, and its signature."""
    lines = text.rstrip().split("\n")
    end = len(lines)
    while end and (not lines[end - 1].strip() or lines[end - 1].startswith(">")):
        end -= 1
    if 0 < end < len(lines) and INTRODUCTION.fullmatch(lines[end - 1].strip()):
        in_two = end > 1 and not BEGINS.match(lines[end - 1]) and BEGINS.match(lines[end - 2])
        lines = lines[: end - 2 if in_two else end - 1]
    signed = max((place for place, line in enumerate(lines) if line == "-- "), default=len(lines))
    return "\n".join(lines[:signed] if len(lines) - signed <= SIGNATURE_LINES else lines).strip()


def _sender(value: str) -> str:
    """The name that a sender gives, or the address."""
    value = value[: 4 * NAME_CHARACTERS]
    if match := ADDRESS.match(value):
        return one_line(words(match[1]).strip(" '\""), NAME_CHARACTERS) or one_line(match[2], NAME_CHARACTERS)
    if match := COMMENTED.fullmatch(value):
        return one_line(words(match[2]), NAME_CHARACTERS) or one_line(match[1], NAME_CHARACTERS)
    return one_line(words(value), NAME_CHARACTERS)


def _date(value: str) -> Instant | None:
    try:
        moment = parsedate_to_datetime(value[:200])
        return instant_at(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
