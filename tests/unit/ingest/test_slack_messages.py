"""One message object of a Slack export."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.conversations import Message
from ingest.sources.slack_directory import directory_of
from ingest.sources.slack_messages import Dropped, read_message
from ingest.sources.slack_records import exact_time

DIRECTORY = directory_of(
    {
        "users.json": [
            {"id": "U1", "team_id": "T1", "profile": {"display_name": "Ada"}},
            {"id": "U2", "team_id": "T1", "real_name": "Ben B"},
        ],
        "channels.json": [{"id": "C1", "name": "general"}],
    },
    name="s",
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=12,
)
FIELDS = (
    *("subtype", "text", "user", "thread_ts", "blocks", "attachments", "files", "file", "comment", "reactions"),
    *("bot_profile", "user_profile", "username", "edited", "deleted_ts", "elements", "type"),
)


def read(**fields: object) -> Message | Dropped:
    return read_message({"ts": "1700000000.000100", "user": "U1", "text": ""} | fields, DIRECTORY)


def text_of(**fields: object) -> str:
    found = read(**fields)
    assert isinstance(found, Message)
    return found.text


def dropped(**fields: object) -> tuple[str, str]:
    found = read(**fields)
    assert isinstance(found, Dropped)
    return found.bucket, found.reason


@pytest.mark.parametrize(
    ("value", "ts", "at"),
    [
        ("1700000000.123456", "1700000000.123456", 1_700_000_000_123_456),
        ("9007199254.740990", "9007199254.740990", 9_007_199_254_740_990),
        ("1700000000.5", "1700000000.500000", 1_700_000_000_500_000),
        (1_700_000_000, "1700000000.000000", 1_700_000_000_000_000),
    ],
)
def test_times_are_exact_to_the_microsecond(value: object, ts: str, at: int) -> None:
    assert exact_time(value) == (ts, at)


@pytest.mark.parametrize(
    "value", [None, True, "", "soon", "-5.0", "1e9", "1700000000.1234567", "٣.0", "9999999999.0", 1.5, [], "1.0\n"]
)
def test_what_is_no_time_is_none(value: object) -> None:
    assert exact_time(value) is None


@pytest.mark.parametrize("raw", [None, 7, "text", [], {}, {"text": "x"}, {"ts": "soon"}, {"ts": None}, {"ts": {}}])
def test_a_malformed_message_fails_and_says_so(raw: object) -> None:
    assert read_message(raw, DIRECTORY) == Dropped("", "failed", "malformed_message")


@pytest.mark.parametrize("subtype", ["channel_join", "group_leave", "channel_topic", "pinned_item", "bot_add"])
def test_noise_is_filtered_under_its_own_name(subtype: str) -> None:
    assert dropped(subtype=subtype, text="somebody joined") == ("filtered", subtype)


def test_an_unknown_subtype_is_kept() -> None:
    assert text_of(subtype="something_new", text="hello") == "hello"


def test_a_tombstone_takes_back_the_message_in_its_place() -> None:
    found = read(subtype="tombstone", text="This message was deleted.")
    assert found == Dropped("1700000000.000100", "tombstoned", "tombstone", deletes="1700000000.000100")


def test_a_recorded_deletion_takes_back_the_message_it_names() -> None:
    found = read(subtype="message_deleted", deleted_ts="1600000000.000001")
    assert isinstance(found, Dropped)
    assert (found.bucket, found.deletes) == ("tombstoned", "1600000000.000001")


def test_a_deletion_names_its_message_by_what_it_was() -> None:
    found = read(subtype="message_deleted", previous_message={"ts": "1600000000.000001", "text": "x"}, hidden=True)
    assert isinstance(found, Dropped)
    assert (found.bucket, found.deletes) == ("tombstoned", "1600000000.000001")


@pytest.mark.parametrize("subtype", ["message_changed", "message_replied"])
def test_a_recorded_change_brings_the_present_state_of_its_message(subtype: str) -> None:
    inner = {
        "ts": "1600000000.000001",
        "user": "U2",
        "text": "new",
        "edited": {"user": "U2", "ts": "1600000090.000000"},
    }
    found = read(subtype=subtype, hidden=True, message=inner, previous_message={"ts": "1600000000.000001"})
    assert isinstance(found, Message)
    assert (found.ts, found.speaker, found.text) == ("1600000000.000001", "Ben B", "new")
    assert (found.at, found.changed_at) == (1_600_000_000_000_001, 1_600_000_090_000_000)
    gone = read(subtype=subtype, message=inner | {"subtype": "tombstone"})
    assert isinstance(gone, Dropped)
    assert gone.deletes == "1600000000.000001"


@pytest.mark.parametrize("message", [None, {}, "x", {"subtype": "message_changed", "message": {}}])
def test_a_recorded_change_without_a_message_is_filtered(message: object) -> None:
    assert dropped(subtype="message_changed", message=message) == ("filtered", "message_changed")


def test_what_slack_hides_is_filtered() -> None:
    assert dropped(text="x", hidden=True) == ("filtered", "hidden")


@pytest.mark.parametrize("edited", ["1600000000.000000", "soon", None, 7])
def test_an_edit_before_its_message_or_at_no_time_changes_no_time(edited: object) -> None:
    found = read(text="x", edited={"user": "U1", "ts": edited})
    assert isinstance(found, Message)
    assert found.edited
    assert found.changed_at == found.at


@pytest.mark.parametrize("pin", [{"pinned_to": ["C1"]}, {"pinned_info": {"channel": "C1", "pinned_by": "U1"}}])
def test_a_message_knows_that_it_is_pinned(pin: dict[str, object]) -> None:
    found = read(text="x", **pin)
    assert isinstance(found, Message)
    assert found.pinned


@pytest.mark.parametrize("text", ["", "  \n", "\x00"])
def test_a_message_without_anything_to_read_is_empty(text: str) -> None:
    assert dropped(text=text, files=[{"mode": "tombstone"}], blocks=None, attachments=None) == ("filtered", "empty")


def test_files_are_named_below_the_text() -> None:
    files = [{"title": "Travel policy", "name": "x.pdf"}, {"name": "map.png"}, {"mode": "tombstone"}]
    assert text_of(text="Here:", files=files) == "Here:\n[file: Travel policy]\n[file: map.png]"
    assert text_of(files=files[:1]) == "[file: Travel policy]"


def test_old_uploads_and_comments_keep_speaker_and_words() -> None:
    shared = text_of(
        subtype="file_share", text="<@U1> uploaded a file: <https://x.example|Plan>", file={"title": "Plan"}
    )
    assert shared == "@Ada uploaded a file: Plan (https://x.example)"
    comment = read(
        subtype="file_comment",
        user=None,
        text="<@U2> commented on <@U1>'s file: Nice",
        comment={"user": "U2", "comment": "Nice"},
        file={"title": "Plan"},
    )
    assert isinstance(comment, Message)
    assert (comment.speaker, comment.author, comment.text) == ("Ben B", "U2", "Nice\n[file: Plan]")


def test_blocks_speak_when_the_text_is_empty() -> None:
    section = {
        "type": "rich_text_section",
        "elements": [{"type": "text", "text": "Hi "}, {"type": "user", "user_id": "U2"}],
    }
    items = {
        "type": "rich_text_list",
        "elements": [
            {"type": "rich_text_section", "elements": [{"type": "text", "text": "one"}]},
            {"type": "rich_text_section", "elements": [{"type": "link", "url": "https://x.example", "text": "two"}]},
        ],
    }
    blocks = [
        {"type": "header", "text": {"type": "plain_text", "text": "News"}},
        {"type": "rich_text", "elements": [section, items]},
        {
            "type": "section",
            "text": {"type": "mrkdwn", "text": "*Bold*"},
            "fields": [{"type": "mrkdwn", "text": "f &amp; g"}],
        },
    ]
    expected = "News\nHi @Ben B\n• one\n• two (https://x.example)\nBold\nf & g"
    assert text_of(blocks=blocks) == expected
    assert text_of(blocks=blocks, text="This content can't be displayed.") == expected
    assert text_of(blocks=blocks, text="Written") == f"Written\n{expected}"
    assert text_of(blocks=blocks[1:2], text="Written") == "Written"


def test_attachments_speak_when_there_are_no_blocks() -> None:
    rich = {"title": "Alert", "text": "Disk *full*", "fallback": "x", "fields": [{"title": "Host", "value": "db1"}]}
    assert text_of(attachments=[rich, {"fallback": "plain"}]) == "Alert\nDisk full\nHost: db1\nplain"


@pytest.mark.parametrize(
    ("fields", "speaker"),
    [
        ({"user": "U1"}, "Ada"),
        ({"user": "U9", "user_profile": {"real_name": "Eve"}}, "Eve"),
        ({"user": "U9"}, "U9"),
        ({"user": None, "subtype": "bot_message", "username": "Alerts", "bot_id": "B1"}, "Alerts"),
        ({"user": None, "bot_id": "B1", "bot_profile": {"name": "Polly"}}, "Polly"),
        ({"user": None, "bot_id": "B1"}, "B1"),
        ({"user": None}, "unknown"),
    ],
)
def test_everybody_has_a_name(fields: dict[str, object], speaker: str) -> None:
    found = read(text="x", **fields)
    assert isinstance(found, Message)
    assert found.speaker == speaker


def test_reactions_count_and_a_check_mark_resolves() -> None:
    reactions: list[object] = [{"name": "tada", "count": 3}, {"name": "white_check_mark", "users": ["U1", "U2"]}, None]
    found = read(text="x", reactions=reactions)
    assert isinstance(found, Message)
    assert (found.reactions, found.resolved) == (5, True)


@pytest.mark.parametrize(
    "reactions",
    [
        [{"name": ["x"]}],
        [{"name": {}, "users": "U1"}],
        [{"count": "3"}],
        [{"count": 1.5, "users": 7}],
        {"name": "x"},
        "x",
    ],
)
def test_odd_reactions_count_for_nothing(reactions: object) -> None:
    found = read(text="x", reactions=reactions)
    assert isinstance(found, Message)
    assert (found.reactions, found.resolved) == (0, False)


def test_a_message_that_breaks_the_reader_fails_by_itself() -> None:
    class Odd(dict[str, object]):
        def get(self, *_: object) -> object:
            raise RecursionError

    assert read_message(Odd(ts="1700000000.000100"), DIRECTORY) == Dropped("", "failed", "malformed_message")


def test_a_reason_is_text_that_every_store_takes() -> None:
    assert dropped(subtype="channel_\x00\ud800" + "x" * 500)[1].encode().isascii() is False
    assert len(dropped(subtype="channel_\x00" + "x" * 500)[1]) <= 80


def test_a_link_to_a_channel_that_no_listing_names_hides_its_name() -> None:
    assert text_of(text="see <#C9|layoffs> and <#C1|general>") == "see #private-channel and #general"
    assert text_of(blocks=[{"type": "channel", "channel_id": "C9"}]) == "#private-channel"


@given(st.dictionaries(st.sampled_from(FIELDS), JSON))
def test_no_message_object_breaks_the_reader(fields: dict[str, object]) -> None:
    found = read(**fields)
    if isinstance(found, Message):
        found.text.encode()
        found.speaker.encode()
        assert found.text
