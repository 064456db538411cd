"""slack_sdk's own client of the mock Slack server, without retries and without log lines."""

import logging
from collections.abc import Callable

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from tests.support.slack_server import SlackServer

QUIET = logging.getLogger("tests.slack")
QUIET.addHandler(logging.NullHandler())
QUIET.propagate = False


def client_of(slack: SlackServer, token: str = "", timeout: int = 5) -> WebClient:
    return WebClient(token or slack.bot_token, slack.api_url, timeout=timeout, retry_handlers=[], logger=QUIET)


def error_of(call: Callable[[], object]) -> str:
    with pytest.raises(SlackApiError) as caught:
        call()
    return str(caught.value.response["error"])
