"""A company and its bot in this process, for tests of what people in Slack see."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.slack_company import (
    ADA,
    Bot,
    fill,
    populate,
    running_bot,
    settings_for,
)
from tests.support.slack_server import SlackServer
from threadwise.runtime import Threadwise


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, SlackServer]]:
    """An installation that has read everything, and a Slack whose address it knows."""
    folder = tmp_path_factory.mktemp("company")
    with SlackServer() as slack:
        populate(slack)
        with Threadwise(settings_for(slack, folder / "data")) as threadwise:
            fill(threadwise, folder)
        yield folder / "data", slack


@pytest.fixture(scope="module")
def shared_bot(filled: tuple[Path, SlackServer]) -> Iterator[Bot]:
    folder, slack = filled
    with Threadwise(settings_for(slack, folder)) as threadwise, running_bot(threadwise, slack) as bot:
        yield bot


@pytest.fixture
def bot(shared_bot: Bot) -> Iterator[Bot]:
    """A bot with nothing open, in a Slack as it was, with nothing said."""
    slack = shared_bot.slack
    slack.mend()
    with slack.lock:
        slack.users.clear()
        slack.conversations.clear()
        slack.calls.clear()
        slack.add_user(slack.bot_user, "threadwise", is_bot=True)
        populate(slack)
    assert shared_bot.send(slack.events.user_change(ADA)) == 200
    yield shared_bot
    slack.mend()
    shared_bot.settled()
