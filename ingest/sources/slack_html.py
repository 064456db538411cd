"""The text of a little HTML, as Slack keeps it of posts, e-mails and canvases. Linear, and blind to what is hidden."""

import html
import re

from ingest.markup import clean

LONGEST = 1_000_000
"""Characters that are looked at; a post or a canvas has a few thousand."""

_TAG = re.compile(r"(/?)([a-zA-Z][a-zA-Z0-9]{0,20})(?=[\s/>]|$)")
_HIDDEN = re.compile(r"\shidden(?=[\s=/>]|$)|display\s{0,9}:\s{0,9}none|visibility\s{0,9}:\s{0,9}hidden", re.IGNORECASE)
_UNREAD = frozenset({"script", "style", "head", "title", "template", "noscript", "iframe", "object", "svg", "math"})
_VOID = frozenset({"br", "hr", "img", "input", "link", "meta", "wbr", "col", "source", "area", "base", "embed"})
_INLINE = frozenset(
    {"a", "b", "i", "u", "em", "strong", "span", "code", "sub", "sup", "small", "mark", "font", "control"}
)
_STRUCK = frozenset({"s", "del", "strike"})


def text_of_html(source: str) -> str:
    """The visible text, a line for each block of it; what is struck is left out."""
    found: list[str] = []
    unread, depth, comment = "", 0, False  # the element that is skipped, and how often it is nested in itself
    first, *parts = source[:LONGEST].split("<")
    found.append(first)
    for part in parts:
        if comment or part.startswith("!--"):
            comment = "-->" not in part
            rest = part.partition("-->")[2]
            found.append("" if unread else rest)
            continue
        inside, closed, rest = part.partition(">")
        tag = _TAG.match(inside)
        if tag is None:
            # No tag, so the sign is text; or a declaration, which is none.
            found.append("" if unread else rest if inside.startswith(("!", "?")) else f"<{part}")
            continue
        name = tag[2].lower()
        if unread:
            depth += (name == unread) * (-1 if tag[1] else 1)
            unread = unread if depth else ""
            found.append("" if unread else rest)
        elif not tag[1] and name not in _VOID and (name in _UNREAD | _STRUCK or _HIDDEN.search(inside)):
            unread, depth = name, 1
        else:
            found.append(_joint(name, closing=bool(tag[1])) + (rest if closed else ""))
    return _tidy(html.unescape("".join(found)))


def _joint(name: str, *, closing: bool) -> str:
    if name in _INLINE:
        return ""
    if name == "li":
        return "\n" if closing else "\n• "
    if name in ("td", "th"):
        return " | " if closing else ""
    return "\n"


def _tidy(text: str) -> str:
    lines = (" ".join(line.split()).removesuffix(" |") for line in clean(text).splitlines())
    return "\n".join(line for line in lines if line not in ("", "•"))
