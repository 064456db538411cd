"""What a sentence says by itself: the heading that has run into it, and whether it says anything at all.

Pages that were made from a layout have lost their line ends: a heading stands in front of the first sentence under it.
It is cut off only where it gives itself away by saying a word twice, for `Travel` in front of `Insurance covers …` may
as well be a part of it.
"""

import re
from collections.abc import Collection, Sequence

from generation.sentences import OPENERS, TURNING

RUN_CHARACTERS = 240  # how far a heading is looked for
LONGEST_PHRASE = 8

# Each of these tells that there is something to say, or how somebody feels about it, and leaves out what it is. Such a
# sentence shares more words with a question than its answer does, because a question leaves it out as well.
_ANNOUNCED = (
    r"(?:exceptions?|tips|things|steps|ways|factors|requirements?|limitations?|restrictions?|considerations?|differences"
    r"|exclusions|conditions|circumstances|options|reasons|aspects|points|questions|guidelines|rules|benefits|services)"
)
_VACUOUS = re.compile(
    # that there are some, without one of them
    r"\b(?:there(?: are| is| may be| can be|['’]s)|here are|offers?|makes?|has|have|with)(?: also| only)? "  # noqa: RUF001
    r"(?:some|several|certain|various|many|multiple|(?:a )?few|a (?:number|variety) of) "
    rf"(?:[a-z-]+ ){{0,2}}{_ANNOUNCED}\b"
    # that something holds in part, without which part
    r"|\b(?:do|does|did|may|might|will) not (?:cover|include|apply to|pay for) (?:all|every(?:thing)?)\b"
    r"|\bnot (?:all|every) (?:[a-z-]+ ){1,3}(?:is|are) (?:covered|included|eligible)\b"
    # that it is worth knowing, without it; "important to know that …" goes on to say it
    r"|\b(?:important|essential|crucial|vital|necessary|helpful|best) to (?:be aware of|understand|know|remember|note|"
    r"consider|review|keep in mind|familiari[sz]e)\b(?! that\b)"
    r"|\bone of the (?:most )?(?:important|key|main)\b"
    r"|\b(?:important|key|essential|vital) (?:part|component|element|aspect)\b"
    # what somebody feels about it
    r"|\b(?:proud|pleased|happy|glad|excited|delighted|thrilled|committed|dedicated) to\b"
    r"|\b(?:strives?|understands?|knows?|believes?|recogni[sz]es?) "
    r"(?:to|the (?:importance|value|need)|that .{0,40}\bimportant)\b"
    r"|\bby (?:understanding|following|taking (?:the time|advantage))\b",
    re.IGNORECASE,
)
_WORD = re.compile(r"\S+")
_BARE = "\"'“”‘’()[]*_:,;–—-"  # noqa: RUF001 - what stands around a word
_SMALL_WORDS = "a an and as at but by for from in into nor of on or the to vs with & – - —"  # noqa: RUF001
_SMALL = frozenset(_SMALL_WORDS.split())


def is_vacuous(text: str) -> bool:
    """Whether a sentence announces, praises or hedges something and does not say what it is; English alone."""
    return _VACUOUS.search(text) is not None


def run_in(sentence: str, singles: Collection[str]) -> int:
    """How many characters of a heading stand in front of a sentence; 0 unless a word is said twice.

    `singles` are the `single_words` around it: a name such as `Baden Baden` never stands there by one of its halves.
    """
    words = [(match[0], match.start()) for match in _WORD.finditer(sentence[:RUN_CHARACTERS])]
    bare = [word.strip(_BARE).casefold() for word, _ in words]
    run = _capitalised(words)
    start = _doubled(bare, run, singles) or _repeated(words, bare, run)
    cut = words[start][1] if start else 0
    return 0 if TURNING.search(sentence, 0, cut) else cut


def single_words(text: str) -> frozenset[str]:
    """The words of a text, in small letters, that stand somewhere without being said twice in a row."""
    said = [match[0].strip(_BARE).casefold() for match in _WORD.finditer(text)]
    return frozenset(
        word
        for before, word, after in zip(["", *said], said, [*said[1:], ""], strict=False)
        if word not in {before, after}
    )


def _capitalised(words: Sequence[tuple[str, int]]) -> int:
    """How many words at the beginning may be a heading: capitalised, or small ones between such."""
    for place, (word, _) in enumerate(words):
        first = word.strip(_BARE)[:1]
        ends = place and words[place - 1][0][-1] in ".!?"
        if ends or (first and not first.isupper() and word.casefold() not in _SMALL):
            return place
    return len(words)


def _doubled(bare: Sequence[str], run: int, singles: Collection[str]) -> int:
    """The place of the last word of the run that stands twice in a row: `Tips for Employees Employees`."""
    for place in range(run - 1, 0, -1):
        word = bare[place]
        if len(word) > 1 and word == bare[place - 1] and word in singles:
            return place
    return 0


def _repeated(words: Sequence[tuple[str, int]], bare: Sequence[str], run: int) -> int:
    """The place at which the phrase that begins the run stands again, or behind it where that is no subject."""
    for length in range(min(LONGEST_PHRASE, run // 2), 0, -1):
        for place in range(run - length, length - 1, -1):
            again = bare[place : place + length] == bare[:length] and all(bare[:length])
            before = words[place - 1][0]
            if again and (length > 1 or before.endswith(":")) and bare[place - 1] not in _SMALL:
                return place + length if _opens(words, place, place + length) else place
    return 0


def _opens(words: Sequence[tuple[str, int]], start: int, end: int) -> bool:
    """Whether a sentence certainly begins at `end`: with a capital article or the like, or where capitals alone end."""
    if end >= len(words) or not words[end][0][0].isupper():
        return False
    shouted = all(word.isupper() or not word.strip(_BARE) for word, _ in words[start:end]) and not words[0][0].isupper()
    return words[end][0].strip(_BARE).casefold() in OPENERS or (shouted and not words[end][0].isupper())
