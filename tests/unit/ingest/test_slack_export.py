"""Whole exports, as zip and as folder."""

import json
import os
import shutil
from collections import Counter
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import InvalidSettingError
from core.settings import IngestSettings
from core.words import Document
from ingest.errors import SourceUnreadableError
from ingest.options import SourceOptions
from ingest.sources import Found, Item, Refused, open_source
from ingest.sources.slack_export import SlackExport
from tests.support.slack_export import ExportBuilder, small_workspace

SETTINGS = IngestSettings()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=12,
)
OURS = {"name", "settings", "audience"}
FIELDS = (
    *("ts", "subtype", "text", "user", "thread_ts", "blocks", "attachments", "files", "file", "comment", "reactions"),
    *("bot_profile", "user_profile", "username", "edited", "deleted_ts", "bot_id"),
)


def opened(place: Path, **options: object) -> SlackExport:
    given = {"name": "acme", "settings": SETTINGS} | {key: options.pop(key) for key in OURS & options.keys()}
    return SlackExport(place, **given, options=SourceOptions(**options))  # type: ignore[arg-type]


def items_of(builder: ExportBuilder, tmp_path: Path, **options: object) -> list[Item]:
    return list(opened(builder.zipped(tmp_path / "export.zip"), **options).read())


def documents(items: list[Item]) -> dict[str, Document]:
    return {item.document.external_id: item.document for item in items if isinstance(item, Found)}


def reasons(items: list[Item]) -> Counter[tuple[str, str]]:
    return Counter((entry.bucket, entry.reason) for item in items for entry in item.entries)


def refused(items: list[Item]) -> list[tuple[str, str, str | None]]:
    return [(item.place, item.code, item.doubts) for item in items if isinstance(item, Refused)]


def test_a_small_workspace_reads_as_threads_and_sittings(tmp_path: Path) -> None:
    found = documents(items_of(small_workspace(), tmp_path))
    assert list(found) == ["C1:1700000000.000100", "C1:1700000120.000300", "G1:1700000000.000500"]
    assert [found[name].audience for name in found] == [("T1",), ("T1",), ("T1/G1",)]
    assert found["C1:1700000000.000100"].signals.official
    assert found["C1:1700000120.000300"].title == "#general: Lunch?"


def test_zip_folder_and_wrapped_zip_give_the_same(tmp_path: Path) -> None:
    builder = small_workspace().file("__MACOSX/general/._2023-11-14.json", b"\x00").file(".DS_Store", b"x")
    plainly = list(opened(builder.zipped(tmp_path / "a.zip")).read())
    wrapped = list(opened(builder.zipped(tmp_path / "b.zip", wrapper="Acme export/")).read())
    folder = list(opened(builder.unpacked(tmp_path / "c")).read())
    assert plainly == wrapped == folder
    assert len(documents(plainly)) == 3


def test_a_thread_is_put_together_from_many_days(tmp_path: Path) -> None:
    builder = small_workspace()
    builder.say("general", "1701000000.000100", "It moved.", user="U2", thread_ts="1700000000.000100")
    thread = documents(items_of(builder, tmp_path))["C1:1700000000.000100"]
    assert [block.speaker for block in thread.blocks] == ["Ada", "Ben", "Ben"]
    assert thread.blocks[-1].at == 1_701_000_000_000_100


def test_a_broken_day_file_is_refused_and_the_rest_is_read(tmp_path: Path) -> None:
    builder = small_workspace()
    bad = {
        "general/2024-01-01.json": b"[{",
        "general/2024-01-02.json": b"{}",
        "general/2024-01-03.json": b"[" * 100_000,
    }
    for name, content in bad.items():
        builder.file(name, content)
    items = items_of(builder, tmp_path)
    assert {(item.place, item.code) for item in items if isinstance(item, Refused)} == {
        (name, "json_too_deep" if b"[[" in content else "broken_json") for name, content in bad.items()
    }
    assert len(documents(items)) == 3


def test_a_day_file_over_the_limit_is_refused_unread(tmp_path: Path) -> None:
    builder = small_workspace().say("general", "1710000000.000100", "x" * 5000)
    items = items_of(builder, tmp_path, settings=IngestSettings(max_file_bytes=4096))
    assert [(item.place, item.code) for item in items if isinstance(item, Refused)] == [
        ("general/2024-03-09.json", "file_too_large")
    ]


