"""What stands below a message: quoted messages, previews of links, and what apps attach.

https://docs.slack.dev/reference/messaging/payload/#attachments. Every line of a quoted message names who said it.
"""

import re
from collections.abc import Iterable, Iterator

from ingest.markup import one_line
from ingest.sources.slack_blocks import Render, block_lines
from ingest.sources.slack_files import file_title, files_of
from ingest.sources.slack_records import ATTACHED, NAME_CHARACTERS, Record, Said, record, records, string

ATTACHMENT_CHARACTERS = 4_000
PREVIEW_CHARACTERS = 700  # of a page that a link leads to; what is longer, Slack itself folds away
# Slack escapes what a page had escaped already.
_ENTITIES = {"&nbsp;": " ", "&quot;": '"', "&#39;": "'", "&#x27;": "'"}
_ENTITY = re.compile("|".join(_ENTITIES))


def attachment_lines(message: Record, said: Said, render: Render) -> Iterator[str]:
    """The lines of all attachments that neither the message nor an earlier attachment has."""
    for attachment in records(message, "attachments")[:ATTACHED]:
        limit = PREVIEW_CHARACTERS if _is_link(attachment) else ATTACHMENT_CHARACTERS
        lines = _bounded(_lines(attachment, render), limit)
        yield from (_marked(attachment, line) for line in lines if said.adds(line))


def _lines(attachment: Record, render: Render) -> Iterator[str]:
    if _is_message(attachment):
        yield from _quoted(attachment, render)
    else:
        yield from list(_written(attachment, render)) or list(_fallback(attachment, render))
    for file in files_of(attachment):
        if title := file_title(file):
            yield f"[file: {title}]"


def _is_message(attachment: Record) -> bool:
    """Whether it shows another message of Slack's: one that was shared, or that a link leads to."""
    return bool(attachment.get("is_msg_unfurl") or attachment.get("is_share") or attachment.get("message_blocks"))


def _is_link(attachment: Record) -> bool:
    return not _is_message(attachment) and bool(attachment.get("from_url") or attachment.get("original_url"))


def _quoted(attachment: Record, render: Render) -> Iterator[str]:
    if text := render(string(attachment, "text")):
        yield from text.splitlines()
        return
    for quoted in records(attachment, "message_blocks"):
        yield from block_lines(record(quoted, "message").get("blocks"), render)


def _written(attachment: Record, render: Render) -> Iterator[str]:
    # The preview of a page has its title; who wrote it is only said where there is none.
    author = "" if _is_link(attachment) and string(attachment, "title") else string(attachment, "author_name")
    texts = [render(string(attachment, "pretext")), render(author)]
    texts += (render(string(attachment, key)) for key in ("title", "text"))
    for field in records(attachment, "fields"):
        texts.append(render(f"{string(field, 'title')}: {string(field, 'value')}".strip(": ")))
    unescaped = (_ENTITY.sub(lambda found: _ENTITIES[found[0]], text) for text in texts)
    yield from (line.strip() for text in unescaped for line in text.splitlines() if line.strip())
    yield from (line for text in block_lines(attachment.get("blocks"), render) for line in text.splitlines())


def _fallback(attachment: Record, render: Render) -> Iterator[str]:
    for key in ("fallback", "footer"):
        if text := render(string(attachment, key)):
            yield from text.splitlines()
            return


def _marked(attachment: Record, line: str) -> str:
    who = one_line(string(attachment, "author_name") or string(attachment, "author_subname"), NAME_CHARACTERS)
    return f"[quoting {who or 'a message'}] {line}" if _is_message(attachment) else line


def _bounded(lines: Iterable[str], limit: int) -> Iterator[str]:
    left = limit
    for line in lines:
        if left <= 0:
            return
        yield line if len(line) <= left else f"{line[: left - 1]}…"
        left -= len(line)
