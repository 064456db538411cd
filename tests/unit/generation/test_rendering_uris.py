"""Which addresses may leave in a text: those that no program takes for anything else."""

import pytest

from generation.rendering import render_text

PERMALINK = "https://acme.slack.com/archives/C05/p1770111022449824"


@pytest.mark.parametrize(
    "uri",
    ["leave.md", "hr/Parental%20leave.md", "hr/v1.2/leave_2-a.TXT#carry-over-1", "leave.markdown#\u00fcber-uns",
     PERMALINK, f"{PERMALINK}?thread_ts=1.2&cid=C1", "http://wiki.acme.internal:8080/x"],
)  # fmt: skip
def test_an_ordinary_uri_can_be_allowed(uri: str) -> None:
    assert render_text(f"See [it]({uri}) now.", [uri]) == f"See it ({uri}) now."


@pytest.mark.parametrize(
    "uri",
    ["www.evil.com.md", "www.md", "evil.com/a.md", "hr/evil.com/a.md", "evil.md/login.txt", "192.0.2.7.md",
     "evil.com#a", "https:/evil.example/login.md", "https%3A/evil.example/login.md", "evil%2Ecom.md", "evil%252Ecom.md",
     "//evil/a.md", "/a.md", "a//b.md", "javascript:alert(1)//.md", "javascript:alert", "data:text,x.md", "ftp://acme.example/a",
     "https://user@acme.example/", "https://acme.example/a b", "https://acme.example/(a)", "https://acme.example/&lt;a",
     "@channel.md", "%40channel.md", "<!here>.md", "%3C%21here%3E.md", "who to ask.md", "a|b.md", "a[b].md", "a*b.md",
     "\u202esm.md", "\u00fcber.md", "a\n.md", "leave.md#a.b", "leave.md#\u2488com"],
)  # fmt: skip
def test_a_uri_that_could_act_is_not_allowed_by_being_named(uri: str) -> None:
    text = f"See {uri} or [it]({uri}) or <{uri}|it> now."
    assert render_text(text, [uri]) == render_text(text, ())


@pytest.mark.parametrize("number", ["7", "1-2", "2024"])
def test_an_id_that_is_a_number_gives_no_right_to_brackets(number: str) -> None:
    assert render_text(f"Staff get [{number}] days", [number]) == f"Staff get ({number}) days"


@pytest.mark.parametrize("mark", ["[**1**]", "[_2_]", "[`3`]", "[*4*]", "[1&nbsp;]", "[1;]", "[ __7__ ]"])
def test_emphasis_makes_no_citation_of_a_number(mark: str) -> None:
    assert "[" not in render_text(f"The old fee was 5 {mark} pounds.")
