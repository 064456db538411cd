"""What leaves: words, allowed links, and nothing that acts."""

import html
import re
import time
import unicodedata
from collections.abc import Callable
from itertools import pairwise
from urllib.parse import unquote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from generation.rendering import LINK_REMOVED, TEXT_REMOVED, plain_text, render_text

PERMALINK = "https://acme.slack.com/archives/C05/p1770111022449824"
ALLOWED = ("leave.md", "handbook/who%20to%20ask%20%282%29.md", PERMALINK)

HOSTS = (
    "evil.com", "login.evil.co.uk", "EVIL.Example", "e-vil.io", "xn--evl-9ja.com",
    "bücher.de", "\u0435v\u0456l.com", "例え.テスト",
    "192.0.2.7", "203.0.113.9:8080", "evil.md", "a.b.c.evil.zip", "user:pass@evil.com", "acme.slack.com.evil.com",
    "evil\u3002com", "evil\uff0ecom",
    "\uff45\uff56\uff49\uff4c\uff0e\uff43\uff4f\uff4d", "evil%2Ecom", "ev\u200bil.com", "evil.c\u00adom",
    "ev\U000e0069il.com",
    "evil&period;com", "evil&#46;com", "evil\\.com", "\u202eevil.com", "https.evil.com", "[2001:db8::1]", "हिन्दी.भारत",
)  # fmt: skip
PATHS = ("", "/", "/a?d=secret", "/a(b)", "/%2e%2e/x", "#x", "?q=1|2", "/a.b.", "/leave.md", f"/?u={PERMALINK}")
SCHEMES = (
    "https://", "http://", "HTTPS://", "ftp://", "//", "https:", "http:/", "https:\\\\", "https&colon;//",
    "https%3A%2F%2F",
    "&#104;ttps://", "\uff48\uff54\uff54\uff50\uff53\uff1a\uff0f\uff0f", "ht\u200btps://",
    "slack://", "file://", "javascript:", "data:text/html,", "mailto:a@",
    "view-source:https://", "www.", "", "\\\\", "https\\://", "\u200dhttps://", "vbscript:", "sms:", "x-evil://", "&#x68;ttp://",
)  # fmt: skip
FORMS: tuple[Callable[[str], str], ...] = (
    lambda uri: uri,
    lambda uri: f"[the policy]({uri})",
    lambda uri: f'[the policy](<{uri}> "a title")',
    lambda uri: f"[the policy][p]\n\n[p]: {uri}\n",
    lambda uri: f"[p]\n\n  [p]:\t{uri} 'title'",
    lambda uri: f"![the policy]({uri})",
    lambda uri: f"[![picture]({uri})]({uri})",
    lambda uri: f"[{uri}]({PERMALINK})",
    lambda uri: f"[the policy]({PERMALINK}{uri})",
    lambda uri: f"<{uri}>",
    lambda uri: f"<{uri}|the policy>",
    lambda uri: f"<{PERMALINK}|{uri}>",
    lambda uri: f"&lt;{uri}|the policy&gt;",
    lambda uri: f'<a href="{uri}">the policy</a>',
    lambda uri: f"<a href={uri}>the policy",
    lambda uri: f"<img src='{uri}' alt=x>",
    lambda uri: f"<!-- {uri} -->",
    lambda uri: f"<!date^1392734382^{{date}}^{uri}|then>",
    lambda uri: f"({uri})",
    lambda uri: f"“{uri}”",
    lambda uri: f"**{uri}**, `{uri}`",
    lambda uri: f"{PERMALINK}@{uri}",
    lambda uri: f"{uri}\u200d{uri}",
    lambda uri: f"<b>{uri[:4]}</b>{uri[4:]}",
    lambda uri: f"{uri[:3]}<s>{uri[3:]}",
    lambda uri: f"{uri[:5]}<|im_end|>{uri[5:]}",
)
LINKS = st.builds(
    lambda form, scheme, host, path: form(scheme + host + path),
    st.sampled_from(FORMS),
    st.sampled_from(SCHEMES),
    st.sampled_from(HOSTS),
    st.sampled_from(PATHS),
)
PIECES = st.lists(
    st.one_of(
        LINKS,
        st.sampled_from(
            (*ALLOWED, "<!here>", "@channel", "<@U1|@here>", "<", ">", "|", "[", "](", ")", "&lt;", "@", " ", "\n")
        ),
        st.text(max_size=8),
    ),
    max_size=6,
).map("".join)

HALVES = st.lists(
    st.sampled_from(
        ("[", "]", "](", "![", "[1]", "]:", "][", "\\[", "\\]", "(", ")", "<", ">", "tg:resolve?domain=evil",
         "/logout?all=1", "[open", "](/logout)", "](tg:x", "\n[open]: /logout", "[1]: /logout\n", "[by hand][1]",
         "&#91;", "&rsqb;(", "%5B", "\uff3b", "\uff3d(", "`", "``", "\\", "<!here>", "|", "*", " ", "\n", "open",
         "this page", "# ", "- ",
         "[^1]", "leave.md", PERMALINK)
    ),
    max_size=9,
).map("".join)  # fmt: skip

