"""Questions and answers as documents, one of kind `faq` each: from rows of any table, and from JSON."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import pairwise
from typing import TypeGuard
from urllib.parse import urlsplit

from core.words import Block, digest_of
from ingest.errors import RefusedError
from ingest.formats.dates import instant_of
from ingest.formats.parsed import DocumentTooLargeError, Parsed
from ingest.formats.parts import Parts
from ingest.markup import clean, one_line
from ingest.strict_json import parse as parse_json

NAMES = {
    "question": ("question", "questions", "q", "frage", "faq"),
    "answer": ("answer", "answers", "a", "response", "reply", "antwort"),
    "id": ("id", "faq id", "question id"),
    "category": ("category", "topic", "section", "kategorie", "thema"),
    "url": ("url", "link"),
    "author": ("author", "owner", "autor"),
    "valid_from": ("effective date", "valid from", "date", "datum"),
    "modified": ("updated", "updated at", "last updated", "modified"),
}
ROLES = {name: role for role, names in NAMES.items() for name in names}
ASKED = {"question", "answer"}
LISTS = ("faqs", "items", "questions", "data")
TITLE_CHARACTERS = 200
NAME_CHARACTERS = 100
ROWS = 100_000
CHARACTERS = 32 * 1024 * 1024
NO_WORDS = "A part of a line has no words."
NO_WORDS_IN_ROW = "its question or its answer has no words, or a part without any, that can be read."
NO_LIST = "It is no list of questions and answers."
HINT = 'Objects with the keys "question" and "answer" are read, in a list or under "faqs".'


def _set(names: str) -> frozenset[str]:
    return frozenset(names.split())


# Rich text as editors and exports of knowledge bases write it. Where an object keeps its words, and where its type:
TEXTS = _set("text content value body paragraphs blocks children data items rows cells nodes root rich_text")
TYPES = ("type", "@type", "_type", "nodeType")
# What says how words look or where they lead: of any object with words, only as a switch, and of one with a type.
HIDDEN = _set("style marks attrs id _id _key key href version annotations markDefs inlineStyleRanges entityRanges")
SWITCHES = _set("bold italic underline underlined strike strikethrough code superscript subscript")
HIDDEN |= {"entityMap", "plain_text"}  # the second says again what the text says
HIDDEN_IF_TYPED = _set("url uri src link target format direction mode color object tunes file")
NUMBERS_IF_TYPED = SWITCHES | _set("level depth indent start order detail time withHeadings")
NUMBERS_IF_TYPED |= _set("withBorder withBackground stretched")
# Types, without capitals and signs between words.
BREAKS = _set("hardbreak softbreak br break linebreak")
INLINE = _set(
    "text span link a hyperlink entryhyperlink assethyperlink embeddedentryinline strong em b i u s inlinecode"
)
INLINE |= _set("mention user emoji inlinecard status date variable inlineextension")
LISTS_OF_TEXT = _set("list ul ol bulletlist bulletedlist orderedlist numberedlist unorderedlist tasklist checklist")
BLOCKS = LISTS_OF_TEXT | _set(
    "doc document root block paragraph p heading header h1 h2 h3 h4 h5 h6 blockquote quote callout"
)
BLOCKS |= _set("panel code codeblock pre listitem li lic taskitem table tablerow tablecell tableheader tr td th expand")
PICTURES = _set("image img media mediasingle mediagroup picture video file attachment embed")
OF_LINES = _set("items paragraphs blocks rows")
SAID_BY_BLOCKS = ("title", "label", "caption", "alt")
SAID_IN_LINES = ("text", "label", "title", "shortName", "name", "url")
TYPE = re.compile(r"[@\w:./-]+")
SIGNS = re.compile(r"[\W_]+")
SENTENCE_ENDS = tuple(".!?:;…")
CLOSING = tuple(".,;:!?)]…")


class UnknownJsonError(RefusedError):
    """The JSON is sound, and no list of questions and answers."""

    code = "unknown_json"


def roles_of(header: Iterable[str]) -> dict[str, int]:
    """Which column means what: of two that mean the same the first. Empty without both a question and an answer."""
    roles = _roles(header)
    return roles if roles.keys() >= ASKED else {}


def of_rows(roles: Mapping[str, int], rows: Iterable[Sequence[str]], *, within: str = "") -> list[Parsed]:
    """A document for each row that says anything, without blocks where it says no answer.

    `within` is put in front of each part: the sheet, where a file has several. Raises DocumentTooLargeError.
    """
    found = _Questions(within)
    for row in rows:
        if any(map(str.strip, row)):
            found.take({role: row[place] for role, place in roles.items() if place < len(row)})
    return found.documents


def parse(raw: bytes, name: str) -> list[Parsed]:  # noqa: ARG001 - one shape for every parser
    """The questions of a JSON list of objects, bare or under one of the usual keys.

    Raises BrokenJsonError, UnknownJsonError or DocumentTooLargeError.
    """
    found = _Questions()
    known = False
    for row in _objects(parse_json(raw)):
        roles, values = _roles(row), list(row.values())
        known = known or roles.keys() >= ASKED
        texts = {role: _readable(values[place]) for role, place in roles.items()}
        unread = any(texts.get(role, "") is None for role in ASKED)
        found.take({role: text or "" for role, text in texts.items()}, trouble=UnknownJsonError.code if unread else "")
    if found.documents and not known:
        raise UnknownJsonError(NO_LIST, hint=HINT)
    return found.documents


@dataclass(slots=True)
class _Questions:
    """Documents of rows, each with a part of its own."""

    within: str = ""
    documents: list[Parsed] = field(default_factory=list)
    characters: int = 0
    parts: Parts = field(default_factory=Parts)

    def take(self, row: Mapping[str, str], *, trouble: str = "") -> None:
        """Read one row, given as texts by what they mean; `trouble` is the code of why it cannot be read."""
        row = {role: clean(text).strip() for role, text in row.items()}
        self.characters += sum(map(len, row.values()))
        if len(self.documents) == ROWS or self.characters > CHARACTERS:
            raise DocumentTooLargeError(
                f"It has more than the {ROWS} questions or the {CHARACTERS} characters allowed.", hint="Split the file."
            )
        question, answer = row.get("question", ""), row.get("answer", "")
        title = one_line(question, TITLE_CHARACTERS)
        # A title that had to be cut would lose the rest of the question.
        texts = (question if title != _folded(question) else "", answer, _address(row.get("url", "")))
        document = Parsed(
            kind="faq",
            title=title,
            blocks=tuple(Block(text=text) for text in texts if text) if answer and not trouble else (),
            part=self._part(_folded(row.get("id", "")), question or answer),
            author=one_line(row.get("author", ""), NAME_CHARACTERS),
            context=one_line(row.get("category", ""), TITLE_CHARACTERS),
            valid_from=instant_of(row.get("valid_from", "")),
            modified=instant_of(row.get("modified", "")),
            trouble=trouble,
            reason=f"Row {len(self.documents) + 1}: {NO_WORDS_IN_ROW}" if trouble else "",
        )
        self.documents.append(document)

    def _part(self, given: str, question: str) -> str:
        known = 0 < len(given) <= NAME_CHARACTERS
        part = given if known else digest_of(given or _folded(question))[:16]
        return self.parts.unique(f"{self.within}/{part}" if self.within else part)


def _roles(names: Iterable[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for place, name in enumerate(names):
        role = ROLES.get(_folded(name.casefold().replace("_", " ").replace("-", " ")))
        if role:
            found.setdefault(role, place)
    return found


def _folded(text: str) -> str:
    return " ".join(text.split())


def _address(text: str) -> str:
    """The address of a row's page; nothing where it is none."""
    try:
        whole = not any(map(str.isspace, text)) and urlsplit(text).scheme in ("http", "https")
    except ValueError:
        return ""
    return text if whole else ""


