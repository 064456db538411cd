"""Where the bot writes to when Slack names a response URL, and what may go wrong there."""

from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from api.slack.errors import SlackLimitedError, SlackRefusedError, SlackUnreachableError
from api.slack.web import SlackWeb
from core.settings import SlackSettings
from tests.support.slack_server import RESPONSE_URL, SlackServer
from tests.support.slack_web import web_of

pytestmark = pytest.mark.no_database

SECTION = {"type": "section", "text": {"type": "plain_text", "text": "Bring the form."}}


@pytest.fixture
def slack() -> Iterator[SlackServer]:
    with SlackServer() as server:
        yield server


@pytest.fixture
def web(slack: SlackServer) -> SlackWeb:
    return web_of(slack)


def test_a_response_url_is_written_to_without_the_token_and_without_unfurling(
    slack: SlackServer, web: SlackWeb
) -> None:
    channel, user = slack.add_channel(), slack.add_user()
    url = slack.response_url(channel, user)
    web.respond(url, {"text": "So.", "blocks": [SECTION], "unfurl_links": True})
    assert [message.text for message in slack.shown_to(channel, user)] == ["So."]
    sent = slack.calls_of(RESPONSE_URL)[-1].arguments
    assert (sent["unfurl_links"], sent["unfurl_media"]) == (False, False)


def test_a_response_url_that_is_used_up_is_refused_with_slacks_word(slack: SlackServer, web: SlackWeb) -> None:
    url = slack.response_url(slack.add_channel(), slack.add_user())
    for _ in range(5):
        web.respond(url, {"text": "So."})
    with pytest.raises(SlackRefusedError) as caught:
        web.respond(url, {"text": "So."})
    assert caught.value.reason == "used_url"


@pytest.mark.parametrize(("status", "body", "reason"), [(404, "<html>", "http_404"), (400, "no_text", "no_text")])
def test_a_refusal_at_a_response_url_has_a_word_in_any_case(
    slack: SlackServer, web: SlackWeb, status: int, body: str, reason: str
) -> None:
    slack.fail(RESPONSE_URL, status, body=body)
    with pytest.raises(SlackRefusedError) as caught:
        web.respond(slack.response_url(slack.add_channel(), slack.add_user()), {"text": "So."})
    assert caught.value.reason == reason


def test_failures_at_a_response_url_have_the_same_classes(slack: SlackServer, web: SlackWeb) -> None:
    url = slack.response_url(slack.add_channel(), slack.add_user())
    slack.fail(RESPONSE_URL, 500)
    slack.drop_answer(RESPONSE_URL)
    for _ in range(2):
        with pytest.raises(SlackUnreachableError) as caught:
            web.respond(url, {"text": "So."})
        assert caught.value.unknown
    slack.limit(RESPONSE_URL, 3)
    with pytest.raises(SlackLimitedError):
        web.respond(url, {"text": "So."})


def test_a_response_url_is_not_followed_elsewhere(slack: SlackServer, web: SlackWeb) -> None:
    slack.fail(RESPONSE_URL, 302, body="", Location=slack.api_url + "auth.test")
    with pytest.raises(SlackRefusedError, match="http_302"):
        web.respond(slack.response_url(slack.add_channel(), slack.add_user()), {"text": "So."})
    assert not slack.calls_of("auth.test")


FOREIGN = (
    "",
    "commands/T1/1",
    "https:hooks.slack.com/x",
    "https:///hooks.slack.com/x",
    "//hooks.slack.com/x",
    "http://hooks.slack.com/x",
    "https://hooks.slack.com:8443/x",
    "https://hooks.slack.com.evil.example/x",
    "https://evil.example/hooks.slack.com",
    "https://evil.example#hooks.slack.com",
    "https://evil.example?hooks.slack.com",
    "https://evil.example\\@hooks.slack.com/x",
    "https://hooks.slack.com@evil.example/x",
    "https://user@hooks.slack.com/x",
    "https://hooks.slack.com:@evil.example/x",
    "https://hooks.slack.com\t.evil.example/x",
    "https://hooks.slack.com/x\r\nHost: evil.example",
    " https://hooks.slack.com/x",
    "https://hooks.slack.com./x",
    "https://hooks\u3002slack\u3002com/x",
    "https://hooks.sl\u0430ck.com/x",
    "https://[hooks.slack.com]/x",
    "https://hooks.slack.com:99999/x",
    "https://hooks.slack.com:4e2/x",
    "https://127.0.0.1/x",
    "http://169.254.169.254/latest/meta-data",
    "http://2130706433:{port}/x",
    "http://localhost:{port}/x",
    "http://127.1:{port}/x",
    "http://[::1]:{port}/x",
    "http://[::ffff:127.0.0.1]:{port}/x",
    "https://127.0.0.1:{port}/x",
    "http://127.0.0.1:{other}/x",
    "http://127.0.0.1/x",
    "http://x@127.0.0.1:{port}/x",
    "ftp://127.0.0.1:{port}/x",
    "file:///etc/passwd",
    "gopher://127.0.0.1:{port}/x",
    "data:text/plain,x",
    "https://hooks.slack.com/" + "x" * 2000,
)


@pytest.mark.parametrize("url", FOREIGN, ids=range(len(FOREIGN)))
def test_a_response_url_that_is_not_slacks_is_not_written_to(slack: SlackServer, web: SlackWeb, url: str) -> None:
    port = int(slack.origin.rsplit(":", 1)[1])
    with pytest.raises(SlackRefusedError) as caught:
        web.respond(url.replace("{port}", str(port)).replace("{other}", str(port - 1)), {"text": "So."})
    assert caught.value.reason == "foreign_response_url"
    assert not slack.calls


def test_with_slacks_own_address_nothing_on_this_machine_is_written_to(slack: SlackServer) -> None:
    web = SlackWeb(SlackSettings(bot_token=SecretStr("xoxb-1")))
    with pytest.raises(SlackRefusedError, match="does not lead to Slack"):
        web.respond(slack.response_url(slack.add_channel(), slack.add_user()), {"text": "So."})
    assert not slack.calls
