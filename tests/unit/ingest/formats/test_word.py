"""Word documents."""

import io
import zipfile
from datetime import UTC, datetime
from typing import Any

from docx import Document
from docx.enum.style import WD_STYLE_TYPE
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.opc.packuri import PackURI
from docx.opc.part import Part
from docx.oxml import parse_xml

from core.words import Instant
from ingest.formats.parsed import Parsed
from ingest.formats.word import parse

SPACES = (
    'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    ' xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
    ' xmlns:x="x"'
)

Made = Any  # a document of the library


def read(made: Made) -> Parsed:
    stream = io.BytesIO()
    made.save(stream)
    (page,) = parse(stream.getvalue(), "a.docx")
    return page


def texts(made: Made) -> list[str]:
    return [block.text for block in read(made).blocks]


def put(made: Made, xml: str) -> None:
    """One element at the end of the body."""
    made.element.body.insert_element_before(parse_xml(xml.replace(">", f" {SPACES}>", 1)), "w:sectPr")


def paragraph(inner: str) -> str:
    return f"<w:p>{inner}</w:p>"


def run(text: str, about: str = "") -> str:
    return f"<w:r><w:rPr>{about}</w:rPr><w:t>{text}</w:t></w:r>"


def test_headings_are_structure() -> None:
    made = Document()
    made.core_properties.title = ""
    made.add_heading("Leave", 0)
    made.add_paragraph("Before.")
    made.add_heading("Carry over", 1)
    made.add_heading("Exceptions", 2)
    made.add_paragraph("Up to 5 days.")
    made.add_heading("Carry over", 1)
    page = read(made)
    assert page.title == "Leave"
    assert [(block.text, block.heading, block.anchor) for block in page.blocks] == [
        ("Before.", (), ""),
        ("Up to 5 days.", ("Carry over", "Exceptions"), "exceptions"),
        ("Carry over", (), "carry-over-1"),
    ]


def test_a_style_based_on_a_heading_is_one_and_so_is_an_outline_level() -> None:
    made = Document()
    made.core_properties.title = "Leave"
    own = made.styles.add_style("Kapitel", WD_STYLE_TYPE.PARAGRAPH)
    own.base_style = made.styles["Heading 1"]
    made.add_paragraph("One", style="Kapitel")
    made.add_paragraph("Text.")
    put(made, paragraph(f'<w:pPr><w:outlineLvl w:val="0"/></w:pPr>{run("Two")}'))
    made.add_paragraph("More.")
    assert [(block.text, block.heading) for block in read(made).blocks] == [("Text.", ("One",)), ("More.", ("Two",))]


def test_styles_that_are_based_on_each_other_end() -> None:
    made = Document()
    first, second = (made.styles.add_style(name, WD_STYLE_TYPE.PARAGRAPH) for name in ("One", "Two"))
    first.base_style, second.base_style = second, first
    made.add_paragraph("Text.", style="One")
    assert texts(made) == ["Text."]


def test_lists_are_kept_whole() -> None:
    made = Document()
    made.add_paragraph("Bring:")
    made.add_paragraph("a form", style="List Bullet")
    made.add_paragraph("a pen", style="List Bullet")
    put(made, paragraph(f'<w:pPr><w:numPr><w:ilvl w:val="1"/><w:numId w:val="1"/></w:numPr></w:pPr>{run("blue")}'))
    made.add_paragraph("That is all.")
    assert texts(made) == ["Bring:", "- a form\n- a pen\n  - blue", "That is all."]


def test_tables_are_rows_in_place() -> None:
    made = Document()
    made.add_paragraph("Before.")
    table = made.add_table(3, 2)
    for row, (grade, days) in zip(table.rows, [("Grade", "Days"), ("A", "25"), ("B", "27")], strict=True):
        row.cells[0].text, row.cells[1].text = grade, days
    table.cell(1, 0).merge(table.cell(2, 0))
    made.add_paragraph("After.")
    assert texts(made) == ["Before.", "Grade: A B; Days: 25\nGrade: A B; Days: 27", "After."]


def test_a_table_that_only_lays_out_is_read_as_what_stands_in_it() -> None:
    made = Document()
    made.core_properties.title = "Leave"
    cell = made.add_table(1, 2).rows[0].cells[1]
    cell.add_paragraph("Inside", style="Heading 1")
    cell.add_paragraph("Text.")
    assert [(block.text, block.heading) for block in read(made).blocks] == [("Text.", ("Inside",))]


def test_insertions_are_read_and_deletions_are_not() -> None:
    made = Document()
    deleted = '<w:del w:id="1" w:author="a"><w:r><w:delText>20</w:delText></w:r></w:del>'
    moved = f'<w:moveFrom w:id="3" w:author="a">{run("gone")}</w:moveFrom>'
    put(
        made, paragraph(f'{run("Now ")}{deleted}<w:ins w:id="2" w:author="a">{run("25")}</w:ins>{moved}{run(" days.")}')
    )
    assert texts(made) == ["Now 25 days."]


