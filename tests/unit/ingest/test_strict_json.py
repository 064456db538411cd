"""JSON that somebody else wrote: what would hurt is refused by a stable code before it is parsed."""

import json
import string
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest import strict_json
from ingest.errors import BrokenJsonError
from ingest.strict_json import MAX_DEPTH, MAX_JSON_BYTES, MAX_NUMBER_CHARACTERS, MAX_VALUES, elements, parse
from tests.support.measured import Measure, measuring

BOUND_KIB = 64 * 1024


@pytest.fixture(scope="module")
def measure() -> Iterator[Measure]:
    with measuring() as measure:
        yield measure


def code_of(raw: bytes, *, limit: int = MAX_JSON_BYTES) -> str:
    try:
        parse(raw, limit=limit)
    except BrokenJsonError as error:
        return error.code
    return ""


REFUSED = {
    b"[" * 100_000: "json_too_deep",
    b'{"a":' * 100_000: "json_too_deep",
    b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1): "json_too_deep",
    b"[" * 65 + b'"': "json_too_deep",
    b"[NaN]": "json_number",
    b"[Infinity]": "json_number",
    b"[-Infinity]": "json_number",
    b"9" * 5000: "json_number",
    b"-" + b"9" * MAX_NUMBER_CHARACTERS: "json_number",
    b"1." + b"9" * 5000: "json_number",
    b"1e" + b"9" * 5000: "json_number",
    b"": "broken_json",
    b"[": "broken_json",
    b"]" * 100: "broken_json",
    b'["': "broken_json",
    b'["\\': "broken_json",
    b"[1,]": "broken_json",
    b"[01]": "broken_json",
    b"{1: 2}": "broken_json",
    b"[1] [2]": "broken_json",
    b'["a\nb"]': "broken_json",
    b'["\\x41"]': "broken_json",
    b"['a']": "broken_json",
    b'["\xff"]': "broken_json",
    b'["\xed\xa0\x80"]': "broken_json",
    "[1]".encode("utf-16"): "broken_json",
    "[1]".encode("utf-32"): "broken_json",
    b"[nan]": "broken_json",
    b"\x00": "broken_json",
}


@pytest.mark.parametrize(("raw", "code"), REFUSED.items(), ids=map(repr, range(len(REFUSED))))
def test_what_is_no_json_or_hurts_is_refused_by_its_code(raw: bytes, code: str) -> None:
    assert code_of(raw) == code


def told(raw: bytes) -> tuple[list[object], str]:
    """The elements that came before the end or the refusal, and its code."""
    found: list[object] = []
    try:
        found.extend(elements(raw))
    except BrokenJsonError as error:
        return [], error.code
    return found, ""


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(st.lists(JSON), st.sampled_from([None, 0, 3]))
def test_a_list_that_is_taken_element_by_element_is_the_same_list(value: list[object], indent: int | None) -> None:
    raw = json.dumps(value, indent=indent).encode()
    assert told(raw) == (parse(raw), "")


@given(st.text('[]{},:"\\1e.- \nabtrue', max_size=20).map(lambda inner: f"[{inner}]".encode()) | st.binary(max_size=40))
def test_what_is_no_list_as_a_whole_is_none_element_by_element(raw: bytes) -> None:
    whole = parse(raw) if not code_of(raw) else None
    found, code = told(raw)
    assert (found == whole and not code) if isinstance(whole, list) else code


@pytest.mark.parametrize("raw", [raw for raw in REFUSED if raw != b"[1] [2]"], ids=repr)
def test_a_list_by_its_elements_refuses_what_hurts(raw: bytes) -> None:
    assert told(raw)[1] in ("broken_json", REFUSED[raw])


def test_a_list_may_be_long_where_no_element_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strict_json, "_WINDOW", 7)
    monkeypatch.setattr(strict_json, "MAX_VALUES", 10)
    monkeypatch.setattr(strict_json, "MAX_LIST_VALUES", 100)
    monkeypatch.setattr(strict_json, "MAX_ELEMENTS", 30)
    assert told(b"[" + b",".join([b"[1, 2]"] * 30) + b"]") == ([[1, 2]] * 30, "")
    assert told(b"[" + b",".join([b"[1, 2]"] * 31) + b"]") == ([], "json_too_many_values")
    assert told(b"[" + b",".join([b"[1, 2, 3, 4, 5]"] * 20) + b"]") == ([], "json_too_many_values")
    assert told(b"[1, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]]") == ([], "json_too_many_values")
    with pytest.raises(strict_json.JsonTooLargeError):
        list(elements(b"[1234]", limit=5))


