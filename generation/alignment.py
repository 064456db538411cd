"""Decides whether a rephrased sentence may stand in for the sentence that it cites.

Similarity cannot decide it: a sentence and its negation are neighbours in every embedding. So both are read into
tokens, and the sentence is kept only if it is the same claim token by token: every word of the source, in the order
of the source, and nothing else. What may differ is listed here and in `generation.lexicon`:

- case, white space, Markdown, Slack's marks and punctuation except the question mark carry no claim. But no word may
  become a name ("it", "IT");
- spellings of one thing: contractions, numbers ("1,000", "one thousand"), "5%" and "5 percent", "&";
- a modal within its class ("have to" and "must"; "may" and "can" after "you"), and the -s of plural and
  third person on a word in lower case. Other endings tell who does what ("colleagues paid", "colleagues paying");
- articles and courtesies; greetings, thanks and markers such as "please note that" at either end; an example in
  brackets that holds no name, no number and no word of a closed class, and the number of a list, may be left out;
- a frame that says that it repeats the question ("You asked about parking:"). Anywhere else a word of the question
  could change who does what, so nowhere else does it license anything.

An attribution ("Ruth said that", "According to the handbook,") is part of the claim: neither added nor dropped. In a
text that is not recognised as English only case, white space, marks and spellings may differ.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from generation import lexicon
from generation.reading import Reading, Token, clean, read

__all__ = ["Verdict", "best_source", "verify"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a sentence may replace its quote, and the first reason why not.

    `reason` is one of ok, too_short, negation, number, modal, quantifier, restriction, question, name, added_word,
    dropped_word, wording (a word without content differs) and order.
    """

    kept: bool
    reason: str


def verify(sentence: str, source: str, question: str) -> Verdict:
    """Compare one sentence with the one sentence that it cites, in time linear in their lengths. Raises nothing."""
    return _judge(sentence, clean(source), question)


def best_source(sentence: str, sources: Sequence[str], question: str) -> tuple[int, Verdict] | None:
    """The index of the first source that keeps the sentence, else of the one that shares most of its words.

    Returns None when no source shares a word with it.
    """
    said = _forms(read(clean(sentence)).tokens)
    best: tuple[int, int, Verdict] | None = None
    for index, source in enumerate(map(clean, sources)):
        verdict = _judge(sentence, source, question)
        if verdict.kept:
            return index, verdict
        shared = len(said & _forms(read(source).tokens))
        if shared and (best is None or shared > best[0]):
            best = shared, index, verdict
    return best[1:] if best else None


def _forms(tokens: Sequence[Token]) -> set[str]:
    return {token.form for token in tokens}


def _judge(sentence: str, source: str, question: str) -> Verdict:
    said, meant = clean(sentence), read(source)
    ours = read(said)
    if not any(token.form[0].isalnum() for token in ours.tokens):
        return Verdict(kept=False, reason="too_short")
    first = _compare(ours, meant)
    if first == "ok":
        return Verdict(kept=True, reason=first)
    for said_less, meant_less in _lightened(said, source, question):
        if _compare(read(said_less), read(meant_less)) == "ok":
            return Verdict(kept=True, reason="ok")
    return Verdict(kept=False, reason=first)


def _lightened(said: str, source: str, question: str) -> Iterator[tuple[str, str]]:
    """The two texts without a question's frame in the sentence, then without list number and examples in the source."""
    frame = lexicon.QUESTION_FRAME.match(said)
    if frame and _repeats(read(frame[1]).tokens, question):
        said = said[frame.end() :]
        yield said, source
    shorter = lexicon.EXAMPLE.sub(lambda found: "" if _is_light(found[1]) else found[0], source)
    shorter = lexicon.LIST_NUMBER.sub("", shorter)
    if shorter != source:
        yield said, shorter


def _repeats(topic: Sequence[Token], question: str) -> bool:
    """Whether the topic stands in the question word for word and holds nothing but content words and function words."""
    asked = " ".join(token.form for token in read(clean(question)).tokens)
    words = " ".join(token.form for token in topic)
    plain = all(_kind(token) in {"content", "wording"} and not token.upper for token in topic)
    return plain and f" {words} " in f" {asked} "


def _is_light(example: str) -> bool:
    """Whether it limits nothing; a capital at its front makes a name."""
    tokens = read(f"or {example}").tokens
    return all(token.form in {"and", "or"} or _kind(token) in {"content", "wording"} for token in tokens)


