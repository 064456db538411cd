"""The closed word classes of English that decide what a sentence claims, and the spellings that are only spellings.

The classes follow the usual grammars (Quirk et al. 1985, chapters 3, 8, 10 and 14). They are used for two things: to
say why a sentence was turned down, and to list the few words that may come and go without changing what is claimed.
A word that stands in none of them is a content word.
"""

import re

__all__ = [
    "CITATION",
    "CONTRACTIONS",
    "ENDINGS",
    "ENGLISH",
    "EXAMPLE",
    "FREE",
    "FUNCTION",
    "HEADS",
    "IS_PRONOUNS",
    "LIST_NUMBER",
    "MODALS",
    "NEGATION_PREFIXES",
    "NEGATORS",
    "NUMBERS",
    "ORDINALS",
    "OTHER_LANGUAGES",
    "PHRASES",
    "QUANTIFIERS",
    "QUESTION_FRAME",
    "RESTRICTIONS",
    "SCALES",
    "TAILS",
    "TENS",
    "UNITS",
    "UNSTEMMED",
]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _phrases(text: str) -> tuple[tuple[str, ...], ...]:
    """One phrase a line, the longest first, so that the first match is the longest."""
    return tuple(sorted((tuple(line.split()) for line in text.strip().splitlines()), key=len, reverse=True))


NEGATORS = _words("""
    not no no, never none nobody nothing nowhere neither nor without cannot non hardly barely scarcely seldom rarely
    fail fails failed refuse refuses refused deny denies denied denial prohibit prohibits prohibited prohibition
    forbid forbids forbidden ban bans banned lack lacks lacking stop stops avoid avoids prevent prevents except
    excluding yes yes, unable ain't ❌ ✗ ✘ ✖ 🚫 ⛔ ✅ ✓ ✔ ☑
""")
NEGATION_PREFIXES = ("un", "non", "in", "im", "ir", "dis", "mis", "il", "de")

MODALS = _words("""
    must shall can may could might should would will ought need needs required require requires obligatory mandatory
    optional allowed permitted able possible impossible supposed voluntary compulsory recommended advised expected
    likely unlikely maybe perhaps probably possibly certainly definitely
""")
# Word groups that count as one word: what they are canonical for.
PHRASES = {
    ("have", "to"): "must",
    ("has", "to"): "must",
    ("need", "to"): "must",
    ("needs", "to"): "must",
    ("is", "required", "to"): "must",
    ("are", "required", "to"): "must",
    ("is", "allowed", "to"): "can",
    ("are", "allowed", "to"): "can",
    ("is", "permitted", "to"): "can",
    ("are", "permitted", "to"): "can",
    ("ought", "to"): "should",
    ("a", "few"): "a few",
    ("a", "little"): "a little",
}

QUANTIFIERS = _words("""
    all every each any some most many much few fewer fewest several both either half only just merely solely least
    more less fewer maximum minimum max min up exactly precisely about around approximately roughly nearly almost
    everyone everybody everything anyone anybody anything someone somebody something always sometimes often usually
    generally normally typically mostly entirely fully partly partially whole entire total once twice thrice double
    triple dozen couple several enough lot lots little various majority minority over under < > ≤ ≥ ~ ±
    even other another else additional further daily weekly monthly quarterly yearly annually hourly
""") | {"a few", "a little"}

RESTRICTIONS = _words("""
    if unless provided providing when whenever while where wherever until till before after by within during since
    because although though despite otherwise instead whether once as than but however subject depending assuming
    except excluding including regardless whichever whatever in on at for from to with through per between beyond
    above below against toward towards upon into onto out off away and or then thus therefore hence that which who
    whom whose so /
""")

FUNCTION = _words("""
    a an the is are was were be been being am do does did done has have had of this these those it its they them
    their theirs he him his she her hers we us our ours you your yours i me my mine myself yourself themselves there
    here what how why such own same too very also please kindly 's 'd % ? + = & § °
""")

# An article or a courtesy says nothing about who, whether, when or how much.
FREE = _words("a an the please kindly also")

