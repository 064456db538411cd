"""Changes to a sentence that change what it says, and rewrites that do not: what a verifier is measured with.

A change is found by words of its own, never by the verifier's lexicon, and gives None where it does not apply. It is
different by construction: it always replaces, adds or removes a word, a symbol or a mark that bears meaning.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random

Change = Callable[[str, Random], str | None]

_AUXILIARIES = r"is|are|was|were|can|could|will|would|must|should|may|might|do|does|did"
_MODALS = {
    "must": ("may", "should", "can"),
    "may": ("must", "will", "should"),
    "can": ("must", "should", "will"),
    "should": ("may", "must", "need not"),
    "will": ("may", "might", "should"),
    "would": ("must", "will"),
    "have to": ("may", "can"),
    "need to": ("may", "can"),
    "allowed to": ("required to",),
    "required to": ("allowed to",),
}
_QUANTIFIERS = {
    "all": ("some", "most", "no", "only"),
    "every": ("hardly any", "some", "no"),
    "each": ("no", "some"),
    "any": ("every", "no", "some"),
    "some": ("all", "no", "most"),
    "most": ("all", "few"),
    "many": ("few", "all"),
    "few": ("many", "all"),
    "both": ("either",),
    "only": ("also", "even"),
    "always": ("sometimes", "usually"),
    "usually": ("always", "rarely"),
    "at least": ("at most", "exactly"),
    "up to": ("at least", "more than"),
    "more than": ("less than", "up to"),
    "less than": ("more than",),
}
_OPPOSITES = {
    "before": ("after",),
    "after": ("before",),
    "within": ("after",),
    "until": ("from", "after"),
    "include": ("exclude",),
    "includes": ("excludes",),
    "including": ("excluding",),
    "with": ("without",),
    "above": ("below",),
    "below": ("above",),
    "start": ("end",),
    "end": ("start",),
    "increase": ("decrease",),
    "minimum": ("maximum",),
    "maximum": ("minimum",),
    "approve": ("reject",),
    "approved": ("rejected",),
    "paid": ("unpaid",),
    "internal": ("external",),
    "possible": ("impossible",),
    "able": ("unable",),
    "available": ("unavailable",),
    "accept": ("decline",),
}
_UNITS = {
    "day": ("week", "month"),
    "days": ("weeks", "months", "hours"),
    "weeks": ("days", "months"),
    "week": ("day", "month"),
    "months": ("years", "weeks"),
    "month": ("year", "week"),
    "year": ("month", "week"),
    "years": ("months", "weeks"),
    "hours": ("minutes", "days"),
    "hour": ("minute", "day"),
    "minutes": ("hours",),
}
_SYMBOLS = "£€$₩₽¢%‰<>≤≥≠≦⩽±~^↑↓→①②🟢🔴👎❓+=&″"
_NAMES = ("Marlowe", "Quibble", "Vantor", "Zurich", "Oslo", "Tamsin", "Okafor", "Hermes", "Lagoon", "Pemberton")
_VERBS = (
    "covers|cover|provides|provide|requires|require|uses|use|offers|offer|needs|need|gives|give|sends|send|pays|pay|"
    "helps|help|makes|make|takes|take|gets|get|has|have|can|will|must|should|may|supports|support|manages|manage|"
    "contains|contain|creates|create|receives|receive|reviews|review|to|wants|want|follows|follow"
)
_SWAP = re.compile(
    rf"\b(?P<one>[A-Za-z]{{4,}}) (?P<verb>(?:{_VERBS})) (?P<between>(?:[a-z]+ ){{0,3}}?)(?P<two>[A-Za-z]{{5,}})\b"
)
_FUNCTION_WORDS = """
    this that these those they them there then than with from your have will must should would could what when where
    which while about after before being their theirs other another every also only such into onto very some most many
    more much make take does done need want help give send please just here been were able order want going