def _objects(value: object) -> list[dict[str, object]]:
    if isinstance(value, dict):
        value = next((value[key] for key in LISTS if isinstance(value.get(key), list)), None)
    if isinstance(value, list) and all(isinstance(row, dict) for row in value):
        return value
    raise UnknownJsonError(NO_LIST, hint=HINT)


class _Place(Enum):
    """How a piece of text lies among its neighbours."""

    BLOCK = auto()  # in lines of its own
    INLINE = auto()  # in the line of its neighbours, as it is
    ELEMENT = auto()  # of an unknown type: inline among such, else a block
    LEAF = auto()  # inline in a block; in a bare list as a bare text
    BARE = auto()  # inline among such, else as its letters say


class _Flow(Enum):
    """How the parts of a list belong together where they do not say so."""

    LINES = auto()
    CELLS = auto()  # lines, and lists in it are rows of a table
    LEAVES = auto()  # parts of a line
    BARE = auto()


@dataclass(frozen=True, slots=True)
class _Piece:
    text: str | None  # None for what says something that is no text, as a picture does
    place: _Place = _Place.BLOCK


def _readable(value: object) -> str | None:
    try:
        return _piece(value).text
    except UnknownJsonError:
        return None


def _piece(value: object) -> _Piece:
    """A value as text: blocks in lines of their own, and the parts of a line joined as they are.

    Raises UnknownJsonError where a part of a line says something that is no text: the rest of it would be wrong.
    """
    if isinstance(value, list):
        return _Piece(_joined(value, _Flow.BARE))
    if isinstance(value, dict):
        return _object(value)
    if isinstance(value, bool):
        return _Piece(str(value).lower(), _Place.BARE)
    return _Piece(str(value) if isinstance(value, str | int) else "", _Place.BARE)


