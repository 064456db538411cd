"""What an administrator chooses of an export, the time that it covers, and what is no conversation in it."""

import json
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.settings import IngestSettings
from core.words import Document, Instant
from ingest.options import SourceOptions
from ingest.sources import Found, Item, Refused
from ingest.sources.slack_export import SlackExport
from tests.support.slack_export import ExportBuilder, small_workspace

PAGE = b"<html><head><title>x</title></head><body><h1>Travel</h1><p hidden>no</p><p>Book a train.</p></body></html>"


def export(place: Path, readers: tuple[str, ...] | None = None, /, **options: object) -> SlackExport:
    settings, chosen = IngestSettings(), SourceOptions(**options)  # type: ignore[arg-type]
    return SlackExport(place, name="acme", settings=settings, audience=readers, options=chosen)


def items_of(builder: ExportBuilder, tmp_path: Path, **options: object) -> list[Item]:
    return list(export(builder.zipped(tmp_path / "export.zip"), **options).read())


def documents(items: list[Item]) -> dict[str, Document]:
    return {item.document.external_id: item.document for item in items if isinstance(item, Found)}


def reasons(items: list[Item]) -> Counter[tuple[str, str, str]]:
    return Counter((entry.channel, entry.bucket, entry.reason) for item in items for entry in item.entries)


def micros(*day: int) -> int:
    return int(datetime(*day, tzinfo=UTC).timestamp()) * 1_000_000  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(
    ("options", "left"),
    [
        ({"exclude": ("general",)}, {"G1"}),
        ({"exclude": ("C1",)}, {"G1"}),
        ({"include": ("gen*",)}, {"C1"}),
        ({"include": ("gen*", "G1"), "exclude": ("sal*",)}, {"C1"}),
        ({"include": ("nothing",)}, set()),
    ],
)
def test_channels_are_chosen_by_name_or_id_and_the_rest_is_counted(
    tmp_path: Path, options: dict[str, object], left: set[str]
) -> None:
    items = items_of(small_workspace(), tmp_path, **options)
    assert {name.partition(":")[0] for name in documents(items)} == left
    counted = sum(count for (_, _, reason), count in reasons(items).items() if reason == "excluded_channel")
    assert counted == sum({"C1": 4, "G1": 1}[channel] for channel in {"C1", "G1"} - left)
    source = export(tmp_path / "export.zip", **options)
    assert (source.audience_of("C1:1700000000.000100") is not None) == ("C1" in left)


def test_bots_are_left_out_only_where_nobody_wants_them(tmp_path: Path) -> None:
    builder = small_workspace()
    builder.say("general", "1700100000.000100", "by its user", user="U4")
    builder.say("general", "1700200000.000100", "by its id", bot_id="B1")
    builder.say("general", "1700300000.000100", "the old way", user="", subtype="bot_message", username="Alerts")
    builder.say("general", "1700400000.000100", "by Slack", user="USLACKBOT")
    assert reasons(items_of(builder, tmp_path, bots=False))["general", "filtered", "bot"] == 4
    assert len(documents(items_of(builder, tmp_path))) == 7


@pytest.mark.parametrize(
    "name",
    [
        "Acme Slack export Jan 1 2024 - Mar 31 2024.zip",
        "Acme Slack export Jan 01 2024 - Mar 31 2024 (1).zip",
        "Acme_Slack_export_Jan_1_2024_-_Mar_31_2024.zip",
    ],
)
def test_the_period_is_read_off_the_name_and_surely_covered_in_every_time_zone(tmp_path: Path, name: str) -> None:
    source = export(small_workspace().zipped(tmp_path / name))
    assert source.covered == (micros(2024, 1, 1, 12), micros(2024, 3, 31, 10))


def test_the_folder_inside_the_zip_tells_the_period_too(tmp_path: Path) -> None:
    place = small_workspace().zipped(tmp_path / "x.zip", wrapper="Acme Slack export Jan 1 2024 - Jan 1 2024/")
    assert export(place).covered == (micros(2024, 1, 1, 12), micros(2024, 1, 1, 12))


@pytest.mark.parametrize(
    "name",
    ["export.zip", "Acme Slack export Aug 25 2015.zip", "Slack export Foo 1 2024 - Bar 31 2024.zip",
     "Slack export Mar 1 2024 - Jan 1 2024.zip", "Slack export Feb 31 2024 - Mar 1 2024.zip"],
)  # fmt: skip
def test_a_name_without_a_period_covers_everything(tmp_path: Path, name: str) -> None:
    assert export(small_workspace().zipped(tmp_path / name)).covered is None