LINK_TOKENS = ("link_open", "image")


def decodings(text: str) -> list[str]:
    """The ways in which a program that shows text may read it before it looks for links."""
    seen = [text, html.unescape(text), unquote(text), re.sub(r"\\([^\w\s])", r"\1", text)]
    seen += [unicodedata.normalize("NFKC", each) for each in seen]
    return ["".join(c for c in each if unicodedata.category(c) not in {"Cf", "Mn"}) for each in seen]


def links_in(text: str) -> list[str]:
    """Whatever Slack, Markdown or a browser might take for a link or a mention: naive, and written apart."""
    for uri in sorted(ALLOWED, key=len, reverse=True):
        text = re.sub(rf"(?<![\w/.@:-]){re.escape(uri)}(?![\w/@%#?&=-]|\.\w)", " ", text)
    found: list[str] = []
    for seen in decodings(text):
        found += re.findall(r"[A-Za-z][A-Za-z0-9+.-]+:[/\\]+\S+", seen)
        found += re.findall(r"(?:^|[\s(<\"'=])[/\\]{2}\w\S*", seen)
        found += re.findall(r"(?i)\b(?:https?|ftp|javascript|data|mailto|vbscript|file):\S+", seen)
        found += re.findall(r"(?i)\bwww[.\u3002]\S+", seen)
        found += re.findall(r"[\w-]+[.\u3002](?:xn--[\w-]+|[^\W\d_]{2,})\b", seen)
        found += re.findall(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.])", seen)
        found += re.findall(r"[0-9a-f]{1,4}:(?::[0-9a-f]{1,4})+", seen)
        found += re.findall(r"\[[^\[\]]*\]\(\s*[^\s)]\S*\)", seen)
        found += re.findall(r"<(?:[@!#a-zA-Z/?][^>]*>?|[^<>\s]*\|[^>]*>)", seen)
        found += re.findall(r"(?i)@(?:here|channel|everyone)\b", seen)
    return [link for link in found if not is_a_file(link)]


def markdown_links_in(text: str) -> list[str]:
    """The targets of whatever a Markdown reader makes clickable."""
    inline = [child for token in MarkdownIt("commonmark").parse(text) for child in token.children or ()]
    return [str(child.attrs.get("href") or child.attrs.get("src")) for child in inline if child.type in LINK_TOKENS]


def is_a_file(name: str) -> bool:
    return re.fullmatch(r"[\w-]+\.(?:pdf|txt)", name) is not None


@given(LINKS)
@settings(max_examples=1500, deadline=None)
def test_no_spelling_of_a_link_survives(text: str) -> None:
    assert not links_in(render_text(f"See {text} today.", ALLOWED))


@given(PIECES)
@settings(max_examples=600, deadline=None)
def test_no_link_is_made_of_the_pieces_of_others(text: str) -> None:
    assert not links_in(render_text(text, ALLOWED))


@given(
    st.one_of(HALVES, PIECES), st.lists(st.integers(0, 60), max_size=4), st.sampled_from((" ", " [1] ", "\n", " [1]\n"))
)
@example(
    "https://evil.comhttps://evil.com<<https://evil.com?q=1|2|the policy>&lt;https://evil.com|the policy&gt;", [], " "
)
@settings(max_examples=1500, deadline=None)
def test_pieces_rendered_apart_make_no_link_together(text: str, cuts: list[int], between: str) -> None:
    places = sorted({0, *cuts, len(text)})
    pieces = [render_text(text[start:end], ALLOWED) for start, end in pairwise(places)]
    whole = between.join(pieces)
    assert not markdown_links_in(whole)
    assert not links_in(whole)
    assert not re.search(r"\][(\[:]", re.sub(r"\[1\]", "", whole))


@given(st.one_of(HALVES, PIECES, st.text("[]0123456789^ ,\\&#;(:x\uff3b\u00b9")))
@settings(max_examples=1000, deadline=None)
def test_no_number_in_brackets_survives(text: str) -> None:
    shown = render_text(text, ALLOWED)
    assert not any(re.search(r"\[\s*\^?[\d\u00b9]+\s*\]", seen) for seen in decodings(shown))


@given(st.one_of(HALVES, PIECES, st.text(), st.text("<>|[]()@!/\\.:&#;%ahttps \u200d\ufe0f\u3002☺क")))
@settings(max_examples=600, deadline=None)
def test_rendering_twice_is_rendering_once(text: str) -> None:
    once = render_text(text, ALLOWED)
    assert render_text(once, ALLOWED) == once
    assert plain_text(plain_text(text)) == plain_text(text)


