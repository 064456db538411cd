"""What a message says through its files: their titles, and the text that the export carries of them."""

from collections.abc import Iterator

from ingest.errors import RefusedError
from ingest.formats.outline import text_of
from ingest.markup import clean, one_line
from ingest.sources.slack_blocks import Render
from ingest.sources.slack_html import Html
from ingest.sources.slack_records import ATTACHED, Record, Said, record, records, string

TITLE_CHARACTERS = 200
TEXT_CHARACTERS = 8_000
"""Of the text of one file: a preview has at most a few thousand, a whole e-mail may have many."""

GONE = frozenset({"tombstone", "hidden_by_limit"})
FORBIDDEN = frozenset({"check_file_info", "access_denied", "file_not_found", "slack_connect_file_blocked"})
HTML_KINDS = frozenset({"post", "space", "quip", "canvas", "email", "html"})
TEXTS = ("plain_text", "preview_plain_text", "preview")


def files_of(message: Record) -> list[Record]:
    """The files of a message or attachment that are still there, in the new form and the old."""
    single = message.get("file")
    both = [*records(message, "files"), *([single] if isinstance(single, dict) else ())]
    return [file for file in both if string(file, "mode") not in GONE]


def file_title(file: Record) -> str:
    """What a file is called, empty if nothing says it."""
    return one_line(string(file, "title") or string(file, "name"), TITLE_CHARACTERS)


def file_lines(message: Record, said: Said, render: Render, html: Html) -> Iterator[str]:
    """The names and texts of a message's files, without what was said already."""
    for file in files_of(message)[:ATTACHED]:
        title, found = file_title(file), list(_texts(file, said, render, html))
        if title and (found or (not said.mentions(title) and said.adds(title))):
            yield f"[file: {title}]"
        yield from found


def _texts(file: Record, said: Said, render: Render, html: Html) -> Iterator[str]:
    if not _is_closed(file):
        if (text := file_text(file, html)) and said.adds(text):
            yield text
        if spoken := _transcript(file):
            yield f"[transcript] {spoken}"
    comment = _comment(file, render)
    if comment and said.adds(comment):
        yield comment


def _is_closed(file: Record) -> bool:
    """Whether Slack has kept what is in the file from whoever exported it."""
    return string(file, "file_access") in FORBIDDEN or string(file, "access") in FORBIDDEN


def file_text(file: Record, html: Html) -> str:
    """The text that the export has of a file, the longest form of it; HTML only where Slack writes HTML."""
    for key in TEXTS:
        if written := string(file, key):
            is_html = key == "preview" and not HTML_KINDS.isdisjoint({string(file, "mode"), string(file, "filetype")})
            if text := _bounded(_shown(written, html) if is_html else clean(written)):
                return text
    return ""


def _shown(written: str, html: Html) -> str:
    try:
        return text_of(html(written))
    except RefusedError:
        return ""  # nobody wrote it for a reader; the message and the file's title stand


def _transcript(file: Record) -> str:
    transcription = record(file, "transcription")
    preview = record(transcription, "preview")
    return one_line(string(preview, "content"), TEXT_CHARACTERS) if string(transcription, "status") != "failed" else ""


def _comment(file: Record, render: Render) -> str:
    """What was said when the file was first shared, often by the same person and often in the message too."""
    return _bounded(render(string(record(file, "initial_comment"), "comment")))


def _bounded(text: str) -> str:
    text = text.strip()
    return text if len(text) <= TEXT_CHARACTERS else f"{text[:TEXT_CHARACTERS].rsplit(None, 1)[0]} …"
