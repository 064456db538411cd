"""E-mail down to its leaves, under limits: linear in its size, and whatever the bytes are, they have some reading."""

import binascii
import codecs
import re
import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from urllib.parse import unquote_to_bytes

from ingest.formats.parsed import UnreadableDocumentError
from ingest.markup import clean

DEPTH = 20
PARTS = 1_000
HEAD_BYTES = 256 * 1024
VALUE_CHARACTERS = 4_096
BODIES = ("text/plain", "text/html")  # the plainer first
# Not all that Python calls an encoding is one of text, and what is none takes the square of the length.
NO_CHARSETS = frozenset({"idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape", "utf_7"})
ENCODED_WORD = re.compile(r"=\?([\w.:+-]{1,60})(?:\*[\w-]{0,20})?\?([bq])\?([^?\s]*+)\?=", re.IGNORECASE | re.ASCII)
BETWEEN_WORDS = re.compile(r"(?<=\?=)\s++(?==\?)")
LINE_END = re.compile(rb"\r?\n")
BLANK_LINE = re.compile(rb"\n\r?\n")
FOLD = re.compile(r"\r?\n[ \t]+")
NOT_BASE64 = bytes(set(range(256)) - set(string.ascii_letters.encode() + string.digits.encode() + b"+/"))
PARAMETER = re.compile(r';\s*+([\w-]{1,60}+)(?:\*(\d{1,2}))?(\*?)\s*+=\s*+("(?:[^"\\]|\\.)*+"|[^;\s"]*+)', re.ASCII)
ESCAPED = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True)
class Leaf:
    """A part that has no parts: its type, what it is called where it is a file, and its bytes as they were sent."""

    type: str
    charset: str
    file: str
    attached: bool
    encoding: str
    sent: bytes

    @property
    def is_body(self) -> bool:
        """Whether it is read with the message, and not a file that came with it."""
        return self.type in BODIES and not self.attached

    def text(self) -> str:
        """Its content as clean text, as far as it can be decoded."""
        return clean(decoded(self._content(), self.charset))

    def _content(self) -> bytes:
        if self.encoding == "quoted-printable":
            return binascii.a2b_qp(self.sent)
        return _from_base64(self.sent) if self.encoding == "base64" else self.sent


@dataclass(slots=True)
class Walk:
    """One walk through a message, which is cut only where its leaves are; it counts the parts."""

    raw: bytes
    parts: int = 0

    def leaves(self, start: int, end: int, depth: int = 0) -> list[Leaf]:
        """The leaves between two places in their order; of several forms of the same the plainest that says anything.

        Raises UnreadableDocumentError for more parts, or deeper ones, than any message has.
        """
        self.parts += 1
        if self.parts > PARTS or depth > DEPTH:
            raise UnreadableDocumentError(f"It has more than {PARTS} parts, or more than {DEPTH} in one another.")
        said, body = read_head(self.raw, start, end)
        kind, parameters = _valued(said.get("content-type", "text/plain"))
        if kind == "message/rfc822":
            return self.leaves(body, end, depth + 1)
        boundary = parameters.get("boundary", "") if kind.startswith("multipart/") else ""
        inner = list(_inner(self.raw, body, end, boundary)) if boundary else []
        if not inner:
            return [_leaf(said, kind, parameters, self.raw[body:end])]
        groups = [self.leaves(first, last, depth + 1) for first, last in inner]
        return _plainest(groups) if kind == "multipart/alternative" else [leaf for group in groups for leaf in group]


def read_head(raw: bytes, start: int, end: int) -> tuple[dict[str, str], int]:
    """The headers of a message or part between two places, and where its body begins."""
    if opening := LINE_END.match(raw, start, end):
        return {}, opening.end()
    blank = BLANK_LINE.search(raw, start, end)
    head_end, body = (blank.start(), blank.end()) if blank else (end, end)
    return headers(raw[start : min(head_end, start + HEAD_BYTES)]), body


def headers(head: bytes) -> dict[str, str]:
    """The first value of each header by its name in lower case, unfolded and cut to a bounded length."""
    found: dict[str, str] = {}
    for line in FOLD.sub(" ", decoded(head, "utf-8")).split("\n"):
        name, colon, value = line.partition(":")
        if colon:
            found.setdefault(name.strip().lower(), clean(value[:VALUE_CHARACTERS]).strip())
    return found


