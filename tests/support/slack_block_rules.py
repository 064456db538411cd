"""Block Kit's documented rules for messages: a payload that breaks one is refused, as Slack does with invalid_blocks.

Limits by https://docs.slack.dev/reference/block-kit. An unknown field or type is an error too: a typing slip must not
look like a block that works.
"""

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

Json = dict[str, Any]
Problems = Iterator[str]

MOST_BLOCKS = 50
LONGEST_URL = 3000
_STYLES = {"bold", "italic", "strike", "code", "underline"}
_COMMON = {"type", "block_id"}


def problems(blocks: object) -> list[str]:
    """What Slack would refuse, one sentence each; empty for a valid message."""
    if not isinstance(blocks, list):
        return ["blocks: must be a list"]
    found = [] if len(blocks) <= MOST_BLOCKS else [f"blocks: no more than {MOST_BLOCKS} items allowed"]
    for number, block in enumerate(blocks):
        found += [f"blocks/{number}: {problem}" for problem in _block(block)]
    return found + list(_repeated(blocks))


def _block(block: object) -> Problems:
    rule = _BLOCKS.get(str(block.get("type"))) if isinstance(block, dict) else None
    if rule is None or not isinstance(block, dict):
        yield "unsupported type"
        return
    allowed, check = rule
    yield from _fields(block, _COMMON | allowed)
    yield from _string(block.get("block_id", "-"), "block_id", 255)
    yield from check(block)


def _fields(thing: Json, allowed: set[str]) -> Problems:
    if unknown := set(thing) - allowed:
        yield f"{thing.get('type')}: unknown field {min(unknown)}"


def _string(value: object, what: str, most: int, least: int = 1) -> Problems:
    if not isinstance(value, str):
        yield f"{what}: must be a string"
    elif not least <= len(value) <= most:
        yield f"{what}: must have {least} to {most} characters"


def _text(text: object, what: str, most: int, kinds: tuple[str, ...] = ("plain_text", "mrkdwn")) -> Problems:
    if not isinstance(text, dict) or text.get("type") not in kinds:
        yield f"{what}: must be an object of type {' or '.join(kinds)}"
        return
    own = {"emoji"} if text["type"] == "plain_text" else {"verbatim"}
    yield from _fields(text, {"type", "text"} | own)
    yield from _string(text.get("text"), f"{what} text", most)


def _items(value: object, what: str, most: int, check: Callable[[object], Problems]) -> Problems:
    if not isinstance(value, list) or not 1 <= len(value) <= most:
        yield f"{what}: must be a list of 1 to {most} items"
        return
    yield from chain.from_iterable(map(check, value))


def _section(block: Json) -> Problems:
    if "text" not in block and "fields" not in block:
        yield "section: text or fields are needed"
    if "text" in block:
        yield from _text(block["text"], "section", 3000)
    if "fields" in block:
        yield from _items(block["fields"], "fields", 10, lambda one: _text(one, "field", 2000))
    if "accessory" in block:
        yield from _button_or_image(block["accessory"])


def _header(block: Json) -> Problems:
    yield from _text(block.get("text"), "header", 150, ("plain_text",))


def _context(block: Json) -> Problems:
    yield from _items(block.get("elements"), "context", 10, _context_element)


def _context_element(element: object) -> Problems:
    if isinstance(element, dict) and element.get("type") == "image":
        yield from _image(element)
    else:
        yield from _text(element, "context element", 3000)


def _actions(block: Json) -> Problems:
    yield from _items(block.get("elements"), "actions", 25, _button)


def _button_or_image(element: object) -> Problems:
    if isinstance(element, dict) and element.get("type") == "image":
        yield from _image(element)
    else:
        yield from _button(element)


def _button(element: object) -> Problems:
    if not isinstance(element, dict) or element.get("type") != "button":
        yield "only buttons are known here"
        return
    yield from _fields(
        element, {"type", "text", "action_id", "url", "value", "style", "confirm", "accessibility_label"}
    )
    yield from _text(element.get("text"), "button", 75, ("plain_text",))
    yield from _string(element.get("action_id", "-"), "action_id", 255)
    yield from _string(element.get("value", "-"), "button value", 2000)
    yield from _string(element.get("accessibility_label", "-"), "accessibility_label", 75)
    if "url" in element:
        yield from _url(element["url"])
    if element.get("style", "primary") not in {"primary", "danger"}:
        yield "button: style is primary or danger"
    if "confirm" in element:
        yield from _confirm(element["confirm"])


