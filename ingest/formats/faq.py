"""Questions and answers as documents, one of kind `faq` each: from rows of any table, and from JSON."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
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
# Where an object keeps its text, as editors and exports of knowledge bases write it, and how it says that it is a part
# of a text: such a part has no other words than those.
TEXTS = ("text", "content", "value", "body", "paragraphs", "blocks", "children", "data")
TYPES = ("type", "@type", "nodeType")
TITLE_CHARACTERS = 200
NAME_CHARACTERS = 100
ROWS = 100_000
CHARACTERS = 32 * 1024 * 1024
NO_LIST = "It is no list of questions and answers."
HINT = 'Objects with the keys "question" and "answer" are read, in a list or under "faqs".'


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
        texts = {role: _text(values[place]) for role, place in roles.items()}
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


def _text(value: object) -> str | None:
    """A value as text: each paragraph of a list, and each named value of an object, in a line of its own.

    None for what says something that is no text, as a picture does.
    """
    if isinstance(value, list):
        return _lines(map(_text, value))
    if isinstance(value, dict):
        return _text_of_object(value)
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, str | int) else ""


def _text_of_object(value: Mapping[str, object]) -> str | None:
    if own := [_text(value[key]) for key in TEXTS if key in value]:
        return next(filter(None, own), None if None in own else "")
    if any(key in value for key in TYPES):
        return None
    named = ((key, _text(part)) for key, part in value.items())
    return _lines(f"{key}: {text}" if text else text for key, text in named)


def _lines(texts: Iterable[str | None]) -> str | None:
    """Whatever can be read, line by line; None where that is nothing and something could not be."""
    known = list(texts)
    return "\n".join(filter(None, known)) or (None if None in known else "")
