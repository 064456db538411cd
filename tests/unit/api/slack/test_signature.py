"""Only Slack is let in, only for a while, and each of its requests once."""

import threading
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slack_sdk.signature import SignatureVerifier
from starlette.datastructures import Headers

from api.slack.signature import WINDOW, Replays, SignatureError, signature_in, verify
from tests.support.slack_events import signed

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"  # noqa: S105 - of Slack's documentation
NEXT = "1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e6f"
BODY = b'{"type":"event_callback","event":{"text":"ol\xc3\xa9"}}'
NOW = 1_531_420_618.5
STAMP = str(int(NOW))


def headers(body: bytes = BODY, secret: str = SECRET, at: float = NOW) -> dict[str, str]:
    return signed(body, secret, at)


def refused(body: bytes, given: Mapping[str, str], secrets: tuple[str, ...] = (SECRET,), now: float = NOW) -> bool:
    try:
        verify(body, given, secrets, now)
    except SignatureError:
        return True
    return False


def test_slacks_own_example_is_accepted() -> None:
    # The worked example of https://docs.slack.dev/authentication/verifying-requests-from-slack
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
        b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
        b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
        b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    signature = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
    given = {"X-Slack-Request-Timestamp": "1531420618", "X-Slack-Signature": signature}
    verify(body, given, [SECRET], NOW)


def test_what_slacks_library_accepts_is_accepted() -> None:
    given = headers()
    library = SignatureVerifier(SECRET)
    assert library.generate_signature(timestamp=STAMP, body=BODY) == given["X-Slack-Signature"]
    verify(BODY, given, [SECRET], NOW)


@pytest.mark.parametrize("age", [-WINDOW, 0, WINDOW])
def test_a_request_may_be_as_old_as_the_window_and_as_far_ahead(age: int) -> None:
    verify(BODY, headers(at=NOW - age), [SECRET], int(NOW))


@pytest.mark.parametrize("age", [-WINDOW - 1, WINDOW + 1])
def test_a_request_outside_the_window_is_refused(age: int) -> None:
    assert refused(BODY, headers(at=NOW - age), now=int(NOW))


def test_both_secrets_are_accepted_while_one_replaces_the_other() -> None:
    for secret in (SECRET, NEXT):
        verify(BODY, headers(secret=secret), [NEXT, SECRET], NOW)
    assert refused(BODY, headers(secret=SECRET), (NEXT,))


def test_an_empty_secret_signs_nothing() -> None:
    assert refused(BODY, headers(secret=""), ("",))
    assert refused(BODY, headers(secret=""), ())
    assert refused(BODY, headers(), ())
    verify(BODY, headers(), ["", SECRET], NOW)


def test_a_body_that_was_changed_by_one_byte_is_refused() -> None:
    assert refused(BODY + b" ", headers())
    assert refused(b"", headers())
    verify(b"", headers(b""), [SECRET], NOW)


def test_a_signed_body_that_is_no_text_is_refused() -> None:
    assert refused(b"\xff\xfe", headers(b"\xff\xfe"))


STAMPS = {
    "a word": "now",
    "nothing": "",
    "a fraction": "1531420618.5",
    "an exponent": "1e99",
    "five thousand digits": "9" * 5000,
    "negative": "-1531420618",
    "a plus sign": "+1531420618",
    "white space": " 1531420618",
    "a line end": "1531420618\n",
    "underscores": "1_531_420_618",
    "digits of another script": "١٥٣١٤٢٠٦١٨",
    "infinity": "inf",
    "two at once": "1531420618, 1531420618",
}


@pytest.mark.parametrize("stamp", STAMPS.values(), ids=STAMPS.keys())
def test_a_timestamp_that_is_no_whole_number_is_refused(stamp: str) -> None:
    assert refused(BODY, headers() | {"X-Slack-Request-Timestamp": stamp})


RIGHT = headers()["X-Slack-Signature"]
SIGNATURES = {
    "nothing": "",
    "no version": RIGHT.removeprefix("v0="),
    "another version": "v1=" + RIGHT[3:],
    "capital letters": RIGHT[:3] + RIGHT[3:].upper(),
    "one digit less": RIGHT[:-1],
    "one digit more": RIGHT + "0",
    "other letters": "v0=" + "é" * 64,
    "half a character": "v0=" + "\ud800" * 64,
    "two at once": f"{RIGHT},{RIGHT}",
    "a line end": RIGHT + "\n",
    "somebody else's": headers(secret=NEXT)["X-Slack-Signature"],
}


