"""Text in one form, without characters that nobody sees and a model reads all the same.

Pure and linear in the length of the text; doing it twice changes nothing. What stays: joiners and variation selectors
where a script or an emoji needs them, and the flags of England, Scotland and Wales. Private use characters go: they
mean what one font says they mean.
"""

import re
import unicodedata
from collections.abc import Iterator

ROUNDS = 2  # taking one thing away may show another, once in honest text
MARKS = 30  # on one letter, as in Unicode's Stream-Safe Text Format: putting a longer run in order takes quadratic time

# Letters and signs that are seen, stay as they are in NFC and compose only with what is not among them.
_PLAIN = (
    r" -~\n\t\xa0-\xac\xae-\u02ff\u2010-\u2027\u2030-\u205e\u20a0-\u20cf\u0400-\u0482\u048a-\u052f\u2190-\u2328"
    r"\u232b-\u2adb\u3001-\u3029\u3041-\u3096\u309b-\u30ff\u3400-\u9fff\uac00-\ud7a3\uff01-\uff5e\U0001f300-\U0001faff"
)
_ODD = re.compile(rf"[^{_PLAIN}]")
_CROWDED = re.compile(rf"[^\x00-\u02ff\u3400-\u9fff\uac00-\ud7a3]{{{MARKS + 1},}}+")
_LATE_MARKS = "\u0f73\u0f75\u0f81"  # they count as letters and decompose into marks
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_LINE_END = re.compile(r"\r\n?|[\x0b\x0c\u2028\u2029]")

_REGIONS = ("gbeng", "gbsct", "gbwls")
_FLAGS = "|".join("\U0001f3f4" + "".join(chr(0xE0000 + ord(c)) for c in name) + "\U000e007f" for name in _REGIONS)
_GONE_KINDS = {
    "control": r"\x00-\x08\x0b-\x1f\x7f-\x9f",
    "bidi_control": r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069",
    "zero_width": r"\xad\u034f\u180e\u200b\u2060-\u2065\u206a-\u206f\ufeff\u115f\u1160\u17b4\u17b5\u3164\uffa0",
    "annotation": r"\ufff9-\ufffc\U0001bca0-\U0001bca3\U0001d173-\U0001d17a",
    "tag": r"\U000e0000-\U000e00ff\U000e01f0-\U000e0fff",
    "private_use": r"\ue000-\uf8ff\U000f0000-\U000ffffd\U00100000-\U0010fffd",
    "noncharacter": r"\ufdd0-\ufdef\ufff0-\ufff8\ufffe\uffff"
    + "".join(chr(plane * 0x10000 + last) for plane in range(1, 17) for last in (0xFFFE, 0xFFFF)),
}
_GONE = re.compile(rf"({_FLAGS})|[{''.join(_GONE_KINDS.values())}]++")
_KINDS = {kind: re.compile(f"[{members}]") for kind, members in _GONE_KINDS.items()}

