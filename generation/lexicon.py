"""The closed word classes of English, and the spellings that are only spellings.

The classes follow the usual grammars (Quirk et al. 1985, chapters 3, 8, 10 and 14). They say why a sentence was turned
down, and never let one pass. A word that stands in none of them is a content word.
"""

from collections.abc import Iterator

__all__ = [
    "AMOUNTS",
    "ENDINGS",
    "FUNCTION",
    "MODALS",
    "NAMES_BY_CAPITAL",
    "NEGATION_PREFIXES",
    "NEGATORS",
    "NUMBERS",
    "QUANTIFIERS",
    "RESTRICTIONS",
    "VERBS",
]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


NEGATORS = _words("""
    not no never none nobody nothing nowhere neither nor without cannot non hardly barely scarcely seldom rarely
    fail fails failed refuse refuses refused deny denies denied denial prohibit prohibits prohibited prohibition
    forbid forbids forbidden ban bans banned lack lacks lacking stop stops avoid avoids prevent prevents except
    excluding yes unable ain't ❌ ✗ ✘ ✖ 🚫 ⛔ ✅ ✓ ✔ ☑
""")
NEGATION_PREFIXES = ("un", "non", "in", "im", "ir", "dis", "mis", "il", "de")

MODALS = _words("""
    must shall can may could might should would will ought need needs required require requires obligatory mandatory
    optional allowed permitted able possible impossible supposed voluntary compulsory recommended advised expected
    likely unlikely maybe perhaps probably possibly certainly definitely
""")
QUANTIFIERS = _words("""
    all every each any some most many much few fewer fewest several both either half only just merely solely least
    more less fewer maximum minimum max min up exactly precisely about around approximately roughly nearly almost
    everyone everybody everything anyone anybody anything someone somebody something always sometimes often usually
    generally normally typically mostly entirely fully partly partially whole entire total once twice thrice double
    triple dozen couple several enough lot lots little various majority minority over under
    even other another else additional further daily weekly monthly quarterly yearly annually hourly
""")

RESTRICTIONS = _words("""
    if unless provided providing when whenever while where wherever until till before after by within during since
    because although though despite otherwise instead whether once as than but however subject depending assuming
    except excluding including regardless whichever whatever in on at for from to with through per between beyond
    above below against toward towards upon into onto out off away and or then thus therefore hence that which who
    whom whose so
""")

FUNCTION = _words("""
    a an the is are was were be been being am do does did done has have had of this these those it its they them
    their theirs he him his she her hers we us our ours you your yours i me my mine myself yourself themselves there
    here what how why such own same too very also please kindly
""")

_UNITS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_TEENS = (
    *("ten", "eleven", "twelve", "thirteen", "fourteen"),
    *("fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")


def _numbers() -> Iterator[tuple[int, str]]:
    yield 0, "zero"
    yield from enumerate((*_UNITS, *_TEENS), 1)
    for place, ten in enumerate(_TENS, 2):
        yield 10 * place, ten
        yield from ((10 * place + value, f"{ten}-{unit}") for value, unit in enumerate(_UNITS, 1))


# "One" may be a pronoun ("no one"), "second" a time, and who gets "five hundred pound notes" may get five of them.
NUMBERS = {word: str(value) for value, word in _numbers() if word != "one"}

# What may follow a minus sign.
AMOUNTS = frozenset(NUMBERS) | _words("a an one half hundred thousand million minus plus")

# "'s" and "'d" stay as they are: "she's paid" is "is" or "has", and "she'd" is "had" or "would".
ENDINGS = {"ll": "will", "re": "are", "ve": "have"}
# What "n't" is joined to without changing; "can't", "won't" and "shan't" do change.
VERBS = (
    *("do", "does", "did", "is", "are", "was", "were", "has", "have", "had"),
    *("would", "could", "should", "must", "might", "need"),
)

# A small letter at the front of a sentence makes something else of these.
NAMES_BY_CAPITAL = _words("""
    a i march may august polish danish finnish turkey china bill mark will grant rich sue bob rob jack frank grace hope
    faith joy rose lily olive daisy pat nick chase drew art guy dean earl miles victor job reading bath nice cork jersey
    python java swift go rust ruby excel word access teams outlook slack apple windows oracle target gap meet drive zoom
    sie ihr ihre ihrem ihren ihrer ihres ihnen lei
""")
