"""Slack's mrkdwn as plain text, and text made safe to store.

Pure and linear in the length of the text. Slack writes `&`, `<` and `>` of the author as entities, so a bare `<`
always opens a token of Slack's own: https://docs.slack.dev/messaging/formatting-message-text.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType

from ingest.hygiene.unicode import safe

EVERYBODY = frozenset({"here", "channel", "everyone", "group"})
PRIVATE = "private-channel"  # how a conversation is called where its name is not for everybody who reads along

_TOKEN = re.compile(r"<([^<>]*)>")
_UNCLOSED = re.compile(r"(?<!<)<++(?=[@!])")
_CODE = re.compile(r"(```[\s\S]*?```|`[^`\n]+`)")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_SPECIAL = re.compile(r"[<&*_~]")
# A mark counts only where a word cannot be cut by it: after a space or an opening sign, before a space or a
# closing one. So `snake_case`, `2*3*4`, `~/x` and the underscores of a URL stay as they are.
_BEFORE, _AFTER = r"""(?<![^\s(\["'*_~>])""", r"""(?![^\s)\].,;:!?"'*_~<-])"""
_EMPHASIS = tuple(re.compile(rf"{_BEFORE}\{mark}(?=\S)([^\{mark}\n]+)(?<=\S)\{mark}{_AFTER}") for mark in "*_")
_SECONDS = re.compile(r"\d{1,10}", re.ASCII)
_PART = "\0"  # cannot stand in clean text
# What is code is matched first, so that nothing inside it counts; a code span in struck text is struck with it. A part
# never gives back what it took: linear for any text. Struck text ends in its paragraph, as it does in Markdown.
_SOURCE = r"```[^\0]*?```|`[^`\n\0]++`"
_LETTER = r"[^~\n\0]|\n(?![ \t]*[\n\0])"
_STRUCK = re.compile(
    rf"({_SOURCE}|~~~[^\0]*?~~~)"
    rf"|(?<![~\\])~~(?=[^\s~])(?:{_SOURCE}|{_LETTER}|~(?!~))++(?<=\S)~~(?!~)[ \t]?"
    rf"|{_BEFORE}(?<![~\\])~(?=[^\s~])(?:{_SOURCE}|{_LETTER})++(?<=\S)~(?!~){_AFTER}[ \t]?"
)
_TAG = re.compile(rf"{_SOURCE}|~~~[^\0]*?~~~|<(/?)(?:s|del|strike)(?:\s[^<>\0]*)?>[ \t]?", re.IGNORECASE)


def clean(text: str) -> str:
    """Text that every store and reader takes: in NFC, no lone surrogates, controls or hidden characters."""
    return text if text.isascii() and not _CONTROL.search(text) else safe(text)


def one_line(text: str, limit: int) -> str:
    """Cleaned text with its white space collapsed, cut at a word to at most `limit` characters."""
    words = " ".join(clean(text[: 8 * limit]).split())
    if len(words) <= limit:
        return words
    cut = words[:limit]
    return f"{cut.rsplit(' ', 1)[0] if ' ' in cut[limit // 2 :] else cut[:-1]}…"


@dataclass(frozen=True, slots=True)
class _Names:
    users: Mapping[str, str]
    channels: Mapping[str, str]
    groups: Mapping[str, str]


def plain(
    text: str,
    *,
    users: Mapping[str, str],
    channels: Mapping[str, str],
    groups: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Mrkdwn as plain text; `users`, `channels` and `groups` give the names of ids.

    An unknown user is called by the label or the id. An unknown channel is not: its label may be a private name.
    """
    text = clean(text)
    if not _SPECIAL.search(text):
        return text.strip()
    if "<" in text:
        names = _Names(users, channels, groups)
        text = _TOKEN.sub(lambda match: _resolved(match[1], names), text)
    text = "".join(_unmarked(part, code=index % 2 == 1) for index, part in enumerate(_CODE.split(text)))
    text = _UNCLOSED.sub("", text)
    if "&" in text:
        text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    # What stood on both sides of a mark may be one letter now, or hide something between them.
    return clean(_unstruck(text)).strip()


def without_struck(parts: Sequence[str]) -> list[str]:
    """The parts of a clean text without what its author has struck: `~…~`, `~~…~~`, `<s>`, `<del>`, `<strike>`.

    A tag may be closed in a later part; one that is never closed strikes the rest of its own.
    """
    text = _PART.join(parts)
    if "<" not in text and "~" not in text:
        return list(parts)
    if "<" in text:
        text = _without_spans(text, _struck_by_tags(text))
    return _unstruck(text).split(_PART)


def _unstruck(text: str) -> str:
    return _STRUCK.sub(lambda match: match[1] or "", text) if "~" in text else text


def _struck_by_tags(text: str) -> Iterator[tuple[int, int]]:
    opened: list[int] = []
    for tag in _TAG.finditer(text):
        if tag[1] == "":
            opened.append(tag.start())
        elif tag[1] and opened:
            start = opened.pop()
            if not opened:
                yield start, tag.end()
    if opened:
        end = text.find(_PART, opened[0])
        yield opened[0], len(text) if end < 0 else end


def _without_spans(text: str, spans: Iterable[tuple[int, int]]) -> str:
    kept: list[str] = []
    reached = 0
    for start, end in spans:
        kept += (text[reached:start], _PART * text.count(_PART, start, end))
        reached = end
    return "".join((*kept, text[reached:]))


def _unmarked(text: str, *, code: bool) -> str:
    if code:
        return text
    for pattern in _EMPHASIS:
        text = pattern.sub(r"\1", text)
    return text


def _resolved(token: str, names: _Names) -> str:
    target, _, label = token.partition("|")
    if target.startswith("@"):
        # Ids are in capitals; tools that make text lower-case make them so too.
        name = names.users.get(target[1:]) or names.users.get(target[1:].upper()) or label.lstrip("@") or target[1:]
        return f"@{_harmless(name)}"
    if target.startswith("#"):
        return f"#{_harmless(names.channels.get(target[1:]) or names.channels.get(target[1:].upper()) or PRIVATE)}"
    if target.startswith("!"):
        return _special(target[1:], label, names.groups)
    return _link(target, label)


def _harmless(name: str) -> str:
    return name.replace("<", "").replace(">", "")


def _special(target: str, label: str, groups: Mapping[str, str]) -> str:
    word, _, rest = target.partition("^")
    if word == "date":
        return label or _date(rest.partition("^")[0])
    if word == "subteam":
        return f"@{_harmless(groups.get(rest) or label.lstrip('@') or rest)}"
    if word in EVERYBODY:
        return f"@{word}"
    return label or f"@{rest or word}"


def _date(seconds: str) -> str:
    """A time that nobody has put into words, as a date of UTC."""
    if not _SECONDS.fullmatch(seconds):
        return ""
    return datetime.fromtimestamp(int(seconds), tz=UTC).strftime("%Y-%m-%d %H:%M UTC")


def _link(url: str, label: str) -> str:
    bare = url.removeprefix("mailto:").removeprefix("tel:")
    if not label or label in (url, bare):
        return bare
    known = bare != url or url.removeprefix("https://").removeprefix("http://").rstrip("/") == label.rstrip("/")
    return (label if bare != url else url) if known else f"{label} ({url})"