def _confirm(dialog: object) -> Problems:
    if not isinstance(dialog, dict):
        yield "confirm: must be an object"
        return
    yield from _fields(dialog, {"title", "text", "confirm", "deny", "style"})
    yield from _text(dialog.get("title"), "confirm title", 100, ("plain_text",))
    yield from _text(dialog.get("text"), "confirm text", 300)
    yield from _text(dialog.get("confirm"), "confirm button", 30, ("plain_text",))
    yield from _text(dialog.get("deny"), "deny button", 30, ("plain_text",))


def _image(block: Json) -> Problems:
    yield from _url(block.get("image_url"))
    yield from _string(block.get("alt_text"), "alt_text", 2000)


def _divider(_: Json) -> Problems:
    yield from ()


def _rich_text(block: Json) -> Problems:
    yield from _items(block.get("elements"), "rich_text", 1000, _rich_part)


def _rich_part(part: object) -> Problems:
    allowed = _RICH_PARTS.get(str(part.get("type"))) if isinstance(part, dict) else None
    if allowed is None or not isinstance(part, dict):
        yield "rich_text: holds rich_text_section, _list, _quote or _preformatted"
        return
    yield from _fields(part, {"type", "elements"} | allowed)
    if part["type"] != "rich_text_list":
        yield from _items(part.get("elements"), str(part["type"]), 1000, _rich_element)
        return
    if part.get("style") not in {"bullet", "ordered"}:
        yield "rich_text_list: style is bullet or ordered"
    yield from _items(part.get("elements"), "rich_text_list", 1000, _list_entry)


def _list_entry(entry: object) -> Problems:
    if isinstance(entry, dict) and entry.get("type") == "rich_text_section":
        yield from _rich_part(entry)
    else:
        yield "rich_text_list: holds rich_text_section only"


def _rich_element(element: object) -> Problems:
    needed = _RICH_ELEMENTS.get(str(element.get("type"))) if isinstance(element, dict) else None
    if needed is None or not isinstance(element, dict):
        yield "rich_text: unknown element"
        return
    required, optional = needed
    yield from _fields(element, {"type", "style"} | required | optional)
    for name in sorted(required):
        yield from _string(element.get(name), f"{element['type']} {name}", 3000 if name == "url" else 40_000)
    if element["type"] == "link":
        yield from _url(element.get("url"))
    style = element.get("style", {})
    if not isinstance(style, dict) or set(style) - _STYLES or not all(isinstance(on, bool) for on in style.values()):
        yield "rich_text: style is an object of bold, italic, strike, code, underline"


def _url(value: object) -> Problems:
    yield from _string(value, "url", LONGEST_URL)
    if isinstance(value, str) and not value.startswith(("https://", "http://", "mailto:", "slack://")):
        yield "url: must begin with a scheme"


def _repeated(blocks: list[object]) -> Problems:
    """An action_id is unique within its message (Slack asks it per block, our handlers per message), a block_id too."""
    dicts = [block for block in blocks if isinstance(block, dict)]
    elements = [element for block in dicts for element in _interactive(block)]
    for name, things in (("block_id", dicts), ("action_id", elements)):
        ids = [str(thing[name]) for thing in things if name in thing]
        if len(set(ids)) < len(ids):
            yield f"blocks: {name} is not unique"


def _interactive(block: Json) -> list[Json]:
    listed = block.get("elements") if block.get("type") == "actions" else [block.get("accessory")]
    return [element for element in listed if isinstance(element, dict)] if isinstance(listed, list) else []


_BLOCKS: dict[str, tuple[set[str], Callable[[Json], Problems]]] = {
    "actions": ({"elements"}, _actions),
    "context": ({"elements"}, _context),
    "divider": (set(), _divider),
    "header": ({"text"}, _header),
    "image": ({"image_url", "alt_text", "title"}, _image),
    "rich_text": ({"elements"}, _rich_text),
    "section": ({"text", "fields", "accessory", "expand"}, _section),
}
_RICH_PARTS: dict[str, set[str]] = {
    "rich_text_section": set(),
    "rich_text_list": {"style", "indent", "offset", "border"},
    "rich_text_quote": {"border"},
    "rich_text_preformatted": {"border", "language"},
}
_RICH_ELEMENTS: dict[str, tuple[set[str], set[str]]] = {
    "text": ({"text"}, set()),
    "link": ({"url"}, {"text", "unsafe"}),
    "emoji": ({"name"}, {"unicode", "skin_tone"}),
    "user": ({"user_id"}, set()),
    "usergroup": ({"usergroup_id"}, set()),
    "channel": ({"channel_id"}, set()),
    "broadcast": ({"range"}, set()),
    "team": ({"team_id"}, set()),
    "color": ({"value"}, set()),
    "date": ({"format", "fallback"}, {"timestamp", "url"}),
}