def _object(value: Mapping[str, object]) -> _Piece:
    kind = _kind(value)
    if kind in BREAKS:
        return _Piece("\n", _Place.INLINE)
    if not _is_rich(value, kind):
        return _Piece(_lines(_labelled(key, _piece(part).text) for key, part in value.items()))
    parts = list(_parts(value, kind))
    if kind in INLINE:
        return _Piece(_inline(parts, has_text=not TEXTS.isdisjoint(value)), _Place.INLINE)
    says_nothing = not kind or kind in BLOCKS or not TEXTS.isdisjoint(value)
    text = _lines(_labelled(*part) for part in parts) or ("" if says_nothing else None)
    said = [label for label, words in parts if words]
    return _Piece(text, _Place.BLOCK if said[1:] or any(said) else _place(value, kind))


def _place(value: Mapping[str, object], kind: str) -> _Place:
    if kind in BLOCKS or kind in PICTURES:
        return _Place.BLOCK
    if kind or not isinstance(value.get("text"), str):
        return _Place.ELEMENT
    return _Place.LEAF if SWITCHES.isdisjoint(value) and "marks" not in value else _Place.INLINE


def _kind(value: Mapping[str, object]) -> str:
    names = (value.get(key) for key in TYPES)
    return next((_of_type(name) for name in names if _is_type(name)), "")


def _of_type(name: str) -> str:
    return SIGNS.sub("", name.casefold())


def _is_type(name: object) -> TypeGuard[str]:
    return isinstance(name, str) and bool(TYPE.fullmatch(name))


def _is_rich(value: Mapping[str, object], kind: str) -> bool:
    """Whether it is a part of a text; else each of its values has a name that belongs to it."""
    known = kind in INLINE or kind in BLOCKS or kind in PICTURES
    return known or not TEXTS.isdisjoint(value) or (bool(kind) and not any(_beside(value, kind)))


def _parts(value: Mapping[str, object], kind: str) -> Iterator[tuple[str, str | None]]:
    """The words of an object in order, those beside its text with their names."""
    named = dict(_beside(value, kind))
    for key, part in value.items():
        if key in TEXTS or (key in named and kind == _of_type(key)):
            yield "", _of_text(key, part, kind)
        elif key == "attrs" and isinstance(part, dict):
            yield "", _attributes(part, kind, has_text=not TEXTS.isdisjoint(value))
        elif key in named:
            is_title = bool(kind) and kind not in INLINE and key in SAID_BY_BLOCKS
            yield "" if is_title else key, _piece(part).text


