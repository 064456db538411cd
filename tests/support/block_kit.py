"""Shows a Block Kit message as one page of HTML, about as Slack lays it out: no scripts, nothing loaded.

`python -m tests.support.block_kit OUT.html < payload.json`; the payload is a message (`text`, `blocks`) or its blocks.
"""

import json
import sys
from html import escape
from pathlib import Path
from typing import Any

Json = dict[str, Any]

_STYLE = """
body { margin: 0; background: #f8f8f8; font: 15px/1.46668 Lato, "Helvetica Neue", Arial, sans-serif; color: #1d1c1d }
main { max-width: 720px; margin: 24px auto; background: #fff; border: 1px solid #ddd; border-radius: 8px }
article { display: grid; grid-template-columns: 36px 1fr; gap: 8px; padding: 12px 20px 16px }
.face { width: 36px; height: 36px; border-radius: 6px; background: #4a154b; color: #fff; font-weight: 900;
  display: grid; place-items: center }
.who { font-weight: 900 } .badge { font-size: 10px; background: #ddd; border-radius: 2px; padding: 0 3px }
.block { margin: 0 0 8px } .part { white-space: pre-wrap; overflow-wrap: anywhere }
blockquote { margin: 4px 0; padding: 0 0 0 16px; border-left: 4px solid #ddd; white-space: pre-wrap }
ul, ol { margin: 0; padding-left: 28px }
a { color: #1264a3; text-decoration: none }
code { font-size: 12px; color: #c01343; background: #f6f6f6; border: 1px solid #ddd; border-radius: 3px;
  padding: 2px 3px }
.context { font-size: 13px; color: #616061 }
.button { display: inline-block; margin: 4px 8px 0 0; padding: 0 12px; height: 28px; line-height: 28px; font-size: 13px;
  font-weight: 700; border: 1px solid #bbb; border-radius: 4px }
.primary { background: #007a5a; color: #fff } .danger { background: #e01e5a; color: #fff }
.wrong { background: #fee; color: #900; border: 1px solid #900; padding: 4px }
footer { border-top: 1px solid #ddd; padding: 8px 20px; font-size: 12px; color: #616061; white-space: pre-wrap }
"""
_TAGS = {"bold": "b", "italic": "i", "strike": "s", "underline": "u", "code": "code"}
_PARTS = {
    "rich_text_section": "<div class='part'>{}</div>",
    "rich_text_quote": "<blockquote>{}</blockquote>",
    "rich_text_preformatted": "<pre>{}</pre>",
}


def page(payload: Json | list[Json]) -> str:
    """The whole page. What a reader of notifications sees stands below the message."""
    message = payload if isinstance(payload, dict) else {"blocks": payload}
    body = "".join(f"<div class='block'>{_block(block)}</div>" for block in message.get("blocks", []))
    notification = escape(str(message.get("text", "")), quote=False).replace("&amp;", "&")
    return (
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>Slack message</title><style>{_STYLE}</style>"
        "<main><article><div class='face'>T</div><div><span class='who'>Threadwise</span> "
        f"<span class='badge'>APP</span>{body}</div></article>"
        f"<footer><b>Notification:</b> {notification}</footer></main></html>\n"
    )


def _block(block: Json) -> str:
    match block.get("type"):
        case "rich_text":
            return "".join(map(_part, block["elements"]))
        case "context":
            return f"<div class='context'>{' '.join(map(_text_object, block['elements']))}</div>"
        case "actions":
            return "".join(map(_button, block["elements"]))
        case "section" | "header":
            return f"<div class='part'>{_text_object(block['text'])}</div>"
        case "divider":
            return "<hr>"
        case _:
            return _wrong(block)


def _part(part: Json) -> str:
    if part.get("type") == "rich_text_list":
        tag = "ol" if part.get("style") == "ordered" else "ul"
        entries = "".join(f"<li>{''.join(map(_element, entry['elements']))}</li>" for entry in part["elements"])
        return f"<{tag}>{entries}</{tag}>"
    frame = _PARTS.get(str(part.get("type")))
    return frame.format("".join(map(_element, part["elements"]))) if frame else _wrong(part)


def _element(element: Json) -> str:
    if element.get("type") == "link":
        shown = f"<a href='{escape(element['url'])}'>{escape(element.get('text') or element['url'])}</a>"
    elif element.get("type") == "text":
        shown = escape(element["text"])
    else:
        return _wrong(element)
    for style in filter(element.get("style", {}).get, _TAGS):
        shown = f"<{_TAGS[style]}>{shown}</{_TAGS[style]}>"
    return shown


def _text_object(text: Json) -> str:
    """Plain text as it is. Slack would read mrkdwn: it is shown in the raw, for a person to see that it is there."""
    words = escape(str(text.get("text", "")))
    return words if text.get("type") == "plain_text" else f"<span class='wrong'>mrkdwn: {words}</span>"


def _button(button: Json) -> str:
    title = escape(f"{button.get('action_id')} = {button.get('value')}")
    return (
        f"<span class='button {escape(button.get('style', ''))}' title='{title}'>{_text_object(button['text'])}</span>"
    )


def _wrong(thing: Json) -> str:
    return f"<div class='wrong'>{escape(json.dumps(thing))}</div>"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(json.load(sys.stdin)), encoding="utf-8")
