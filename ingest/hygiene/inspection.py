"""The one look at a document before it is stored: what it hides, gives away and is written in.

Pure. Secrets never pass; personal data by the source's policy. Ids, addresses, anchors and principals stay as they are,
and so do the names of those who speak, hidden characters excepted.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from core.words import Block, Document
from ingest.hygiene import encoding, personal, secrets
from ingest.hygiene.hits import PART, Hit, masked, with_beginnings
from ingest.hygiene.language import language_of
from ingest.hygiene.unicode import hidden, mixed_words
from ingest.markup import clean
from ingest.options import SourceOptions

HYGIENE_VERSION = "1"  # raise it when the same document would come out otherwise
SHORT = 12  # letters and digits; a document with fewer says next to nothing

Findings = Counter[tuple[str, str]]
Refusal = tuple[str, str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspected:
    """What becomes of a document. `document` is None where `refusal` is given: (code, reason), free of its text."""

    document: Document | None
    refusal: Refusal
    findings: Findings


def inspect(document: Document, options: SourceOptions) -> Inspected:
    """The document cleaned and masked, with its language; or why it must not be stored. Findings hold no text.

    The codes of refusals are `broken_encoding`, `wrong_language` and `personal_data`.
    """
    findings: Findings = Counter()
    # What is broken shows before it is cleaned: a wrong table makes control characters too.
    broken = _broken("\n".join(block.text for block in document.blocks), findings)
    document = _cleaned(document, findings)
    before = _parts_of(document)
    count = len(document.blocks)
    language = language_of("\n".join(before[:count]))
    findings["language", language] += 1
    after, sensitive = _masked(before, count, options, findings)
    refusal = broken or _unwelcome(language, options) or sensitive
    if refusal:
        return Inspected(document=None, refusal=refusal, findings=+findings)
    document = _with_parts(document, before, after)
    if document.language != language:
        document = replace(document, language=language)
    return Inspected(document=document, refusal=None, findings=+findings)


def _cleaned(document: Document, findings: Findings) -> Document:
    """Without hidden characters; the same object where there are none."""
    parts = [document.title, document.context, document.author]
    for block in document.blocks:
        parts += (block.text, block.speaker, *block.heading)
    text = "\n".join(parts)
    findings["unicode", "mixed_script"] += mixed_words(text)
    if clean(text) == text:
        return document
    findings.update(("unicode", kind) for kind in hidden(text))
    title, context, author = map(clean, parts[:3])
    blocks = tuple(
        replace(block, text=clean(block.text), speaker=clean(block.speaker), heading=tuple(map(clean, block.heading)))
        for block in document.blocks
    )
    return replace(document, title=title, context=context, author=author, blocks=blocks)


def _parts_of(document: Document) -> list[str]:
    """The texts of the blocks, and behind them everything that repeats or heads them, each once."""
    above = dict.fromkeys((document.title, document.context))
    for block in document.blocks:
        above.update(dict.fromkeys(block.heading))
    return [*(block.text for block in document.blocks), *above]


def _with_parts(document: Document, before: Sequence[str], after: Sequence[str]) -> Document:
    """The document with every part of it as it reads now."""
    if before == after:
        return document
    count = len(document.blocks)
    above = dict(zip(before[count:], after[count:], strict=True))
    blocks = tuple(_with_text(block, text, above) for block, text in zip(document.blocks, after[:count], strict=True))
    return replace(document, title=above[document.title], context=above[document.context], blocks=blocks)


def _with_text(block: Block, text: str, above: dict[str, str]) -> Block:
    return replace(block, text=text, heading=tuple(above[line] for line in block.heading))


def _broken(body: str, findings: Findings) -> Refusal:
    findings["short", ""] += len(body) < 5 * SHORT and sum(map(str.isalnum, body)) < SHORT
    places = encoding.broken_places(body)
    findings["encoding", "mojibake"] += places
    if encoding.is_heavy(places, len(body)):
        return "broken_encoding", f"{places} places of it read as if they had been decoded with the wrong table."
    return None


def _unwelcome(language: str, options: SourceOptions) -> Refusal:
    if not options.languages or not language or language in options.languages:
        return None
    return "wrong_language", f"It is written in {language!r}; welcome are {', '.join(options.languages)}."


def _masked(parts: list[str], count: int, options: SourceOptions, findings: Findings) -> tuple[list[str], Refusal]:
    """The parts without secrets and, by policy, without personal data; the first `count` are the document's own."""
    text = PART.join(parts)
    found = with_beginnings(text, secrets.found_in(text))
    if found:
        findings.update(_counted("secret", found, _end_of(parts, count)))
        text = masked(text, found, secrets.WORDING)
        parts = text.split(PART)
    people = with_beginnings(text, personal.found_in(text))
    if not people:
        return parts, None
    kinds = _counted("personal", people, _end_of(parts, count))
    findings.update(kinds)
    if options.personal_data == "mask":
        return masked(text, people, personal.WORDING).split(PART), None
    return parts, _sensitive(kinds) if options.personal_data == "quarantine" else None


def _sensitive(kinds: Findings) -> Refusal:
    listing = ", ".join(f"{kind} ({count})" for (_, kind), count in sorted(kinds.items()))
    return "personal_data", f"It holds personal data: {listing}."


def _end_of(parts: Sequence[str], count: int) -> int:
    return sum(map(len, parts[:count])) + count


def _counted(kind: str, hits: Iterable[Hit], end: int) -> Findings:
    """How often each kind occurs; what stands before `end` and is repeated behind it counts once."""
    own: Findings = Counter()
    above: Findings = Counter()
    for hit in hits:
        (own if hit.start < end else above)[kind, hit.kind.replace(" ", "_").replace("-", "")] += 1
    return own | above