_EMOJI = (
    r"\xa9\xae\u203c\u2049\u2122\u2139\u2190-\u21ff\u2300-\u23ff\u2460-\u27bf\u2900-\u297f\u2b00-\u2bff\u3030\u303d"
    r"\u3297\u3299\U0001f000-\U0001faff"
)
_IDEOGRAPHS = r"\u3400-\u9fff\uf900-\ufaff\U00020000-\U000323af"
_SELECTORS = re.compile(r"[\ufe00-\ufe0f\U000e0100-\U000e01ef\u180b-\u180d\u180f]++")
# A selector, and in front of it a character that has such a variant.
_VARIANT = re.compile(
    rf"[#*0-9{_EMOJI}][\ufe0e\ufe0f]|[{_IDEOGRAPHS}][\U000e0100-\U000e01ef]|[\u1820-\u18aa][\u180b-\u180d\u180f]"
    rf"|[0{_IDEOGRAPHS}\u1000-\u109f\u2200-\u22ff\u2a00-\u2aff\u3000-\u303f\ua840-\ua877\uff00-\uff60][\ufe00-\ufe0d]"
)
_JOINERS = re.compile(r"[\u200c\u200d]++")
# The scripts of Arabic's family, of India and its neighbours, and Mongolian: they choose forms of letters by joiners.
_JOINING = (
    r"[\u0600-\u07ff\u0840-\u0dff\u0f00-\u109f\u1700-\u18aa\u1900-\u1cff\ua800-\uabff\ufb50-\ufdff\ufe70-\ufefc"
    r"\U00010a00-\U00010fff\U00011000-\U00011fff]"
)
_JOIN = re.compile(
    rf"{_JOINING}[\u200c\u200d]{_JOINING}|{_JOINING}\u200d(?!{_JOINING})|[\ufe0f{_EMOJI}]\u200d[{_EMOJI}]"
)
_EVERY_SIGN = re.compile(
    rf"[{''.join(_GONE_KINDS.values())}\u200c\u200d\ufe00-\ufe0f\U000e0100-\U000e01ef\u180b-\u180d\u180f]++"
)
_FOREIGN = re.compile(r"[\u0370-\u052f]")
_WORD = re.compile(r"[^\W\d_]{3,}+")
_LATIN = re.compile(r"[A-Za-z]")
_LOOKALIKE = re.compile(
    r"[\u0400-\u052f\u0391\u0392\u0395-\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7\u03bf]"
)


def safe(text: str) -> str:
    """The text in NFC, with one kind of line end and nothing hidden; a lone surrogate becomes U+FFFD."""
    if not _ODD.search(text):
        return text
    text = _LINE_END.sub("\n", text)
    if _SURROGATE.search(text):
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    for _ in range(ROUNDS):
        if (shown := _shown(normal := _normal(text))) == normal:
            return shown
        text = shown
    # Made to take ever more rounds: no script needs that, so nothing that joins or selects is worth keeping.
    return _stripped(text)


def hidden(text: str) -> Iterator[str]:
    """What kind each character is of that `safe` takes away as invisible, joiners and selectors excepted."""
    if _GONE.search(text):
        for kind, members in _KINDS.items():
            yield from [kind] * len(members.findall(text))


def mixed_words(text: str) -> int:
    """How many words mix Latin letters with Cyrillic or Greek ones that look like Latin."""
    if text.isascii() or not _FOREIGN.search(text):
        return 0
    return sum(1 for word in _WORD.findall(text) if _LATIN.search(word) and _LOOKALIKE.search(word))


def _stripped(text: str) -> str:
    """Without joiners, selectors and flags too: then one more round changes nothing."""
    return _normal(_EVERY_SIGN.sub("", _normal(_EVERY_SIGN.sub("", text))))


def _normal(text: str) -> str:
    """NFC. A run of marks is cut before, so that it takes linear time, and after, because some decompose into more."""
    return _CROWDED.sub(_thinned, unicodedata.normalize("NFC", _CROWDED.sub(_thinned, text)))


def _thinned(run: re.Match[str]) -> str:
    kept: list[str] = []
    marks = 0
    for character in run[0]:
        marks = marks + 1 if unicodedata.combining(character) or character in _LATE_MARKS else 0
        if marks <= MARKS:
            kept.append(character)
    return "".join(kept)


def _shown(text: str) -> str:
    text = _GONE.sub(lambda match: match[1] or "", text)
    text = _SELECTORS.sub(_selector, text)
    return _JOINERS.sub(_joiner, text)


def _selector(run: re.Match[str]) -> str:
    start = run.start()
    return run[0][0] if start and _VARIANT.match(run.string, start - 1) else ""


def _joiner(run: re.Match[str]) -> str:
    around = run.string[max(run.start() - 1, 0) : run.start()] + run[0][0] + run.string[run.end() : run.end() + 1]
    return run[0][0] if _JOIN.match(around) else ""
