"""Secrets in a text: tokens that show by their form what they are, and values that somebody calls a password or a key.

Pure and linear. A text without a long word and without the name of a secret costs a look at its words.
"""

import re
from collections.abc import Callable, Iterator

from ingest.hygiene.hits import PART, Hit, disjoint
from ingest.hygiene.secret_forms import NAMED, TOKENS, Form, random_looking

WORDING = "[secret removed: {}]"
LONG = 16  # characters; no token is shorter
SHORTEST = 6  # characters of a password

_TOKENS = tuple((literal, form) for form in TOKENS for literal in form.literals)
_NAMED = tuple((literal, form) for form in NAMED for literal in form.literals)
_DIGIT = re.compile(r"\d")
_QUOTES = ('"', "'", "`")
_NAMES = ("pass", "pwd", "key", "token", "secret", "credential", "bearer", "kennwort", "authorization", "contrase")
_HINT = re.compile(  # in lower case
    r"(?:pass(?:w(?:or(?:d|t)|d)|phrase|code|e)?|kennwort|contrase.a|pwd|key|token|secret|credentials?)"
    r"[\"'`*]{0,2}(?:\s{0,2}[:=]|\s(?:is|ist|est|es|lautet)\s)|bearer|authorization"
)
_ASSIGNED = r"[\"'`*]{0,2}(?:\s{0,2}(?:=>|:=|==|=|:)|\s(?:is|ist|est|es|lautet)(?=\s))[^\S\n]{0,3}"
_PASSWORD = re.compile(
    r"(?i:pass(?:word|wd|wort|phrase|code)|kennwort|mot de passe|contrase[ñn]a|(?<![a-z])pwd|_pass(?=\s?[=:]))"
    + _ASSIGNED
    + r"(?P<v>\"[^\"\n\0]{4,100}\"|'[^'\n\0]{4,100}'|`[^`\n\0]{4,100}`|[^\s\0\"'`&]{4,200})"
)
# `redir_token=` in an address is no secret, `ACCESS_TOKEN=` and `BOT_TOKEN=` are.
_KEY = re.compile(
    r"(?:(?i:(?:api|secret|access|private|app|auth)[_ -]?key|(?:api|access|auth|bot|refresh|session)[_ -]?token"
    r"|(?:client|app|signing)[_ -]?secret)|(?<![A-Za-z_])(?i:secret|token|credentials?)"
    r"|(?<=[A-Z]_)(?:TOKEN|SECRET|KEY))" + _ASSIGNED + r"[\"'`]?(?P<v>[A-Za-z0-9_.~+/=-]{16,300})"
)
_BEARER = re.compile(r"(?i:bearer|authorization:\s{0,2}(?:basic|token))\s{1,2}(?P<v>[A-Za-z0-9_.~+/=-]{16,2000})")
_IN_ADDRESS = re.compile(r"://(?P<user>[^\s/:@?#\0\"'<>]{0,100}):(?!(?P=user)@)(?P<v>[^\s/@\0\"'<>]{3,200})@(?=[\w\[])")
# What stands where a secret would: a mask, a variable, a call, a path, or a word that says so.
_PLACEHOLDER = re.compile(
    r"(?is)[<\[{(…].*|\$[{(A-Z_].*|%[A-Z_]+%|.{0,3}(?:\*{2}|x{3}|\.{2}|_{2}).*|[-_#?]+|(?:\.{0,2}/|~/|https?:).*"
    r"|.*(?:example|placeholder|your|change.?me|redacted|dummy|insert|…).*|\w+\(.*|[a-z_]\w*(?:\.[a-z_]\w*)+[);,]*"
    r"|pass(?:word|wd|wort)?|secret|pwd|null|none|true|false|undefined|string|env"
)
_SIGN = re.compile(r"[!@#$%^&*+|?](?=[^\s!?*])")


def found_in(text: str) -> list[Hit]:
    """Every secret in a clean text, in its order; parts of the text are separated by `hits.PART`."""
    return disjoint(_all(text))


def _all(text: str) -> Iterator[Hit]:
    long = " ".join(word for word in text.replace(PART, " ").split() if len(word) >= LONG)
    lower = text.lower()
    if any(map(lower.__contains__, _NAMES)) and _HINT.search(lower):
        yield from _judged(_PASSWORD, text, "password", _is_password)
        yield from _judged(_KEY, text, "key", _is_key)
        yield from _judged(_BEARER, text, "authorization", _is_key)
    if "://" in long and "@" in long:
        yield from _judged(_IN_ADDRESS, text, "password_in_address", _is_no_placeholder)
    if _DIGIT.search(long):
        yield from _of_known_form(text, long, lower)


def _of_known_form(text: str, long: str, lower: str) -> Iterator[Hit]:
    likely = [form for literal, form in _TOKENS if literal in long and form.pattern.search(long)]
    likely += [form for literal, form in _NAMED if literal in lower]
    for form in dict.fromkeys(likely):
        yield from _of_form(form, text)


def _of_form(form: Form, text: str) -> Iterator[Hit]:
    group = "v" if "v" in form.pattern.groupindex else 0
    for match in form.pattern.finditer(text):
        if form.fits is None or form.fits(match[group]):
            yield Hit(*match.span(group), form.kind)


def _judged(pattern: re.Pattern[str], text: str, kind: str, fits: Callable[[str], bool]) -> Iterator[Hit]:
    for match in pattern.finditer(text):
        value, start = match["v"], match.start("v")
        if value[0] in _QUOTES and value[-1] == value[0]:
            value, start = value[1:-1], start + 1
        value = value.rstrip(".,;:)]}>")
        if fits(value):
            yield Hit(start, start + len(value), kind)


def _is_password(value: str) -> bool:
    """A word of a sentence is none: a digit or an unusual sign has to be in it."""
    if len(value) < SHORTEST or " " in value or not _is_no_placeholder(value):
        return False
    return any(map(str.isdigit, value)) or _SIGN.search(value) is not None


def _is_key(value: str) -> bool:
    return random_looking(value) and _is_no_placeholder(value)


def _is_no_placeholder(value: str) -> bool:
    return not _PLACEHOLDER.fullmatch(value)
