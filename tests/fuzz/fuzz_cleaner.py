"""The cleaner of Unicode: what it lets through can be stored, compared and shown, and nothing in it hides."""

import re
import unicodedata
from collections.abc import Iterator

from ingest.markup import clean
from tests.fuzz.draws import stretched

MAX_BYTES = 256
# A byte stands for one of these where the first byte says so: what joins, turns, hides, combines or composes.
TABLE = (
    "ab\t\n\r\0 \x7f\x85\u00ad\u034f\u061c\u070f\u115f\u1160\u17b4\u180b\u180e\u180f\u200b\u200c\u200d\u200e\u200f"
    "\u2028\u2029\u202a\u202d\u202e\u2060\u2061\u2064\u2066\u2067\u2069\u206a\u206f\u3164\ufe00\ufe0e\ufe0f\ufeff"
    "\uffa0\ufff9\ufffa\ufffb\ufffd\ufdd0\uffff\U0001fffe\U0010ffff\ud800\udbff\udc00\udfff\ue000\U000f0000"
    "\U000e0001\U000e0020\U000e0067\U000e0062\U000e0065\U000e006e\U000e007f\U000e0100\U000e01ef\U0001f3f4"
    "\U0001f468\U0001f469\U0001f467\u2764\U0001f3fb\U0001f1e9\U0001f1ea\u20e3#1\u0915\u094d\u0937\u0dc1\u0dca\u0dbb"
    "\u0645\u06cc\u0633\u0628\u0301\u0308\u0327\u0323\u1100\u1161\u11a8\uac00\u212b\u2126\ufb2c\U0001d160\u0344"
    "\u0410\u03b1\u4e00\u30ac\u3099\u0e33\u1e0b\u0958\u0340\u0341\u0374\u037e\u1fef\u2000\u2329\U0001d173\u13a0"
)
BY_BYTE = [TABLE[byte % len(TABLE)] for byte in range(256)]
FORBIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028\u2029\u202a-\u202e\u2060-\u2069\ufeff"
    "\ufff9-\ufffb\ud800-\udfff\U000e0001]"
)
LAST_OF_PLANES = "".join(f"{chr(plane << 16 | 0xFFFE)}{chr(plane << 16 | 0xFFFF)}" for plane in range(17))
NONCHARACTER = re.compile(f"[\ufdd0-\ufdef{LAST_OF_PLANES}]")
TAG = re.compile("[\U000e0000-\U000e007f]+")
FLAG_TAGS = {"gbeng", "gbsct", "gbwls"}
SELECTORS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]{2}")
WORDS = (b"\xe2\x80\x8d", b"\xef\xb8\x8f", b"\xf3\xa0\x81\xa7", b"\xe2\x80\xae", b"\xcc\x81", b"\xed\xa0\x80", b"\r\n")


def text_of(data: bytes) -> str:
    """The bytes as UTF-8 with surrogates, or each as one of the table."""
    part = stretched(data[1:])
    return part.decode("utf-8", "surrogateescape") if data[:1] < b"\x80" else "".join(map(BY_BYTE.__getitem__, part))


def seeds() -> Iterator[bytes]:
    """Every character of the table alone and in runs, and scripts that need their joiners."""
    yield b"\x80" + bytes(range(len(TABLE)))
    yield b"\x80" + bytes((at * 37) % 256 for at in range(MAX_BYTES - 1))
    yield from (b"\x80" + bytes([at, at + 1, at, at]) for at in range(0, len(TABLE), 5))
    for text in ("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "\u0915\u094d\u200d\u0937", "e\u0301" * 50):
        yield b"\0" + text.encode()
    yield b"\0" + "\U0001f468\u200d\U0001f469\u200d\U0001f467 \u2764\ufe0f\U0001f3fb 1\ufe0f\u20e3".encode()
    yield b"\0" + "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f".encode()


def one_input(data: bytes) -> None:
    """Clean a text: what comes out is clean for good, in NFC, and no longer than NFC makes it."""
    text = text_of(data)
    cleaned = clean(text)
    assert clean(cleaned) == cleaned, "cleaning again changes it"
    assert unicodedata.is_normalized("NFC", cleaned)
    assert not (found := FORBIDDEN.search(cleaned)), f"U+{ord(found[0]):04X}"
    assert not NONCHARACTER.search(cleaned), "a noncharacter"
    assert not SELECTORS.search(cleaned), "a run of variation selectors"
    assert len(cleaned) <= 3 * len(text)
    assert clean("") == ""
    for tags in TAG.finditer(cleaned):
        name = "".join(chr(ord(tag) - 0xE0000) for tag in tags[0])
        assert name.removesuffix("\x7f") in FLAG_TAGS, "hidden letters"
        assert cleaned[tags.start() - 1 : tags.start()] == "\U0001f3f4"
    cleaned.encode()
