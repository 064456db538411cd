"""Presentations."""

import io
from typing import Any

from pptx import Presentation
from pptx.util import Inches

from ingest.formats.parsed import Parsed
from ingest.formats.slides import parse

TITLE_AND_TEXT, TITLE_ONLY, EMPTY = 1, 5, 6

Made = Any  # a presentation of the library


def read(made: Made) -> Parsed:
    stream = io.BytesIO()
    made.save(stream)
    (page,) = parse(stream.getvalue(), "a.pptx")
    return page


def slide(made: Made, layout: int, title: str = "") -> Any:  # noqa: ANN401 - a slide of the library
    added = made.slides.add_slide(made.slide_layouts[layout])
    if title:
        added.shapes.title.text = title
    return added


def box(shapes: Any, text: str, *, left: float, top: float) -> Any:  # noqa: ANN401 - shapes of the library
    added = shapes.add_textbox(Inches(left), Inches(top), Inches(1), Inches(1))
    added.text_frame.text = text
    return added


def test_a_slide_is_addressed_by_its_number_and_headed_by_its_title() -> None:
    made = Presentation()
    slide(made, TITLE_AND_TEXT, "Leave").placeholders[1].text = "25 days\nNo more"
    slide(made, TITLE_ONLY, "Questions?")
    assert [(block.text, block.anchor, block.heading) for block in read(made).blocks] == [
        ("25 days\nNo more", "slide=1", ("Leave",)),
        ("Questions?", "slide=2", ()),
    ]


def test_texts_come_in_the_order_of_reading() -> None:
    made = Presentation()
    shapes = slide(made, EMPTY).shapes
    box(shapes, "below", left=0, top=3)
    box(shapes, "right", left=5, top=1)
    box(shapes, "left", left=1, top=1)
    group = shapes.add_group_shape()
    box(group.shapes, "grouped", left=0, top=2)
    assert [block.text for block in read(made).blocks] == ["left", "right", "grouped", "below"]


def test_tables_are_rows() -> None:
    made = Presentation()
    table = slide(made, EMPTY).shapes.add_table(2, 2, 0, 0, Inches(2), Inches(1)).table
    for place, text in enumerate(["Grade", "Days", "A", "25\v26"]):
        table.cell(place // 2, place % 2).text = text
    assert [block.text for block in read(made).blocks] == ["Grade: A; Days: 25 26"]


def test_notes_stay_under_their_slide() -> None:
    made = Presentation()
    first = slide(made, TITLE_ONLY, "Leave")
    first.notes_slide.notes_text_frame.text = "Mention May."
    assert [(block.text, block.heading) for block in read(made).blocks] == [("Notes: Mention May.", ("Leave",))]


def test_hidden_slides_and_shapes_are_left_out_and_counted() -> None:
    made = Presentation()
    slide(made, TITLE_ONLY, "Hidden").element.set("show", "0")
    shown = slide(made, EMPTY)
    box(shown.shapes, "Shown", left=0, top=0)
    hidden = box(shown.shapes, "Hidden", left=0, top=1)
    hidden.element.nvSpPr.cNvPr.set("hidden", "1")
    assert [(block.text, block.anchor) for block in read(made).blocks] == [("Shown", "slide=2")]


def test_the_title_is_the_files_own_or_that_of_its_first_slide() -> None:
    made = Presentation()
    made.core_properties.title = ""
    slide(made, TITLE_ONLY, "Leave\vin short")
    assert read(made).title == "Leave in short"
    made.core_properties.title = "Handbook"
    assert read(made).title == "Handbook"


def test_a_presentation_without_text_has_nothing_to_read() -> None:
    made, stream = Presentation(), io.BytesIO()
    slide(made, EMPTY)
    made.save(stream)
    assert parse(stream.getvalue(), "a.pptx") == []
