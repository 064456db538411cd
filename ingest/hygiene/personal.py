"""Personal data in a text: mail addresses, and numbers of telephones, bank accounts, cards and people.

Pure and linear. What has a checksum is checked, and a number that could be anything needs a word in front of it that
says what it is.
"""

import re
from collections.abc import Iterator
from importlib import import_module
from typing import NamedTuple

from ingest.hygiene.hits import Hit, disjoint

WORDING = "[{}]"

_DIGITS = re.compile(r"\d(?:[ ()./\xa0-]{0,3}\d){5,40}+")
_DATE = re.compile(r"(?:19|20)\d\d[./-]\d\d?[./-]\d\d?(?!\d)|\d\d?[./-]\d\d?[./-](?:19|20)\d\d(?!\d)")
LOCAL = 65  # characters in front of an `@` to look at
AROUND = 40  # characters in front of a number that may say what it is
_DOMAIN = re.compile(
    r"@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,8}"
    r"(?!(?:png|jpe?g|gif|svg|webp|js|css|html?|py|json|ya?ml|md|txt|pdf|zip)(?![A-Za-z0-9]))[A-Za-z]{2,24}(?![\w-])"
)
_LOCAL = re.compile(r"(?<![\w.+%-])(?!git\Z)[A-Za-z0-9_][A-Za-z0-9._%+-]{0,63}\Z")
_IBAN = re.compile(
    r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?:[ \xa0]?[A-Z0-9]{4}){2,7}(?:[ \xa0]?[A-Z0-9]{1,3})?(?![A-Za-z0-9])"
)
_CARD = re.compile(
    r"(?<![\w.+/=:#-])(?:(?:4\d|5[1-5]|2[2-7]|6[045]|35)\d\d(?:[ -]?\d{4}){3}|3[47]\d\d[ -]?\d{6}[ -]?\d{5})(?![\w/=-])"
)
_ABROAD = re.compile(r"(?<![\w.+/=:-])(?:\+|00(?=[1-9]))\d(?:[ ().\xa0/-]{0,3}\d){6,14}(?![\w=])")
_CALLED = re.compile(
    r"(?i:\b(?:tel|telephone|phone|telefon|mobile?|cell|handy|fax|whatsapp|call|dial|hotline|téléphone|portable|rufnummer)\b)"
    r"[^\w\n\0]{0,4}(?:[a-z]{1,8}[^\w\n\0]{1,4}){0,2}\Z"
)
_AT_ONCE = re.compile(r"\(?\d(?:[ ()\xa0/-]{0,2}\d){6,13}(?![\w=.])")
# As people write them at home: in groups, so that an order number is none.
_AT_HOME = {
    "US": re.compile(r"(?<![\w.+/=:#-])(?:1[-. ])?(?:\(\d{3}\) ?|\d{3}([-.]))\d{3}[-.]\d{4}(?![\w=/-])"),
    "GB": re.compile(r"(?<![\w.+/=:#-])\(?0\d{2,4}\)?[ -]\d{3,4}[ -]?\d{3,4}(?![\w=/-])"),
    "DE": re.compile(r"(?<![\w.+/=:#-])\(?0\d{2,4}\)?[ ]?[ /-][ ]?\d{3,8}(?:[ -]\d{1,5}){0,3}(?![\w=/-])"),
    "FR": re.compile(r"(?<![\w.+/=:#-])0\d(?:[ .-]\d\d){4}(?![\w=/-])"),
}


class _Id(NamedTuple):
    """A number that a state gives to people: what announces it, how it looks, and the module that knows its rules."""

    called: re.Pattern[str]
    looks: re.Pattern[str]
    module: str


def _id(called: str, looks: str, module: str) -> _Id:
    return _Id(re.compile(called, re.IGNORECASE), re.compile(rf"(?<![\w-])(?:{looks})(?![\w-])"), f"stdnum.{module}")