@pytest.mark.parametrize(
    "text",
    ["https://evil.com/x", "<https://evil.com|x>", "[x](https://evil.com)", "evil.com", "@here", "<!here>", "1.2.3.4"],
)
def test_the_finder_of_these_tests_finds_what_is_not_rendered(text: str) -> None:
    assert links_in(f"See {text} today.")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("See [the policy](https://evil.com/x) first.", "See the policy first."),
        ("See <https://evil.com|the policy> first.", "See the policy first."),
        ('See <a href="https://evil.com">the policy</a> first.', "See the policy first."),
        ("See [the policy][1] first.\n\n[1]: https://evil.com/x", "See the policy first."),
        ("![a cat](https://evil.com/c.png) sits", "a cat sits"),
        ("See https://evil.com/x, then go.", f"See {LINK_REMOVED}, then go."),
        ("(see https://evil.com/x).", f"(see {LINK_REMOVED})."),
        ("Ask at example.com today.", "Ask at example. com today."),
        ("Write to it@pennock.example today.", "Write to it@pennock. example today."),
        ("The share \\\\files\\team is full.", f"The share {LINK_REMOVED} is full."),
        ("<!here> <@U123|ann> wrote in <#C1|general>", "ann wrote in #general"),
        ("Dear @channel and @@here", "Dear channel and here"),
        ("Use <your name> as login.", "Use \u2039your name\u203a as login."),
        ("\u770b\u624b\u518a\u3002\u662f\u5426/\u4e0d", "\u770b\u624b\u518a\u3002 \u662f\u5426/\u4e0d"),
        ("First<br>second <b>bold</b> word", "First second bold word"),
        ("Ends here.<|im_end|><s>[INST] more [/INST]", "Ends here. more"),
        ("Is it open [this digger page now.", "Is it open this digger page now."),
        ("](tg:resolve?domain=evil) is how.", "(tg:resolve?domain=evil) is how."),
        ("]( x)", "( x)"),
        ("It is [a\\](b) here.", "It is a here."),
        ("[open]: /logout?all=1 is it.", "open: /logout?all=1 is it."),
        ("It is done [by hand][1] here.", "It is done by hand here."),
        ("It is done [by hand][]!", "It is done by hand!"),
        ("Its key is map[i][j].", "Its key is map[i] [j]."),
        ("See &#91;open&#93;(x).", "See open."),
        ("https://evil.com/x: /logout", "link removed: /logout"),
    ],
)
def test_the_words_of_a_construct_stay_where_it_has_any(text: str, shown: str) -> None:
    assert render_text(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("All staff get a stapler [7].", "All staff get a stapler (7)."),
        ("All staff get a stapler. [7][8]", "All staff get a stapler."),
        ("[2] Everybody gets 40 days", "Everybody gets 40 days"),
        ("[30] days' notice is needed.", "(30) days' notice is needed."),
        ("The first [1, 2] and [^3] and [ 4 ] and \\[5\\]", "The first (1, 2) and (3) and (4) and (5)"),
        ("He said \uff3b6\uff3d and &#91;7&#93; and [\u00b9] so", "He said (6) and (7) and (\u00b9) so"),
    ],
)
def test_a_number_in_brackets_is_no_citation_unless_the_caller_sets_it(text: str, shown: str) -> None:
    assert render_text(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("# Leave", "Leave"),
        ("## Leave and # pay", "Leave and # pay"),
        ("# - [1] Leave", "Leave"),
        ("#general is open", "#general is open"),
        ("- Staff get a card.", "Staff get a card."),
        ("- Staff\n- Guests", "- Staff\n- Guests"),
        ("- 5 degrees", "- 5 degrees"),
        ("31. December is the last day.", "31. December is the last day."),
    ],
)
def test_marks_of_headings_and_of_a_lone_item_go_and_numbers_stay(text: str, shown: str) -> None:
    assert render_text(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<!here>, all.", "all."),
        ("<!here>: lunch <@U1>!", "lunch!"),
        ("Hi <@U1>, come in.", "Hi, come in."),
        ("Thanks, <@U1>!", "Thanks!"),
        ("Ada, <@U1>, and Ruth (cc <@U2>)", "Ada, and Ruth (cc)"),
        ("First.\n<!channel>, all.", "First.\nall."),
        ("!here: the fee is 5.", "here: the fee is 5."),
        ("< !everyone: come", "< everyone: come"),
    ],
)
def test_a_mention_that_goes_takes_its_comma_along(text: str, shown: str) -> None:
    assert render_text(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "Leave ends at 10:30 on 30.06.2026, i.e. after 3.5 days (e.g. for the U.S. team).",
        "Open form.pdf & report_2.xlsx: 50% off, 24/7, and/or C:\\Users\\ann.",
        "If x < 5 and y > 3 -> it's fine; a <- b <= c.",
        "Dr. Wu said: *no*, `never`, _ever_ [sic]. Really?!",
        "- [ ] open\n- [x] done\n- array[i] and (a [b] c) at #2",
        "First line.\n- second\n- third",
        "Version 1.2.3 costs $5.00; #general; AT&amp;T",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 \u65e5\u672c\u8a9e\u3002",
        "\U0001f468\u200d\U0001f469\u200d\U0001f467 \u2764\ufe0f 1\ufe0f\u20e3 \u0915\u094d\u200d\u0937",
    ],
)
def test_ordinary_writing_leaves_as_it_came(text: str) -> None:
    assert render_text(text, ALLOWED) == text


