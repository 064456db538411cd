"""How one source is read: which names are taken, which days are covered, and what cannot be meant."""

import json
import string
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidSettingError
from core.words import MICROS
from ingest.hygiene.language import _identifier
from ingest.hygiene.languages import NAMES, meant_by
from ingest.options import PATTERN_CHARACTERS, PATTERNS, POLICIES, SourceOptions, UnfitOptionError, require_fit
from ingest.sources import KINDS

words = st.text(string.ascii_lowercase + string.digits + "-_.+()", min_size=1, max_size=6)
patterns = st.lists(st.text("ab*?/[.", min_size=1, max_size=8).filter(str.strip), max_size=3).map(tuple)
days = st.dates(min_value=date(1, 1, 1), max_value=date(9999, 12, 30))
periods = st.just("") | st.tuples(days, days).map(lambda two: f"{min(two)}..{max(two)}")
choices = st.builds(
    SourceOptions,
    include=patterns,
    exclude=patterns,
    bots=st.booleans(),
    direct_messages=st.booleans(),
    personal_data=st.sampled_from(POLICIES),
    languages=st.lists(st.sampled_from(["en", "de", "fr", "uk"]), max_size=3).map(tuple),
    workspace_url=st.sampled_from(["", "https://acme.slack.com", "https://acme.slack.com/"]),
    period=periods,
)


def microseconds(day: date) -> int:
    return int((datetime(day.year, day.month, day.day, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds())


@pytest.mark.parametrize(
    ("pattern", "name", "taken"),
    [
        ("*.md", "a.md", True),
        ("*.md", "docs/a.md", False),
        ("docs/*.md", "docs/a.md", True),
        ("docs/*.md", "docs/old/a.md", False),
        ("docs/**", "docs/old/a.md", True),
        ("**/a.md", "a.md", True),
        ("**/a.md", "docs/old/a.md", True),
        ("**/a.md", "docs/old/ba.md", False),
        ("docs/**/a.md", "docs/a.md", True),
        ("docs/**/a.md", "docs/old/older/a.md", True),
        ("**/drafts/*.md", "drafts/a.md", True),
        ("**/drafts/*.md", "hr/old/drafts/a.md", True),
        ("**/drafts", "hr/drafts/a.md", True),
        ("**/drafts/**", "hr/drafts/old/a.md", True),
        ("docs", "docs/old/a.md", True),
        ("docs/", "docs/old/a.md", True),
        ("docs", "documents/a.md", False),
        ("d?cs", "docs/a.md", True),
        ("docs?a.md", "docs/a.md", False),
        ("hr-*", "hr-leave", True),
        ("hr-*", "old-hr-leave", False),
        ("a.md", "abmd", False),
        ("[ab]", "a", False),
        ("[ab]", "[ab]", True),
    ],
)
def test_a_pattern_takes_what_a_glob_takes(pattern: str, name: str, taken: bool) -> None:  # noqa: FBT001 - a table
    assert SourceOptions(include=(pattern,)).takes(name) is taken
    assert SourceOptions(exclude=(pattern,)).takes(name) is not taken


def test_one_name_that_matches_is_enough_and_an_exclusion_wins() -> None:
    chosen = SourceOptions(include=("hr-*", "C1"), exclude=("hr-secret",))
    assert chosen.takes("general", "C1")
    assert not chosen.takes("general", "C2")
    assert chosen.takes("hr-leave")
    assert not chosen.takes("hr-secret", "C1")
    assert SourceOptions().takes("anything")


@given(st.lists(words, min_size=1, max_size=4))
def test_a_name_takes_itself_and_all_below_it_and_nothing_beside_it(parts: list[str]) -> None:
    name = "/".join(parts)
    chosen = SourceOptions(include=(name,))
    assert chosen.takes(name)
    assert chosen.takes(f"{name}/below/it")
    assert not chosen.takes(f"{name}x")
    assert not chosen.takes(f"~/{name}")


@given(st.lists(words, max_size=4), words, words)
def test_two_stars_cross_as_many_folders_as_there_are(above: list[str], folder: str, leaf: str) -> None:
    place = "/".join([*above, folder, leaf])
    assert SourceOptions(include=(f"**/{folder}/{leaf}",)).takes(place)
    assert SourceOptions(include=(f"**/{folder}",)).takes(place)
    assert SourceOptions(include=("**/*",)).takes(place)


@given(choices)
def test_options_are_kept_as_plain_values_and_come_back(options: SourceOptions) -> None:
    stored = json.loads(json.dumps(options.as_json()))
    assert SourceOptions().changed_by(stored) == options
    assert options.changed_by({}) == options


@given(choices, choices)
def test_what_is_given_now_is_changed_and_the_rest_stays(before: SourceOptions, given_now: SourceOptions) -> None:
    given_fields = given_now.as_json()
    after = before.changed_by(given_fields)
    for name in ("include", "exclude", "bots", "direct_messages", "personal_data", "languages", "period"):
        assert getattr(after, name) == getattr(given_now if name in given_fields else before, name)


def test_an_empty_list_takes_a_choice_back_and_the_defaults_are_not_kept() -> None:
    assert SourceOptions().as_json() == {}
    chosen = SourceOptions(exclude=("random",), languages=("en",))
    assert chosen.as_json() == {"exclude": ["random"], "languages": ["en"]}
    assert chosen.changed_by({"exclude": []}).as_json() == {"languages": ["en"]}


@given(days, st.integers(min_value=0, max_value=400))
def test_a_period_covers_its_first_and_its_last_day_whole(first: date, length: int) -> None:
    last = first + timedelta(days=min(length, (date(9999, 12, 30) - first).days))
    covered = SourceOptions(period=f"{first}..{last}").covered
    assert covered == (microseconds(first) * MICROS, microseconds(last + timedelta(days=1)) * MICROS)


def test_a_month_is_covered_from_its_midnight_to_the_next_and_no_period_covers_everything() -> None:
    assert SourceOptions(period="2024-01-01..2024-01-31").covered == (1_704_067_200 * MICROS, 1_706_745_600 * MICROS)
    assert SourceOptions().covered is None


def test_a_period_may_reach_to_the_last_day_that_there_is() -> None:
    covered = SourceOptions(period="2024-01-01..9999-12-31").covered
    assert covered is not None
    assert covered[0] == 1_704_067_200 * MICROS
    assert covered[1] > microseconds(date(9999, 12, 31)) * MICROS


@pytest.mark.parametrize(
    "given_fields",
    [
        {"period": "2024-01-01"},
        {"period": "2024-01-01.."},
        {"period": "..2024-01-31"},
        {"period": "2024-01-01..2024-02-30"},
        {"period": "2024-02-01..2024-01-31"},
        {"period": "January..March"},
        {"period": "2024-01-01T00:00..2024-01-31"},
        {"include": [""]},
        {"exclude": [" \n"]},
        {"include": ["a" * (PATTERN_CHARACTERS + 1)]},
        {"exclude": ["a"] * (PATTERNS + 1)},
        {"personal_data": "delete"},
        {"personal_data": ""},
        {"languages": ["english"]},
        {"languages": ["EN"]},
        {"languages": ["xx"]},
        {"languages": ["eng"]},
        {"languages": ["en", ""]},
        {"workspace_url": "http://acme.slack.com"},
        {"workspace_url": "https://acme.slack.com/archives"},
        {"workspace_url": "https://ada@acme.slack.com"},
        {"workspace_url": "https://acme.slack.com\n"},
        {"workspace_url": "acme"},
    ],
)
def test_what_cannot_be_meant_is_refused(given_fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidSettingError) as refused:
        SourceOptions().changed_by(given_fields)
    assert refused.value.hint


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("EN", "en (English)"),
        ("en-GB", "en (English)"),
        ("pt_BR", "pt (Portuguese)"),
        ("eng", "en (English)"),
        ("ger", "de (German)"),
        ("Deutch", "de (German)"),
        ("frensh", "fr (French)"),
        ("Español", "es (Spanish)"),
    ],
)
def test_a_language_that_is_written_otherwise_is_told_by_its_code(written: str, meant: str) -> None:
    with pytest.raises(InvalidSettingError) as refused:
        SourceOptions(languages=(written,))
    assert f"Did you mean {meant}?" in refused.value.hint


