"""Whether a request comes from Slack: its signature over the raw bytes, its age, and whether it came before.

The recipe is Slack's `v0`: HMAC-SHA256 with the app's signing secret over `v0:TIMESTAMP:BODY`, in hexadecimal behind
`v0=`. Whatever is wrong, the answer is the same error without a detail, so that nobody learns from it.
"""

import hashlib
import hmac
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import Final

from core.errors import ThreadwiseError

WINDOW: Final = 300
"""Seconds that a request may be old, or ahead of our clock."""

SIGNATURE: Final = "x-slack-signature"
TIMESTAMP: Final = "x-slack-request-timestamp"
MOST: Final = 20_000  # signatures that are remembered; Slack sends at most 30,000 events an hour

_SECONDS = re.compile(r"[0-9]{1,12}")
_HMAC = re.compile(r"v0=[0-9a-f]{64}")


class SignatureError(ThreadwiseError):
    """The request is not from Slack, is too old, or was here before. It does not say which."""

    code = "slack_signature"

    def __init__(self) -> None:
        super().__init__(
            "The request is not accepted as one of Slack.", hint="Check the signing secret and this machine's clock."
        )


def verify(body: bytes, headers: Mapping[str, str], secrets: Sequence[str], now: float) -> None:
    """Pass if one of the secrets signed the body within the window around `now` (seconds since 1970).

    Raises `SignatureError` and nothing else, whatever the headers and the body are.
    """
    stamp, given = check_stamp(headers, now)
    if not _is_text(body):
        raise SignatureError
    # Each secret is tried: how long it takes does not tell which one was right.
    fits = [hmac.compare_digest(_signature(secret, stamp, body), given.encode()) for secret in secrets if secret]
    if not any(fits):
        raise SignatureError


def check_stamp(headers: Mapping[str, str], now: float) -> tuple[str, str]:
    """The time and the signature that a request carries, before its body is read: whole, single, and not too old.

    Raises `SignatureError`.
    """
    stamp, given = _only(headers, TIMESTAMP, _SECONDS), _only(headers, SIGNATURE, _HMAC)
    if abs(now - int(stamp)) > WINDOW:
        raise SignatureError
    return stamp, given


def signature_in(headers: Mapping[str, str]) -> str:
    """The signature that a request carries. Raises `SignatureError` unless there is exactly one."""
    return _only(headers, SIGNATURE, _HMAC)


class Replays:
    """Signatures that were accepted. What Slack sends again has a new time and so another signature. Thread-safe.

    `seconds` is the window of `verify`; a signature is remembered for twice as long, because one from `seconds` ahead
    of our clock can be sent for that long. At most `most` are kept, the oldest are forgotten first.
    """

    def __init__(self, seconds: float = WINDOW, clock: Callable[[], float] = time.monotonic, most: int = MOST) -> None:
        self._seconds = 2 * seconds
        self._clock = clock
        self._most = most
        self._seen: OrderedDict[str, float] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._seen)

    def remember(self, signature: str) -> None:
        """Raise `SignatureError` if this very request was accepted before, else remember it."""
        now = self._clock()
        with self._lock:
            self._drop_until(now - self._seconds)
            if signature in self._seen:
                raise SignatureError
            self._seen[signature] = now
            while len(self._seen) > self._most:
                self._seen.popitem(last=False)

    def forget(self, signature: str) -> None:
        """The request was not taken after all: Slack may send it again within the same second."""
        with self._lock:
            self._seen.pop(signature, None)

    def _drop_until(self, moment: float) -> None:
        while self._seen and next(iter(self._seen.values())) < moment:
            self._seen.popitem(last=False)


def _only(headers: Mapping[str, str], name: str, pattern: re.Pattern[str]) -> str:
    """The one value of a header; several with that name, in any spelling, are as bad as none."""
    values = [value for header, value in headers.items() if header.lower() == name]
    if len(values) != 1 or not pattern.fullmatch(values[0]):
        raise SignatureError
    return values[0]


def _is_text(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def _signature(secret: str, stamp: str, body: bytes) -> bytes:
    signed = b"v0:" + stamp.encode() + b":" + body
    return b"v0=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest().encode()
