"""Slides: a block for each text and table of a slide in reading order, its notes below; anchored as `slide=3`."""

from collections.abc import Iterable, Iterator
from io import BytesIO
from typing import Any

from pptx import Presentation
from pptx.enum.shapes import PP_PLACEHOLDER

from core.words import Block
from ingest.formats.office_text import checked, properties
from ingest.formats.parsed import DocumentTooLargeError, Parsed
from ingest.formats.tables import texts_of
from ingest.markup import clean, one_line

SLIDES = 10_000
TITLE_CHARACTERS = 200
FURNITURE = (PP_PLACEHOLDER.SLIDE_NUMBER, PP_PLACEHOLDER.DATE, PP_PLACEHOLDER.FOOTER, PP_PLACEHOLDER.HEADER)

Shape = Any  # the library's kinds of shapes have no type in common
Slide = Any


def parse(raw: bytes, name: str) -> list[Parsed]:  # noqa: ARG001 - one shape for every parser
    """The presentation as one page; raises RefusedError, or whatever the library raises for a damaged file."""
    with checked(raw) as archive:
        about = properties(archive)
    slides = list(Presentation(BytesIO(raw)).slides)
    if len(slides) > SLIDES:
        raise DocumentTooLargeError(f"It has {len(slides)} slides, more than the {SLIDES} allowed.")
    shown = [(number, slide) for number, slide in enumerate(slides, start=1) if _is_shown(slide)]
    blocks = tuple(block for number, slide in shown for block in _blocks(number, slide))
    if not blocks:
        return []
    title = about.title or next(filter(None, (_title(slide) for _, slide in shown)), "")
    return [
        Parsed(blocks=blocks, title=title, author=about.author, valid_from=about.valid_from, modified=about.modified)
    ]


def _blocks(number: int, slide: Slide) -> Iterator[Block]:
    title = _title(slide)
    texts = [text for shape in _in_order(slide.shapes) if (text := _text(shape)) and _line(text) != title]
    if slide.has_notes_slide and (frame := slide.notes_slide.notes_text_frame) and (notes := _plain(frame.text)):
        texts.append(f"Notes: {notes}")
    heading = (title,) if title else ()
    # A slide with a title alone still says something.
    for text in texts or heading:
        yield Block(text=text, anchor=f"slide={number}", heading=heading if texts else ())


def _is_shown(slide: Slide) -> bool:
    return slide.element.get("show") not in ("0", "false")


def _title(slide: Slide) -> str:
    shape = slide.shapes.title
    return _line(shape.text_frame.text) if shape is not None else ""


def _line(text: str) -> str:
    return one_line(text.replace("\v", " "), TITLE_CHARACTERS)


def _in_order(shapes: Iterable[Shape]) -> Iterator[Shape]:
    """The shapes from top to bottom, from left to right; those of a group together."""
    for shape in sorted(shapes, key=lambda one: (one.top or 0, one.left or 0)):
        if hasattr(shape, "shapes"):
            yield from _in_order(shape.shapes)
        elif not _is_left_out(shape):
            yield shape


def _is_left_out(shape: Shape) -> bool:
    hidden = any(about.get("hidden") in ("1", "true") for about in shape.element.xpath("./*/p:cNvPr[@hidden]"))
    return hidden or (shape.is_placeholder and shape.placeholder_format.type in FURNITURE)


def _text(shape: Shape) -> str:
    if shape.has_text_frame:
        return _plain(shape.text_frame.text)
    if getattr(shape, "has_table", False):
        rows = ([_plain(cell.text) for cell in row.cells] for row in shape.table.rows)
        return "\n".join(text for _, text in texts_of(rows))
    return ""


def _plain(text: str) -> str:
    # The library gives a line break inside a paragraph as a vertical tab.
    return clean(text.replace("\v", "\n")).strip()