def test_a_damaged_entry_of_a_zip_is_refused(tmp_path: Path) -> None:
    place = small_workspace().zipped(tmp_path / "a.zip")
    raw = bytearray(place.read_bytes())
    at = raw.index(b"salaries/2023-11-14.json") + len(b"salaries/2023-11-14.json")
    raw[at + 10] ^= 0xFF
    place.write_bytes(raw)
    refused = [item for item in opened(place).read() if isinstance(item, Refused)]
    assert [item.code for item in refused] == ["unreadable"]


def test_a_broken_listing_stops_the_source_instead_of_looking_like_a_deletion(tmp_path: Path) -> None:
    builder = small_workspace().file("channels.json", b"oops")
    with pytest.raises(SourceUnreadableError, match=r"channels\.json"):
        items_of(builder, tmp_path)


def test_direct_messages_are_left_out_unless_allowed(tmp_path: Path) -> None:
    builder = small_workspace().direct("D1", ["U1", "U2"]).group_message("G2", "mpdm-a--b-1", ["U1", "U2"])
    builder.say("D1", "1700000000.000100", "psst").say("mpdm-a--b-1", "1700000000.000100", "hush")
    closed = items_of(builder, tmp_path)
    assert reasons(closed)["filtered", "direct_messages_off"] == 2
    open_ = documents(items_of(builder, tmp_path, direct_messages=True))
    assert open_["D1:1700000000.000100"].audience == ("T1/D1",)
    assert open_["G2:1700000000.000100"].audience == ("T1/G2",)


def test_a_folder_that_no_listing_names_is_left_out(tmp_path: Path) -> None:
    builder = small_workspace().say("secret", "1700000000.000100", "x").raw("secret", "2023-11-14", 7)
    items = items_of(builder, tmp_path)
    assert reasons(items)["filtered", "unlisted_conversation"] == 2
    assert len(documents(items)) == 3


def test_a_deleted_message_is_gone_even_if_an_older_day_file_has_it(tmp_path: Path) -> None:
    builder = small_workspace()
    builder.raw("general", "2024-01-01", {"subtype": "tombstone", "ts": "1700000120.000300", "text": "deleted"})
    items = items_of(builder, tmp_path)
    assert "Lunch?" not in json.dumps([d.content() for d in documents(items).values()])
    assert reasons(items)["tombstoned", "tombstone"] == 1
    assert reasons(items)["tombstoned", "deleted_later"] == 1


def test_every_message_object_has_exactly_one_entry(tmp_path: Path) -> None:
    builder = (
        small_workspace().say("nowhere", "1700000000.000100", "x").direct("D1").say("D1", "1700000000.000100", "x")
    )
    builder.say("general", "1700000200.000000", "joined", subtype="channel_join").say(
        "general", "1700000201.000000", ""
    )
    builder.say("general", "1700000130.000400", "Yes!").raw("general", "2023-11-14", "junk").raw(
        "general", "2023-11-14", {}
    )
    items = items_of(builder, tmp_path)
    everything = list(chain.from_iterable(item.entries for item in items))
    assert len(everything) == sum(map(len, builder.days.values()))
    assert Counter(entry.bucket for entry in everything) == {
        "merged": 4, "indexed": 1, "filtered": 4, "duplicate": 1, "failed": 2
    }  # fmt: skip


def test_links_go_to_the_workspace_that_was_given(tmp_path: Path) -> None:
    for url in ("https://acme.slack.com/", "https://acme.slack.com"):
        found = documents(items_of(small_workspace(), tmp_path, workspace_url=url))
        assert found["C1:1700000000.000100"].uri == "https://acme.slack.com/archives/C1/p1700000000000100"


def test_links_follow_the_files_that_slack_hosts(tmp_path: Path) -> None:
    builder = small_workspace()
    for ts, host in (("1", "acme.slack.com"), ("2", "acme.slack.com"), ("3", "other.slack.com"), ("4", "evil.example")):
        files = [{"title": "x", "permalink": f"https://{host}/files/U1/F1/x.pdf"}]
        builder.say("general", f"170000{ts}000.000000", '"permalink":"https://fake.slack.com/"' * 9, files=files)
    assert documents(items_of(builder, tmp_path))["C1:1700000000.000100"].uri.startswith(
        "https://acme.slack.com/archives/"
    )


