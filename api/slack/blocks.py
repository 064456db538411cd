"""What the bot posts, as Block Kit payloads. Pure.

Text of documents, of the model and of people stands only where Slack interprets nothing: in literal `text` elements of
`rich_text` and in `plain_text`. So it can mention nobody and link nowhere; the only links are the citations' own.
Limits: https://docs.slack.dev/reference/block-kit/blocks.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final, Literal, NamedTuple

from generation.answers import Citation, Nearest, Status
from generation.rendering import plain_text, render_text

Json = dict[str, Any]

LONGEST_MESSAGE: Final = 12_000
"""Bytes of the blocks of one message, as JSON: Slack refuses longer ones, at a length it does not document."""

LONGEST_FALLBACK: Final = 3000
MOST_CITATIONS: Final = 10
MOST_NEAREST: Final = 5
_TITLE, _PATH, _SCOPE, _QUESTION = 100, 120, 200, 300


class _Room(NamedTuple):
    """How many characters each part of a message may have."""

    text: int
    quote: int
    url: int


# Tried in this order until a message fits; the last fits whatever it is filled with.
_ROOMS: Final = (_Room(3000, 1500, 3000), _Room(3000, 700, 1000), _Room(1500, 350, 400), _Room(500, 100, 200))

STATUS_WORDS: Final[dict[Status, str]] = {
    "answered": "Worded by the model, checked against its sources",
    "quoted": "Quoted from the sources",
    "declined": "Nothing found",
}
# A host alone stands between the slashes: no user, nothing that a reader's program could take for another host.
_PERMALINK: Final = re.compile(
    r"https://(?:[a-z0-9-]++\.)*+[a-z0-9-]++(?::\d{1,5})?"
    r"(?:/[\w.~/%?#=&+,;:@!$'()*-]*+|[?#][\w.~/%?#=&+,;:-]*+)?",
    re.ASCII | re.IGNORECASE,
)
_MARK: Final = re.compile(r" ?\[\d+\]")
_BLANK_LINES: Final = re.compile(r"\n(?:[ \t]*\n)++")
_USER_ID: Final = re.compile(r"[UW][A-Z0-9]{2,}")
_COMMAND: Final = re.compile(r"/[a-z0-9_-]{1,32}")
_WIDTHS: Final = {"&": 5, "<": 4, ">": 4}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """An answer on its way to readers in Slack."""

    status: Status
    text: str
    citations: tuple[Citation, ...]
    nearest: tuple[Nearest, ...]
    answer_id: str
    understood: str = ""  # the question with what it was put behind; of a shared answer, the question
    scope: str = ""  # one sentence: whose rights were used
    asker: str = ""  # whose name a shared answer shows; an id tells readers nothing and is not shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """A message: its blocks, and the plain text of notifications, with `&`, `<` and `>` as entities."""

    text: str
    blocks: tuple[Json, ...]


def answer_posting(shown: Shown, *, can_share: bool = False, shared: bool = False) -> Posting:
    """An answer with its sources, how it came about, and buttons to rate it and, with `can_share`, to share it.

    A `shared` one stands before people who have not seen the question, so it begins with that.
    """
    blocks: list[Json] = []
    for room in _ROOMS:
        blocks = [*_asked(shown, shared=shared), *_body(shown, room), *_foot(shown, can_share=can_share, shared=shared)]
        if len(json.dumps(blocks, ensure_ascii=False).encode(errors="replace")) <= LONGEST_MESSAGE:
            break
    question = f"{_understood(shown)}\n" if shared and shown.understood else ""
    titles = dict.fromkeys(filter(None, (_line(one.title) for one in shown.citations[:MOST_CITATIONS])))
    sources = f"\nSources: {'; '.join(titles)}" if titles else ""
    text = _fallback(f"{question}{_MARK.sub('', _prose(shown.text))}{sources}", STATUS_WORDS[shown.status])
    return Posting(text=text, blocks=tuple(blocks))


def apology(contact: str) -> Posting:
    """It went wrong, and asking again may help."""
    other = f", or ask {_line(contact)}" if _line(contact) else ""
    return _notice(f"Something went wrong while I looked for an answer. Please ask again in a few minutes{other}.")


def refusal_posting(message: str, hint: str) -> Posting:
    """This question cannot be answered, whoever tries; `message` and `hint` are those of the error."""
    return _notice(f"{message} {hint}".strip() or "I cannot answer this question.")


def help_posting(command: str = "") -> Posting:
    """What can be asked and how, for a message without a question. `command` is the slash command, if there is one."""
    intro = (
        "Ask me a whole question. I answer from what the company has written, as far as everybody who sees the answer "
        "may read it, and I name the sources. For example:"
    )
    forms = ("How many … do I get?", "Who decides about …?", "What do I do when …?")
    how = "In a channel, mention me together with the question. In a direct message, just write it."
    private = [_text(" With "), _text(command, code=True), _text(" only you see the answer.")]
    outro = _section(_text(how), *(private if _COMMAND.fullmatch(command) else ()))
    block = _rich_text(_section(_text(intro)), _list(_section(_text(form)) for form in forms), outro)
    return Posting(text=_fallback(f"{intro} {' '.join(forms)}"), blocks=(block,))


def outsiders_posting() -> Posting:
    """Somebody from outside the company asked or would read the answer."""
    return _notice("I answer only people of this company, and only where nobody from outside reads along.")


def thanks(value: Literal[-1, 1], contact: str) -> Posting:
    """A rating was noted; to whom an answer did not help, whom to ask."""
    if value > 0:
        return _notice("Thank you: noted that this answer was helpful.")
    other = f" If you still need the answer, ask {_line(contact)}." if _line(contact) else ""
    return _notice(f"Thank you: noted that this answer was not helpful.{other}")


def cannot_share(reason: str) -> Posting:
    """An answer stays with its asker; `reason` is a sentence."""
    return _notice(f"I cannot share this answer here. {reason}".rstrip())


def looking() -> Posting:
    """What stands where the answer to a command will."""
    return _notice("Looking for an answer …")


def _asked(shown: Shown, *, shared: bool) -> list[Json]:
    question = _cut(_understood(shown), _QUESTION) if shared else ""
    return [_rich_text(_section(_text(question, bold=True)))] if question else []


def _understood(shown: Shown) -> str:
    """What its asker wrote, without the links and mentions that only they would answer for."""
    return _line(render_text(shown.understood))


def _body(shown: Shown, room: _Room) -> list[Json]:
    if shown.status == "declined":
        return _declined(shown, room)
    cited = shown.citations[:MOST_CITATIONS]
    if shown.status == "quoted" and cited:
        return [_rich_text(_quote(one, room), _source(one, room)) for one in cited]
    # A sentence of the answer may be a quote that was not worded: it stands there already.
    sources = [_rich_text(_source(one, room), *([] if _is_said(one, shown) else [_quote(one, room)])) for one in cited]
    return [_rich_text(_section(_text(_cut(_prose(shown.text), room.text)))), *sources]


def _is_said(citation: Citation, shown: Shown) -> bool:
    return _line(f"{citation.quote} [{citation.number}]") in _line(shown.text)


def _quote(citation: Citation, room: _Room) -> Json:
    return {"type": "rich_text_quote", "elements": [_text(_cut(_prose(citation.quote), room.quote))]}


def _source(citation: Citation, room: _Room) -> Json:
    return _section(_text(f"[{citation.number}] "), *_place(citation, room))


def _declined(shown: Shown, room: _Room) -> list[Json]:
    """Its text says the nearest in prose: where the list of links stands in its place, it is left out."""
    names = (one.title or render_text(one.uri, {one.uri}) for one in shown.nearest)
    before, _, after = shown.text.partition(f" Nearest to it: {'; '.join(names)}.")
    said = _text(_cut(_prose(before), room.text))
    nearest = [_section(*_place(one, room)) for one in shown.nearest[:MOST_NEAREST]]
    parts = [_section(said, _text("\n\nNearest to it:")), _list(nearest)] if nearest else [_section(said)]
    blocks = [_rich_text(*parts)]
    return [*blocks, _rich_text(_section(_text(_cut(_prose(after), room.text))))] if after.strip() else blocks


def _place(document: Citation | Nearest, room: _Room) -> list[Json]:
    """The title as a link to a permalink; beside the path of what has none."""
    title = _cut(_line(document.title), _TITLE)
    uri = _cut(_line(document.uri), _PATH)
    if len(document.uri) <= room.url and _PERMALINK.fullmatch(document.uri):
        return [{"type": "link", "url": document.uri, "text": title or uri}]
    path = [_text(uri, code=True)] if uri else []
    return [_text(f"{title} " if path else title), *path] if title else path or [_text("Untitled")]


def _foot(shown: Shown, *, can_share: bool, shared: bool) -> list[Json]:
    parts = [STATUS_WORDS[shown.status], _cut(_line(shown.scope), _SCOPE).rstrip(".")]
    if shared:
        parts.insert(0, f"Shared by {_name(shown.asker)}")
    elif understood := _understood(shown):
        parts.append(f"Understood as: {_cut(understood, _QUESTION)}")
    # Slack reads no mention in plain text; without the signs of one there is nothing to be read at all.
    words = " · ".join(filter(None, parts)).replace("<", "\u2039").replace(">", "\u203a")
    context = {"type": "context", "elements": [{"type": "plain_text", "text": words, "emoji": False}]}
    return [context, *_buttons(shown, can_share=can_share and shown.status != "declined" and not shared)]


def _name(asker: str) -> str:
    name = _cut(_line(asker), _TITLE)
    return "the person who asked" if not name or _USER_ID.fullmatch(name) else name


def _buttons(shown: Shown, *, can_share: bool) -> list[Json]:
    if not shown.answer_id:
        return []
    labels = {"helpful": "Helpful", "unhelpful": "Not helpful"} | ({"share": "Share in channel"} if can_share else {})
    return [
        {
            "type": "actions",
            "elements": [
                {
                    "type": "button",
                    "text": {"type": "plain_text", "text": label, "emoji": False},
                    "action_id": action,
                    "value": shown.answer_id,
                }
                for action, label in labels.items()
            ],
        }
    ]


def _notice(sentence: str) -> Posting:
    block = _rich_text(_section(_text(_cut(_prose(sentence), LONGEST_FALLBACK))))
    return Posting(text=_fallback(sentence), blocks=(block,))


def _rich_text(*parts: Json) -> Json:
    return {"type": "rich_text", "elements": list(parts)}


def _section(*elements: Json) -> Json:
    return {"type": "rich_text_section", "elements": list(elements)}


def _list(entries: Iterable[Json]) -> Json:
    return {"type": "rich_text_list", "style": "bullet", "elements": list(entries)}


def _text(text: str, **style: Literal[True]) -> Json:
    element: Json = {"type": "text", "text": text or "…"}
    return element | {"style": style} if style else element


def _prose(text: str) -> str:
    return _BLANK_LINES.sub("\n\n", plain_text(text)).strip()


def _line(text: str) -> str:
    return " ".join(plain_text(text).split())


def _cut(text: str, limit: int) -> str:
    """At most `limit` characters in whole words; "…" says that more was there."""
    if len(text) <= limit:
        return text
    head = text[:limit]
    whole = head.rsplit(maxsplit=1)[0] if re.search(r"\s", head[limit // 2 :]) else head[:-1]
    return f"{whole[: limit - 1].rstrip()}…"


def _fallback(text: str, otherwise: str = "…") -> str:
    """Text that a notification shows as it is: without links or mentions, escaped, at most `LONGEST_FALLBACK` long.

    Slack takes no empty one: where nothing is left, `otherwise` stands.
    """
    words = render_text(_cut(_prose(text), LONGEST_FALLBACK - 500))
    ends = accumulate(_WIDTHS.get(sign, 1) for sign in words)
    room = sum(end < LONGEST_FALLBACK for end in ends)
    if room < len(words):
        words = f"{words[:room].rpartition(' ')[0]}…"
    return words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") or otherwise