def words(value: str) -> str:
    """A header's value with its encoded words decoded."""
    return clean(ENCODED_WORD.sub(_word, BETWEEN_WORDS.sub("", value)))


def decoded(raw: bytes, charset: str) -> str:
    """Bytes as text: by the charset they claim if that fits, by UTF-8 if that does, else with replacements."""
    claimed = _codec(charset)
    for codec in filter(None, (claimed, "utf-8")):
        try:
            return raw.decode(codec)
        except UnicodeError:
            continue
    return raw.decode("cp1252" if claimed in ("", "ascii", "utf-8") else claimed, "replace")


def _codec(charset: str) -> str:
    """The name of a codec of text, nothing where there is none of this name."""
    try:
        codec = codecs.lookup(charset)
    except (LookupError, ValueError, OSError):
        # An encoding that was never loaded is looked for in a file, where none may be opened.
        return ""
    is_text = getattr(codec, "_is_text_encoding", True) and codec.name.replace("-", "_") not in NO_CHARSETS
    return codec.name if is_text else ""


def _word(match: re.Match[str]) -> str:
    charset, encoding, text = match[1], match[2].lower(), match[3].encode(errors="replace")
    return decoded(_from_base64(text) if encoding == "b" else binascii.a2b_qp(text, header=True), charset)


def _from_base64(raw: bytes) -> bytes:
    digits = raw.translate(None, NOT_BASE64)
    # A digit that is left over stands for fewer bits than a byte has.
    digits = digits[: len(digits) - (len(digits) % 4 == 1)]
    return binascii.a2b_base64(digits + b"=" * (-len(digits) % 4))


def _valued(value: str) -> tuple[str, dict[str, str]]:
    """A header's value and its parameters, which RFC 2231 lets be encoded and cut into numbered pieces."""
    pieces: dict[str, list[tuple[int, str]]] = {}
    for name, number, encoded, text in PARAMETER.findall(value):
        plain = ESCAPED.sub(r"\1", text[1:-1]) if text.startswith('"') else text
        pieces.setdefault(name.lower(), []).append((int(number or 0), _unquoted(plain) if encoded else plain))
    whole = {name: "".join(text for _, text in sorted(found)) for name, found in pieces.items()}
    return value.partition(";")[0].strip().lower(), whole


def _unquoted(text: str) -> str:
    charset, quote, rest = text.partition("'")
    return decoded(unquote_to_bytes(rest.partition("'")[2] if quote else text), charset if quote else "utf-8")


def _inner(raw: bytes, start: int, end: int, boundary: str) -> Iterator[tuple[int, int]]:
    """Where the parts between the lines of a boundary begin and end, of more than are allowed one too many."""
    mark = b"--" + re.escape(boundary.encode(errors="replace"))
    # What a pattern begins with is found fastest as it is; that it begins a line is looked at afterwards.
    line = re.compile(mark + rb"(?<![^\n]" + mark + rb")(--)?[ \t]*+(?=\r?\n|\Z)")
    first = None
    for match in islice(line.finditer(raw, start, end), PARTS + 2):
        if first is not None:
            last = match.start() - (2 if raw.endswith(b"\r\n", first, match.start()) else 1)
            yield first, max(first, last)
        if match[1]:
            return
        after = LINE_END.match(raw, match.end(), end)
        first = after.end() if after else end
    if first is not None and first < end:
        yield first, end


def _leaf(said: Mapping[str, str], kind: str, parameters: Mapping[str, str], body: bytes) -> Leaf:
    disposition, about = _valued(said.get("content-disposition", ""))
    inside = kind.startswith("image/") and "content-id" in said  # a picture in the text
    file = "" if inside or kind.endswith("-signature") else words(about.get("filename") or parameters.get("name", ""))
    return Leaf(
        type=kind if "/" in kind and not kind.startswith("multipart/") else "text/plain",
        charset=parameters.get("charset", "utf-8"),
        file=file,
        attached=disposition == "attachment",
        encoding=said.get("content-transfer-encoding", "").lower(),
        sent=body,
    )


def _plainest(groups: list[list[Leaf]]) -> list[Leaf]:
    """The group in the plainest form that says anything, and the files of all the others."""
    for kind in BODIES:
        for chosen, group in enumerate(groups):
            if any(leaf.type == kind and leaf.is_body and leaf.text().strip() for leaf in group):
                return [leaf for place, one in enumerate(groups) for leaf in one if place == chosen or not leaf.is_body]
    return [leaf for group in groups for leaf in group]
