"""Web pages as text."""

import codecs
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.formats.html import parse
from ingest.formats.outline import text_of
from ingest.formats.parsed import DocumentTooLargeError, Parsed

PAGE = """<!doctype html><html><head><title> Time  off </title><meta name="Author" content="HR">
<meta name="effective-date" content="2024-03-01"><meta property="article:modified_time" content="2024-02-01T10:00Z">
</head><body><nav>Home | Log out</nav><h1>Time off</h1><p>Everybody has <b>25</b> days.<br>Ask <a href="http://x">HR</a>.
<section id="carry"><h2>Carry over</h2><ul><li>until <i>March</i><ul><li>or April</ul><li>not later</ul>
<h3>Who gets what</h3>
<table><tr><th>Who<th>Days<tr><td>new<td>2<tr><td>old<td>5</table></section>
<pre>  a
    b</pre><ol><li>first<li>second</ol></body></html>"""
PIECES = (
    *("<div>", "</div>", "<li>", "<ul>", "</ul>", "<ol>", "<table>", "<td>", "<tr>", "</table>", "<h2>", "</h2>"),
    *("<pre>", "</pre>", "<b hidden>", "</b>", "<br>", "<a id=x>", "word", " ", "<!--", "-->", "<p>", "<th>"),
)


def page(body: str) -> Parsed:
    (found,) = parse(body.encode(), "a.html")
    return found


def texts(body: str) -> list[str]:
    return [block.text for found in parse(body.encode(), "a.html") for block in found.blocks]


def test_a_page_becomes_what_a_reader_sees_under_its_headings() -> None:
    found = page(PAGE)
    assert (found.title, found.author, found.kind) == ("Time off", "HR", "page")
    assert [(block.heading, block.anchor, block.text) for block in found.blocks] == [
        ((), "", "Everybody has 25 days.\nAsk HR."),
        (("Carry over",), "carry", "- until March\n  - or April\n- not later"),
        (("Carry over", "Who gets what"), "who-gets-what", "Who: new | Days: 2\nWho: old | Days: 5"),
        (("Carry over", "Who gets what"), "who-gets-what", "  a\n    b"),
        (("Carry over", "Who gets what"), "who-gets-what", "1. first\n2. second"),
    ]


def test_a_page_says_when_it_applies_and_when_it_was_changed() -> None:
    found = page(PAGE)
    assert found.valid_from == int(datetime(2024, 3, 1, tzinfo=UTC).timestamp()) * 1_000_000
    assert found.modified == int(datetime(2024, 2, 1, 10, tzinfo=UTC).timestamp()) * 1_000_000


@pytest.mark.parametrize(
    "hiding",
    [
        "<p hidden>SECRET</p>",
        "<p aria-hidden=' TRUE'>SECRET</p>",
        "<div><p style='color: red; display : none'>SECRET</div>",
        "<p style='DISPLAY:NONE !important'>SECRET</p>",
        "<p style='d\\69splay:none'>SECRET</p>",
        "<p style='display:/**/none'>SECRET</p>",
        "<p style='visibility:hidden'>SECRET</p>",
        "<p style='opacity:.0'>SECRET</p>",
        "<p style='font-size:0'>SECRET</p>",
        "<p style='font-size: 1px'>SECRET</p>",
        "<p style='font:0/0 a'>SECRET</p>",
        "<p style='position:absolute;left:-9999px'>SECRET</p>",
        "<p style='text-indent:-100vw'>SECRET</p>",
        "<p style='clip: rect(0, 0, 0, 0)'>SECRET</p>",
        "<p style='clip-path:inset(50%)'>SECRET</p>",
        "<p style='transform:scale(0)'>SECRET</p>",
        "<p style='height:0;overflow:hidden'>SECRET</p>",
        "<p style='color:#fff;background:#fff'>SECRET</p>",
        "<dialog>SECRET</dialog>",
        "<!-- SECRET -->",
        "<script>SECRET</script>",
        "<style>SECRET</style>",
        "<template><p>SECRET</p></template>",
        "<noscript>SECRET</noscript>",
        "<svg><text>SECRET</text></svg>",
        "<math><mi>SECRET</mi></math>",
        "<iframe srcdoc='SECRET'>SECRET</iframe>",
        "<object>SECRET</object>",
        "<textarea>SECRET</textarea>",
        "<select><option>SECRET</select>",
        "<button>SECRET</button>",
        "<input value=SECRET>",
        "<del>SECRET</del>",
        "<a href='https://SECRET.example' title=SECRET>link</a>",
        "<img alt=SECRET src=SECRET>",
    ],
)
def test_what_no_reader_sees_is_left_out(hiding: str) -> None:
    found = texts(f"<p>before</p>{hiding}<p>after</p>")
    assert (found[0], found[-1]) == ("before", "after")
    assert "SECRET" not in str(found)


