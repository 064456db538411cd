"""Questions and answers, from JSON and from rows."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.words import Instant
from ingest.errors import RefusedError
from ingest.formats import faq
from ingest.formats.faq import parse
from ingest.formats.parsed import DocumentTooLargeError

WORDS = st.text(max_size=30)


def refusal(raw: bytes) -> str:
    try:
        parse(raw, "faq.json")
    except RefusedError as error:
        return error.code
    return ""


@pytest.mark.parametrize("key", ["", "faqs", "items", "questions", "data"])
def test_a_list_of_objects_is_read_bare_or_under_a_usual_key(key: str) -> None:
    rows = [{"Question": "How many days?", "Answer": "25."}]
    (one,) = parse(json.dumps({key: rows, "version": 2} if key else rows).encode(), "faq.json")
    assert (one.kind, one.title, [block.text for block in one.blocks]) == ("faq", "How many days?", ["25."])


def test_what_a_row_says_beside_question_and_answer_is_kept() -> None:
    row = {
        "id": 17,
        "frage": "Wie viele Tage?",
        "antwort": ["Es sind 25.", "Mehr nicht."],
        "topic": "Leave",
        "owner": "HR",
        "link": "https://example.com/leave",
        "effective_date": "2024-03-01",
        "updated": "2024-05-01T12:00:00Z",
    }
    (one,) = parse(json.dumps([row]).encode(), "faq.json")
    assert (one.part, one.context, one.author) == ("17", "Leave", "HR")
    assert [block.text for block in one.blocks] == ["Es sind 25.\nMehr nicht.", "https://example.com/leave"]
    assert one.valid_from == Instant(1_709_251_200_000_000)
    assert one.modified == Instant(1_714_564_800_000_000)


def test_a_link_that_is_no_address_of_the_web_is_not_read() -> None:
    (one,) = parse(json.dumps([{"q": "Who?", "a": "Me.", "url": "javascript:alert(1)"}]).encode(), "faq.json")
    assert [block.text for block in one.blocks] == ["Me."]


def test_a_question_that_is_too_long_for_a_title_stands_in_the_text_too() -> None:
    question = "Why " * 100
    (one,) = parse(json.dumps([{"q": question, "a": "Because."}]).encode(), "faq.json")
    assert one.title.endswith("…")
    assert [block.text for block in one.blocks] == [question.strip(), "Because."]


def test_a_row_without_an_answer_is_a_document_without_text() -> None:
    rows = [{"q": "Who?", "a": "Me."}, {"q": "When?"}, {"q": "Where?", "a": " "}, {"note": "none"}]
    found = parse(json.dumps(rows).encode(), "faq.json")
    assert [(one.title, len(one.blocks)) for one in found] == [("Who?", 1), ("When?", 0), ("Where?", 0), ("", 0)]


def test_the_same_question_twice_is_told_apart_by_a_number() -> None:
    rows = [{"q": "Who?", "a": "Me."}, {"q": "Who?", "a": "You."}]
    first, second = parse(json.dumps(rows).encode(), "faq.json")
    assert len(first.part) == 16
    assert second.part == f"{first.part}-2"


def test_a_part_stays_when_rows_are_put_before_it() -> None:
    (alone,) = parse(b'[{"q": "Who?", "a": "Me."}]', "faq.json")
    _, below = parse(b'[{"q": "When?", "a": "Now."}, {"q": "Who?", "a": "You."}]', "faq.json")
    assert alone.part == below.part


def prose(*texts: str) -> dict[str, object]:
    """Rich text as editors store it."""
    parts = [{"type": "paragraph", "content": [{"type": "text", "text": text}]} for text in texts]
    return {"type": "doc", "version": 1, "content": parts}


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (True, "true"),
        (False, "false"),
        (25, "25"),
        (2.50, "2.5"),
        ({"text": "25 days."}, "25 days."),
        ({"text": "", "value": "25 days."}, "25 days."),
        ([{"text": "25 days."}, {"text": "No more."}], "25 days.\nNo more."),
        ({"paragraphs": ["25 days.", "No more."]}, "25 days.\nNo more."),
        (prose("25 days.", "No more."), "25 days.\nNo more."),
        ([{"type": "image", "src": "a.png"}, {"type": "p", "text": "See above."}], "See above."),
        ({"Full time": "25 days", "Part time": 12, "Paid": True}, "Full time: 25 days\nPart time: 12\nPaid: true"),
        ({"Leave": {"Full time": "25 days"}, "Note": None}, "Leave: Full time: 25 days"),
    ],
)
def test_an_answer_with_a_structure_is_read_by_its_words(answer: object, text: str) -> None:
    (one,) = parse(json.dumps([{"q": "How many days?", "a": answer}]).encode(), "faq.json")
    assert ([block.text for block in one.blocks], one.trouble) == ([text], "")


@pytest.mark.parametrize("answer", [None, "", [], {}, [" "], {"text": ""}, prose(), {"note": None}])
def test_an_answer_that_says_nothing_is_empty_and_no_trouble(answer: object) -> None:
    (one,) = parse(json.dumps([{"q": "How many days?", "a": answer}]).encode(), "faq.json")
    assert (one.blocks, one.trouble) == ((), "")


@pytest.mark.parametrize("picture", [{"type": "image", "src": "a.png"}, [{"@type": "ImageObject", "url": "a.png"}]])
def test_an_answer_without_words_is_a_trouble_of_its_own_row(picture: object) -> None:
    rows = [{"q": "How many?", "a": picture}, {"q": "Who?", "a": "Me."}, {"q": picture, "a": "Because."}]
    found = parse(json.dumps(rows).encode(), "faq.json")
    assert [(one.trouble, len(one.blocks)) for one in found] == [("unknown_json", 0), ("", 1), ("unknown_json", 0)]
    assert [one.reason.partition(":")[0] for one in found] == ["Row 1", "", "Row 3"]
    assert len({one.part for one in found}) == 3


def answered(answer: object) -> tuple[str, str]:
    """The text and the trouble of the one row that is answered so."""
    (one,) = parse(json.dumps([{"q": "Why?", "a": answer}]).encode(), "faq.json")
    return "\n".join(block.text for block in one.blocks), one.trouble


def paragraph(*parts: object) -> dict[str, object]:
    return {"type": "paragraph", "content": list(parts)}


def word(text: str, **beside: object) -> dict[str, object]:
    return {"type": "text", "text": text, **beside}


SLATE = [
    {"type": "paragraph", "children": [{"text": "You are "}, {"text": "not", "bold": True}, {"text": " to call."}]}
]
PROSE_MIRROR = {
    "type": "doc",
    "content": [
        paragraph(word("Ask "), {"type": "mention", "attrs": {"id": "7", "text": "@Ada"}}, word(", not Bob.")),
        paragraph(),
        paragraph(word("Non-", marks=[{"type": "bold"}]), word("EU"), {"type": "hardBreak"}, word("or EU?")),
    ],
}
CONTENTFUL = json.loads("""{"nodeType": "document", "data": {}, "content": [{"nodeType": "paragraph", "content": [
{"nodeType": "text", "value": "See ", "marks": [], "data": {}},
{"nodeType": "hyperlink", "data": {"uri": "x"}, "content": [{"nodeType": "text", "value": "the list", "marks": []}]},
{"nodeType": "text", "value": ".", "marks": [{"type": "bold"}], "data": {}}]}]}""")
DRAFT = json.loads("""{"entityMap": {"0": {"type": "LINK", "data": {"url": "x"}}}, "blocks": [
{"key": "a", "text": "One.", "type": "unstyled", "depth": 0, "inlineStyleRanges": [{"style": "BOLD"}], "data": {}},
{"key": "b", "text": "two", "type": "unordered-list-item", "depth": 1, "entityRanges": [], "data": {}}]}""")
EDITOR_JS = json.loads("""{"time": 1550476186479, "version": "2.8", "blocks": [
{"id": "x", "type": "header", "data": {"text": "Snacks", "level": 2}},
{"type": "list", "data": {"style": "unordered", "items": ["apples", "pears"]}},
{"type": "list", "data": {"style": "ordered", "items": [{"content": "a", "meta": {}, "items": ["b"]}]}},
{"type": "image", "data": {"file": {"url": "a.png"}, "caption": "A pear", "withBackground": false}},
{"type": "table", "data": {"withHeadings": true, "content": [["Who", "Days"], ["Ada", 3]]}}]}""")
LEXICAL = json.loads("""{"root": {"type": "root", "direction": "ltr", "indent": 0, "children": [
{"type": "paragraph", "format": "left", "version": 1, "children": [
{"detail": 0, "format": 1, "mode": "normal", "style": "", "type": "text", "version": 1, "text": "No"},
{"detail": 0, "format": 0, "mode": "normal", "style": "", "type": "text", "version": 1, "text": "w."}]}]}}""")
NOTION = json.loads("""[{"object": "block", "id": "1", "type": "paragraph", "paragraph": {
"color": "default", "rich_text": [
{"type": "text", "text": {"content": "We ", "link": null}, "plain_text": "We ", "href": null},
{"type": "text", "text": {"content": "go"}, "annotations": {"bold": true}, "plain_text": "go"}]}}]""")
PORTABLE = json.loads("""[{"_type": "block", "style": "normal", "_key": "k", "markDefs": [{"href": "x"}],
"children": [{"_type": "span", "marks": ["m"], "text": "Yes "}, {"_type": "span", "marks": [], "text": "no"}]}]""")
UNKNOWN_INLINE = {"type": "li", "children": [{"type": "glossary", "children": [{"text": "PTO"}]}, {"text": " is paid"}]}


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (SLATE, "You are not to call."),
        (PROSE_MIRROR, "Ask @Ada, not Bob.\nNon-EU\nor EU?"),
        (CONTENTFUL, "See the list."),
        (DRAFT, "One.\ntwo"),
        (EDITOR_JS, "Snacks\napples\npears\na\nb\nA pear\nWho | Days\nAda | 3"),
        (LEXICAL, "Now."),
        (NOTION, "We go"),
        (PORTABLE, "Yes no"),
        (UNKNOWN_INLINE, "PTO is paid"),
        ([{"text": "Non-"}, {"text": "EU", "bold": True}], "Non-EU"),
        ([{"children": [{"text": "A"}]}, {"children": [{"text": "b"}]}], "A\nb"),
        (
            paragraph(word("A "), {"type": "link", "url": "x", "title": "HR", "children": [{"text": "b"}]}),
            "A b (title: HR)",
        ),
        (
            {"type": "expand", "attrs": {"title": "Exceptions"}, "content": [paragraph(word("None"))]},
            "Exceptions\nNone",
        ),
    ],
)
def test_rich_text_is_read_block_by_block_and_no_line_is_broken_within_one(answer: object, text: str) -> None:
    assert answered(answer) == (text, "")


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (["We ", "do not", " refund taxis."], "We do not refund taxis."),
        (["We", "do not", "refund taxis", ", ever."], "We do not refund taxis, ever."),
        (["25 days.", "no more."], "25 days.\nno more."),
        (["Apples", "Pears"], "Apples\nPears"),
        ([{"text": "We do"}, {"text": "not."}], "We do not."),
        ({"items": ["apples", "pears"]}, "apples\npears"),
    ],
)
def test_bare_texts_of_a_list_are_lines_unless_one_goes_on_in_the_next(answer: object, text: str) -> None:
    assert answered(answer) == (text, "")


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ({"text": "Seven days.", "exceptions": "Interns: none."}, "Seven days.\nexceptions: Interns: none."),
        ({"exceptions": "Interns: none.", "text": "Seven days."}, "exceptions: Interns: none.\nSeven days."),
        ({"text": "", "short": "Yes."}, "short: Yes."),
        ({"text": None, "en": "No pool"}, "en: No pool"),
        ({"text": "Ask.", "body": "Or write."}, "Ask.\nOr write."),
        (
            [paragraph(word("See:")), {"type": "table", "rows": [["Who", "Days"], ["Ada", 0]]}],
            "See:\nWho | Days\nAda | 0",
        ),
        ({"text": "The door", "code": "1234", "bold": True}, "The door\ncode: 1234"),
        ({"code": "1234", "style": "old"}, "code: 1234\nstyle: old"),
        ({"type": "note", "text": "Free.", "target": "Interns only", "color": "red"}, "Free.\ntarget: Interns only"),
        ({"type": "Full time", "text": "25"}, "type: Full time\n25"),
        (
            [{"type": "Employee", "days": 25}, {"type": "Intern", "days": 0}],
            "type: Employee\ndays: 25\ntype: Intern\ndays: 0",
        ),
    ],
)
def test_what_stands_beside_a_text_is_read_with_its_name(answer: object, text: str) -> None:
    assert answered(answer) == (text, "")


@pytest.mark.parametrize(
    "part",
    [
        {"type": "date", "attrs": {"timestamp": "1582152559"}},
        {"type": "mention", "attrs": {"id": "7", "label": None}},
        {"type": "placeholder", "attrs": {"variable": "opening"}},
    ],
)
def test_a_line_with_a_part_that_cannot_be_read_is_refused_whole(part: object) -> None:
    assert answered(paragraph(word("Closed until "), part, word(", then open."))) == ("", "unknown_json")


def test_a_picture_in_a_line_takes_nothing_from_its_words() -> None:
    assert answered(paragraph(word("Press "), {"type": "image", "src": "a.png"}, word("twice."))) == (
        "Press twice.",
        "",
    )


def test_a_part_of_a_line_without_a_text_of_its_own_is_read_by_all_that_it_says() -> None:
    who = {"type": "mention", "name": "Ada", "team": "HR"}
    assert answered(paragraph(word("Ask "), who, word("."))) == ("Ask Ada, HR.", "")


LEAVES = st.lists(st.text("ab .,C", max_size=6), max_size=4)
STYLES: st.SearchStrategy[dict[str, object]] = st.sampled_from(
    [{}, {"bold": True}, {"style": "x y"}, {"marks": [{"type": "bold"}]}, {"key": "z"}]
)
LOOKS: st.SearchStrategy[dict[str, object]] = st.sampled_from(
    [{}, {"attrs": {"align": "left"}}, {"version": 1}, {"id": "a1"}, {"level": 2}]
)
Paragraphs = tuple[object, list[str]]  # a tree, and its lines


@st.composite
def paragraphs(draw: st.DrawFn) -> Paragraphs:
    """One paragraph in the way of one editor or another."""
    leaves = draw(LEAVES)
    kind, parts, own = draw(st.sampled_from([("type", "children", "text"), ("nodeType", "content", "value")]))
    typed = own == "value" or draw(st.booleans())
    nodes: list[object] = []
    for leaf in leaves:
        node = {**({kind: "text"} if typed else {}), own: leaf, **draw(STYLES)}
        nodes.append({kind: "link", parts: [node]} if draw(st.booleans()) else node)
    name = draw(st.sampled_from(["paragraph", "heading", "list-item", "p"]))
    return {kind: name, parts: nodes, **draw(LOOKS)}, ["".join(leaves)]


def within(inner: st.SearchStrategy[Paragraphs]) -> st.SearchStrategy[Paragraphs]:
    names = st.sampled_from(["doc", "blockquote", "bulletList", "panel", "custom", ""])

    def of(name: str, parts: list[Paragraphs]) -> Paragraphs:
        trees, lines = [tree for tree, _ in parts], [line for _, found in parts for line in found]
        return ({"type": name, "content": trees} if name else trees), lines

    return st.builds(of, names, st.lists(inner, max_size=4))


@given(st.recursive(paragraphs(), within, max_leaves=6))
def test_each_paragraph_is_one_line_with_all_its_words_in_order(given_tree: Paragraphs) -> None:
    tree, lines = given_tree
    text, trouble = answered(tree)
    assert trouble == ""
    assert [line.split() for line in text.splitlines() if line.split()] == [
        line.split() for line in lines if line.split()
    ]


HOLDERS = ["text", "content", "children", "items", "rows", "data", "note", "exceptions", "bold", "code", "time"]
NUMBERED = st.recursive(
    st.just("word"),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.builds(
            lambda kind, parts: {"type": kind, **parts} if kind else parts,
            st.sampled_from(["", "paragraph", "table", "list", "custom", "link", "text", "Full time"]),
            st.dictionaries(st.sampled_from(HOLDERS), inner, max_size=4),
        )
    ),
    max_leaves=12,
)


def numbered(value: object, words: list[str]) -> object:
    """The same with a word of its own in each place, in the order of `words`."""
    if isinstance(value, list):
        return [numbered(part, words) for part in value]
    if isinstance(value, dict):
        return {key: part if key == "type" else numbered(part, words) for key, part in value.items()}
    words.append(f"w{len(words):03}")
    return words[-1]


@given(NUMBERED)
def test_of_an_answer_every_word_is_read_once_or_the_row_is_refused(shape: object) -> None:
    words: list[str] = []
    text, trouble = answered(numbered(shape, words))
    found = re.findall(r"w\d{3}", text)
    assert trouble == "unknown_json" or sorted(found) == words
    # What stands beside the text of a part of a line follows it.
    assert found == words or trouble or re.search(r'"type": "(link|text)"', json.dumps(shape))


NESTED = st.recursive(
    st.none() | st.booleans() | st.integers() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.sampled_from(["text", "type"]), inner),
    max_leaves=8,
)


@given(NESTED)
def test_whatever_an_answer_is_made_of_it_is_read_or_empty_or_in_trouble(answer: object) -> None:
    (one,) = parse(json.dumps([{"q": "Why?", "a": answer}]).encode(), "faq.json")
    assert not (one.blocks and one.trouble)
    if isinstance(answer, bool | int):
        assert one.blocks


@pytest.mark.parametrize("value", [{}, {"faqs": 3}, {"faqs": [1]}, [1], "text", 3, None, [{"name": "x"}], [{}]])
def test_other_json_is_refused(value: object) -> None:
    assert refusal(json.dumps(value).encode()) == "unknown_json"


def test_an_empty_list_has_nothing_to_read() -> None:
    assert parse(b'{"faqs": []}', "faq.json") == []


def test_more_text_than_a_file_may_hold_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faq, "CHARACTERS", 10)
    with pytest.raises(DocumentTooLargeError):
        parse(b'[{"q": "Who?", "a": "Everybody."}]', "faq.json")


@given(st.lists(st.fixed_dictionaries({"q": WORDS, "a": WORDS}, optional={"id": WORDS}), max_size=8))
def test_each_question_with_an_answer_is_one_document_with_a_part_of_its_own(rows: list[dict[str, str]]) -> None:
    found = parse(json.dumps(rows).encode(), "faq.json")
    assert len(found) == len(rows) == len({one.part for one in found})
    for row, one in zip(rows, found, strict=True):
        assert not one.blocks or row["a"].strip()
        assert one.blocks or not any(letter.isalnum() for letter in row["a"])


@given(st.binary(max_size=200))
def test_whatever_the_bytes_are_nothing_but_a_refusal_is_raised(raw: bytes) -> None:
    assert refusal(raw) in ("", "broken_json", "unknown_json")
