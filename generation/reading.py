"""Reads a sentence into the tokens that its claim is made of.

Markdown, Slack's marks, entities and typographic variants go; contractions are written out; numbers, percent signs and
the hours of the clock get one spelling. Every step takes time linear in the text: all repetition is bounded or cannot
overlap with what follows it.
"""

import html
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from generation import lexicon

__all__ = ["Reading", "Token", "clean", "read"]


@dataclass(frozen=True, slots=True)
class Token:
    """One word, number or sign of a sentence."""

    form: str  # how it is spelled, in lower case
    upper: bool = False  # begins with a capital
    caps: bool = False  # is written in capitals
    start: bool = False  # begins a sentence
    after: str = ""  # the mark that follows it: one of , : ; . ! ? - (inside a word) -- (between words)
    group: str = ""  # what it counts as when nothing about it is capitalised, where that is not its form

    @property
    def canon(self) -> str:
        """What the word counts as in lower case."""
        return self.group or self.form

    @property
    def free(self) -> bool:
        """May come and go in English; the A of "plan A" may not."""
        return self.form in lexicon.FREE and (self.start or not self.upper)


@dataclass(frozen=True, slots=True)
class Reading:
    """A sentence as its tokens. `uniform` says that no word begins in lower case, so that capitals mean nothing."""

    tokens: tuple[Token, ...]
    uniform: bool
    english: bool


_LIKE = str.maketrans(
    dict.fromkeys("‘’‛ʼ＇′`´", "'")  # noqa: RUF001
    | dict.fromkeys("‐‑‒–—−﹣－", "-")  # noqa: RUF001
    | dict.fromkeys("\u00ad\u200b\u200e\u200f\u2060\ufeff\\")
    | {"？": "?", "％": "%", "！": "!", "，": ",", "：": ":"}  # noqa: RUF001
)
_LINK = re.compile(r"!?\[([^\[\]\n]{0,300})\]\([^()\s]{0,2000}\)|<(?i:[a-z]{3,6}):[^<>|\s]{1,2000}\|([^<>\n]{0,300})>")
_MENTION = re.compile(r"<([@#!])([^<>|\s]{1,80})(?:\|[^<>\n]{0,80})?>")
_TAG = re.compile(r"</?(?:b|i|u|em|strong|br|p|code|li|ul|ol|span|div) ?/?>", re.IGNORECASE)
_QUOTE_MARK = re.compile(r"^> (?!-?[\d£$€])")
_LOWER_START = re.compile(r"(?<![\w'])[a-zß-öø-ÿ]")

