"""The worker of the inbox: nothing silences it, and every entry ends."""

from collections.abc import Callable, Iterator

import pytest

from api.slack.blocks import Posting
from api.slack.errors import SlackRefusedError, SlackUnreachableError
from api.slack.replies import Reply
from api.slack.words import Identity, Matter
from api.slack.worker import Worker
from core.catalog.inbox import Entry
from core.database import Database
from core.errors import DatabaseUnavailableError, ThreadwiseError
from core.settings import SlackSettings
from tests.support.doorbell import eventually
from tests.support.slack_server import SlackServer
from tests.support.slack_web import web_of
from threadwise.inbox import Inbox

POSTING = Posting(text="So.", blocks=())
CHANNEL = "C0GENERAL"


class Answers:
    """Replies that a test decides on: `act` may raise."""

    def __init__(self) -> None:
        self.act: Callable[[], None] = lambda: None
        self.response_url = ""

    def to(self, matter: Matter, _entry: Entry) -> Reply:
        self.act()
        return self._reply(getattr(matter, "ts", ""), POSTING)

    def sorry(self, matter: Matter) -> Reply:
        return self._reply(getattr(matter, "ts", ""), Posting(text="Sorry.", blocks=()))

    def _reply(self, thread: str, posting: Posting) -> Reply:
        if self.response_url:
            return Reply(posting=posting, response_url=self.response_url, replaces=False)
        return Reply(posting=posting, channel=CHANNEL, thread=thread)


class Desk:
    """A worker with its inbox and its Slack."""

    def __init__(self, database: Database, slack: SlackServer, **more: float) -> None:
        self.slack = slack
        self.inbox = Inbox(database, lease_seconds=30)
        self.answers = Answers()
        self.ends: list[str] = []
        settings = SlackSettings.model_validate({"workers": 1, "max_attempts": 2} | more)
        self.worker = Worker(
            self.inbox,
            self.answers,  # type: ignore[arg-type] # it replies
            web_of(slack),
            identity=lambda: Identity(team=slack.team, user=slack.bot_user, bot=slack.bot, url=slack.url),
            settings=settings,
            count=self.ends.append,
        )

    def ask(self, number: int, *, line: str = "thread", payload: dict[str, str] | None = None) -> str:
        ts = self.slack.say(CHANNEL, self.slack.bot_user, "How?")
        question = {"team": "T", "user": "U", "channel": CHANNEL, "where": "channel", "text": "How?", "ts": ts}
        self.inbox.accept(entry_id=f"E{number}", kind="question", line=line, payload=payload or question)
        return ts

    def work(self) -> None:
        """Until nothing is due."""
        while self.worker.work_one():
            pass

    def make_due(self) -> None:
        from sqlalchemy import update  # noqa: PLC0415 - turns the clock where no door does

        from core import tables as t  # noqa: PLC0415

        with self.inbox.database.write() as session:
            session.execute(update(t.inbox).values(due_at=0))

    def posted(self) -> list[str]:
        return [message.text for message in self.slack.posted_by_bot(CHANNEL)]


@pytest.fixture
def slack() -> Iterator[SlackServer]:
    with SlackServer() as server:
        server.add_channel(CHANNEL)
        yield server


@pytest.fixture
def desk(database: Database, slack: SlackServer) -> Desk:
    return Desk(database, slack)


def failing(error: Exception) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


def test_a_row_of_another_version_ends_and_holds_up_nobody(desk: Desk) -> None:
    desk.ask(1, payload={"strange": "row"})
    desk.ask(2)
    desk.work()
    assert desk.ends == ["failed", "done"]
    assert desk.posted() == ["So."]


def test_after_so_many_failures_the_asker_gets_an_apology_and_the_row_its_reason(desk: Desk) -> None:
    desk.ask(1)
    desk.answers.act = failing(ValueError("unexpected"))
    for _ in range(3):
        desk.work()
        desk.make_due()
    assert desk.posted() == ["Sorry."]
    assert desk.ends == ["unexpected", "unexpected", "failed"]


def test_what_slack_is_to_blame_for_costs_no_attempt(desk: Desk) -> None:
    desk.ask(1)
    desk.answers.act = failing(SlackUnreachableError("away"))
    for _ in range(8):
        desk.work()
        desk.make_due()
    desk.answers.act = lambda: None
    desk.work()
    assert desk.posted() == ["So."]


def test_what_waited_past_all_patience_ends_with_its_reason_and_frees_its_line(
    database: Database, slack: SlackServer
) -> None:
    desk = Desk(database, slack, patience_seconds=0.001)
    desk.ask(1)
    desk.ask(2)
    errors = iter([SlackUnreachableError("odd")])  # of the first question alone

    def act() -> None:
        for error in errors:
            raise error

    desk.answers.act = act
    desk.work()
    assert desk.ends == ["slack_unreachable", "failed", "done"]


@pytest.mark.parametrize("error", [DatabaseUnavailableError("away"), RuntimeError("never seen"), OSError("no space")])
def test_whatever_goes_wrong_the_thread_goes_on(desk: Desk, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    monkeypatch.setattr("api.slack.worker.POLL_SECONDS", 0.02)
    claim, failures = desk.inbox.claim, iter([error, error])

    def unsteady() -> Entry | None:
        for one in failures:
            raise one
        return claim()

    monkeypatch.setattr(desk.inbox, "claim", unsteady)
    desk.ask(1)
    desk.worker.start()
    desk.worker.ring()
    eventually(lambda: desk.posted() == ["So."])
    desk.worker.stop()
    assert desk.worker.join(5)


def test_a_line_for_who_clicked_is_shown_once_though_nobody_heard_whether_it_arrived(desk: Desk) -> None:
    desk.answers.response_url = desk.slack.response_url(CHANNEL, desk.slack.bot_user)
    desk.slack.drop_answer("response_url")
    desk.ask(1)
    desk.work()
    desk.make_due()
    desk.work()
    assert len(desk.slack.shown_to(CHANNEL, desk.slack.bot_user)) == 1
    assert desk.ends == ["done"]


def test_an_apology_found_again_by_its_mark_is_no_success(desk: Desk) -> None:
    desk.ask(1)
    desk.answers.act = failing(ThreadwiseError("odd"))
    for _ in range(2):
        desk.work()
        desk.make_due()
    desk.slack.drop_answer("chat.postMessage")
    desk.work()
    desk.make_due()
    desk.work()
    assert desk.posted() == ["Sorry."]
    assert desk.ends[-1] == "failed"


def test_an_old_question_that_fails_for_another_reason_is_tried_again(database: Database, slack: SlackServer) -> None:
    desk = Desk(database, slack, patience_seconds=0.001)
    desk.ask(1)
    desk.answers.act = failing(RuntimeError("once"))
    desk.work()
    desk.answers.act = lambda: None
    desk.make_due()
    desk.work()
    assert desk.posted() == ["So."]


def test_who_used_the_command_is_told_though_slack_refuses_what_the_answer_needs(desk: Desk) -> None:
    url = desk.slack.response_url(CHANNEL, desk.slack.bot_user)
    asked = {"team": desk.slack.team, "user": "U", "channel": CHANNEL, "where": "command", "text": "How?"}
    desk.ask(1, payload=asked | {"response_url": url})
    desk.answers.response_url = url
    desk.answers.act = failing(SlackRefusedError.of("user_not_found"))
    desk.work()
    assert [message.text for message in desk.slack.shown_to(CHANNEL, desk.slack.bot_user)] == ["Sorry."]
    assert desk.ends[-1] == "failed"
