"""One exchange with Slack over HTTP, and what its outcome means: the one place where failures get their class.

No redirect is followed: the token would travel with it. Nothing is logged: arguments are what people say.
"""

import json
import re
import time
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from socket import gaierror
from ssl import SSLCertVerificationError
from typing import Any, Final
from urllib.request import HTTPHandler, HTTPSHandler, OpenerDirector, ProxyHandler, Request, UnknownHandler

from api.slack.errors import SlackAccessError, SlackLimitedError, SlackRefusedError, SlackUnreachableError
from core.errors import ThreadwiseError

MOST_BYTES: Final = 32 * 2**20  # of one answer; a page of a thousand people has about three million
PAUSE_SECONDS: Final = 30  # where Slack asks for a pause and does not say how long: its limits count by the minute

_WORD: Final = re.compile(r"[a-z0-9_]{1,64}")
_SCOPES: Final = re.compile(r"[a-z0-9_.:,]{1,200}")
_PASSING: Final = frozenset(
    {
        "external_channel_migrating",
        "fatal_error",
        "fetch_members_failed",
        "internal_error",
        "message_limit_exceeded",
        "request_timeout",
        "service_unavailable",
        "team_added_to_org",
    }
)
_LIMITED: Final = frozenset({"rate_limited", "ratelimited"})
_ACCESS: Final = {
    "access_denied": "An admin of the workspace has to allow the app.",
    "account_inactive": "The bot's user is switched off: install the app again.",
    "ekm_access_denied": "An admin of the workspace has suspended access.",
    "invalid_auth": "Set the bot token that the app's page in Slack shows.",
    "missing_scope": "Add the scope on the app's page in Slack and install the app again",
    "no_permission": "Give the app the scopes that the guide names and install it again.",
    "not_allowed_token_type": "Set the token that begins with xoxb-.",
    "not_authed": "Set the bot token that the app's page in Slack shows.",
    "org_login_required": "The workspace is moving to an organisation: wait, then install the app again.",
    "team_access_not_granted": "An admin of the organisation has to allow the app in this workspace.",
    "token_expired": "Install the app again and set its new bot token.",
    "token_revoked": "Install the app again and set its new bot token.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came back, whatever it says. Names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Wire:
    """Sends requests and reads whole replies, each within `seconds`. Thread-safe."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._opener = OpenerDirector()  # without what follows redirects, and without files and FTP
        for handler in (ProxyHandler(), HTTPHandler(), HTTPSHandler(), UnknownHandler()):
            self._opener.add_handler(handler)

    def exchange(self, request: Request) -> Reply:
        """Send it once and return what came back. Raises `SlackUnreachableError` if that is not a whole reply."""
        ends = time.monotonic() + self._seconds
        try:
            with self._opener.open(request, timeout=self._seconds) as response:
                headers = {name.lower(): value for name, value in response.headers.items()}
                return Reply(status=response.status, headers=headers, body=_whole(response, ends))
        except (OSError, HTTPException, ValueError) as error:  # ValueError: a name that is no name of a host
            raise SlackUnreachableError(
                "Slack did not answer.",
                hint="Check the connection to Slack; it is tried again.",
                unknown=not _is_unsent(error),
            ) from error


def answer_of(reply: Reply) -> dict[str, Any]:
    """The object of a reply of the Web API that says `ok`. Raises the error that every other reply stands for."""
    _check_passing(reply)
    data = _object(reply.body)
    if data is None:
        raise strange_answer(unknown=not _is_refusal(reply))
    if data.get("ok") is True and reply.status == 200:  # noqa: PLR2004 - HTTP's own number
        return data
    word = data.get("error")
    if data.get("ok") is not False or not isinstance(word, str) or not _WORD.fullmatch(word):
        raise strange_answer()
    raise refusal(word, needed=data.get("needed"))


def check_response(reply: Reply) -> None:
    """Whether a response URL took what was sent there: it says so by its status, in words or as an object."""
    _check_passing(reply)
    data = _object(reply.body) or {}
    if reply.status // 100 == 2 and data.get("ok") is not False:  # noqa: PLR2004 - HTTP's own number
        return
    said = str(data.get("error") or reply.body[:64].decode(errors="replace")).strip()
    raise refusal(said if _WORD.fullmatch(said) else f"http_{reply.status}")


def refusal(word: str, needed: object = None) -> ThreadwiseError:
    """The error that Slack's word stands for; `needed` is the scope that it asks for."""
    if word in _LIMITED:
        return _limited("")
    if word in _PASSING:
        return SlackUnreachableError(f"Slack has failed: {word}.", hint="It is tried again.", unknown=True)
    if word not in _ACCESS:
        return SlackRefusedError.of(word)
    scope = f": {needed}." if isinstance(needed, str) and _SCOPES.fullmatch(needed) else "."
    hint = _ACCESS[word] + (scope if word == "missing_scope" else "")
    return SlackAccessError(f"Slack does not let the app in: {word}.", hint=hint)


def strange_answer(*, unknown: bool = True) -> SlackUnreachableError:
    """The error for what is no answer of Slack: no JSON, fields missing or of another kind."""
    return SlackUnreachableError(
        "What answered does not answer as Slack does.",
        hint="Check the address of the Web API and whether a proxy is in between; it is tried again.",
        unknown=unknown,
    )


def _check_passing(reply: Reply) -> None:
    if reply.status == 429:  # noqa: PLR2004 - HTTP's own number
        raise _limited(reply.headers.get("retry-after", ""))
    if reply.status >= 500:  # noqa: PLR2004 - HTTP's own number
        raise SlackUnreachableError(f"Slack has failed: HTTP {reply.status}.", hint="It is tried again.", unknown=True)


def _limited(said: str) -> SlackLimitedError:
    seconds = int(said) if re.fullmatch(r"[0-9]{1,5}", said) else PAUSE_SECONDS
    return SlackLimitedError("Slack asks for a pause.", hint=f"It is tried again in {seconds} s.", seconds=seconds)


def _is_refusal(reply: Reply) -> bool:
    return 400 <= reply.status < 500  # noqa: PLR2004 - HTTP's own numbers


def _is_unsent(error: Exception) -> bool:
    """Whether the request cannot have reached anybody; urllib wraps what happens before an answer is awaited."""
    return isinstance(getattr(error, "reason", None), ConnectionRefusedError | gaierror | SSLCertVerificationError)


def _whole(response: HTTPResponse, ends: float) -> bytes:
    """The body; the time limit of a socket begins anew with every byte, this one does not."""
    whole = bytearray()
    while part := response.read1(65_536):
        whole += part
        if time.monotonic() > ends:
            raise TimeoutError
        if len(whole) > MOST_BYTES:
            raise strange_answer()
    return bytes(whole)


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        data = json.loads(body.decode())
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None
