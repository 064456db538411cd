"""What a question asks about, and what kind of answer it wants: words, stems and patterns.

The closed word classes, the endings and the question words are those of English. Another language loses by it only
that all its words count alike; languages without gaps between words are compared by pairs of characters.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from generation.sentences import CALENDAR


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


STOP_WORDS = _words(
    # Closed classes of English and the words of asking: they say how something is asked and not about what.
    "a about after again all also am an and any anybody anyone anything are as ask at be because been before being but "
    "by can could did do does doing done during each either else ever every for from get gets getting give given go "
    "got had has have having he her here hers him his how however i if in into is it its itself just know let like "
    "long many may me might mine more most much must my near need no nor not now of off often on once one only onto or "
    "other our out over own per please possible shall she should since so some somebody someone something still such "
    "tell than thank thanks that the their them then there these they thing this those through to too under until up "
    "upon us use used very want was we were what when where whether which while who whom whose why will with within "
    "without would yes yet you your hi hello hey ll re ve d s t m don doesn isn can't happen happens possible there "
    "kind sort way ways make makes take takes new next called mean means"
)
COMMON_WORDS = _words(
    # What every company writes about: to find these in a passage says little about what it is about.
    "able additional allow allowed amount answer apply area available back based become begin best better big bring "
    "call case change come company complete cost current day date different difference employee employees end example "
    "find first follow following full general good great group help high home hour hours important include including "
    "information keep large last level list little live look main maximum member members minimum month months name "
    "number offer offered office old open order organization part parts people period person place point policy "
    "problem process program provide provided question receive require required right rule rules same say second see "
    "send set several show small specific start state step stop support system team term three time times today two "
    "type types understand week weeks whole work worked worker working works write year years"
)
COMMON_WEIGHT = 0.4
NAME_LIKE = 0.8  # likeness from which a name is another one's misspelling
NAME_STEM = 4  # letters of a name that its derivations share: Germany, German
_WORD = re.compile(r"[^\W_]+")
_COMPOUND = re.compile(r"(?<![^\W_])[^\W_]++(?:[-\u2010\u2011][^\W_]++)++")
_ENDING = re.compile(r"(?<=[a-z]{3})(?:ies|ied|ing|ed|es|(?<![sui])s|e|y)$")
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+")
_AMOUNT = re.compile(
    r"\d|[$€£¥%]|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|twenty|thirty|forty|fifty"
    r"|sixty|ninety|hundred|thousand|million|half|twice|double|unlimited|none|no|free)\b",
    re.IGNORECASE,
)
_TIME = re.compile(
    r"\d|\b(?:mon|tues|wednes|thurs|fri|satur|sun)days?\b|\b(?:january|february|march|april|may|june|july|august"
    r"|september|october|november|december|today|tomorrow|tonight|noon|midnight|morning|afternoon|evening|weekly|daily"
    r"|monthly|yearly|annually|immediately|days?|weeks?|months?|years?|hours?|minutes?|spring|summer|autumn|winter"
    r"|century|before|after|once|when|always|never|until)\b",
    re.IGNORECASE,
)
_PERSON = re.compile(r"(?:^|\W)[A-Z]\w+|@|\b(?:manager|team|department|director|office|you|we|i)\b")
_PLACE = re.compile(
    r"\b(?:at|in|on|by|near|behind|under|opposite|outside|inside|beside|into|onto|to|from|via|through)\s+(?:(?:the|our|a|an"
    r"|your|my)\s+)?(?!the\b|our\b|office|company|mon|tue|wed|thu|fri|sat|sun|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov"
    r"|dec|first|second|last|next|this|that|it\b|time)[a-z]{3}|https?:|/|#|@",
    re.IGNORECASE,
)
_TYPES = (
    (
        re.compile(
            r"\b(?:how (?:much|many|high|big|large|old|far|heavy|tall|fast|deep)|what (?:number|amount|price|"
            r"percentage|share|proportion|rate|fee|cost|limit)|how often|costs?|price|cap|maximum|minimum)\b",
            re.IGNORECASE,
        ),
        _AMOUNT,
    ),
    (
        re.compile(
            r"\bwhen\b|\b(?:what|which) (?:days?|dates?|time|year|month|week|century|decade)\b|\bhow (?:long|"
            r"soon|late|early)\b|\b(?:until|by) (?:when|which|what)\b|\bdeadline\b|\bwhat time\b",
            re.IGNORECASE,
        ),
        _TIME,
    ),
    (re.compile(r"\bwho(?:m|se)?\b", re.IGNORECASE), _PERSON),
    (re.compile(r"\bwhere\b", re.IGNORECASE), _PLACE),
)
_ASKS = re.compile(
    r"[?\uff1f][\"')\]\u201d\u2019\u00bb*_\s]*$"
    r"|^(?:[^\n:]{1,60}:\s)?(?:(?:how|what|when|where|who|which|why|any ?one)\b"
    r"|(?:is|are|do|does|did|can|could|may|will|should)\s(?:i|we|you|one|he|she|it|they|there|any|some|the|this|that|my)\b)"
    r"[^\n]*[^.!:|\n]$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A question by its content words, and the patterns that an answer of the wanted types matches."""

    words: frozenset[str]
    answers: tuple[re.Pattern[str], ...]
    names: tuple[tuple[str, ...], ...] = ()

    @classmethod
    def of(cls, question: str) -> "Asked":
        """Read a question."""
        answers = tuple(answer for asks, answer in _TYPES if asks.search(question))
        return cls(terms(question), answers, tuple(_names(question)))

    def misses_name(self, texts: Iterable[str]) -> bool:
        """Whether a name stands in none of `texts`, in no other form and as no initials."""
        folded = " ".join(map(_folded, texts))
        return any(not _stands(name, folded) for name in self.names)

    def misses(self, text: str) -> bool:
        """Whether a number, a time, a person or a place is asked for and `text` has none."""
        return not all(answer.search(text) for answer in self.answers)

    def share(self, words: Iterable[str]) -> float:
        """Which part of the content words is among `words`; 0.5, which says nothing, for a question without any."""
        if not self.words:
            return 0.5
        return sum(map(_weight, self.words.intersection(words))) / sum(map(_weight, self.words))


