"""Whatever answers, its meaning is an answer of Slack or one of four errors."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.slack.errors import SlackAccessError, SlackLimitedError, SlackRefusedError, SlackUnreachableError
from api.slack.shapes import conversation_of, person_of
from api.slack.wire import PAUSE_SECONDS, Reply, answer_of, check_response, refusal

OURS = (SlackAccessError, SlackLimitedError, SlackRefusedError, SlackUnreachableError)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["C1", "ok", "ratelimited"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FLAGS = ("is_im", "is_mpim", "is_private", "is_shared", "is_ext_shared", "is_org_shared", "is_pending_ext_shared")
ROLES = ("is_stranger", "deleted", "is_bot", "is_restricted", "is_ultra_restricted")


@st.composite
def rows(draw: st.DrawFn, *names: str) -> dict[str, Any]:
    """Objects with these flags, mostly not set, of which some are missing or something else."""
    row: dict[str, Any] = {"id": "X1", "team_id": "T1"}
    row |= {name: draw(st.sampled_from([False, False, False, True])) for name in names}
    for name in draw(st.sets(st.sampled_from(list(row)), max_size=2)):
        row[name] = draw(JSON)
        if draw(st.booleans()):
            del row[name]
    return row


@given(
    status=st.sampled_from([200, 201, 204, 302, 400, 403, 404, 429, 500, 503]),
    body=st.binary(max_size=60)
    | JSON.map(lambda value: json.dumps(value).encode())
    | st.dictionaries(st.sampled_from(["ok", "error", "needed"]), JSON).map(lambda value: json.dumps(value).encode()),
    retry_after=st.none() | st.text(max_size=8),
)
def test_every_reply_is_an_answer_or_one_of_four_errors(status: int, body: bytes, retry_after: str | None) -> None:
    headers = {} if retry_after is None else {"retry-after": retry_after}
    reply = Reply(status=status, headers=headers, body=body)
    with suppress(*OURS):
        assert answer_of(reply)["ok"] is True
        assert status == 200
    with suppress(*OURS):
        check_response(reply)
        assert 200 <= status < 300


@given(row=rows(*ROLES))
def test_only_who_is_said_to_be_neither_a_guest_nor_anything_else_is_a_member(row: dict[str, Any]) -> None:
    with suppress(SlackUnreachableError):
        if person_of(row).standing == "member":
            assert row.get("is_stranger", False) is False
            assert [row[role] for role in ROLES[1:]] == [False] * 4


@given(row=rows(*FLAGS))
def test_only_what_is_said_to_be_neither_private_nor_shared_is_public(row: dict[str, Any]) -> None:
    with suppress(SlackUnreachableError):
        found = conversation_of(row)
        if found.kind == "public":
            assert (row["is_im"], row["is_private"]) == (False, False)
        if found.kind != "direct" and not found.is_shared_outside:
            assert row["is_ext_shared"] is False
            assert not any(row.get(flag) for flag in ("is_shared", "is_org_shared", "is_pending_ext_shared"))


@given(row=JSON)
def test_what_is_no_object_of_slack_is_nobody_and_nowhere(row: object) -> None:
    for read in (person_of, conversation_of):
        with pytest.raises(SlackUnreachableError) as caught:
            read(row)
        assert caught.value.__cause__ is None


@pytest.mark.parametrize("needed", [None, 7, "x" * 500, "<!channel>", "users:read\n"])
def test_only_what_looks_like_a_scope_is_shown_as_the_missing_one(needed: object) -> None:
    error = refusal("missing_scope", needed)
    assert isinstance(error, SlackAccessError)
    assert str(error).endswith("install the app again.")
    assert str(refusal("missing_scope", "chat:write")).endswith("install the app again: chat:write.")


def test_a_refusal_for_too_many_calls_without_a_number_pauses_for_a_while() -> None:
    error = refusal("ratelimited")
    assert isinstance(error, SlackLimitedError)
    assert error.seconds == PAUSE_SECONDS