def test_a_period_that_was_given_counts_more_than_the_name_and_shapes_the_fingerprint(tmp_path: Path) -> None:
    place = small_workspace().zipped(tmp_path / "Acme Slack export Jan 1 2024 - Mar 31 2024.zip")
    given = export(place, period="2023-01-01..2023-12-31")
    assert given.covered == (micros(2023, 1, 1), micros(2024, 1, 1))
    assert len(documents(list(given.read()))) == 3
    unnamed = small_workspace().zipped(tmp_path / "other.zip")
    assert len({given.fingerprint(), export(place).fingerprint(), export(unnamed).fingerprint()}) == 3


def test_listings_that_hold_nothing_anybody_said_are_counted_by_line(tmp_path: Path) -> None:
    builder = small_workspace()
    for name, lines in (("integration_logs", 3), ("lists", 1), ("huddle_transcripts", 0), ("content_flags", 2)):
        builder.file(f"{name}.json", json.dumps([{}] * lines).encode())
    items = items_of(builder, tmp_path)
    assert {key: count for key, count in reasons(items).items() if not key[0]} == {
        ("", "filtered", "integration_log"): 3,
        ("", "filtered", "list"): 1,
        ("", "filtered", "content_flag"): 2,
    }
    assert not [item for item in items if isinstance(item, Refused)]


def test_what_lies_at_the_top_and_is_not_of_slack_is_reported(tmp_path: Path) -> None:
    builder = small_workspace().file("readme.txt", b"x").file("notes.json", b"[]").file("lists.json", b"oops")
    found = [(i.place, i.code, i.doubts) for i in items_of(builder, tmp_path) if isinstance(i, Refused)]
    assert found == [("notes.json", "unexpected_entry", None), ("lists.json", "broken_json", None)]


def canvases(*records: Mapping[str, object]) -> ExportBuilder:
    return small_workspace().file("canvases.json", json.dumps(records).encode())


def test_a_canvas_with_a_text_is_for_those_who_read_where_it_is_shared(tmp_path: Path) -> None:
    canvas = {
        "id": "F012345",
        "title": "Travel",
        "user": "U1",
        "created": 1700000000,
        "preview": "<p>Book a train.</p>",
    }
    items = items_of(canvases(canvas | {"channels": ["C1"], "groups": ["G1"]}), tmp_path)
    found = documents(items)["canvas:F012345"]
    assert (found.kind, found.title, found.author) == ("canvas", "Travel", "Ada")
    assert found.audience == ("T1", "T1/G1")
    assert [(block.text, block.at) for block in found.blocks] == [("Book a train.", 1_700_000_000_000_000)]
    assert found.uri == "https://app.slack.com/docs/T1/F012345"
    assert reasons(items)["", "indexed", "canvas"] == 1
    source = export(tmp_path / "export.zip")
    assert source.audience_of("canvas:F012345") == ("T1", "T1/G1")
    assert source.audience_of("canvas:F999999") is None
    assert export(tmp_path / "export.zip", ("hr",)).audience_of("canvas:F012345") == ("hr",)


def test_a_canvas_that_lies_in_the_export_as_a_page_is_read_from_it(tmp_path: Path) -> None:
    builder = canvases({"id": "F012345", "title": "Travel", "channels": ["C1"]})
    items = items_of(builder.file("canvases/F012345.html", PAGE), tmp_path)
    found = documents(items)["canvas:F012345"].blocks
    assert [(block.heading, block.text, block.anchor) for block in found] == [(("Travel",), "Book a train.", "")]
    assert not [item for item in items if isinstance(item, Refused)]


@pytest.mark.parametrize(
    ("canvas", "counted"),
    [
        ({"channels": ["C1"]}, ("filtered", "canvas_without_text")),
        ({"preview": "x"}, ("filtered", "canvas_without_readers")),
        ({"preview": "x", "channels": ["C9"], "ims": ["D1"]}, ("filtered", "canvas_without_readers")),
        ({"preview": "x", "channels": ["C1"], "mode": "tombstone"}, ("tombstoned", "canvas_deleted")),
        ({"id": 7, "preview": "x", "channels": ["C1"]}, ("failed", "malformed_canvas")),
    ],
)
def test_a_canvas_without_text_or_readers_is_counted(
    tmp_path: Path, canvas: dict[str, object], counted: tuple[str, str]
) -> None:
    items = items_of(canvases({"id": "F012345", "title": "Travel"} | canvas).direct("D1", ["U1"]), tmp_path)
    assert reasons(items)["", *counted] == 1
    assert "canvas:F012345" not in documents(items)


