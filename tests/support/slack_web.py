"""The bot's client of Slack's Web API, connected to the mock of Slack."""

from pydantic import SecretStr

from api.slack.web import PAGE_SIZE, SlackWeb
from core.settings import SlackSettings
from tests.support.slack_server import SlackServer


def web_of(
    slack: SlackServer,
    *,
    api_url: str = "",
    token: str = "",
    seconds: float = 5.0,
    page_size: int = PAGE_SIZE,
) -> SlackWeb:
    settings = SlackSettings(
        bot_token=SecretStr(token or slack.bot_token),
        api_url=api_url or slack.api_url,
        timeout_seconds=seconds,
        lease_seconds=60,
    )
    return SlackWeb(settings, page_size=page_size)
