"""Slack's layout blocks as lines of text: https://docs.slack.dev/reference/block-kit/blocks.

What is a button or a form is left out: nobody says it. What is struck is left out, as it is from mrkdwn.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from ingest.markup import clean
from ingest.sources.slack_records import Record, record, records, string

NESTING = 12  # blocks in blocks, far more than Slack's editor makes
SILENT = frozenset({"actions", "input", "divider"})
ELEMENTS = frozenset({"text", "link", "emoji", "user", "channel", "usergroup", "broadcast", "date", "color", "team"})
INLINE_IDS = (("user_id", "@"), ("channel_id", "#"), ("usergroup_id", "!subteam^"), ("range", "!"))
CODE = "```"

Render = Callable[[str], str]


def block_lines(blocks: object, render: Render, depth: int = 0) -> Iterator[str]:
    """The text of blocks, a line for each paragraph, list item, field and row of a table."""
    if not isinstance(blocks, list) or depth > NESTING:
        return
    for block in blocks:
        if isinstance(block, dict) and string(block, "type") not in SILENT:
            for line in _block(block, render, depth):
                if text := clean(line).strip():
                    yield text


def only_rich_text(blocks: object) -> bool:
    """Whether these are what Slack's own editor makes; the text of such a message says the same."""
    return not isinstance(blocks, list) or all(
        isinstance(block, dict) and block.get("type") == "rich_text" for block in blocks
    )


def _block(block: Record, render: Render, depth: int) -> Iterator[str]:
    kind = string(block, "type")
    if kind == "rich_text":
        yield from _rich(block, render, depth)
    elif kind == "table":
        yield from _table(block, render, depth)
    elif kind == "context":
        yield " ".join(filter(None, (_small(element, render) for element in records(block, "elements"))))
    elif kind.startswith("rich_text_"):
        yield from _rich_part(block, render, depth)
    else:
        yield from _layout(block, render, depth)


def _layout(block: Record, render: Render, depth: int) -> Iterator[str]:
    """A section, a header, an image, a video, an element by itself, or what does not exist yet."""
    if string(block, "type") in ELEMENTS:
        yield _element(block, render)
        return
    for key in ("title", "text", "description", "alt_text"):
        yield _text_of(block.get(key), render)
    for field in records(block, "fields"):
        yield _text_of(field, render)
    yield from block_lines(block.get("elements"), render, depth + 1)
    yield from block_lines(block.get("blocks"), render, depth + 1)


def _text_of(value: object, render: Render) -> str:
    """A text object, or a text that stands there by itself."""
    if isinstance(value, dict):
        value = value.get("text")
    return render(value) if isinstance(value, str) else ""


def _small(element: Record, render: Render) -> str:
    return render(string(element, "text") or string(element, "alt_text"))


def _table(block: Record, render: Render, depth: int) -> Iterator[str]:
    rows = block.get("rows")
    for row in rows if isinstance(rows, list) else ():
        cells = [cell for cell in row if isinstance(cell, dict)] if isinstance(row, list) else []
        yield " | ".join(_cell(cell, render, depth) for cell in cells)


def _cell(cell: Record, render: Render, depth: int) -> str:
    if cell.get("type") == "raw_text":
        return " ".join(clean(string(cell, "text")).split())
    return " ".join(block_lines([cell], render, depth + 1))


def _rich(block: Record, render: Render, depth: int) -> Iterator[str]:
    for part in records(block, "elements"):
        if depth <= NESTING:
            yield from _rich_part(part, render, depth + 1)


def _rich_part(part: Record, render: Render, depth: int) -> Iterator[str]:
    """A paragraph, a list, a quotation or code."""
    kind = string(part, "type")
    if kind == "rich_text_list":
        yield from _list(part, render, depth)
    elif kind == "rich_text_quote":
        yield from (f"> {line}" for line in _inline(part, render).splitlines())
    elif kind == "rich_text_preformatted":
        if code := _inline(part, render):
            yield f"{CODE}{code}{CODE}"
    elif kind == "rich_text_section":
        yield _inline(part, render)
    else:
        yield _element(part, render)


def _list(part: Record, render: Render, depth: int) -> Iterator[str]:
    ordered, offset = part.get("style") == "ordered", part.get("offset")
    number = offset if isinstance(offset, int) else 0
    for item in records(part, "elements"):
        text = "\n".join(_rich_part(item, render, depth + 1)) if depth <= NESTING else ""
        if text.strip():
            number += 1
            yield f"{number}. {text}" if ordered else f"• {text}"


def _inline(part: Record, render: Render) -> str:
    return "".join(_element(element, render) for element in records(part, "elements"))


def _element(element: Record, render: Render) -> str:
    """One element of rich text: https://docs.slack.dev/reference/block-kit/blocks/rich-text-block."""
    style = record(element, "style")
    if style.get("strike"):
        return ""
    text = _said(element, render)
    return f"`{text}`" if style.get("code") and text and "`" not in text else text


def _said(element: Record, render: Render) -> str:
    kind = string(element, "type")
    if kind == "link":
        return render(f"<{_escaped(string(element, 'url'))}|{_escaped(string(element, 'text'))}>")
    if kind == "emoji":
        return f":{string(element, 'name')}:"
    if kind == "mrkdwn":
        return render(string(element, "text"))
    for name, sign in INLINE_IDS:
        if target := string(element, name):
            return render(f"<{sign}{_escaped(target)}>")
    return string(element, "text") or string(element, "fallback") or string(element, "value") or _date(element)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _date(element: Record) -> str:
    seconds = element.get("timestamp")
    if not isinstance(seconds, int) or not 0 <= seconds < 10**10:
        return string(element, "alt_text")
    return datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%d %H:%M UTC")
