"""Decides whether a rephrased sentence may stand in for the sentence that it cites.

Similarity cannot decide it: a sentence and its negation are neighbours in every embedding. Nor can a list of words that
may come and go: a comma that moves, a plural or an "also" can say something else. So the rule is equality: the same
words, numbers and symbols in the same order, with the same marks between them. What may differ is spelling, and
`generation.reading` knows all of it:

- the amount of white space, Markdown's emphasis, the address of a link, a bullet, and the marks at the end, except for
  the question mark;
- the shapes of quotation marks, hyphens and dashes;
- contractions, numbers below a hundred ("25", "twenty-five") and percentages ("5%", "5 percent");
- the case of the first letter, unless a name loses its capital; and "Please note that" may be said in front.

A sentence that is turned down costs nothing, for its quote stands. The question licenses nothing.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from generation import lexicon
from generation.reading import clean, tokens

__all__ = ["Verdict", "best_source", "verify"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a sentence may replace its quote, and the weightiest reason why not.

    `reason` is one of ok, too_short, negation, number, modal, quantifier, restriction, question, symbol, name,
    added_word, dropped_word, wording (a word without content differs), punctuation and order.
    """

    kept: bool
    reason: str


def verify(sentence: str, source: str, _question: str = "") -> Verdict:
    """Compare one sentence with the one sentence that it cites, in time linear in their lengths. Raises nothing."""
    return _judge(clean(sentence), clean(source))


def best_source(sentence: str, sources: Sequence[str], _question: str = "") -> tuple[int, Verdict] | None:
    """The index of the first source that keeps the sentence, else of the one that shares most of its words.

    Returns None when no source shares a word with it.
    """
    said = clean(sentence)
    words = _vocabulary(said)
    best: tuple[int, int, Verdict] | None = None
    for index, meant in enumerate(map(clean, sources)):
        verdict = _judge(said, meant)
        if verdict.kept:
            return index, verdict
        shared = len(words & _vocabulary(meant))
        if shared and (best is None or shared > best[0]):
            best = shared, index, verdict
    return best[1:] if best else None


def _vocabulary(cleaned: str) -> set[str]:
    return {token.casefold() for token in tokens(cleaned) if _is_word(token)}


def _judge(said: str, meant: str) -> Verdict:
    if not any(map(str.isalnum, said)):
        return Verdict(kept=False, reason="too_short")
    if _same(said, meant) or _same(_COURTESY.sub("", said), meant):
        return Verdict(kept=True, reason="ok")
    return Verdict(kept=False, reason=_difference(said, meant))


def _same(said: str, meant: str) -> bool:
    return said == meant or (said[1:] == meant[1:] and _opens_alike(said, meant))


def _opens_alike(said: str, meant: str) -> bool:
    """Whether only the case of the first letter differs, and no name or unit ("mW") loses or gets what makes it one."""
    word = _FIRST_WORD.match(meant)
    if word is None or said[0].lower() != meant[0].lower() or not (word[1] + "x").islower():
        return False
    return said[0].isupper() or (len(word[0]) > 1 and word[0].lower() not in lexicon.NAMES_BY_CAPITAL)


_COURTESY: Final = re.compile(r"[Pp]lease note that (?=\w)")
_FIRST_WORD: Final = re.compile(r"[^\W\d_]([^\W\d_]*+)(?!\w)")
_MARKS: Final = frozenset(".,;:!…()[]{}\"'-–—¶。、，；：！،؛।")  # noqa: RUF001
_WEIGHT: Final = (
    *("negation", "number", "modal", "quantifier", "restriction", "question", "symbol", "name"),
    *("content", "wording", "punctuation"),
)
_CLASSES: Final = (
    ("negation", lexicon.NEGATORS),
    ("quantifier", lexicon.QUANTIFIERS),
    ("modal", lexicon.MODALS),
    ("restriction", lexicon.RESTRICTIONS),
    ("question", frozenset("?？؟")),  # noqa: RUF001
    ("punctuation", _MARKS),
    ("wording", lexicon.FUNCTION),
)


def _is_word(token: str) -> bool:
    return unicodedata.category(token[0])[0] in "LMN"


def _kind(token: str) -> str:
    form = token.casefold()
    kind = next((kind for kind, words in _CLASSES if form in words), "")
    if kind or any(map(str.isnumeric, token)):
        return kind or "number"
    if not _is_word(token):
        return "symbol"
    return "content" if token.islower() or not token[0].isupper() else "name"


def _difference(said: str, meant: str) -> str:
    """The weightiest class of what was added or dropped; if nothing was, whether words or marks changed places."""
    if said.casefold() == meant.casefold():
        return "name"
    ours, theirs = _uncapitalised(said), _uncapitalised(meant)
    added, dropped = Counter(ours) - Counter(theirs), Counter(theirs) - Counter(ours)
    if _negated_by_prefix(set(added), set(dropped)):
        return "negation"
    kinds = {_kind(token) for token in added + dropped}
    worst = next((kind for kind in _WEIGHT if kind in kinds), "")
    if worst == "content":
        return "added_word" if any(_kind(token) == "content" for token in added) else "dropped_word"
    return worst or _moved(ours, theirs)


def _uncapitalised(cleaned: str) -> list[str]:
    """Its tokens; the capital that opens a sentence makes no name."""
    word = _FIRST_WORD.match(cleaned)
    return tokens(cleaned[0].lower() + cleaned[1:] if word and word[1].islower() else cleaned)


def _moved(said: Sequence[str], meant: Sequence[str]) -> str:
    words, others = ([token for token in each if _is_word(token)] for each in (said, meant))
    return "punctuation" if words == others else "order"


def _negated_by_prefix(added: set[str], dropped: set[str]) -> bool:
    """Whether one side has a word of the other with a prefix such as un-."""
    longer = {prefix + word for prefix in lexicon.NEGATION_PREFIXES for word in added}
    return bool(longer & dropped) or any(
        prefix + word in added for prefix in lexicon.NEGATION_PREFIXES for word in dropped
    )
