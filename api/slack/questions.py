"""A message in Slack as the plain question that it asks, and a follow-up together with what it follows.

Pure, and linear in the length of the text. Slack writes `&`, `<` and `>` of the author as entities, so a bare `<`
opens a token of Slack's own: https://docs.slack.dev/messaging/formatting-message-text. The words by which a follow-up
is known are those of English; in another language only its length counts.
"""

import re
from collections.abc import Sequence
from typing import Final

from generation.asking import terms
from generation.rendering import plain_text

SHORT: Final = 3  # content words up to which a fragment ("for part-timers?") leans on the question before it
SHORT_QUESTION: Final = 2  # the same for what is asked as a question; at 3, a change of topic costs more than is won
LEANING: Final = 5  # the same for a question with a pronoun
LONGEST: Final = 2000  # characters of a question with what it follows

_TOKEN: Final = re.compile(r"<([^<>]*+)>")
_CODE: Final = re.compile(r"```([^`]++)```|`([^`]++)`")
# A mark counts only where a word cannot be cut by it: `snake_case`, `2*3*4` and `~/x` stay as they are.
_BEFORE, _AFTER = r"""(?<![^\s(\["'*_~>])""", r"""(?![^\s)\].,;:!?"'*_~<-])"""
_EMPHASIS: Final = tuple(re.compile(rf"{_BEFORE}\{mark}(?=\S)([^\{mark}]++)(?<=\S)\{mark}{_AFTER}") for mark in "*_~")
_GONE: Final = "\0"  # where a mention was: no text that was cleaned holds it
_GONE_RUN: Final = re.compile(r"(?:,? ?\0)++( ?(?=[?!.,;]|\Z))?")
_ADDRESS: Final = re.compile(r"(?:\0(?:[ ,;\u2013\u2014]|:(?!\w)|-(?= ))*+)++")
_WORD: Final = re.compile(r"\w")
_OPENING: Final = re.compile(r"<++(?=[@!#])")
_EMOJI: Final = r":(?=[\w+'-]*[a-z])[\w+'-]++:(?!\w)"
_FIRST_EMOJI: Final = re.compile(rf"(?:{_EMOJI} ?)++")
_LAST_EMOJI: Final = re.compile(rf"(?<=[.?!\u2026])(?: ?{_EMOJI})++\Z")

_BEGINS: Final = re.compile(
    r"\W*+(?:(?:ok|okay|right|great|thanks|thank you|yes|no|hm+)\W++)*+"
    r"(?:and|but|also|or|what about|how about|what if|same for)\b",
    re.IGNORECASE,
)
_FRAGMENT: Final = re.compile(
    r"\W*+(?:about|after|at|before|by|during|for|from|if|in|on|only|since|to|until|with|without)\b", re.IGNORECASE
)
_ASKS: Final = re.compile(
    r"\W*+(?:(?:so|then)\b\W*+)?(?:who|whom|whose|what|which|when|where|why|how|is|are|was|were|do|does|did|can|could|may"
    r"|must|should|will|would|has|have|am)\b",
    re.IGNORECASE,
)
_TIME: Final = r"(?:year|quarter|month|week|morning|afternoon|evening|spring|summer|autumn|fall|winter|time)\b"
# What looks like a pronoun and points at nothing: "is it possible to", "is there a", "this year".
_EMPTY: Final = re.compile(
    r"\b(?:(?:is|was|be|would|will)\s+it\s+(?:\w+\s+)?(?:possible|allowed|ok|okay|fine|necessary|required|mandatory|true)\b"
    r"|(?:is|are|was|were|will|does|do|can|could|should)\s+there\b|there(?:'s|\s+(?:is|are|was|were|will|be)\b)"
    rf"|(?:this|these|those)\s+(?:\w+\s+)?{_TIME})",
    re.IGNORECASE,
)
# "that" more often joins than points: it counts before a verb, a sign or the end.
_POINTS: Final = re.compile(
    r"\b(?:it|this|these|those|there|that(?=\s*(?:[?.,!;]|\Z)|\s+(?:is|was|also|apply|applies|count|mean|work|happen|include"
    r"|cost|still|too|for|in|if)\b))(?!\w)",
    re.IGNORECASE,
)
_PERSON: Final = re.compile(r"\b(?:its|they|them|their|he|him|his|she|her)\b", re.IGNORECASE)
_DEPARTMENT: Final = re.compile(r"\b(?:IT|US)\b")  # in capitals no pronouns, unless all of the question is