def test_without_a_known_host_links_go_through_the_client(tmp_path: Path) -> None:
    uri = documents(items_of(small_workspace(), tmp_path))["C1:1700000000.000100"].uri
    assert uri == "https://app.slack.com/client/T1/C1/p1700000000000100"


def test_a_timestamp_written_as_a_number_keeps_its_digits(tmp_path: Path) -> None:
    builder = small_workspace().file(
        "general/2024-01-01.json", b'[{"ts": 1704067200.000001, "user": "U1", "text": "x"}]'
    )
    assert "C1:1704067200.000001" in documents(items_of(builder, tmp_path))


def test_an_audience_given_replaces_every_other(tmp_path: Path) -> None:
    found = documents(items_of(small_workspace(), tmp_path, audience=("hr", "it")))
    assert {document.audience for document in found.values()} == {("hr", "it")}


def test_options_that_change_the_result_change_the_fingerprint(tmp_path: Path) -> None:
    place = small_workspace().zipped(tmp_path / "a.zip")
    options: list[dict[str, object]] = [
        {}, {"audience": ("hr",)}, {"workspace_url": "https://a.slack.com"}, {"direct_messages": True},
        {"settings": IngestSettings(sitting_gap_minutes=5)}, {"settings": IngestSettings(max_file_bytes=4096)},
        {"bots": False}, {"include": ("general",)}, {"exclude": ("general",)}, {"period": "2023-01-01..2023-12-31"},
    ]  # fmt: skip
    assert len({opened(place, **option).fingerprint() for option in options}) == len(options)


def test_a_name_in_another_alphabet_is_found_however_the_zip_spells_it(tmp_path: Path) -> None:
    builder = ExportBuilder().user("U1", "Ada").channel("C1", "caf\u00e9")
    builder.say("cafe\u0301", "1700000000.000100", "x")
    assert len(documents(items_of(builder, tmp_path))) == 1


def test_memberships_and_workspace_come_from_the_listings(tmp_path: Path) -> None:
    source = open_source(small_workspace().zipped(tmp_path / "a.zip"), name="acme", settings=SETTINGS)
    assert source.workspace == "T1"
    assert list(source.memberships()) == [
        ("T1/U1", "T1"), ("T1/U1", "T1/G1"), ("T1/U2", "T1"), ("T1/U3", "T1/G1"), ("T1/U3", "T1/U3")
    ]  # fmt: skip


def test_a_refused_day_file_leaves_only_its_conversation_in_doubt(tmp_path: Path) -> None:
    builder = small_workspace().say("secret", "1700000000.000100", "x").direct("D1")
    for folder in ("general", "salaries", "secret", "D1"):
        builder.file(f"{folder}/2024-01-01.json", b"oops")
    assert refused(items_of(builder, tmp_path)) == [
        ("D1/2024-01-01.json", "broken_json", None),
        ("general/2024-01-01.json", "broken_json", "C1:"),
        ("salaries/2024-01-01.json", "broken_json", "G1:"),
        ("secret/2024-01-01.json", "broken_json", None),
    ]


def test_nobody_may_read_what_the_listings_no_longer_place(tmp_path: Path) -> None:
    builder = small_workspace().direct("D1").channel("C2", "twice").private("G2", "twice")
    place = builder.zipped(tmp_path / "a.zip")
    source = opened(place)
    asked = (
        "C1:1700000000.000100",
        "G1:1.000000",
        "D1:1.000000",
        "C2:1.000000",
        "G2:1.000000",
        "C9:1.000000",
        "general:1",
    )
    assert [source.audience_of(name) for name in asked] == [("T1",), ("T1/G1",), None, None, None, None, None]
    assert opened(place, direct_messages=True).audience_of("D1:1.000000") == ("T1/D1",)
    assert opened(place, audience=("hr",)).audience_of("C9:1.000000") is None


