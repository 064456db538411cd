"""Nothing that Slack says is believed unless it fits, and nobody is one of ours unless everything says so."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from tests.support.slack_door import IDENTITY, OURS, THEIRS, House
from tests.support.slack_events import Envelope


@pytest.fixture
def house() -> House:
    return House()


FOREIGNERS: dict[str, dict[str, Any]] = {
    "user_team": {"user_team": THEIRS, "team": OURS},
    "source_team": {"source_team": THEIRS, "team": OURS},
    "profile": {"user_profile": {"team": THEIRS}, "team": OURS},
    "team": {"team": THEIRS},
    "an organisation": {"user_team": "E0ELSEWHERE", "team": OURS},
}


@pytest.mark.parametrize("changes", FOREIGNERS.values(), ids=FOREIGNERS.keys())
@pytest.mark.parametrize("known", [True, False], ids=["who we are is known", "Slack has not said yet who we are"])
def test_somebody_of_another_company_is_never_one_of_ours(
    house: House, changes: dict[str, Any], *, known: bool
) -> None:
    house.identity = IDENTITY if known else None
    house.workspace.share(house.channel, THEIRS)
    assert house.hears_question(house.mention(**changes)).team in {THEIRS, "E0ELSEWHERE"}


def test_in_a_shared_channel_somebody_whose_company_nobody_names_is_not_heard(house: House) -> None:
    house.workspace.share(house.channel, THEIRS)
    envelope = house.mention()
    del envelope.event["team"]
    assert house.hears(envelope) is None
    house.workspace.share(house.channel)
    assert (
        house.hears_question(Envelope("events_api", envelope.payload | {"is_ext_shared_channel": False})).team == OURS
    )


@pytest.mark.parametrize("known", [True, False], ids=["who we are is known", "Slack has not said yet who we are"])
def test_an_event_of_a_workspace_that_is_not_ours_makes_nobody_one_of_ours(house: House, *, known: bool) -> None:
    house.identity = IDENTITY if known else None
    envelope = house.mention()
    assert house.hears_question(Envelope("events_api", envelope.payload | {"team_id": THEIRS})).team == THEIRS


def test_a_click_of_somebody_of_another_company_is_theirs(house: House) -> None:
    matter = house.hears(house.click(user={"id": "U0EVE", "team_id": THEIRS}))
    assert matter is not None
    assert matter.team == THEIRS
    assert house.hears(house.click(user={"id": "U0EVE"})) is None


def test_text_is_cut_and_holds_nothing_that_cannot_be_stored(house: House) -> None:
    text = house.hears_question(house.direct(text="a\0b\ud800c" + "x" * 20_000)).text
    assert text.startswith("a\ufffdb\ufffdc")
    assert len(text) == 8000
    assert house.hears_question(house.direct(text="\U0001f642")).text == "\U0001f642"


UNFIT: dict[str, Callable[[House], Envelope]] = {
    "a small letter in a channel": lambda house: house.mention(channel="c0general"),
    "a channel that is a path": lambda house: house.mention(channel="C1/../../C2"),
    "a channel without an end": lambda house: house.mention(channel="C" * 41),
    "a channel that is an object": lambda house: house.mention(channel={"id": "C1"}),
    "a user with a mark": lambda house: house.mention(user="U1>"),
    "a user that is a number": lambda house: house.mention(user=5),
    "a NUL in a user": lambda house: house.mention(user="U1\0"),
    "a line end in a user": lambda house: house.mention(user="U1\n"),
    "no time": lambda house: house.mention(ts=""),
    "a time in other digits": lambda house: house.mention(ts="١٢.١٢"),
    "a time that is a number": lambda house: house.mention(ts=1700000000.1),
    "a thread that is none": lambda house: house.mention(thread_ts="../x"),
    "a text that is a list": lambda house: house.direct(text=["a"]),
    "a team that is none": lambda house: house.mention(user_team="<T>"),
    "an event without an id": lambda house: Envelope("events_api", house.mention().payload | {"event_id": ""}),
    "an event without a team": lambda house: Envelope("events_api", house.mention().payload | {"team_id": None}),
    "a deleted message without a name": lambda house: house.direct(subtype="message_deleted", deleted_ts="x"),
    "a command without a trigger": lambda house: house.command(trigger_id="a b"),
    "a command without an address": lambda house: house.command(response_url=""),
    "an address that is none": lambda house: house.command(response_url="file:///etc/passwd"),
    "an address with a line end": lambda house: house.command(response_url="https://x/\r\nHost: y"),
    "a click without a message": lambda house: house.click(message={}, container={}),
    "a click without a place": lambda house: house.click(channel=None, container={"message_ts": "1.2"}),
    "a click by nobody": lambda house: house.click(user={}),
    "a click on nothing": lambda house: house.click(actions=[]),
    "an event that is a list": lambda house: Envelope("events_api", house.mention().payload | {"event": []}),
    "an event without a type": lambda house: house.mention(type=None),
    "a type that is a number": lambda house: house.mention(type=7),
    "a subtype that is a list": lambda house: house.mention(subtype=[]),
}


@pytest.mark.parametrize("make", UNFIT.values(), ids=UNFIT.keys())
def test_what_does_not_fit_is_acknowledged_counted_and_not_kept(
    house: House, make: Callable[[House], Envelope]
) -> None:
    with capture_logs() as lines:
        assert house.hears(make(house)) is None
    assert [(line["event"], line["code"]) for line in lines] == [("slack_dropped", "slack_unreadable")]
    assert not house.withdrawn


BODIES = {
    "nothing": b"",
    "no text": b"\xff\xfe\xfa",
    "half an object": b'{"type":',
    "a list": b"[1, 2]",
    "a payload that is a list": urlencode({"payload": "[1]"}).encode(),
    "a payload that is nothing": b"payload=",
    "a form without an end": b"&".join(b"a=%d" % number for number in range(10_000)),
    "brackets without an end": b'{"event":' * 100_000,
    "a number without an end": b'{"type": ' + b"9" * 5000 + b"}",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_a_body_that_cannot_be_read_is_acknowledged(house: House, body: bytes) -> None:
    assert house.door.dispatch(body, {})[0] == 200
    assert not house.kept


NOT_OURS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("U0ADA"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "team", "ts"]), inner),
    max_leaves=5,
)
PLACES = (
    "type",
    "event",
    "user",
    "team",
    "channel",
    "enterprise",
    "authorizations",
    "view",
    "item",
    "actions",
    "message",
)
PLACES_INSIDE = (
    "type",
    "subtype",
    "user",
    "channel",
    "ts",
    "text",
    "bot_id",
    "item",
    "previous_message",
    "user_profile",
)


HOUSE = House()


@given(st.dictionaries(st.sampled_from(PLACES), NOT_OURS))
def test_no_shape_of_a_payload_is_answered_with_a_failure(changes: dict[str, Any]) -> None:
    for envelope in (HOUSE.direct(), HOUSE.command(), HOUSE.click()):
        with capture_logs():
            assert HOUSE.door.hear(envelope.payload | changes).status == 200


@given(st.dictionaries(st.sampled_from(PLACES_INSIDE), NOT_OURS))
def test_no_shape_of_an_event_is_answered_with_a_failure(changes: dict[str, Any]) -> None:
    for envelope in (HOUSE.direct(**changes), HOUSE.mention(**changes)):
        with capture_logs():
            assert HOUSE.door.hear(envelope.payload).status == 200
