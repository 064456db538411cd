"""HTML inside of messages and canvases, read in the fuzzer's own process: it sees there, and nothing is contained."""

from core.settings import IngestSettings
from ingest.formats import html
from ingest.formats.parsed import Parsed
from ingest.formats.sandbox import Sandbox


class Here(Sandbox):
    """A sandbox that is none: what the parser raises comes out."""

    def parse(self, module: str, raw: bytes, name: str) -> list[Parsed]:
        """What the reader of HTML makes of the bytes."""
        assert module == html.__name__
        return html.parse(raw, name)


def sandbox_here(settings: IngestSettings) -> Sandbox:
    """Stands where an export opens its sandbox."""
    return Here([html.__name__], parse_seconds=settings.parse_seconds, parse_memory_mb=settings.parse_memory_mb)