@pytest.mark.parametrize("pages", [{}, {"canvases/F012345.html": b"<div>" * 1_000}])
def test_a_canvas_that_cannot_be_read_is_in_doubt_alone(tmp_path: Path, pages: dict[str, bytes]) -> None:
    builder = canvases({"id": "F012345", "channels": ["C1"], "content": "<div>" * 1_000})
    for name, raw in pages.items():
        builder.file(name, raw)
    (found,) = (item for item in items_of(builder, tmp_path) if isinstance(item, Refused))
    place = next(iter(pages), "F012345")
    assert (found.place, found.code, found.doubts) == (place, "document_too_large", "canvas:F012345")


def test_a_canvas_that_is_listed_twice_is_one(tmp_path: Path) -> None:
    one = {"id": "F012345", "preview": "x", "channels": ["C1"]}
    items = items_of(canvases(one, one), tmp_path)
    assert reasons(items)["", "duplicate", "same_canvas"] == 1


def test_canvases_that_cannot_be_read_leave_the_known_ones_in_doubt(tmp_path: Path) -> None:
    items = items_of(small_workspace().file("canvases.json", b"{"), tmp_path)
    found = [(item.place, item.code, item.doubts) for item in items if isinstance(item, Refused)]
    assert found == [("canvases.json", "broken_json", "canvas:")]


def test_comments_on_a_canvas_are_for_those_who_take_part(tmp_path: Path) -> None:
    name = "FC:F012345:Travel"
    builder = small_workspace().listed("file_conversations.json", {"id": "C7", "name": name, "members": ["U2"]})
    found = documents(items_of(builder.say(name, "1700000000.000100", "Trains only?"), tmp_path))
    assert found["C7:1700000000.000100"].audience == ("T1/C7",)
    assert found["C7:1700000000.000100"].context == "comments on Travel"
    assert ("T1/U2", "T1/C7") in export(tmp_path / "export.zip").memberships()


def test_a_conversation_with_two_folders_is_read_as_one(tmp_path: Path) -> None:
    builder = small_workspace().say("C1", "1700000090.000100", "Found it.", thread_ts="1700000000.000100")
    items = items_of(builder, tmp_path)
    assert len(documents(items)["C1:1700000000.000100"].blocks) == 3
    assert len(documents(items)) == 3


def test_a_pinned_message_makes_its_document_official_and_changes_nothing_else(tmp_path: Path) -> None:
    before = documents(items_of(small_workspace(), tmp_path))
    builder = small_workspace()
    builder.listings["channels.json"][0] |= {"is_general": False}
    none = documents(items_of(builder, tmp_path))["C1:1700000000.000100"]
    builder.listings["channels.json"][0] |= {"pins": [{"id": "1700000060.000200", "type": "C"}, {"id": 7}, None]}
    pinned = documents(items_of(builder, tmp_path))
    assert pinned["C1:1700000000.000100"].signals.official
    assert not none.signals.official
    assert not pinned["C1:1700000120.000300"].signals.official
    assert {name: found.content_sha for name, found in pinned.items()} == {
        name: found.content_sha for name, found in before.items()
    }


def test_what_an_edit_says_holds_from_the_edit_on(tmp_path: Path) -> None:
    builder = ExportBuilder().user("U1", "Ada").channel("C1", "general")
    builder.say("general", "1700000000.000100", "The fee is 60.", edited={"user": "U1", "ts": "1700086400.000000"})
    builder.say("general", "1700000060.000100", "Thanks.")
    (sitting,) = documents(items_of(builder, tmp_path)).values()
    assert [block.at for block in sitting.blocks] == [1_700_086_400_000_000, 1_700_000_060_000_100]
    assert sitting.signals.last_activity == Instant(1_700_086_400_000_000)


def test_somebody_of_another_workspace_is_named_once_the_export_says_who_it_is(tmp_path: Path) -> None:
    builder = small_workspace()
    builder.say("general", "1710000000.000100", "Hello", user="U77", user_profile={"display_name": "Eve"})
    builder.say("general", "1710000001.000100", "Welcome <@U77>")
    (sitting,) = [found for found in documents(items_of(builder, tmp_path)).values() if "Hello" in found.title]
    assert [block.text for block in sitting.blocks] == ["Eve: Hello", "Ada: Welcome @Eve"]
    assert not any("U77" in pair[0] for pair in export(tmp_path / "export.zip").memberships())