"""
_OPENERS = (
    "the|this|that|these|those|we|you|they|it|he|she|if|when|all|any|each|every|our|your|there|please|for|to|in|on"
)
_NOT_SWAPPED = frozenset(_FUNCTION_WORDS.split())


def _pick(sentence: str, pattern: str, rng: Random) -> re.Match[str] | None:
    found = list(re.finditer(pattern, sentence))
    return rng.choice(found) if found else None


def _put(found: re.Match[str], text: str) -> str:
    return found.string[: found.start()] + text + found.string[found.end() :]


def _exchange(table: Mapping[str, tuple[str, ...]]) -> Change:
    pattern = rf"\b(?:{'|'.join(sorted(table, key=len, reverse=True))})\b(?!['’])"  # noqa: RUF001

    def change(sentence: str, rng: Random) -> str | None:
        found = _pick(sentence, pattern, rng)
        return _put(found, rng.choice(table[found[0]])) if found else None

    return change


def insert_negation(sentence: str, rng: Random) -> str | None:
    found = _pick(sentence, rf"\b(?:{_AUXILIARIES})\b(?! not\b|n't|['’]| you\b| I\b| we\b| they\b)", rng)  # noqa: RUF001
    return _put(found, f"{found[0]} {rng.choice(('not', 'never'))}") if found else None


def remove_negation(sentence: str, rng: Random) -> str | None:
    found = _pick(sentence, rf"\b(?:{_AUXILIARIES})(?:(?: not| never)\b|n['’]t\b)", rng)  # noqa: RUF001
    return _put(found, re.split(r" |n['’]t", found[0])[0]) if found else None  # noqa: RUF001


def change_number(sentence: str, rng: Random) -> str | None:
    """Another value at the same place; the mark of a list and a footnote in square brackets are no numbers."""
    found = _pick(sentence, r"(?<![\[\d])\d+(?![\].)\d])", rng)
    if found is None or not sentence[: found.start()].strip(" -*#>("):
        return None
    other = str(int(found[0]) + rng.choice((1, 2, 3, 7, 10)))
    return _put(found, other.zfill(len(found[0])))


def change_name(sentence: str, rng: Random) -> str | None:
    found = _pick(sentence, r"(?<=[a-z,] )(?:[A-Z][a-z]{2,}|[A-Z]{2,6})\b", rng)
    return _put(found, rng.choice([name for name in _NAMES if name != found[0]])) if found else None


def swap_roles(sentence: str, rng: Random) -> str | None:
    """Exchange the words on both sides of a verb, capitals following the place."""
    found = [
        match
        for match in _SWAP.finditer(sentence)
        if not {match["one"].lower(), match["two"].lower()} & _NOT_SWAPPED
        and match["one"][:5].lower() != match["two"][:5].lower()
    ]
    if not found:
        return None
    match = rng.choice(found)
    one, two = match["one"], match["two"]
    if match.start() == 0:
        one, two = one.lower(), two.capitalize()
    return _put(match, f"{two} {match['verb']} {match['between']}{one}")


def drop_condition(sentence: str, rng: Random) -> str | None:
    found = _pick(sentence, r",? (?:if|unless|when|until|except|provided|as long as) [^.?!;]{5,}(?=[.!]?$)", rng)
    return _put(found, "") if found and len(sentence[: found.start()].split()) > 2 else None


def move_mark(sentence: str, rng: Random) -> str | None:
    """A comma, colon, semicolon or dash inside the sentence goes one word on, goes away or gives way to another."""
    found = _pick(sentence, r"(?<=[a-z])(?<!&[gl]t)(?<!&amp)(?P<mark>[,;:]| [-–—]) (?=[A-Za-z])", rng)  # noqa: RUF001
    if found is None:
        return None
    mark, (following, _, rest) = found["mark"], sentence[found.end() :].partition(" ")
    way = rng.choice(("later", "away", "other"))
    if way == "later" and rest and following.isalpha():
        return f"{sentence[: found.start()]} {following}{mark} {rest}"
    return _put(found, " " if way == "away" else "; " if mark != ";" else ", ")


def change_symbol(sentence: str, rng: Random) -> str | None:
    """Another symbol in place of one; where there is none, one more in front of a word or behind it."""
    found = _pick(sentence, rf"[{''.join(map(re.escape, _SYMBOLS))}]", rng)
    if found is not None:
        return _put(found, rng.choice([sign for sign in _SYMBOLS if sign != found[0]]))
    word = _pick(sentence, r"(?<= )\w+(?= )", rng)
    sign = rng.choice(_SYMBOLS)
    return _put(word, rng.choice((f"{sign}{word[0]}", f"{word[0]}{sign}", f"{sign} {word[0]}"))) if word else None


CHANGES: Mapping[str, Change] = {
    "negation inserted": insert_negation,
    "negation removed": remove_negation,
    "modal": _exchange(_MODALS),
    "number": change_number,
    "name": change_name,
    "quantifier": _exchange(_QUANTIFIERS),
    "role swap": swap_roles,
    "opposite": _exchange(_OPPOSITES),
    "unit": _exchange(_UNITS),
    "condition dropped": drop_condition,
    "punctuation moved": move_mark,
    "symbol": change_symbol,
}


def expand(sentence: str, _: Random) -> str | None:
    pattern = r"\b(do|does|did|is|are|was|were|have|has|had|would|could|should)n['’]t\b"  # noqa: RUF001
    longer = re.sub(pattern, r"\1 not", sentence)
    longer = re.sub(r"\b(we|you|they|We|You|They)['’]re\b", r"\1 are", longer)  # noqa: RUF001
    longer = re.sub(r"\b(can)['’]t\b", r"\1not", longer)  # noqa: RUF001
    longer = re.sub(r"\b(\w+)['’]ll\b", r"\1 will", longer)  # noqa: RUF001
    return longer if longer != sentence else None


def contract(sentence: str, _: Random) -> str | None:
    shorter = re.sub(r"\b(do|does|did|is|are|was|were|would|could|should) not\b", r"\1n’t", sentence)  # noqa: RUF001
    shorter = re.sub(r"\b(we|you|they) (?:are)\b", r"\1're", shorter)
    return shorter if shorter != sentence else None


def change_end(sentence: str, rng: Random) -> str | None:
    if sentence.endswith(("?", "!?", "…")):
        return None
    return sentence.rstrip(".!") + rng.choice(("", ".", "!", "..."))


def spell_number(sentence: str, _: Random) -> str | None:
    words = {"2": "two", "3": "three", "5": "five", "10": "ten", "12": "twelve"}
    spelled = re.sub(r"(?<=[a-z] )(2|3|5|10|12)(?= [a-z])", lambda found: words[found[0]], sentence)
    return spelled if spelled != sentence else None


def _lower_first(sentence: str) -> str:
    return sentence if sentence[:2].isupper() else sentence[:1].lower() + sentence[1:]


def swap_first_letter(sentence: str, _: Random) -> str | None:
    """The case of the first letter of a word that is no name and no acronym, whatever stands there."""
    opens = re.match(rf"(?:{_OPENERS})\b", sentence, re.IGNORECASE)
    return sentence[:1].swapcase() + sentence[1:] if opens and opens[0][1:].islower() else None


def lower(sentence: str, rng: Random) -> str | None:
    """All of it in lower case, where no name loses its capital."""
    return swap_first_letter(sentence, rng) if sentence[:1].isupper() and not _has_capital(sentence[1:]) else None


def _has_capital(text: str) -> bool:
    return text != text.lower()


GUARANTEED: Mapping[str, Change] = {
    "lower case": lower,
    "first letter": swap_first_letter,
    "white space": lambda sentence, rng: "  " + rng.choice(("  ", " \n", "\t")).join(sentence.split()) + "\n",
    "final punctuation": change_end,
    "contraction expanded": expand,
    "contraction made": contract,
}
REWRITES: Mapping[str, Change] = {
    **GUARANTEED,
    "upper case": lambda sentence, _: sentence.upper(),
    "bold": lambda sentence, _: f"**{sentence}**",
    "quoted line": lambda sentence, _: f"> {sentence}",
    "citation mark": lambda sentence, _: f"{sentence} [1]",
    "please note that": lambda sentence, _: f"Please note that {_lower_first(sentence)}",
    "greeting": lambda sentence, _: f"Hi all, {sentence}",
    "number in words": spell_number,
    "according to": lambda sentence, _: f"According to the handbook, {_lower_first(sentence)}",
}


@dataclass(frozen=True, slots=True)
class Pair:
    """A sentence of a corpus and what was made of it."""

    source: str
    changed: str


def pairs(sentences: Iterable[str], change: Change, *, limit: int, seed: int) -> list[Pair]:
    """The first `limit` sentences to which the change applies, in an order that the seed gives."""
    rng, pool = Random(seed), list(sentences)
    found: list[Pair] = []
    for sentence in rng.sample(pool, len(pool)):
        changed = change(sentence, rng)
        if changed is not None:
            found.append(Pair(sentence, changed))
        if len(found) == limit:
            break
    return found


def sentences_of(text: str) -> list[str]:
    """Sentences of 5 to 40 words; what is not split off by a full stop and a capital stays together."""
    parts = re.split(r"(?<=[.!?])\s+(?=[A-Z])|\n+|\s\|\s", text)
    return [part.strip() for part in parts if 5 <= len(part.split()) <= 40 and re.search(r"[a-z]{3} [a-z]{2}", part)]


def corpus_sentences(folder: Path) -> list[str]:
    """The distinct sentences of a set in BEIR form, sorted."""
    with (folder / "corpus.jsonl").open(encoding="utf-8") as lines:
        texts = [str(json.loads(line)["text"]) for line in lines]
    return sorted({sentence for text in texts for sentence in sentences_of(text)})


def demo_sentences(demo: Path) -> list[str]:
    """The distinct sentences of the demo company's handbook and Slack export, sorted."""
    texts = [path.read_text(encoding="utf-8") for path in sorted(demo.glob("handbook/*.*"))]
    for path in sorted(demo.glob("slack-export/*/*.json")):
        texts += [str(message.get("text", "")) for message in json.loads(path.read_text(encoding="utf-8"))]
    return sorted({sentence for text in texts for sentence in sentences_of(text)})