def test_numbers_with_a_point_keep_their_digits_as_text() -> None:
    assert parse(b"[1700000000.000100, 1E5, -0, 12345678901234567890]") == [
        "1700000000.000100",
        "1E5",
        0,
        12345678901234567890,
    ]


def test_numbers_depth_and_size_may_go_up_to_their_limits() -> None:
    assert code_of(b"9" * MAX_NUMBER_CHARACTERS) == ""
    assert code_of(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH) == ""
    assert [code_of(b"[1234]", limit=limit) for limit in (6, 5)] == ["", "json_too_large"]


def test_of_a_key_that_is_there_twice_the_last_value_counts() -> None:
    assert parse(b'{"a": 1, "a": 2}') == {"a": 2}


def test_a_byte_order_mark_lone_surrogates_and_nul_are_let_through() -> None:
    assert parse(b'\xef\xbb\xbf["\\ud800", "\\u0000", "\\ud83d\\ude00"]') == ["\ud800", "\x00", "😀"]


def test_brackets_in_strings_are_text() -> None:
    brackets = ["[" * 1000, '\\"' + "[{" * 1000, "\\" * 7, "]" * 1000, '"[']
    assert parse(json.dumps(brackets).encode()) == brackets


@pytest.mark.parametrize("before", range(4))
def test_strings_and_escapes_may_cross_the_windows_that_are_looked_at(
    before: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strict_json, "_WINDOW", 4)
    text = "a" * before + '\\"[[\\\\"[' * 100
    assert parse(json.dumps([text, [text]]).encode()) == [text, [text]]
    assert code_of(json.dumps(text).encode() + b"[" * 65) == "json_too_deep"


def test_a_message_says_where_and_never_what() -> None:
    with pytest.raises(BrokenJsonError) as caught:
        parse(b'{"secret": hunter2}')
    assert str(caught.value) == "It is not JSON from character 11 on."


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"[" * 20_000_000, "json_too_deep"),
        (b"[" + b"{}," * (MAX_VALUES // 2 + 1), "json_too_many_values"),
        (b"[" + b"," * 20_000_000, "json_too_many_values"),
        (bytes(MAX_JSON_BYTES + 1), "json_too_large"),
        (b"9" * 4_000_000, "json_number"),
    ],
    ids=["brackets", "objects", "commas", "zeros", "digits"],
)
def test_a_refusal_takes_no_memory_to_speak_of(tmp_path: Path, measure: Measure, raw: bytes, code: str) -> None:
    place = tmp_path / "a.json"
    place.write_bytes(raw)
    reading = measure(place)
    assert reading.code == code
    assert reading.kib <= BOUND_KIB


SCALARS = st.none() | st.booleans() | st.integers(-(10**39) + 1, 10**39) | st.text()
SHALLOW = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


@given(value=SHALLOW, escaped=st.booleans())
@settings(max_examples=50)
def test_it_reads_what_every_reader_reads(value: object, *, escaped: bool) -> None:
    raw = json.dumps(value, ensure_ascii=escaped).encode(errors="surrogatepass")
    assert code_of(raw) == "broken_json" if not_utf8(raw) else parse(raw) == value


def not_utf8(raw: bytes) -> bool:
    return raw.decode(errors="replace").encode() != raw


def depth_of(value: object) -> int:
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(depth_of, value), default=0) if isinstance(value, list) else 0


@given(value=SHALLOW, allowed=st.integers(0, 6))
@settings(max_examples=50)
def test_depth_is_counted_as_recursion_would(value: object, allowed: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(strict_json, "MAX_DEPTH", allowed)
        assert (code_of(json.dumps(value).encode()) == "json_too_deep") == (depth_of(value) > allowed)


@given(raw=st.text('[]{}",:\\u1eN-. ' + string.ascii_lowercase, max_size=60).map(str.encode) | st.binary(max_size=60))
def test_whatever_comes_is_read_as_by_the_standard_library_or_refused(raw: bytes) -> None:
    code = code_of(raw)
    assert code in {"", "broken_json", "json_number", "json_too_deep"}
    if not code:
        assert parse(raw) == json.loads(raw, parse_float=str)