@pytest.mark.parametrize(
    "style", ["opacity:0.5", "font-size:10px", "left:-10px", "color:#fff;background:#000", "width:0", "display:block"]
)
def test_a_style_that_hides_nothing_loses_nothing(style: str) -> None:
    assert texts(f"<p style='{style}'>text</p>") == ["text"]


def test_elements_of_a_page_s_own_are_read() -> None:
    assert texts("<my-card><o:p>text</o:p></my-card>") == ["text"]


def test_tables_without_headings_are_rows_and_those_for_the_layout_are_none() -> None:
    assert texts("<table><tr><td>a<td><p>b</p><p>c</p><tr><td>d<td></table>") == ["a | b c\nd | "]
    assert texts("<table><tr><td><h2>Head</h2>x<td><table><tr><td>y<td>z</table></table>") == ["x", "y | z"]


def test_a_long_table_is_cut_between_rows() -> None:
    rows = "".join(f"<tr><td>{number}<td>{'x' * 100}" for number in range(100))
    found = texts(f"<table><tr><th>n<th>text{rows}</table>")
    assert len(found) > 3
    assert [line.split(" | ")[0] for text in found for line in text.split("\n")] == [f"n: {n}" for n in range(100)]


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("<p>Grüße".encode(), "Grüße"),
        (codecs.BOM_UTF8 + "<meta charset=latin-1><p>Grüße".encode(), "Grüße"),
        (codecs.BOM_UTF16_LE + "<p>Grüße".encode("utf-16-le"), "Grüße"),
        ("<meta charset='iso-8859-1'><p>Grüße".encode("latin-1"), "Grüße"),
        (b"<meta http-equiv=Content-Type content='text/html; charset=shift_jis'><p>\x83e\x83X\x83g", "テスト"),
        ("<p>Grüße".encode("cp1252"), "Grüße"),
        ("<meta charset=nonsense><p>Grüße".encode(), "Grüße"),
        ("<meta charset=base64><p>Grüße".encode(), "Grüße"),
    ],
)
def test_a_page_is_decoded_as_it_says_or_looks(raw: bytes, text: str) -> None:
    (found,) = parse(raw, "a.html")
    assert [block.text for block in found.blocks] == [text]


def test_a_page_without_text_is_no_document() -> None:
    assert parse(b"<html><body><div></div></body></html>", "a.html") == []
    assert parse(b"", "a.html") == []


def test_the_first_heading_names_a_page_without_a_title() -> None:
    assert page("<h2>Travel</h2><p>By train.").title == "Travel"


@pytest.mark.parametrize(
    ("piece", "text"),
    [
        ("<title>no</title><h1>A</h1><p>b <b>c</b></p>d<br>e", "A\nb c\nd\ne"),
        ("<h1>A</h1><h2>B</h2>b<h1>C</h1>c<h2>D</h2>", "A\nB\nb\nC\nc\nD"),
        ("a<!-- <p>no</p> -->b<style>x</style>c", "abc"),
        ("<s>50</s> 60 &lt;b&gt; 1 < 2", "60 <b> 1 < 2"),
        ("<script>a</script", ""),
        ("<svg><svg></svg>x</svg>y", "y"),
        ("<document><p>Ask <control><a>@U1</a></control> or <lnk>this</lnk></p></document>", "Ask @U1 or this"),
        ("<table><tr><td><p>a</p></td><td><p>b</p></td></tr></table>", "a | b"),
    ],
)
def test_a_piece_of_a_page_is_one_text_with_its_headings_in_it(piece: str, text: str) -> None:
    found = parse(piece.encode(), "")
    assert "\n".join(text_of(page.blocks) for page in found) == text
    assert not any(page.title for page in found)


@pytest.mark.parametrize("tag", ["<div>", "<b>", "<x-y>", "<DIV \n a=1>", "<div></p>"])
def test_elements_that_lie_too_deep_in_each_other_are_refused(tag: str) -> None:
    with pytest.raises(DocumentTooLargeError):
        parse(tag.encode() * 100_000, "a.html")


def test_many_elements_beside_each_other_are_read() -> None:
    assert len(texts("<p>x" * 20_000)) == 20_000
    assert len(texts("<div>x</div>" * 20_000)) == 20_000


@given(st.lists(st.sampled_from(PIECES)))
def test_a_page_in_any_disorder_is_read(parts: list[str]) -> None:
    for found in parse("".join(parts).encode(), "a.html"):
        assert all(block.text.strip() for block in found.blocks)


@given(st.binary(max_size=300))
def test_bytes_of_any_kind_are_read_as_some_page(raw: bytes) -> None:
    assert len(parse(raw, "a.html")) <= 1


def test_the_name_of_a_column_does_not_let_the_text_grow_with_the_square_of_the_page() -> None:
    page = f"<table><tr><th>{'h' * 7_000}</th></tr>{'<tr><td>x</td></tr>' * 700}</table>"
    (found,) = parse(page.encode(), "a.html")
    assert sum(len(block.text) for block in found.blocks) < 4 * len(page)