@given(st.text(max_size=40))
def test_what_is_meant_is_a_known_language_or_nothing(written: str) -> None:
    assert meant_by(written) in {"", *NAMES}


def test_a_language_can_be_chosen_where_texts_can_be_found_to_be_in_it() -> None:
    told = {code for code in _identifier().nb_classes if len(code) == 2}
    assert told == NAMES.keys()


@pytest.mark.parametrize(
    ("kind", "given_fields"),
    [
        ("files", {"period": "2024-01-01..2024-01-31"}),
        ("files", {"include": ["*.md"], "bots": False}),
        ("files", {"direct_messages": True}),
        ("files", {"workspace_url": "https://acme.slack.com"}),
        ("beir", {"include": ["*.md"]}),
        ("beir", {"exclude": ["a"], "personal_data": "mask"}),
    ],
)
def test_an_option_that_says_nothing_about_a_kind_is_refused(kind: str, given_fields: dict[str, Any]) -> None:
    with pytest.raises(UnfitOptionError, match=f"of kind {kind}") as refused:
        require_fit(kind, given_fields)
    assert "personal_data" in refused.value.hint
    require_fit("slack-export", given_fields)


@given(choices)
def test_what_is_taken_back_fits_every_kind(options: SourceOptions) -> None:
    usual = asdict(SourceOptions())
    for kind in ("slack-export", "files", "beir"):
        require_fit(kind, {name: usual[name] for name in options.as_json()})


def test_every_kind_of_source_can_have_what_hygiene_needs() -> None:
    for kind in KINDS:
        require_fit(kind, {"personal_data": "mask", "languages": ["en"]})
    require_fit("files", {"include": ["*.md"], "exclude": ["drafts"]})


def test_as_much_as_is_allowed_is_taken() -> None:
    chosen = SourceOptions(include=("a" * PATTERN_CHARACTERS,) * PATTERNS)
    assert chosen.takes("a" * PATTERN_CHARACTERS)


def test_a_pattern_of_many_stars_is_answered_at_once() -> None:
    assert SourceOptions(exclude=("*a" * 60 + "*b",)).takes("a" * 4_000)


def test_the_written_form_of_norwegian_that_detectors_do_not_tell_apart_leads_to_norwegian() -> None:
    assert meant_by("nb-NO") == "no"
