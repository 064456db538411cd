"""Brings a sentence into the one spelling in which it is compared, and takes it apart to tell why two differ.

What goes is what an editor or a chat adds for the eye: emphasis, code marks, a link's address, the bullet of a list,
the amount of white space, the mark at the end. Quotation marks, hyphens and dashes get one form each; contractions are
written out; numbers below a hundred and percentages are written in digits. Every other character stays what it is and
where it is. Every step takes time linear in the text: all repetition is bounded, possessive or cannot overlap with
what follows it.
"""

import html
import re
import unicodedata
from typing import Final

from generation import lexicon

__all__ = ["clean", "tokens"]

_LIKE: Final = str.maketrans(
    dict.fromkeys("‘’‛＇ʼ", "'")  # noqa: RUF001
    | dict.fromkeys("“”„‟«»＂", '"')  # noqa: RUF001
    | dict.fromkeys("‐‑−", "-")  # noqa: RUF001
    | dict.fromkeys("\u00ad\u200b\u200e\u200f\u2060\ufeff")
)
_ENTITY: Final = re.compile(r"&#?\w{1,31};")
_LINK: Final = re.compile(
    r"\[([^\[\]\n]{1,300})\]\((?:https?://|mailto:|\.{0,2}/|#)[^()\s]{0,2000}\)"
    r"|<(?:https?://|mailto:)[^<>|\s]{1,2000}\|([^<>\n]{1,300})>"
)
_MENTION: Final = re.compile(r"<([@#])(\w{1,80})(?:\|[^<>\n]{0,80})?>")
_CODE: Final = re.compile(r"(?<![\w`])`([^`]++)`(?![\w`])")
_EMPHASIS: Final = re.compile(r"""(?<![\w*])(\*{1,2})(?=[\w"'(£$€])([^*]++)(?<=[\w.,:;!?%)"'])\1(?![\w*])""")
_BULLET: Final = re.compile(r"([*•·]|-) (?=([^\W\d_]++))")
_PARAGRAPH: Final = re.compile(r"\n{2,}")
_DASH: Final = re.compile(r" ?— ?| [-–―]{1,3} ")  # noqa: RUF001
_RANGE: Final = re.compile(r"(?<=\d)–(?=\d)")  # noqa: RUF001
_SPOKEN: Final = re.compile(r"""(?<![^\s("])[A-Za-z]++(?:-[a-z]++)?+(?![^\s,;:.!?)"]|[,;:.!?]\S)""")
_PERCENT: Final = re.compile(r"(?<=\d)(?: ?per ?cent(?![\w-])| %)")
_NOT: Final = re.compile(
    rf"(?<![\w-])(?<!\w')(?:([Cc]a)|([Ww])o|([Ss]ha)|((?i:{'|'.join(lexicon.VERBS)})))n't(?![\w'-])"
)
_ENDING: Final = re.compile(r"(?<![\w-])(?<!\w')(?:([A-Za-z]++)'(ll|re|ve)|(I)'m)(?![\w'-])")
_FINAL: Final = " .!…。！｡．।॥۔"  # noqa: RUF001
_TOKEN: Final = re.compile(r"(?:(?<!\S)[-.](?=\d))?[^\W_]++(?:['_.-][^\W_]++)*+|\S")


def clean(text: str) -> str:
    """The one spelling of a text: two texts that differ in nothing but spelling get the same one. Raises nothing."""
    text = _ENTITY.sub(lambda found: html.unescape(found[0]), text)
    text = unicodedata.normalize("NFC", text.translate(_LIKE))
    text = _MENTION.sub(r"\1\2", _LINK.sub(lambda found: found[1] or found[2], text))
    text = _EMPHASIS.sub(r"\2", _CODE.sub(r"\1", _without_bullet(_spaced(text)))).rstrip(_FINAL)
    text = _RANGE.sub("-", _DASH.sub(" — ", text))
    text = _PERCENT.sub("%", _SPOKEN.sub(_digits, text))
    return _ENDING.sub(_ended, _NOT.sub(_negated, text))


def tokens(cleaned: str) -> list[str]:
    """The words, numbers and signs of a text that went through `clean`."""
    return _TOKEN.findall(cleaned)


def _spaced(text: str) -> str:
    """One space for all white space within a paragraph; where a new one begins, a mark."""
    lines = "\n".join(" ".join(line.split()) for line in text.splitlines())
    return _PARAGRAPH.sub(" ¶ ", lines.strip("\n")).replace("\n", " ")


def _without_bullet(text: str) -> str:
    """A dash in front of a number may be its sign."""
    found = _BULLET.match(text)
    if found is None or (found[1] == "-" and found[2].casefold() in lexicon.AMOUNTS):
        return text
    return text[found.end() :]


def _digits(found: re.Match[str]) -> str:
    """A whole word that is a number; elsewhere than at the front a capital may make it a name."""
    word = found[0] if found.start() else found[0][:1].lower() + found[0][1:]
    return lexicon.NUMBERS.get(word, found[0])


def _negated(found: re.Match[str]) -> str:
    can, will, shall, verb = found.groups()
    # "You can not pay" may grant what "you cannot pay" denies: two words never become one.
    return f"{can}nnot" if can else f"{will}ill not" if will else f"{shall}ll not" if shall else f"{verb} not"


def _ended(found: re.Match[str]) -> str:
    return f"{found[1]} {lexicon.ENDINGS[found[2]]}" if found[1] else f"{found[3]} am"
