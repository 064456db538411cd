"""The door for Slack: every event, command and click becomes a delivery, kept before Slack hears that it arrived.

Over HTTP and over a socket it is the same. Bolt recognises what came and leaves out what we said ourselves; it asks
nobody, verifies nothing (`api.slack.signature` does, stricter) and logs nothing of what people wrote.
"""

import logging
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

import structlog
from slack_bolt import App, BoltRequest, BoltResponse
from slack_bolt.authorization import AuthorizeResult

from api.slack import payloads
from api.slack.payloads import UnreadableError
from api.slack.words import Delivery, Identity
from core.errors import ThreadwiseError

Changed = Literal["people", "conversations"]
Reply = tuple[int, dict[str, str], bytes]
"""Status, headers and body of an HTTP answer."""

OK: Final = 200
FAILED: Final = 500
LATER: Final = 503
_UNHANDLED: Final = 404  # as Bolt says that nobody listens to this
_CONVERSATIONS = re.compile(r"^(member_(joined|left)_channel|channel_\w+)$")
_PEOPLE = re.compile(r"^(user_change|team_join)$")
_ENDED = re.compile(r"^(app_uninstalled|tokens_revoked)$")
_ACTIONS = re.compile(rf"^({'|'.join(sorted(payloads.OUR_ACTIONS))})$")
_ANY = re.compile(r"")

log = structlog.get_logger(__name__)


class Door:
    """Takes what Slack sends. Thread-safe.

    `accept` keeps a delivery (False: it was there already), `withdraw` hears which message was deleted, `changed` what
    was remembered about the workspace and may be wrong now, with what the event says of it. `identity` is who the bot
    is, None while nobody knows; `command_reply` what the asker of a command sees at once. When `accept` raises, Slack
    is not told that it arrived.
    """

    def __init__(
        self,
        accept: Callable[[Delivery], bool],
        *,
        withdraw: Callable[[str], None],
        changed: Callable[[Changed, object], None],
        identity: Callable[[], Identity | None],
        command_reply: Callable[[], Mapping[str, Any]],
    ) -> None:
        self._accept = accept
        self._withdraw = withdraw
        self._changed = changed
        self._identity = identity
        self._command_reply = command_reply
        self.app = self._bolt()
        self._listen()

    def dispatch(self, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Answer one verified HTTP request: 200 once it is kept or known to be nothing, 5xx when Slack must repeat."""
        _note_repeat(headers)
        try:
            payload: object = payloads.payload_of(body)
        except UnreadableError as error:
            return _as_reply(_refusal(error))
        return _as_reply(self.hear(payload))

    def hear(self, payload: object) -> BoltResponse:
        """Answer one payload, however it came. Nothing is raised: a failure is a status."""
        try:
            known = payloads.check(payload)
            request = BoltRequest(body=known, mode="socket_mode")  # parsed already, and no header has a say
        except UnreadableError as error:
            return _refusal(error)
        except (TypeError, AttributeError, KeyError, ValueError):
            return _refusal(UnreadableError("body"))  # Bolt looks into parts that we have no use for
        if known.get("type") == "app_rate_limited":
            log.warning("slack_withholds_events")
        response = self.app.dispatch(request)
        return BoltResponse(status=OK) if response.status == _UNHANDLED else response

    def _bolt(self) -> App:
        app = App(
            name="threadwise",
            logger=_discreet_logger(),
            process_before_response=True,
            token_verification_enabled=False,
            request_verification_enabled=False,
            attaching_function_token_enabled=False,
            attaching_conversation_kwargs_enabled=False,
            # No bound methods here and below: Bolt takes their `self` out of a list that all threads share.
            authorize=lambda enterprise_id, team_id: _as_result(self._identity(), enterprise_id, team_id),
        )
        app.error(_refusal)
        return app

    def _listen(self) -> None:
        listen, own = self.app.event, self._own_team
        listen("app_mention")(lambda body: self._keep(payloads.mention_in(body, own())))
        listen("message")(lambda body: self._hear_message(payloads.deleted_in(body), payloads.message_in(body, own())))
        listen(_CONVERSATIONS)(lambda event: self._changed("conversations", event.get("channel")))
        listen(_PEOPLE)(lambda event: self._changed("people", event.get("user")))
        listen(_ENDED)(lambda event: log.error("slack_access_ended", code=event["type"]))
        self.app.command(_ANY)(
            lambda body, ack: self._keep(payloads.command_in(body, own()), lambda: ack(dict(self._command_reply())))
        )
        self.app.action(_ACTIONS)(lambda body, ack: self._keep(payloads.action_in(body, own()), ack))

    def _hear_message(self, deleted: str | None, delivery: Delivery | None) -> None:
        if deleted:
            self._withdraw(deleted)
        self._keep(delivery)

    def _keep(self, delivery: Delivery | None, ack: Callable[[], BoltResponse] | None = None) -> None:
        """Events are acknowledged by Bolt when their listener returns, commands and clicks by `ack`."""
        if delivery:
            self._accept(delivery)
        if ack:
            ack()

    def _own_team(self) -> str:
        identity = self._identity()
        return identity.team if identity else ""


def _as_result(identity: Identity | None, enterprise_id: str | None, team_id: str | None) -> AuthorizeResult:
    """Who we are, for Bolt; while that is not known, messages of bots are left out all the same."""
    if identity is None:
        return AuthorizeResult(enterprise_id=enterprise_id, team_id=team_id)
    return AuthorizeResult(
        enterprise_id=enterprise_id, team_id=identity.team, bot_user_id=identity.user, bot_id=identity.bot
    )


class _Discreet(logging.Filter):
    """Lets no record of the libraries through: they quote payloads. That one failed is said in our own words."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno >= logging.ERROR:
            kind = record.exc_info[0] if record.exc_info else None
            where = f"{record.module}:{record.lineno}"
            log.error("slack_library", where=where, error=kind.__name__ if kind else "")
        return False


def _discreet_logger() -> logging.Logger:
    """Bolt copies its level and its filter to the loggers of its own parts."""
    logger = logging.getLogger("threadwise.slack")
    logger.setLevel(logging.ERROR)
    if not logger.filters:
        logger.addFilter(_Discreet())
    return logger


def _refusal(error: Exception) -> BoltResponse:
    """The answer when something was not taken, and the one line about it."""
    if isinstance(error, UnreadableError):
        log.warning("slack_dropped", code=error.code, field=error.field)
        return BoltResponse(status=OK)  # sent again it would not fit either
    code = error.code if isinstance(error, ThreadwiseError) else ThreadwiseError.code
    log.error("slack_not_taken", code=code, error=type(error).__name__)
    later = isinstance(error, ThreadwiseError) and error.retryable
    return BoltResponse(status=LATER if later else FAILED)


def _note_repeat(headers: Mapping[str, str]) -> None:
    number = headers.get("x-slack-retry-num", "")
    if re.fullmatch(r"[0-9]{1,3}", number):
        log.info("slack_sends_again", number=int(number))


def _as_reply(response: BoltResponse) -> Reply:
    return response.status, dict(response.first_headers()), response.body.encode()