def _weight(term: str) -> float:
    return COMMON_WEIGHT if term in COMMON_TERMS else 1.0


def terms(text: str) -> frozenset[str]:
    """The content words, lower-case and without English endings; pairs of characters where words have no gaps."""
    words: set[str] = set()
    lower = text.lower()
    # `in-network` and `out-of-network` differ in what is no content word by itself.
    words.update(stem(re.sub(r"[^\w]", "", match[0])) for match in _COMPOUND.finditer(lower))
    for match in _WORD.finditer(lower):
        word = match[0]
        if _UNSPACED.fullmatch(word):
            words.update(word[at : at + 2] for at in range(max(len(word) - 1, 1)))
        elif word not in STOP_WORDS and (len(word) > 1 or word.isdigit()):
            words.add(stem(word))
    return frozenset(words)


def stem(word: str) -> str:
    """A crude stem of a lower-case English word: plural, -ed, -ing and a last -e or -y go; others stay as they are."""
    base = _ENDING.sub("", word)
    doubled = base != word and len(base) > 3 and base[-1] == base[-2]  # noqa: PLR2004 - as in planned, not in egg
    return base[:-1] if doubled and base[-1] not in "sl" else base


def _names(question: str) -> Iterable[tuple[str, ...]]:
    """Runs of capitalised words, each a name: only where others are small, and where capitals are those of English."""
    words = list(_WORD.finditer(question))
    said = [word[0].casefold() in STOP_WORDS for word in words]
    small = sum(word[0][0].islower() for word in words[1:])
    if 2 * small < len(words) - 1 or 3 * sum(said) < len(words):
        return
    run: list[str] = []
    for place, word in enumerate(words[1:], 1):
        gap = question[words[place - 1].end() : word.start()]
        named = (
            word[0][0].isupper()
            and not said[place]
            and len(word[0]) > 1
            and word[0].lower().removesuffix("s") not in CALENDAR
        )
        if run and (gap != " " or not named):
            yield tuple(run)
            run = []
        if named and not set(gap) & set(".!?:"):
            run.append(_folded(word[0]))
    if run:
        yield tuple(run)


def _stands(name: Sequence[str], folded: str) -> bool:
    words = set(_WORD.findall(folded))
    initials = "".join(word[0] for word in name)
    return (len(name) > 1 and initials in words) or all(_word_stands(word, folded, words) for word in name)


def _word_stands(word: str, folded: str, words: Iterable[str]) -> bool:
    """Whether a word of a name stands there: in a compound, in another form, misspelt, or spelt out."""
    base = word[: max(NAME_STEM, len(word) - 3)] if len(word) > NAME_STEM else stem(word)
    if base in folded or get_close_matches(word, {one for one in words if one[0] == word[0]}, 1, NAME_LIKE):
        return True
    return len(word) <= NAME_STEM and word in "".join(one[0] for one in _WORD.findall(folded))


def _folded(text: str) -> str:
    """Without capitals and accents."""
    return "".join(one for one in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(one))


COMMON_TERMS = frozenset(map(stem, COMMON_WORDS))


def is_question(text: str) -> bool:
    """Whether a sentence asks something; in chat, the mark is often left out."""
    return _ASKS.search(text) is not None
