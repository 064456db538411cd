"""Works the inbox: takes an entry, works out its reply, posts it once.

A reply that may be visible is looked for before it is posted again: by whoever takes over from a process that died,
and after a call whose result nobody heard. The lease is longer than any call, so what was under way has landed then.
"""

import hashlib
import json
import random
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

import structlog

from api.rest.errors import LaterError, ShuttingDownError
from api.slack.errors import SlackAccessError, SlackLimitedError, SlackRefusedError, SlackUnreachableError
from api.slack.replies import Replies, Reply
from api.slack.web import SlackWeb
from api.slack.words import Identity, Matter, Question, Share, from_payload
from core.catalog.inbox import Entry, Settled
from core.errors import ThreadwiseError
from core.settings import SlackSettings
from core.words import MICROS
from threadwise.inbox import Inbox

POLL_SECONDS: Final = 1.0
FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 30.0
BUSY_SECONDS: Final = 600.0
"""So long a busy model costs no try; then the asker is better told."""

EARLIER_SECONDS: Final = 3600.0
"""A share is looked for from so long before its click was kept: a button that one person sees lasts no longer."""

GONE: Final = frozenset({"thread_not_found", "message_not_found", "cannot_reply_to_message"})
"""What Slack says when the question itself is not there any more."""

ILL_FORMED: Final = frozenset({"invalid_blocks", "invalid_blocks_format", "msg_too_long", "msg_blocks_too_long"})

log = structlog.get_logger(__name__)


