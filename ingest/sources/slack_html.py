"""HTML as Slack keeps it of posts, e-mails and canvases: anybody's, and read where every page is read."""

import html
from collections.abc import Callable

from core.settings import IngestSettings
from core.words import Block
from ingest.formats.sandbox import Sandbox
from ingest.markup import clean
from ingest.sources.markdown import paragraphs

PARSER = "ingest.formats.html"

Html = Callable[[bytes | str], tuple[Block, ...]]
"""What a reader of it sees; raises a RefusedError, or ParserUnavailableError."""


def sandbox_of(settings: IngestSettings) -> Sandbox:
    """The process that reads it; it starts when the first of it is met."""
    return Sandbox([PARSER], parse_seconds=settings.parse_seconds, parse_memory_mb=settings.parse_memory_mb)


def html_in(sandbox: Sandbox) -> Html:
    """A reader of bytes that say how they are encoded, or of a text. One without tags keeps its lines."""

    def read(source: bytes | str) -> tuple[Block, ...]:
        if isinstance(source, str):
            if "<" not in source:
                return paragraphs(clean(html.unescape(source)))
            source = source.encode("utf-8-sig", "replace")
        return tuple(block for piece in sandbox.parse(PARSER, source, "") for block in piece.blocks)

    return read


def unread(source: bytes | str) -> tuple[Block, ...]:  # noqa: ARG001 - one shape for every reader
    """Nothing: where there is no process to read it in, nobody reads it."""
    return ()
