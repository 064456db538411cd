"""Personal data: what has a checksum is checked, what could be anything needs a word beside it."""

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.hygiene import personal
from ingest.hygiene.hits import PART, masked

FOUND = [
    ("write to ada.l+hr@mail.example.com.", "write to [e-mail]."),
    ("<ben_x@a-b.example>, (c@d.example)", "<[e-mail]>, ([e-mail])"),
    ("call +49 30 901820 or +1 (202) 456-1111", "call [phone] or [phone]"),
    ("+442079460000, 0044 20 7946 0000", "[phone], [phone]"),
    ("my number: (202) 456-1111", "my number: [phone]"),
    ("202-456-1111", "[phone]"),
    ("020 7946 0018", "[phone]"),
    ("030 901820-0", "[phone]"),
    ("01 42 68 53 00", "[phone]"),
    ("Phone: 2024561111", "Phone: [phone]"),
    ("IBAN DE89 3704 0044 0532 0130 00 BIC X", "IBAN [bank account] BIC X"),
    ("GB29NWBK60161331926819", "[bank account]"),
    ("card 4111 1111 1111 1111, 378282246310005", "card [card], [card]"),
    ("SSN 536-90-4399", "SSN [national id]"),
    ("national insurance AB 12 34 56 C", "national insurance [national id]"),
    ("Steuer-ID: 36 574 261 809", "Steuer-ID: [national id]"),
    ("numéro de sécurité sociale 2 95 10 99 126 111 93", "numéro de sécurité sociale [national id]"),
    ("BSN 1112.22.333", "BSN [national id]"),
    ("DNI 54362315-K", "DNI [national id]"),
]
HARMLESS = [
    "on 2022-09-16 at 10:15, WhatsApp Image 2022-09-16 at 1.jpeg",
    "build 20240115123456, ticket 1234567, order 4111111111111112",
    "1612345678.123456 https://a.slack.com/archives/C1/p1612345678123456",
    "git@github.com:acme/repo.git, logo@2x.png, @scope/pkg@1.2.3, @ada",
    "536-90-4399 without a word, 192.168.100.200, 10.0.0.1:8080",
    "DE89 3704 0044 0532 0130 01",
    "AB 12 34 56 C, 36 574 261 808",
    "3.14159265358979 and 0123456789abcdef, 1 000 000 000 000",
    "telephone errors 3.81 4.41 6.35",
    "lines 100-200-3000, v1.2.3.4567, 12/13/2024 10-11-2023",
]


@pytest.mark.parametrize(("text", "left"), FOUND)
def test_personal_data_is_found(text: str, left: str) -> None:
    assert masked(text, personal.found_in(text), personal.WORDING) == left
    assert personal.found_in(left) == []


@pytest.mark.parametrize("text", HARMLESS)
def test_other_numbers_and_signs_stay(text: str) -> None:
    assert personal.found_in(text) == []


@given(st.text(st.sampled_from("0123456789 +-./()@ab\0\nDE"), max_size=80))
def test_hits_are_disjoint_and_stay_within_their_part(text: str) -> None:
    hits = personal.found_in(text)
    assert all(before.end <= after.start for before, after in pairwise(hits))
    assert not any(PART in text[hit.start : hit.end] for hit in hits)


HOSTILE = "1|1 |a@|a.|@a.|ssn |+1|DE89 |0 |(|phone 1|4111 |1-|a@a.|1a|ssn 1"


@pytest.mark.parametrize("unit", HOSTILE.split("|"))
def test_hostile_text_takes_linear_time(unit: str) -> None:
    text = unit * (100_000 // len(unit))
    began = time.process_time()
    personal.found_in(text)
    assert time.process_time() - began < 5.0