def test_an_export_without_its_channels_is_unreadable_and_not_empty(tmp_path: Path) -> None:
    folder = small_workspace().unpacked(tmp_path / "export")
    (folder / "channels.json").unlink()
    with pytest.raises(SourceUnreadableError, match=r"no channels\.json"):
        list(opened(folder).read())


def forbid(monkeypatch: pytest.MonkeyPatch, *forbidden: Path) -> None:
    """Folders that cannot be listed; permissions would not stop root."""
    scandir = os.scandir

    def guarded(place: str) -> object:
        if Path(place) in forbidden:
            raise PermissionError(13, "Permission denied", place)
        return scandir(place)

    monkeypatch.setattr(os, "scandir", guarded)


def test_a_conversation_folder_that_cannot_be_listed_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = small_workspace().say("odd", "1700000000.000100", "x").unpacked(tmp_path / "outer" / "export")
    before = opened(folder.parent).fingerprint()
    forbid(monkeypatch, folder / "general", folder / "odd")
    items = list(opened(folder.parent).read())
    assert refused(items) == [("general/", "unreadable", "C1:"), ("odd/", "unreadable", None)]
    assert list(documents(items)) == ["G1:1700000000.000500"]
    unreadable = opened(folder.parent).fingerprint()
    monkeypatch.undo()
    shutil.rmtree(folder / "general")
    shutil.rmtree(folder / "odd")
    assert len({before, unreadable, opened(folder.parent).fingerprint()}) == 3


def test_an_export_that_cannot_be_listed_at_all_is_unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = small_workspace().unpacked(tmp_path / "export")
    forbid(monkeypatch, folder)
    with pytest.raises(SourceUnreadableError):
        list(opened(folder).read())


def test_day_files_are_read_whatever_they_are_called(tmp_path: Path) -> None:
    message = json.dumps([{"ts": "1710000000.000100", "user": "U1", "text": "x"}]).encode()
    builder = small_workspace().file("general/2024-03-09-part2.JSON", message)
    assert "C1:1710000000.000100" in documents(items_of(builder, tmp_path))


def test_other_files_in_a_conversation_are_reported_and_put_nothing_in_doubt(tmp_path: Path) -> None:
    builder = small_workspace().file("general/a/b.json", b"[]").file("general/c.png", b"x").file("else/d.png", b"x")
    items = items_of(builder, tmp_path)
    assert refused(items) == [("else/", "unexpected_entry", None), ("general/", "unexpected_entry", None)]
    assert len(documents(items)) == 3


@pytest.mark.parametrize(
    "url",
    [
        *("acme.slack.com", "http://acme.slack.com", "https://acme.slack.com/x", "https://", "https://a b.example"),
        *("javascript:alert(1)", "https://u@a.example", "https://a.example:1", "https://a.example\n", "https://a)b/"),
    ],
)
def test_an_address_that_is_more_than_a_host_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(InvalidSettingError):
        opened(tmp_path, workspace_url=url)


def test_names_that_no_store_takes_are_cleaned_where_they_are_reported(tmp_path: Path) -> None:
    builder = small_workspace().file("general/a\udcff.json", b"oops").file("general/b\x07.png", b"x")
    builder.file("odd\udcff/2024-01-01.json", b"[7]").file("odd\udcff/x\x07.json", b"oops")
    items = list(opened(builder.unpacked(tmp_path / "export")).read())
    assert len(refused(items)) == 3
    said = [f"{item.place} {item.reason}" for item in items if isinstance(item, Refused)]
    said += [f"{entry.channel} {entry.item}" for item in items for entry in item.entries]
    assert "\x07" not in "".join(said).encode().decode()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(FIELDS), JSON) | JSON, max_size=6))
def test_whatever_a_message_holds_it_has_one_entry_and_ends_nothing(
    tmp_path_factory: pytest.TempPathFactory, messages: list[object]
) -> None:
    builder = small_workspace()
    for number, message in enumerate(messages):
        stamped = {"ts": f"17100000{number:02d}.000100", **message} if isinstance(message, dict) else message
        builder.raw("general", "2024-03-09", stamped)
    items = items_of(builder, tmp_path_factory.mktemp("export"))
    assert refused(items) == []
    assert sum(len(item.entries) for item in items) == 5 + len(messages)
    for item in items:
        "".join(entry.item + entry.reason for entry in item.entries).encode()
