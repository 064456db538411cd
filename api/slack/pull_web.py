"""Slack's Web API for somebody who has time: pauses are kept, what fails in passing is tried again.

Nobody waits for an answer here, so that a call may take longer and come more than once: it reads and changes nothing.
"""

import secrets
import time
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Final, TypeVar

from api.slack.errors import SlackLimitedError, SlackUnreachableError
from api.slack.pull_messages import is_message, micros_of
from api.slack.shapes import Page
from api.slack.web import MOST_PAGES, SlackWeb
from core.settings import SlackSettings

T = TypeVar("T")

ENTRIES_A_PAGE: Final = 200  # what Slack recommends
TIMEOUT_SECONDS: Final = 30.0  # of one call, at least: a page of messages is larger than what the bot reads
TRIES: Final = 6
PAUSES: Final = 30  # of one call; Slack's limits count by the minute
LONGEST_PAUSE_SECONDS: Final = 900
LONGEST_BACKOFF_SECONDS: Final = 30

Wait = Callable[[float], None]


class _MessagesPage(Page):
    """One page of conversations.history or conversations.replies; an entry may be anything."""

    messages: list[Any]


class _PlacesPage(Page):
    """One page of conversations.list; an entry may be anything."""

    channels: list[Any]


class _PeoplePage(Page):
    """One page of users.list; an entry may be anything."""

    members: list[Any]


class PatientSlack(SlackWeb):
    """The workspace as somebody reads it whole. `wait` takes seconds and sleeps; `requests` counts the calls made.

    Raises what `SlackWeb` raises; of what passes, only what did not pass within `TRIES` tries or `PAUSES` pauses.
    """

    def __init__(self, settings: SlackSettings, *, wait: Wait = time.sleep, page_size: int = ENTRIES_A_PAGE) -> None:
        seconds = max(settings.timeout_seconds, TIMEOUT_SECONDS)
        super().__init__(settings.model_copy(update={"timeout_seconds": seconds}), page_size=page_size)
        self._wait = wait
        self.requests = 0

    def scopes(self) -> frozenset[str]:
        """What the token may do, by Slack's names."""
        return self._patiently(super().scopes)

    def places(self, *types: str) -> Iterator[object]:
        """Every conversation of these types of Slack's that the token may see, archived ones too."""
        for page in self._pages(_PlacesPage, "conversations.list", types=",".join(types)):
            yield from page.channels

    def everybody(self) -> Iterator[object]:
        """Every entry of users.list, as it came."""
        for page in self._pages(_PeoplePage, "users.list"):
            yield from page.members

    def history(self, channel: str, *, oldest: str, latest: str) -> Iterator[list[object]]:
        """Pages of what stands in a conversation, newest first: from `oldest` on, before `latest`; empty = no end."""
        is_ended = False
        while not is_ended:
            asked = {"oldest": oldest or "0", "inclusive": "true"} | ({"latest": latest} if latest else {})
            pages = self._pages(_MessagesPage, "conversations.history", channel=channel, **asked)
            # One list of pages has an end; a conversation that is longer is read in several.
            for page in islice(pages, MOST_PAGES - 1):
                yield page.messages
                latest = earliest_of(page.messages, latest)
                is_ended = not page.response_metadata.next_cursor

    def replies(self, channel: str, thread: str) -> Iterator[list[object]]:
        """Pages of a thread, oldest first, its first message among them."""
        for page in self._pages(_MessagesPage, "conversations.replies", channel=channel, ts=thread):
            yield page.messages

    def _call(
        self, method: str, asked: dict[str, str] | None = None, *, message: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        call = super()._call
        return self._patiently(lambda: call(method, asked, message=message))

    def _patiently(self, call: Callable[[], T]) -> T:
        tries, pauses = 1, 1
        while True:
            self.requests += 1
            try:
                return call()
            except SlackLimitedError as error:
                if pauses >= PAUSES or error.seconds > LONGEST_PAUSE_SECONDS:
                    raise
                pauses += 1
                self._wait(error.seconds)
            except SlackUnreachableError:
                if tries >= TRIES:
                    raise
                # From a half on: whoever failed together does not come back together.
                self._wait(min(2**tries, LONGEST_BACKOFF_SECONDS) * (50 + secrets.randbelow(51)) / 100)
                tries += 1


def earliest_of(rows: list[object], latest: str) -> str:
    """The earliest time among messages, `latest` if none has one."""
    stamps = [str(row["ts"]) for row in rows if isinstance(row, dict) and is_message(row)]
    return min(stamps, key=micros_of, default=latest)