# What is neither white space nor a known mark belongs to a word, so that no letter or vowel sign of any script is lost.
_MARKS = (
    r"""\s!"#$%&'()*+,\-./:;<=>?@\[\\\]^`{|}~\u00a1-\u00a9\u00ab-\u00b1\u00b4\u00b6-\u00b8\u00bb\u00bf\u00d7\u00f7"""
    r"""\u0589\u060c\u061b\u061f\u0964\u0965\u2010-\u2027\u2030-\u205e\u20a0-\u20bf\u2190-\u2bff\u3001-\u3003"""
    r"""\u3008-\u3011\uff01-\uff0f\uff1a-\uff20\ufe0f\U0001f000-\U0001faff"""
)
_CJK = r"\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_LETTER = rf"[^{_MARKS}_{_CJK}]"
_TOKEN = re.compile(
    rf"""
      (?P<url> (?i:https?://|www\.) [^\s<>"']+ | [\w.+-]{{1,64}} @ \w[\w-]* (?: \.\w[\w-]* )+ )
    | (?P<handle> [@\#] (?:{_LETTER}|_)+ (?: [.-] (?:{_LETTER}|_)+ )* )
    | (?P<number> (?: (?<![\w.,)]) - )? [£$€¥₹]? (?: (?<![\w.])\. )?
                  \d+ (?: [.,:/-] \d+ )* (?P<unit> (?: {_LETTER}|_)* ) )
    | (?P<initials> (?: (?<!\w) [A-Za-z]\. (?=[A-Za-z]\.) )+ [A-Za-z]\. )
    | (?P<word> {_LETTER}+ (?: (?: _+ | [.'] ) {_LETTER}+ )* )
    | (?P<sign> [{_CJK}] | [?\u061f]+ | ~+ | (?<=\d)\*(?=\d) | [%£$€¥₹+=<>≤≥±×÷→§°&@^/❌✗✘✖🚫⛔✅✓✔☑] )
    """,  # noqa: RUF001
    re.VERBOSE,
)
_JOINED = (
    (re.compile(r"\bper cent\b", re.IGNORECASE), "percent"),
    (re.compile(r"\be-mail", re.IGNORECASE), "email"),
)
_WORDS_PER_MARKER = 10  # an imperative of ten words may have no more than one "the"
_PLAIN_NUMBER = re.compile(r"[0-9]{1,9}")
_ORDINAL = re.compile(r"(\d+)(?:st|nd|rd)")
_PLURAL = re.compile(r"[^\W\d_]{3,}(?<![sui])s")  # "pass", "bonus" and "this" are none
_THOUSANDS = re.compile(r"-?[£$€¥₹]?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_SPELLINGS = {"&": "and", "percent": "%", "a.m": "am", "p.m": "pm"}


def clean(text: str) -> str:
    """Plain text on trimmed lines: what an editor or a chat adds for the eye is gone."""
    text = unicodedata.normalize("NFC", html.unescape(text)).translate(_LIKE)
    text = _LINK.sub(lambda found: found[1] or found[2] or "", _TAG.sub(" ", text))
    text = _MENTION.sub(r"\1\2", text)
    text = re.sub(r"[ \n]*\n[ \n]*", "\n", re.sub(r"[^\S\n]+", " ", text)).strip()
    text = re.sub(r"(?<=\d) ?- ?(?=\d)", "-", _QUOTE_MARK.sub("", text))
    for split, whole in _JOINED:
        text = split.sub(whole, text)
    return lexicon.CITATION.sub("", text).strip()


def read(cleaned: str) -> Reading:
    """The tokens of a text that went through `clean`; the caller may have cut something off it."""
    plain = list(_contractions(_spelled(cleaned)))
    tokens = tuple(_counted(list(_grouped(list(_numbers(plain))))))
    known = sum(token.form in lexicon.ENGLISH for token in plain)
    foreign = sum(token.form in lexicon.OTHER_LANGUAGES for token in plain)
    english = known > foreign and known * _WORDS_PER_MARKER >= len(plain)
    return Reading(tokens, not _LOWER_START.search(cleaned), english)


def _spelled(cleaned: str) -> Iterator[Token]:
    start = True
    for found in _TOKEN.finditer(cleaned):
        written, after = found[0], _mark_after(cleaned, found.end())
        caps = len(written) > 1 and written.isupper()
        yield from _normal(found, Token(written.casefold(), written[:1].isupper(), caps, start, after))
        start = after in {".", "!", "?", ":"} or written.startswith("?") or cleaned.startswith("\n", found.end())


def _mark_after(cleaned: str, end: int) -> str:
    next_two = cleaned[end : end + 2]
    if next_two[:1] == "-" and next_two[1:].strip():
        return "-"
    mark = cleaned[end : end + 3].lstrip(" *_)\"'")[:1]
    return "--" if mark == "-" else mark if mark in {",", ":", ";", ".", "!", "?"} else ""


def _normal(found: re.Match[str], token: Token) -> Iterator[Token]:
    """One match as its tokens: a unit parts from its number, other kinds get one spelling."""
    form, unit = token.form, (found["unit"] or "").casefold()
    if unit in lexicon.UNITS:
        yield replace(token, form=_number(form.removesuffix(unit)), after="")
        yield replace(token, form=unit, start=False)
        return
    if found["number"]:
        form = _ORDINAL.sub(r"\1th", _number(form))
    elif found["initials"]:
        form = form[:-1]
    elif found["url"]:
        form = form.rstrip(".,;:!?)]*_")
    elif form in {"no", "yes"} and token.after == ",":
        form += ","  # "No, smoking is allowed" does not say that no smoking is allowed
    form = "?" if form[0] in "?؟" else _SPELLINGS.get(form, form)
    yield token if form == token.form else replace(token, form=form)


def _number(form: str) -> str:
    form = form.replace(",", "") if _THOUSANDS.fullmatch(form) else form
    return form.removesuffix(".00") if form[0] in "£$€¥₹" else form


def _contractions(tokens: Iterable[Token]) -> Iterator[Token]:
    """Write out what an apostrophe left out; 'd stays, for it is "had" or "would"."""
    for token in tokens:
        first, second = _parts(token.form)
        if second:
            yield replace(token, form=first, after="")
            yield replace(token, form=second, upper=token.caps, start=False)
        else:
            yield token


def _parts(form: str) -> tuple[str, str]:
    stem, mark, end = form.rpartition("'")
    if form in lexicon.CONTRACTIONS:
        return lexicon.CONTRACTIONS[form]
    if not mark or end not in lexicon.ENDINGS:
        return form, ""
    return stem, "is" if end == "s" and stem in lexicon.IS_PRONOUNS else lexicon.ENDINGS[end]


def _numbers(tokens: Sequence[Token]) -> Iterator[Token]:
    """Numbers in words as digits: tens with units, and scales. "And" never joins two numbers."""
    place = 0
    while place < len(tokens):
        form, width = _spoken(tokens[place : place + 4])
        last = tokens[place + width - 1]
        yield replace(tokens[place], form=form, after=last.after) if form != last.form else last
        place += width


def _spoken(window: Sequence[Token]) -> tuple[str, int]:
    """The number that begins in front of `window` as (digits, tokens used); any other word is itself."""
    form, width = window[0].form, 1
    if form in lexicon.ORDINALS:
        return f"{lexicon.ORDINALS[form]}th", 1
    value = int(form) if _PLAIN_NUMBER.fullmatch(form) else lexicon.NUMBERS.get(form)
    if value is None:
        return form, 1
    for before, token in pairwise(window):
        unit = lexicon.NUMBERS.get(token.form, 0)
        if before.after not in {"", "-"}:
            break
        if token.form in lexicon.SCALES:
            value *= lexicon.SCALES[token.form]
        elif width == 1 and before.form in lexicon.TENS and 0 < unit < lexicon.NUMBERS["ten"]:
            value += unit
        else:
            break
        width += 1
    return str(value) if width > 1 or form in lexicon.NUMBERS else form, width


def _grouped(tokens: Sequence[Token]) -> Iterator[Token]:
    """Put the words of a group such as "have to" together."""
    place = 0
    while place < len(tokens):
        forms = tuple(token.form for token in tokens[place : place + 3])
        width = next((n for n in (len(forms), 2) if forms[:n] in lexicon.PHRASES), 1)
        token = tokens[place]
        if width > 1:
            after = tokens[place + width - 1].after
            token = replace(token, form=" ".join(forms[:width]), group=lexicon.PHRASES[forms[:width]], after=after)
        yield token
        place += width


def _counted(tokens: Sequence[Token]) -> Iterator[Token]:
    """Give every token what it counts as."""
    forms = ["", *(token.form for token in tokens), ""]
    for place, token in enumerate(tokens):
        group = token.group or _group(token.form, forms[place], forms[place + 2])
        yield token if group == token.canon else replace(token, group=group)


def _group(form: str, before: str, after: str) -> str:
    """Modals by class where permission or duty is sure, else the word without the -s of plural or third person."""
    if form == "may":  # "Rates may be low" and "the train may not come" tell a chance, not a permission
        return "can" if before == "you" and after not in {"not", "be", "have", "have to", "need to"} else form
    if form == "shall":  # "shall we" offers
        return form if {before, after} & {"i", "we"} else "must"
    if form in lexicon.UNSTEMMED or not _PLURAL.fullmatch(form):
        return form
    if form.endswith("ies"):
        return form[:-3] + "y"
    if form.endswith(("sses", "shes", "ches", "xes", "zes")):
        return form[:-2]
    return form.removesuffix("s")