def question_of(text: str, bot_user: str) -> str:
    """The question that a message asks, on one line: empty if there is no word in it but mentions and emoji.

    `text` is Slack's mrkdwn, `bot_user` the user id under which the bot is mentioned. Other people are called by the
    label that Slack wrote beside their id, a link by its label; who has none goes. No `<@`, `<!` or `<#` is left.
    """
    line = _one_line(plain_text(text))
    line = _TOKEN.sub(lambda token: _resolved(token[1], bot_user), line)
    line = _without_gaps(_unmarked(line)).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    # Unescaping may have made what no text may hold, and what was taken out may have joined it.
    question = _without_emoji(_one_line(_OPENING.sub("", plain_text(line))))
    return question if _WORD.search(question) else ""


def is_follow_up(question: str) -> bool:
    """Whether a question is likely to lean on the one before it: by how it begins, a pronoun, or how short it is."""
    short = SHORT_QUESTION if _ASKS.match(question) else SHORT
    return _leans(question) or _weight(question) <= short


def standalone(question: str, earlier: Sequence[str], *, limit: int = LONGEST) -> str:
    """A follow-up behind the question it follows, so that a search finds what it leans on; any other as it is.

    `earlier` are the questions before it, the newest first. It follows the newest that leans on none itself, else the
    newest. Of one that is too long for both to fit `limit` characters, the end is kept.
    """
    asked = [" ".join(one.split()) for one in earlier if one.strip()]
    if not asked or not is_follow_up(question):
        return question
    before = next((one for one in asked if not _leans(one)), asked[0])
    if question.startswith(before):
        return question
    before += "?" if before[-1].isalnum() else ""
    room = limit - len(question) - 1
    if len(before) > room:
        before = before[-room:].partition(" ")[2] if room > 0 else ""
    return f"{before} {question}" if before else question


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _resolved(token: str, bot_user: str) -> str:
    target, _, label = token.partition("|")
    label = label.strip()
    if target[:1] == "@":
        return label.lstrip("@") if label and target[1:] != bot_user else _GONE
    if target[:1] == "#":
        return f"#{label.lstrip('#')}" if label else _GONE
    if target[:1] == "!":
        return label.lstrip("@") if label and "^" in target else _GONE
    return label or target.removeprefix("mailto:").removeprefix("tel:")


def _without_gaps(line: str) -> str:
    """Without the places where mentions were, and the signs that set them apart."""
    address = _ADDRESS.match(line)
    line = line[address.end() :] if address else line
    return _GONE_RUN.sub(lambda run: " " if run[1] is None else "", line)


def _unmarked(line: str) -> str:
    parts: list[str] = []
    reached = 0
    for code in _CODE.finditer(line):
        parts += (_plain_marks(line[reached : code.start()]), code[1] or code[2])
        reached = code.end()
    return "".join((*parts, _plain_marks(line[reached:])))


def _plain_marks(text: str) -> str:
    for pattern in _EMPHASIS:
        text = pattern.sub(r"\1", text)
    return text


def _without_emoji(line: str) -> str:
    """Without emoji around the question; one inside it may be what is asked about."""
    first = _FIRST_EMOJI.match(line)
    return _LAST_EMOJI.sub("", line[first.end() :] if first else line).strip()


def _leans(question: str) -> bool:
    if _BEGINS.match(question):
        return True
    weight = _weight(question)
    if weight <= SHORT and _FRAGMENT.match(question):
        return True
    return weight <= LEANING and _points_back(_EMPTY.sub(" ", _named(question)))


def _points_back(question: str) -> bool:
    """Whether a pronoun stands for what the question does not name: people are named before "their" in most."""
    person = _PERSON.search(question)
    return _POINTS.search(question) is not None or (person is not None and not terms(question[: person.start()]))


def _weight(question: str) -> int:
    """How many content words there are; a compound is one."""
    named = _named(question)
    return len(terms(named.replace("-", ""))) + (named != question)


def _named(question: str) -> str:
    return question if question.isupper() else _DEPARTMENT.sub(" ", question)
