"""Slack's mrkdwn as plain text, and struck text taken out of the paragraphs of a page."""

from collections.abc import Iterator

from ingest.markup import clean, one_line, plain, without_struck
from tests.fuzz.draws import stretched

MAX_BYTES = 320
WORDS = (
    *(b"<@U1>", b"<#C1|x>", b"<!subteam^S1|@all>", b"<!date^1^{date}^http://x|then>", b"<https://x.example|x>"),
    *(b"<mailto:a@b|a@b>", b"```", b"~~", b"~", b"*", b"_", b"`", b"<s>", b"</s>", b"<del>", b"</strike>", b"~~~"),
    *(b"\n", b"&lt;", b"&amp;"),
)
USERS = {"U1": "Ada", "U2": "<Ben>"}
CHANNELS = {"C1": "general"}
LONGEST_NAME = len("private-channel")


def seeds() -> Iterator[bytes]:
    """Every mark, paired and not."""
    yield from WORDS
    yield b"*bold* _italic_ ~gone~ `code *x*` ```block ~x~``` <@U1|a> <#C9|secret> <!here> &lt;b&gt; &amp;amp;"
    yield b"<<<@U1>>> <@ <!x <https://x.example?a=b|label> <tel:1|1> *a*b* __ **\n\n~open"
    yield b"a<s>b\0c</s>d\0e~~f~~g<del>h"
    yield from (mark * (MAX_BYTES // len(mark)) for mark in WORDS[::3])


def one_input(data: bytes) -> None:
    """Nothing may come out of either; what is plain is clean, and nothing that is read grows beyond its names."""
    text = stretched(data).decode("utf-8", "ignore")
    shown = plain(text, users=USERS, channels=CHANNELS)
    assert shown == clean(shown).strip() == shown.strip(), "text that is not clean"
    # NFC makes three characters of some; a token of four is at most the longest name.
    assert len(shown) <= 3 * len(text) + LONGEST_NAME * (1 + text.count("<"))
    assert len(one_line(text, 80)) <= 81
    parts = [clean(part) for part in text.split("\0")]
    kept = without_struck(parts)
    assert len(kept) == len(parts)
    for before, after in zip(parts, kept, strict=True):
        rest = iter(before)
        assert all(character in rest for character in after), "something that nobody wrote"