def _compare(ours: Reading, theirs: Reading) -> str:
    said: Sequence[Token] = ours.tokens
    meant: Sequence[Token] = theirs.tokens
    if theirs.english:
        said, meant = _trimmed(said), _trimmed(meant)
    pairs = _pairs(said, meant, english=theirs.english)
    if pairs is None:
        return _difference(said, meant)
    invented = not ours.uniform and any(_makes_name(token, other) for token, other in pairs)
    return "name" if invented else "ok"


def _trimmed(tokens: Sequence[Token]) -> Sequence[Token]:
    """Without what stands at either end for courtesy; at least one token is left."""
    first, last = 0, len(tokens)
    while width := _head(tokens[first : min(last, first + _WINDOW)]):
        first += width
    while width := _tail(tokens[max(first, last - _WINDOW) : last]):
        last -= width
    return tokens[first:last]


def _head(tokens: Sequence[Token]) -> int:
    """How many tokens of courtesy open the sentence. They are set off by a mark or end in "that"."""
    forms = tuple(token.form for token in tokens)
    for phrase in lexicon.HEADS:
        width = len(phrase)
        if forms[:width] == phrase and len(tokens) > width:
            last = tokens[width - 1]
            return width if last.form == "that" or last.after not in {"", "-", "?"} else 0
    return 0


def _tail(tokens: Sequence[Token]) -> int:
    """How many tokens of thanks close the sentence, set off by a mark."""
    forms = tuple(token.form for token in tokens)
    for phrase in lexicon.TAILS:
        width = len(phrase)
        if forms[-width:] == phrase and len(tokens) > width and tokens[-width - 1].after not in {"", "-", "?"}:
            return width
    return 0


def _pairs(said: Sequence[Token], meant: Sequence[Token], *, english: bool) -> list[tuple[Token, Token]] | None:
    """Walk both at once; None at the first token without its like, free words of English aside."""
    pairs, left, right = [], 0, 0
    while left < len(said) or right < len(meant):
        ours = said[left] if left < len(said) else None
        theirs = meant[right] if right < len(meant) else None
        if ours and theirs and _alike(ours, theirs, english=english):
            pairs.append((ours, theirs))
            left, right = left + 1, right + 1
        elif english and ours and ours.free:
            left += 1
        elif english and theirs and theirs.free:
            right += 1
        else:
            return None
    return pairs


def _alike(ours: Token, theirs: Token, *, english: bool) -> bool:
    if ours.form == theirs.form:
        return True
    return english and ours.canon == theirs.canon and not ours.upper and not theirs.upper


def _makes_name(ours: Token, theirs: Token) -> bool:
    """Whether a word got a capital that makes it a name, as "it" in "ask IT" or "may" in "in May"."""
    if ours.form == "i":
        return False
    return (ours.upper and not ours.start and not theirs.upper) or (
        ours.caps and ours.form.isalpha() and not theirs.caps
    )


_WINDOW = 1 + max(len(phrase) for phrase in (*lexicon.HEADS, *lexicon.TAILS))
_WEIGHT = ("negation", "number", "modal", "quantifier", "restriction", "question", "name", "content", "wording")
_CLASSES = (
    ("negation", lexicon.NEGATORS),
    ("quantifier", lexicon.QUANTIFIERS),
    ("modal", lexicon.MODALS),
    ("restriction", lexicon.RESTRICTIONS),
    ("question", frozenset("?")),
    ("wording", lexicon.FUNCTION),
)


def _kind(token: Token) -> str:
    if any(letter.isdigit() for letter in token.form):
        return "number"
    for kind, words in _CLASSES:
        if token.form in words or token.canon in words:
            return kind
    return "name" if token.form[0] in "@#" or token.caps or (token.upper and not token.start) else "content"


def _difference(said: Sequence[Token], meant: Sequence[Token]) -> str:
    """The weightiest class of what was added or dropped; the order, if nothing was."""
    ours, theirs = Counter(token.form for token in said), Counter(token.form for token in meant)
    added = [token for token in said if token.form in ours - theirs]
    dropped = [token for token in meant if token.form in theirs - ours]
    if _negated_by_prefix(_forms(added), _forms(dropped)):
        return "negation"
    kinds = {_kind(token) for token in (*added, *dropped) if not token.free}
    worst = next((kind for kind in _WEIGHT if kind in kinds), "order")
    if worst == "content":
        return "added_word" if any(_kind(token) == "content" for token in added) else "dropped_word"
    return worst


def _negated_by_prefix(added: set[str], dropped: set[str]) -> bool:
    """Whether one side has a word of the other with a prefix such as un-."""
    longer = {prefix + word for prefix in lexicon.NEGATION_PREFIXES for word in added}
    return bool(longer & dropped) or any(
        prefix + word in added for prefix in lexicon.NEGATION_PREFIXES for word in dropped
    )