class Worker:
    """Answers what waits in the inbox, in threads of its own, until it is stopped."""

    def __init__(
        self,
        inbox: Inbox,
        replies: Replies,
        web: SlackWeb,
        *,
        identity: Callable[[], Identity],
        settings: SlackSettings,
        count: Callable[[str], None],
    ) -> None:
        self.inbox = inbox
        self.replies = replies
        self.web = web
        self.identity = identity
        self.settings = settings
        self.count = count  # hears how each entry ended
        self._bell = threading.Event()
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin to work."""
        for number in range(self.settings.workers):
            thread = threading.Thread(target=self._run, name=f"slack-{number}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def ring(self) -> None:
        """Something has come in."""
        self._bell.set()

    def stop(self) -> None:
        """End after what is being worked on; does not wait."""
        self._stopped.set()
        self._bell.set()

    def join(self, seconds: float) -> bool:
        """Wait for the threads; whether they have ended."""
        for thread in self._threads:
            thread.join(seconds / max(1, len(self._threads)))
        return not any(thread.is_alive() for thread in self._threads)

    def work_one(self) -> bool:
        """Work on one entry as far as it goes; False if none was waiting."""
        entry = self.inbox.claim()
        if entry is None:
            return False
        with self.inbox.kept(entry):
            try:
                self._work(entry)
            except Exception as error:  # noqa: BLE001 - recorded with the entry, which is tried again
                self._put_off(entry, error)
        return True

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._bell.wait(POLL_SECONDS)
            self._bell.clear()
            try:
                while not self._stopped.is_set() and self.work_one():
                    self._bell.set()  # the next one may have work too
            except Exception as error:  # noqa: BLE001 - noted; whatever it was, the next question needs this thread
                with suppress(OSError, ValueError):  # of a log that nobody can write
                    log.warning("inbox_not_worked", code=_code_of(error), error=type(error).__name__)
                self._stopped.wait(POLL_SECONDS)

    def _work(self, entry: Entry) -> None:
        matter = _matter_of(entry)
        if matter is None:
            self._settle(entry, "failed", "unreadable")
            return
        is_given_up = entry.attempt > self.settings.max_attempts
        end: tuple[Settled, str] = ("failed", entry.error_code) if is_given_up else ("done", "")
        try:
            # A share is sought each time: whoever clicks twice wants it to stand there once.
            if (entry.is_posting or isinstance(matter, Share)) and self._is_posted(entry, matter):
                self._settle(entry, *end)
            else:
                self._reply(entry, matter, self.replies.sorry if is_given_up else None, end)
        except SlackRefusedError:
            if not isinstance(matter, Share):
                raise
            self._notify(entry, self.replies.cannot_share(matter), end)

    def _reply(
        self, entry: Entry, matter: Matter, sorry: Callable[[Matter], Reply] | None, end: tuple[Settled, str]
    ) -> None:
        reply = sorry(matter) if sorry else self.replies.to(matter, entry)
        if reply is None:
            self._settle(entry, *end)
        elif not reply.replaces:
            self._notify(entry, reply, end)
        elif self.inbox.begin_posting(entry, reply.answer_id):
            self._post(reply, _key(entry, matter))
            self._settle(entry, *end)

    def _is_posted(self, entry: Entry, matter: Matter) -> bool:
        """Whether the reply of an earlier attempt stands already. What takes the place of itself need not be sought."""
        thread = (matter.thread or matter.ts) if isinstance(matter, Question) else ""
        if not thread and not isinstance(matter, Share):
            return False
        since = entry.received_at / MICROS - EARLIER_SECONDS
        key = _key(entry, matter)
        found = self.web.find_posted(matter.channel, thread, key, bot=self.identity().bot, since=since)
        return found is not None

    def _notify(self, entry: Entry, reply: Reply, end: tuple[Settled, str]) -> None:
        """A line for whoever clicked, which nothing replaces: shown once or, if that fails, not at all."""
        if self._settle(entry, *end):
            try:
                self._post(reply, "")
            except ThreadwiseError as error:
                log.warning("slack_notice_lost", code=error.code)

    def _post(self, reply: Reply, key: str) -> None:
        try:
            self._send(reply, reply.posting.blocks, key)
        except SlackRefusedError as error:
            if error.reason not in ILL_FORMED:
                raise
            log.warning("slack_blocks_refused", reason=error.reason)
            self._send(reply, (), key)

    def _send(self, reply: Reply, blocks: Sequence[dict[str, Any]], key: str) -> None:
        text = reply.posting.text
        if not reply.response_url:
            self.web.post(reply.channel, text, blocks, thread=reply.thread, key=key)
            return
        payload: dict[str, Any] = {"text": text, "response_type": "ephemeral", "replace_original": reply.replaces}
        self.web.respond(reply.response_url, payload | ({"blocks": list(blocks)} if blocks else {}))

    def _put_off(self, entry: Entry, error: Exception) -> None:
        """Settle what cannot succeed, give back what may; what Slack or a busy model is to blame for costs no try."""
        code = _code_of(error)
        log.warning("slack_reply_put_off", code=code, attempt=entry.attempt, error=type(error).__name__)
        self.count(code)
        is_slack = isinstance(error, SlackUnreachableError | SlackAccessError | SlackLimitedError)
        is_busy = isinstance(error, LaterError) and entry.waited_seconds < BUSY_SECONDS
        if isinstance(error, SlackRefusedError):
            self._refuse(entry, error.reason)
        elif is_slack and entry.waited_seconds > self.settings.patience_seconds:
            self._settle(entry, "failed", code)
        elif isinstance(error, ThreadwiseError) and (is_slack or is_busy):
            self.inbox.release(entry, seconds=self._pause(entry, error), error_code=code, refund=True)
        else:
            stopping = isinstance(error, ShuttingDownError)
            self.inbox.release(entry, seconds=0 if stopping else _backoff(entry), error_code=code, refund=stopping)

    def _refuse(self, entry: Entry, reason: str) -> None:
        """End what Slack will not have. Whoever used the command still sees that they are being answered."""
        matter = _matter_of(entry)
        end: tuple[Settled, str] = ("withdrawn" if reason in GONE else "failed", reason[:60])
        if isinstance(matter, Question) and matter.where == "command":
            self._notify(entry, self.replies.sorry(matter), end)
        else:
            self._settle(entry, *end)

    def _pause(self, entry: Entry, error: ThreadwiseError) -> float:
        if isinstance(error, SlackLimitedError | LaterError):
            return max(FIRST_PAUSE, error.seconds)
        if isinstance(error, SlackUnreachableError) and error.unknown:
            return 2 * self.settings.timeout_seconds  # what is under way has landed then
        return _backoff(entry)

    def _settle(self, entry: Entry, state: Settled, code: str = "") -> bool:
        held = self.inbox.settle(entry, state, code)
        if held:
            self.count(state)
        return held


def _backoff(entry: Entry) -> float:
    """The longer it has waited, the longer it waits: what failed for a minute is not mended in a second."""
    pause: float = min(LONGEST_PAUSE, max(FIRST_PAUSE * 2 ** min(entry.attempt, 10), entry.waited_seconds / 4))
    return pause * (0.8 + 0.4 * random.random())  # noqa: S311 - spreads load, guards nothing


def _code_of(error: Exception) -> str:
    return error.code if isinstance(error, ThreadwiseError) else "unexpected"


def _matter_of(entry: Entry) -> Matter | None:
    """What it is about; None for an entry of another version that cannot be read."""
    try:
        return from_payload(entry.kind, json.loads(entry.payload))
    except (ValueError, KeyError, TypeError):
        return None


def _key(entry: Entry, matter: Matter) -> str:
    """What marks the reply to this entry in Slack; an answer that is shared in a channel has one mark there."""
    own = f"share/{matter.answer_id}" if isinstance(matter, Share) else entry.id
    return hashlib.sha256(own.encode()).hexdigest()[:32]