# These end in s without being a plural or a third person, or mean something else without it.
UNSTEMMED = _words("""
    news goods works means customs arms savings glasses premises headquarters series species yours ours theirs hers
    does less unless besides afterwards towards always sometimes perhaps whereas needs
""")

_SMALL = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
    seventeen eighteen nineteen"""
TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_FIRST = """first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth
    fifteenth sixteenth seventeenth eighteenth nineteenth twentieth"""
NUMBERS = dict(zip(_SMALL.split(), range(20), strict=True)) | dict(zip(TENS, range(20, 100, 10), strict=True))
SCALES = {"hundred": 100, "thousand": 1_000, "million": 1_000_000}
ORDINALS = dict(zip(_FIRST.split(), range(1, 21), strict=True))
UNITS = _words("am pm km kg kb mb gb tb hrs min mins")

CONTRACTIONS = {
    "can't": ("can", "not"),
    "cannot": ("can", "not"),
    "won't": ("will", "not"),
    "shan't": ("shall", "not"),
    "let's": ("let", "us"),
    "i'm": ("i", "am"),
} | {
    f"{verb}n{mark}t": (verb, "not")
    for verb in _words("do does did is are was were has have had would could should must might need")
    for mark in ("'", "")
}
ENDINGS = {"re": "are", "ve": "have", "ll": "will", "s": "'s", "d": "'d"}
IS_PRONOUNS = _words("it that there here he she what where who how when")  # 's after these is a verb

# What may stand in front of a sentence or behind it, set off by a mark, without being part of what it says. Nothing
# that makes it depend on another sentence ("otherwise", "in that case") and no greeting by name.
HEADS = _phrases("""
    hi
    hello
    hey
    hi all
    hi everyone
    hi team
    hi there
    hi folks
    hi guys
    hello all
    hello everyone
    hello team
    hello there
    hey all
    hey everyone
    hey team
    hey folks
    hey guys
    dear all
    dear team
    dear colleagues
    good morning
    good afternoon
    good morning everyone
    good morning all
    thanks
    thank you
    ok
    okay
    well
    so
    and
    but
    however
    also
    moreover
    furthermore
    additionally
    in addition
    in short
    in fact
    indeed
    basically
    actually
    unfortunately
    fyi
    btw
    by the way
    for your information
    please note
    note
    reminder
    as a reminder
    a reminder
    please note that
    note that
    please be aware that
    please remember that
    remember that
    please be reminded that
""")
TAILS = _phrases("""
    thanks
    thank you
    many thanks
    thanks in advance
    thank you in advance
    thanks everyone
    thank you everyone
    cheers
    hope this helps
    hope that helps
""")

# Words of the question may be repeated only where the sentence says that it is the question that it repeats.
QUESTION_FRAME = re.compile(
    r"(?:you asked about|(?:on|to|as to|regarding|about) your question (?:about|on|regarding))"
    r" ([^:,.;!?\n]{1,80})[:,] ?",
    re.IGNORECASE,
)
EXAMPLE = re.compile(r" ?\((?:e\.g\.?,?|for example,?|for instance,?|such as|see) ([^()\n]{1,200})\)", re.IGNORECASE)
LIST_NUMBER = re.compile(r"^[-*•·#| ]{0,3}\d{1,2}[.)] (?=[^\W\d_])")
CITATION = re.compile(r"^\[\d{1,2}\]:? ?|(?: ?\[\d{1,2}\]){1,9}(?= ?[.!]?$)")

# Words that nearly every sentence of the language has one of, and those of its neighbours which it shares letters with.
ENGLISH = _words("""
    the a an and or of to for you your we our i is are be been was were will can may must should not with from at by
    on it this that these have has if when as how what who they their do does need there all any please but would
    could my me us more only than
""")
OTHER_LANGUAGES = _words("""
    der die das und ist nicht ein eine einen mit von zu auf für sich auch werden wird sind bei dem den oder haben wir
    le la les des une et est pas que qui dans pour sur avec vous nous sont du au aux ou el los las un una y es no por
    con para se del al su il lo gli di che non per sono della nel een het van niet dat voor zijn op met door o os um
    uma em não com är och att det som på
""") - {"no", "on", "non"}