@pytest.mark.parametrize("signature", SIGNATURES.values(), ids=SIGNATURES.keys())
def test_a_signature_that_is_not_the_one_is_refused(signature: str) -> None:
    assert refused(BODY, headers() | {"X-Slack-Signature": signature})


@pytest.mark.parametrize("name", ["X-Slack-Request-Timestamp", "X-Slack-Signature"])
def test_a_header_that_is_missing_or_comes_twice_is_refused(name: str) -> None:
    whole = headers()
    assert refused(BODY, {key: value for key, value in whole.items() if key != name})
    assert refused(BODY, whole | {name.lower(): whole[name]})
    raw = [(key.lower().encode(), value.encode()) for key, value in (*whole.items(), (name, whole[name]))]
    assert refused(BODY, Headers(raw=raw))
    verify(BODY, Headers(raw=raw[:2]), [SECRET], NOW)


def test_the_refusal_does_not_say_what_was_wrong() -> None:
    messages = set()
    for wrong in ({}, headers(at=0), headers(secret=NEXT)):
        with pytest.raises(SignatureError) as caught:
            verify(BODY, wrong, [SECRET], NOW)
        messages.add(str(caught.value))
    assert len(messages) == 1
    assert SECRET not in messages.pop()


@given(st.binary(), st.dictionaries(st.text(), st.text()), st.text(), st.text(), st.floats(0, 4e9))
def test_whatever_comes_is_accepted_or_refused_and_nothing_else(
    body: bytes, more: dict[str, str], stamp: str, signature: str, now: float
) -> None:
    given = more | {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": signature}
    assert refused(body, given, now=now)


@given(st.text().map(str.encode), st.text(st.characters(codec="utf-8"), min_size=1), st.integers(10**9, 10**10))
def test_what_was_signed_with_the_secret_is_accepted_and_with_no_other(body: bytes, secret: str, now: int) -> None:
    verify(body, signed(body, secret, now), [secret], now)
    assert refused(body, signed(body, secret, now), (secret + "x",), now)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_very_same_request_is_refused_the_second_time() -> None:
    replays = Replays(WINDOW, Clock())
    replays.remember(signature_in(headers()))
    replays.remember(signature_in(headers(at=NOW + 1)))
    with pytest.raises(SignatureError):
        replays.remember(signature_in(headers()))


def test_a_request_from_ahead_of_our_clock_is_remembered_as_long_as_it_could_be_sent_again() -> None:
    clock = Clock()
    replays = Replays(WINDOW, clock)
    replays.remember(RIGHT)
    clock.now = 2 * WINDOW
    with pytest.raises(SignatureError):
        replays.remember(RIGHT)


def test_what_is_too_old_to_be_accepted_is_not_remembered() -> None:
    clock = Clock()
    replays = Replays(WINDOW, clock)
    for second in range(0, 10 * WINDOW, 10):
        clock.now = float(second)
        replays.remember(str(second))
    assert len(replays) <= 2 * WINDOW / 10 + 1


def test_memory_is_bounded_and_the_oldest_is_forgotten_first() -> None:
    replays = Replays(WINDOW, Clock(), most=3)
    for name in "abcd":
        replays.remember(name)
    assert len(replays) == 3
    replays.remember("a")
    with pytest.raises(SignatureError):
        replays.remember("d")


def test_a_request_that_was_not_taken_may_come_again() -> None:
    replays = Replays(WINDOW, Clock())
    replays.remember(RIGHT)
    replays.forget(RIGHT)
    replays.forget("never seen")
    replays.remember(RIGHT)


def test_of_many_that_come_at_once_one_is_let_in() -> None:
    replays, start, let_in = Replays(), threading.Barrier(8), list[bool]()

    def come() -> None:
        start.wait()
        for name in range(200):
            try:
                replays.remember(str(name))
            except SignatureError:
                continue
            let_in.append(True)

    threads = [threading.Thread(target=come) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(let_in) == 200