def _beside(value: Mapping[str, object], kind: str) -> Iterator[tuple[str, object]]:
    """What an object says beside its text, without how it looks and where it leads."""
    is_typed = bool(kind) or "blocks" in value
    as_word, as_number = (HIDDEN_IF_TYPED, NUMBERS_IF_TYPED) if is_typed else (frozenset[str](), SWITCHES)
    for key, part in value.items():
        if key in TEXTS or key in HIDDEN or (key in TYPES and _is_type(part)):
            continue
        # Two words and more are a text, whatever they are called.
        is_look = key in as_word and not (isinstance(part, str) and len(part.split()) > 1)
        if not (is_look or (key in as_number and (part is None or isinstance(part, int)))):
            yield key, part


def _of_text(key: str, part: object, kind: str) -> str | None:
    if isinstance(part, list):
        return _cells(part) if key == "cells" else _joined(part, _flow(key, kind))
    if kind and isinstance(part, dict) and not _kind(part):
        return _lines(_labelled(*inner) for inner in _parts(part, kind))
    return _piece(part).text


def _flow(key: str, kind: str) -> _Flow:
    if key == "rows" or kind == "table":
        return _Flow.CELLS
    if key in OF_LINES or kind in LISTS_OF_TEXT:
        return _Flow.LINES
    return _Flow.LEAVES if kind or key == "children" else _Flow.BARE


def _attributes(said: Mapping[str, object], kind: str, *, has_text: bool) -> str | None:
    """The name of what is mentioned in a line that has no text, the title of what unfolds, the caption of a picture."""
    if kind in INLINE:
        names = () if has_text else SAID_IN_LINES
        return next(filter(None, (_piece(said[name]).text for name in names if name in said)), "")
    return _lines(_piece(said[name]).text for name in SAID_BY_BLOCKS if kind and name in said)


def _inline(parts: Sequence[tuple[str, str | None]], *, has_text: bool) -> str:
    text = "".join(said or "" for label, said in parts if not label)
    more = [(label, said) for label, said in parts if label and said]
    if not text and not more and not has_text:
        raise UnknownJsonError(NO_WORDS, hint=HINT)
    return (
        text + "".join(f" ({label}: {said})" for label, said in more) if text else ", ".join(said for _, said in more)
    )


def _joined(values: Sequence[object], flow: _Flow) -> str | None:
    pieces = [_row(value) if flow is _Flow.CELLS and isinstance(value, list) else _piece(value) for value in values]
    known = [(one.text, one.place) for one in pieces if one.text and (one.place != _Place.BLOCK or one.text.strip())]
    if not known:
        return None if any(one.text is None for one in pieces) else ""
    parts_of_lines = {_Place.INLINE, _Place.LEAF} if flow is _Flow.LEAVES else {_Place.INLINE}
    is_line = any(place in parts_of_lines for _, place in known)
    if is_line and _Piece(None, _Place.ELEMENT) in pieces:
        raise UnknownJsonError(NO_WORDS, hint=HINT)
    texts = [known[0][0]]
    for (before, one), (after, other) in pairwise(known):
        if is_line and _Place.BLOCK not in (one, other):
            texts.append(after)
        elif flow in (_Flow.LEAVES, _Flow.BARE) and {one, other} <= {_Place.BARE, _Place.LEAF}:
            texts += (_between(before, after), after)
        else:
            texts += ("\n", after)
    return "".join(texts)


def _between(before: str, after: str) -> str:
    """What belongs between two texts of a list: nothing or a space within a sentence, else the end of a line."""
    if before[-1].isspace() or after[0].isspace() or after.startswith(CLOSING):
        return ""
    return " " if after[0].islower() and not before.endswith(SENTENCE_ENDS) else "\n"


def _row(cells: Sequence[object]) -> _Piece:
    return _Piece(_cells(cells))


def _cells(cells: Sequence[object]) -> str:
    return " | ".join(_folded(_piece(cell).text or "") for cell in cells)


def _labelled(label: str, text: str | None) -> str | None:
    return f"{label}: {text}" if label and text else text


def _lines(texts: Iterable[str | None]) -> str | None:
    """Whatever can be read, line by line; None where that is nothing and something could not be."""
    known = list(texts)
    return "\n".join(filter(None, known)) or (None if None in known else "")
