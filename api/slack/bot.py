"""The bot of one installation: its parts put together, started and stopped with the service they belong to."""

import hashlib
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final, Literal

import structlog

from api.slack.blocks import looking
from api.slack.directory import Directory
from api.slack.door import Door
from api.slack.errors import SlackUnreachableError
from api.slack.replies import Replies
from api.slack.signature import Replays
from api.slack.socket_mode import SocketMode
from api.slack.web import SlackWeb
from api.slack.words import Delivery, Identity, Question, Share, as_payload
from api.slack.worker import Worker
from core.errors import ThreadwiseError
from generation.answers import Answer, AskRequest
from threadwise.runtime import Threadwise

LONGEST_PAUSE: Final = 60.0
FORGET_SECONDS: Final = 3600.0
LONGEST_ID: Final = 200

log = structlog.get_logger(__name__)


class SlackBot:
    """Takes what Slack says at its door, keeps it in the inbox, and lets a worker reply.

    What Slack says is kept even while Slack itself cannot be asked who the bot is.
    """

    def __init__(
        self, threadwise: Threadwise, *, ask: Callable[[AskRequest], Answer], count: Callable[[str], None]
    ) -> None:
        self.threadwise = threadwise
        self.settings = threadwise.settings.slack
        self.web = SlackWeb(self.settings)
        self.directory = Directory(self.web, self.identity, clock=time.monotonic)
        replies = Replies(threadwise, self.directory, ask=ask, identity=self.identity)
        self.door = Door(
            self.accept,
            withdraw=self._withdraw,
            changed=self._changed,
            identity=lambda: self._identity,
            command_reply=_first_reply,
        )
        secrets = (self.settings.signing_secret, self.settings.previous_signing_secret)
        self.secrets = tuple(value for secret in secrets if (value := secret.get_secret_value()))
        self.replays = Replays()
        self.worker = Worker(
            threadwise.inbox, replies, self.web, identity=self.identity, settings=self.settings, count=count
        )
        self._identity: Identity | None = None
        self._stopped = threading.Event()
        self.socket_mode: SocketMode | None = None
        self._thread = threading.Thread(target=self._run, name="slack-bot", daemon=True)

    def identity(self) -> Identity:
        """Who the bot is. Raises `SlackUnreachableError` before Slack has said so."""
        if self._identity is None:
            raise SlackUnreachableError("Slack has not said yet who the bot is.", hint="Run: threadwise slack check")
        return self._identity

    def accept(self, delivery: Delivery) -> bool:
        """Keep what was delivered, on disk when this returns; False if it was there already."""
        matter = delivery.matter
        new = self.threadwise.inbox.accept(
            entry_id=_entry_id(delivery),
            kind=matter.kind,
            line=_line(delivery),
            payload=as_payload(matter),
            message=delivery.message,
        )
        self.worker.ring()
        return new

    def start(self) -> None:
        """Find out who the bot is, then work the inbox; does not wait."""
        self._thread.start()

    def stop(self) -> None:
        """End; what is not answered yet waits in the inbox. Does not wait."""
        self._stopped.set()
        self.worker.stop()

    def join(self, seconds: float) -> None:
        """Wait for what is being worked on, and leave Slack's socket."""
        self._thread.join(seconds / 2)
        if not self.worker.join(seconds / 2):
            log.warning("slack_replies_abandoned")

    def _run(self) -> None:
        self._identify()
        if self._stopped.is_set():
            return
        self.worker.start()
        if self.settings.app_token.get_secret_value():
            self.socket_mode = SocketMode(self.door, self.settings)
            self.socket_mode.start()
        self._forget()
        while not self._stopped.wait(FORGET_SECONDS):
            self._forget()
        if self.socket_mode:
            self.socket_mode.stop()

    def _identify(self) -> None:
        pause = 1.0
        while not self._stopped.is_set() and self._identity is None:
            try:
                self._identity = self.web.identity()
                log.info("slack_bot_ready", team=self._identity.team)
            except Exception as error:  # noqa: BLE001 - noted; whatever it is, the bot is nobody until Slack says who
                _note("slack_not_reached", error)
                self._stopped.wait(pause)
                pause = min(LONGEST_PAUSE, 2 * pause)

    def _forget(self) -> None:
        try:
            self.threadwise.inbox.forget()
        except Exception as error:  # noqa: BLE001 - noted; it is tried again in an hour
            _note("inbox_not_tidied", error)

    def _withdraw(self, message: str) -> None:
        self.threadwise.inbox.withdraw(message)

    def _changed(self, what: Literal["people", "conversations"], subject: object) -> None:
        if what == "people":
            self.directory.learn(subject)
        else:
            self.directory.forget_conversations()


def _note(what: str, error: Exception) -> None:
    code = error.code if isinstance(error, ThreadwiseError) else "unexpected"
    with suppress(OSError, ValueError):  # of a log that nobody can write
        log.warning(what, code=code, error=type(error).__name__)


def _first_reply() -> Mapping[str, Any]:
    """What the asker of a command sees until the answer takes its place."""
    posting = looking()
    return {"response_type": "ephemeral", "text": posting.text, "blocks": list(posting.blocks)}


def _entry_id(delivery: Delivery) -> str:
    if len(delivery.id) <= LONGEST_ID:
        return delivery.id
    return hashlib.sha256(delivery.id.encode()).hexdigest()


def _line(delivery: Delivery) -> str:
    """What has to be worked one after the other: a thread, a direct conversation, one person's commands or ratings."""
    matter = delivery.matter
    if isinstance(matter, Share):
        return f"share/{matter.answer_id}"
    if not isinstance(matter, Question):
        return f"rating/{matter.answer_id}/{matter.user}"
    if matter.where == "command":
        return f"command/{matter.user}"
    return matter.channel if matter.where == "direct" else f"{matter.channel}/{matter.thread or matter.ts}"