def test_a_deleted_row_is_not_read() -> None:
    made = Document()
    cells = f"<w:tc>{paragraph(run('a'))}</w:tc><w:tc>{paragraph(run('b'))}</w:tc>"
    gone = f'<w:tr><w:trPr><w:del w:id="1" w:author="a"/></w:trPr>{cells}</w:tr>'
    put(made, f"<w:tbl><w:tr>{cells}</w:tr>{gone}<w:tr>{cells.replace('>a<', '>c<')}</w:tr></w:tbl>")
    assert texts(made) == ["a: c; b: b"]


def test_hidden_text_is_not_read() -> None:
    made = Document()
    style = made.styles.add_style("Secret", WD_STYLE_TYPE.CHARACTER)
    style.font.hidden = True
    by_style = run("by style", '<w:rStyle w:val="Secret"/>')
    shown = run("Shown.", '<w:rStyle w:val="Secret"/><w:vanish w:val="0"/>')
    put(made, paragraph(run("hidden", "<w:vanish/>") + by_style + shown))
    assert texts(made) == ["Shown."]


def test_comments_headers_fields_and_contents_are_not_read() -> None:
    made = Document()
    made.sections[0].header.paragraphs[0].text = "Header"
    commented = made.add_paragraph().add_run("Text ")
    made.add_comment(commented, text="Comment")
    made.styles.add_style("toc 1", WD_STYLE_TYPE.PARAGRAPH)
    made.add_paragraph("Contents 3", style="toc 1")
    put(made, paragraph(f"<w:r><w:instrText>PAGE</w:instrText></w:r>{run('7')}<w:r><w:br/></w:r>{run('below')}"))
    assert texts(made) == ["Text", "7\nbelow"]


def test_content_controls_and_links_are_read_through() -> None:
    made = Document()
    put(made, f"<w:sdt><w:sdtContent>{paragraph(run('Inside.'))}</w:sdtContent></w:sdt>")
    put(made, paragraph(f"<w:hyperlink>{run('A link')}</w:hyperlink>{run('.')}"))
    assert texts(made) == ["Inside.", "A link."]


def test_of_alternatives_one_is_read() -> None:
    made = Document()
    box = f"<w:txbxContent>{paragraph(run('In a box.'))}</w:txbxContent>"
    choices = f"<mc:Choice Requires='x'>{box}</mc:Choice><mc:Fallback>{box}</mc:Fallback>"
    put(made, paragraph(f"{run('Beside.')}<w:r><mc:AlternateContent>{choices}</mc:AlternateContent></w:r>"))
    assert texts(made) == ["Beside.", "In a box."]


def test_footnotes_follow_what_refers_to_them() -> None:
    made = Document()
    note = f'<w:footnote w:id="2">{paragraph(run("Except in May."))}</w:footnote>'
    blob = f"<w:footnotes {SPACES}>{note}</w:footnotes>".encode()
    kind = "application/vnd.openxmlformats-officedocument.wordprocessingml.footnotes+xml"
    part = Part(PackURI("/word/footnotes.xml"), kind, blob, made.part.package)
    made.part.relate_to(part, RELATIONSHIP_TYPE.FOOTNOTES)
    put(made, paragraph(f'{run("25 days.")}<w:r><w:footnoteReference w:id="2"/></w:r>'))
    made.add_paragraph("After.")
    assert texts(made) == ["25 days.", "Footnote: Except in May.", "After."]


def test_what_the_file_says_of_itself_is_kept() -> None:
    made = Document()
    about = made.core_properties
    about.title, about.author, about.modified = "Leave policy", "HR", datetime(2024, 3, 1, tzinfo=UTC)
    made.add_heading("Scope", 1)
    made.add_paragraph("Text.")
    page = read(made)
    assert (page.title, page.author, page.modified) == ("Leave policy", "HR", Instant(1_709_251_200_000_000))
    assert page.blocks[0].heading == ("Scope",)


def test_a_document_without_styles_or_properties_is_read() -> None:
    made = Document()
    made.add_paragraph("Text.")
    stream, bare = io.BytesIO(), io.BytesIO()
    made.save(stream)
    with zipfile.ZipFile(stream) as before, zipfile.ZipFile(bare, "w") as after:
        types = before.read("[Content_Types].xml")
        after.writestr("[Content_Types].xml", types)
        rels = before.read("_rels/.rels").decode()
        main = next(
            part
            for part in rels.split("<")
            if "relationships/officeDocument" in part and part.startswith("Relationship ")
        )
        after.writestr("_rels/.rels", f"{rels[: rels.index('<Relationship ')]}<{main}</Relationships>")
        after.writestr("word/document.xml", before.read("word/document.xml"))
    (page,) = parse(bare.getvalue(), "a.docx")
    assert (page.title, page.modified, page.blocks[0].text) == ("", None, "Text.")


def test_an_empty_document_has_nothing_to_read() -> None:
    stream = io.BytesIO()
    Document().save(stream)
    assert parse(stream.getvalue(), "a.docx") == []
