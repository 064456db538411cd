"""The mock's Block Kit check takes what slack_sdk's models make, and refuses what Slack documents as invalid."""

import pytest
from slack_sdk.errors import SlackObjectFormationError
from slack_sdk.models.blocks import (
    ActionsBlock,
    Block,
    ButtonElement,
    ContextBlock,
    DividerBlock,
    HeaderBlock,
    ImageBlock,
    MarkdownTextObject,
    PlainTextObject,
    RichTextBlock,
    RichTextElementParts,
    RichTextListElement,
    RichTextPreformattedElement,
    RichTextQuoteElement,
    RichTextSectionElement,
    SectionBlock,
)

from tests.support.slack_block_rules import problems
from tests.support.slack_workspace import Json

PARTS = RichTextElementParts


def button(*, text: str = "Helpful", **more: str) -> Json:
    return {"type": "button", "text": {"type": "plain_text", "text": text}, "action_id": "helpful", **more}


def actions(*elements: Json) -> Json:
    return {"type": "actions", "elements": list(elements)}


def section(text: str) -> Json:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def rich(part: str, *elements: Json, **more: object) -> Json:
    return {"type": "rich_text", "elements": [{"type": part, "elements": list(elements), **more}]}


def link(url: str) -> Json:
    return rich("rich_text_section", {"type": "link", "url": url, "text": "here"})


def said(text: str) -> Json:
    return {"type": "text", "text": text}


@pytest.mark.parametrize(
    "block",
    [
        SectionBlock(text=MarkdownTextObject(text="*Hello*")),
        SectionBlock(text=PlainTextObject(text="x" * 3000, emoji=True), block_id="b" * 255),
        SectionBlock(fields=["a", "b"]),
        HeaderBlock(text=PlainTextObject(text="x" * 150)),
        ContextBlock(elements=[MarkdownTextObject(text="from")] * 10),
        ActionsBlock(elements=[ButtonElement(text="y" * 75, action_id="a" * 255, value="v" * 2000, style="primary")]),
        DividerBlock(),
        ImageBlock(image_url="https://example.com/a.png", alt_text="a"),
        RichTextBlock(
            elements=[
                RichTextSectionElement(
                    elements=[
                        PARTS.Text(text="literal", style=PARTS.TextStyle(bold=True)),
                        PARTS.Link(url="https://example.com/" + "x" * 2980, text="here"),
                        PARTS.Emoji(name="wave"),
                        PARTS.User(user_id="U1"),
                    ]
                ),
                RichTextQuoteElement(elements=[PARTS.Text(text="said")]),
                RichTextPreformattedElement(elements=[PARTS.Text(text="code")]),
                RichTextListElement(
                    style="bullet", indent=0, elements=[RichTextSectionElement(elements=[PARTS.Text(text="one")])]
                ),
            ]
        ),
    ],
    ids=lambda block: block.type,
)
def test_what_slack_sdk_makes_within_the_limits_is_valid(block: Block) -> None:
    assert problems([block.to_dict()]) == []


@pytest.mark.parametrize(
    "block",
    [
        SectionBlock(text=MarkdownTextObject(text="x" * 3001)),
        SectionBlock(fields=["a"] * 11),
        HeaderBlock(text=PlainTextObject(text="x" * 151)),
        ContextBlock(elements=[MarkdownTextObject(text="from")] * 11),
        ActionsBlock(elements=[ButtonElement(text="y", action_id=f"a{number}") for number in range(26)]),
        ImageBlock(image_url="https://example.com/" + "x" * 3000, alt_text="a"),
    ],
    ids=lambda block: block.type,
)
def test_what_slack_sdks_own_limits_refuse_is_refused(block: Block) -> None:
    with pytest.raises(SlackObjectFormationError):
        block.to_dict()
    block.validate_json = lambda: None  # type: ignore[method-assign]
    assert problems([block.to_dict()])


@pytest.mark.parametrize(
    ("block", "why"),
    [
        (actions(button(text="x" * 76)), "button text"),
        (actions(button(value="x" * 2001)), "button value"),
        (actions(button(action_id="x" * 256)), "action_id"),
        (actions(button(style="green")), "style"),
        (actions(button(url="x" * 3001)), "url"),
        (actions(button(), button()), "action_id is not unique"),
        (actions(), "1 to 25"),
        (actions({"type": "checkboxes"}), "buttons"),
        (section(""), "1 to 3000"),
        (section("x") | {"txet": 1}, "unknown field txet"),
        ({"type": "section"}, "text or fields"),
        ({"type": "header", "text": {"type": "mrkdwn", "text": "x"}}, "plain_text"),
        ({"type": "carousel-of-mine"}, "unsupported type"),
        ({"type": "context", "elements": []}, "1 to 10"),
        (rich("rich_text_section"), "1 to 1000"),
        (rich("rich_text_box", said("x")), "rich_text_section"),
        (rich("rich_text_section", said("")), "text text"),
        (rich("rich_text_section", {"type": "script", "text": "x"}), "unknown element"),
        (rich("rich_text_section", said("x") | {"style": {"blink": True}}), "style"),
        (rich("rich_text_list", said("x"), style="bullet"), "rich_text_section only"),
        (rich("rich_text_list", {"type": "rich_text_section", "elements": [said("x")]}), "bullet or ordered"),
        (link("https://example.com/" + "x" * 3000), "url"),
        (link("javascript:alert(1)"), "scheme"),
    ],
)
def test_an_invalid_block_is_refused_with_its_reason(block: Json, why: str) -> None:
    [first, *_] = problems([block])
    assert why in first


def test_a_message_has_fifty_blocks_at_most() -> None:
    assert problems([{"type": "divider"}] * 50) == []
    assert problems([{"type": "divider"}] * 51)


def test_an_action_id_and_a_block_id_are_unique_in_the_message() -> None:
    assert problems([actions(button()), actions(button())]) == ["blocks: action_id is not unique"]
    assert problems([section("a") | {"block_id": "b"}, section("c") | {"block_id": "b"}]) == [
        "blocks: block_id is not unique"
    ]


@pytest.mark.parametrize("nonsense", [None, "x", {}, [None], ["x"], [[]], [{"type": "actions", "elements": [None]}]])
def test_anything_else_is_refused_and_never_fails(nonsense: object) -> None:
    assert problems(nonsense)