@pytest.mark.parametrize("uri", ALLOWED)
@pytest.mark.parametrize(
    ("form", "shown"),
    [
        ("See {}.", "See {}."),
        ("See ({}), please.", "See ({}), please."),
        ("See <{}>.", "See {}."),
        ("See [the policy]({}).", "See the policy ({})."),
        ("See <{}|the policy>.", "See the policy ({})."),
        ("See [{0}]({0}).", "See {}."),
        ("See ![the policy]({}).", "See the policy."),
    ],
)
def test_an_allowed_uri_is_spelled_out_and_never_an_image(uri: str, form: str, shown: str) -> None:
    assert render_text(form.format(uri), ALLOWED) == shown.format(uri)


@pytest.mark.parametrize(
    "text",
    [
        f"{PERMALINK}0",
        f"{PERMALINK}/more",
        f"{PERMALINK}@evil.com",
        f"x{PERMALINK}",
        PERMALINK.upper(),
        f"{PERMALINK}?x",
    ],
)
def test_a_uri_that_is_not_exactly_an_allowed_one_goes(text: str) -> None:
    assert render_text(text, ALLOWED) == LINK_REMOVED


def test_an_allowed_uri_goes_when_it_is_not_allowed_for_this_text() -> None:
    assert render_text(f"See {PERMALINK} now.", ()) == f"See {LINK_REMOVED} now."
    assert render_text("See leave.md now.", ()) == "See leave. md now."


@pytest.mark.parametrize(
    "hidden",
    ["\x00", "\x1b", "\x9b", "\u200b", "\u200e", "\u202e", "\u2066", "\u2060", "\ufeff", "\u00ad", "\ufe0f", "\u200d",
     "\u200c", "\U000e0041", "\U000e007f", "\U000e0101", "\ufdd0", "\U000f0001", "\u3164", "\ud800"],
)  # fmt: skip
def test_what_nobody_can_see_is_not_there(hidden: str) -> None:
    assert plain_text(f"pay{hidden}roll") == "payroll"
    assert render_text(f"pay{hidden}roll") == "payroll"


@pytest.mark.parametrize(
    "token",
    ["<|im_start|>", "<|im_end|>", "<s>", "</s>", "[INST]", "[/INST]", "<<SYS>>", "<</SYS>>", "<|eot_id|>",
     "<end_of_turn>", "<\uff5cbegin\u2581of\u2581sentence\uff5c>", "<|endoftext|>", "<think>"],
)  # fmt: skip
@pytest.mark.parametrize("form", ["{0}", "a{0}b", "{1}{0}{2}", "&lt;{0}", "<b>{0}"])
def test_no_control_token_leaves_even_when_its_halves_meet(token: str, form: str) -> None:
    text = form.format(token, token[:3], token[3:])
    assert token not in plain_text(text)
    assert token not in render_text(text)


def test_a_text_nested_beyond_reason_is_withheld() -> None:
    nested = "&" + "amp;" * 3 + "lt;!here&gt;"
    assert "here>" not in render_text(nested)
    deep = "x"
    for _ in range(20):
        deep = f"[{deep}](page)"
    assert render_text(deep) == TEXT_REMOVED


@pytest.mark.parametrize(
    "seed",
    [
        "<",
        "[",
        "]",
        "[1]",
        "[a]:",
        "[a][b]",
        "\\",
        "# ",
        "<@U>",
        ",",
        "[a](x(b)",
        "a.",
        "@here ",
        "&amp;",
        "https://e.com/ ",
        " ",
        "\u3002é",
        "[a]: x.com\n",
        "::a",
    ],
)
def test_a_hostile_text_takes_no_longer_than_its_length_allows(seed: str) -> None:
    text = (seed * 40_000)[:40_000]
    started = time.process_time()
    render_text(text, ALLOWED)
    # Quadratic work on this length takes seconds; linear work takes a tenth of the bound.
    assert time.process_time() - started < 1.5


def test_a_word_encoded_beyond_reason_is_removed() -> None:
    assert render_text("see &" + "amp;" * 20 + "lt;!here&gt; now") == f"see {LINK_REMOVED} now"