_IDS = (
    _id(r"ssn|social security", r"\d{3}[- ]?\d{2}[- ]?\d{4}", "us.ssn"),
    _id(r"steuer|idnr|tax id|\btin\b", r"\d{2} ?\d{3} ?\d{3} ?\d{3}", "de.idnr"),
    _id(r"s[ée]curit[ée] sociale|\bnir\b|insee", r"[12](?: ?\d\d){2} ?\d[\dAB](?: ?\d{3}){2} ?\d\d", "fr.nir"),
    _id(r"\bbsn\b|burgerservice", r"\d{4}\.?\d{2}\.?\d{3}", "nl.bsn"),
    _id(r"\bdni\b|\bnif\b", r"\d{8}-?[A-Z]", "es.dni"),
    _id(r"\bnie\b", r"[XYZ]-?\d{7}-?[A-Z]", "es.nie"),
    _id(r"pesel", r"\d{11}", "pl.pesel"),
    _id(r"personnummer", r"\d{6,8}[-+]?\d{4}", "se.personnummer"),
    _id(r"f[øo]dselsnummer", r"\d{6} ?\d{5}", "no.fodselsnummer"),
    _id(r"\bcpr\b", r"\d{6}-?\d{4}", "dk.cpr"),
    _id(r"hetu|henkilötunnus", r"\d{6}[-+A]\d{3}[0-9A-Z]", "fi.hetu"),
    _id(r"\bahv\b|\bavs\b", r"756\.?\d{4}\.?\d{4}\.?\d{2}", "ch.ssn"),
    _id(r"rijksregister|registre national", r"\d{2}\.?\d{2}\.?\d{2}-?\d{3}\.?\d{2}", "be.nn"),
    _id(r"aadhaa?r", r"\d{4} ?\d{4} ?\d{4}", "in_.aadhaar"),
    _id(r"\bcpf\b", r"\d{3}\.?\d{3}\.?\d{3}-?\d{2}", "br.cpf"),
    _id(r"\bsin\b|social insurance", r"\d{3}[- ]?\d{3}[- ]?\d{3}", "ca.sin"),
    _id(r"\bnhs\b", r"\d{3}[- ]?\d{3}[- ]?\d{4}", "gb.nhs"),
)
_NINO_CALLED = re.compile(r"national insurance|\bnino\b|\bni (?:number|no)\b", re.IGNORECASE)
_NINO = re.compile(r"\b(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d\d ?\d\d ?\d\d ?[A-D]\b")
_ANNOUNCED = re.compile("|".join(form.called.pattern for form in _IDS) + f"|{_NINO_CALLED.pattern}", re.IGNORECASE)


def found_in(text: str) -> list[Hit]:
    """All personal data in a clean text, in its order; parts of the text are separated by `hits.PART`."""
    return disjoint(_all(text))


def _all(text: str) -> Iterator[Hit]:
    yield from _mails(text)
    accounts = False
    for digits in _DIGITS.finditer(text):
        start, end = digits.span()
        if not text[max(start - 1, 0)].isalpha() or not digits[0].isdigit():
            yield from _cards(text, start, end)
            yield from _phones(text, start, end)
        yield from _state_ids(text, start, end)
        accounts = True
    if accounts:
        yield from _accounts(text)


def _mails(text: str) -> Iterator[Hit]:
    for domain in _DOMAIN.finditer(text):
        if local := _LOCAL.search(text, max(domain.start() - LOCAL, 0), domain.start()):
            yield Hit(local.start(), domain.end(), "e-mail")


def _said_before(text: str, start: int) -> str:
    """What stands in the same line in front of a place."""
    before = text[max(start - AROUND, 0) : start]
    return before.rpartition("\n")[2].rpartition("\0")[2]


def _accounts(text: str) -> Iterator[Hit]:
    for match in _IBAN.finditer(text):
        from stdnum import iban  # noqa: PLC0415 - most texts hold nothing that looks like one

        end = match.end()
        while end > match.start() and not iban.is_valid(text[match.start() : end]):
            end = text.rfind(" ", match.start(), end)
        if end > match.start():
            yield Hit(match.start(), end, "bank account")


def _cards(text: str, start: int, end: int) -> Iterator[Hit]:
    for match in _CARD.finditer(text, start, end + 1):
        from stdnum import luhn  # noqa: PLC0415 - likewise

        if luhn.is_valid(re.sub("[ -]", "", match[0])):
            yield Hit(*match.span(), "card")


def _phones(text: str, start: int, end: int) -> Iterator[Hit]:
    start = max(start - 2, 0)  # for `+` and `(`
    for abroad in _ABROAD.finditer(text, start, end + 1):
        number = abroad[0] if abroad[0][0] == "+" else f"+{abroad[0][2:]}"
        if _is_number(number, None):
            yield Hit(*abroad.span(), "phone")
    for region, pattern in _AT_HOME.items():
        for grouped in pattern.finditer(text, start, end + 1):
            if _is_number(grouped[0], region):
                yield Hit(*grouped.span(), "phone")
    called = _AT_ONCE.search(text, start, end + 1)
    if called and not _DATE.match(called[0]) and _CALLED.search(_said_before(text, called.start())):
        yield from (Hit(*called.span(), "phone") for region in _AT_HOME if _is_number(called[0], region))


def _is_number(written: str, region: str | None) -> bool:
    from phonenumbers import NumberParseException, is_valid_number, parse  # noqa: PLC0415 - most texts hold no number

    try:
        return is_valid_number(parse(written, region))
    except NumberParseException:
        return False


def _state_ids(text: str, start: int, end: int) -> Iterator[Hit]:
    before = _said_before(text, start)
    if not _ANNOUNCED.search(before):
        return
    start, end = max(start - 3, 0), end + 3  # for the letters around
    if _NINO_CALLED.search(before):
        yield from (Hit(*match.span(), "national id") for match in _NINO.finditer(text, start, end))
    for form in _IDS:
        if form.called.search(before):
            for match in form.looks.finditer(text, start, end):
                if import_module(form.module).is_valid(match[0]):
                    yield Hit(*match.span(), "national id")
