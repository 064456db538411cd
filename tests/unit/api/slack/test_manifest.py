"""What the app asks a workspace for is the same in the code, in its manifest and in the guide."""

import re
from typing import Any

import pytest
import yaml

from api.slack.manifest import EXAMPLE, FILE, is_address, over_http, over_socket
from api.slack.scopes import EVENTS, SCOPES

GUIDE = FILE.parents[2] / "docs" / "guides" / "slack.md"
HTTP = yaml.safe_load(over_http("https://threadwise.acme.com"))
SOCKET = yaml.safe_load(over_socket())


def table_of(heading: str, end: str) -> dict[str, str]:
    """The two columns of a part of the guide, whose first is code."""
    part = GUIDE.read_text(encoding="utf-8").partition(heading)[2].partition(end)[0]
    return dict(re.findall(r"^\| `([^`]+)` \| (.+) \|$", part, re.MULTILINE))


def urls_in(value: object) -> list[str]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [value] if isinstance(value, str) and "://" in value else [url for one in inner for url in urls_in(one)]


@pytest.mark.parametrize("manifest", [HTTP, SOCKET], ids=["over HTTP", "over a socket"])
def test_the_manifest_asks_for_the_scopes_and_events_of_the_table(manifest: dict[str, Any]) -> None:
    assert manifest["oauth_config"]["scopes"] == {"bot": list(SCOPES)}
    assert manifest["settings"]["event_subscriptions"]["bot_events"] == list(EVENTS)


def test_the_guide_explains_the_scopes_and_events_of_the_table() -> None:
    assert table_of("Scopes of the bot token:", "Events:") == SCOPES
    assert table_of("Events:", "## Change") == EVENTS


def test_messages_of_channels_are_not_subscribed() -> None:
    assert {name for name in EVENTS if name.startswith("message")} == {"message.im"}


def test_over_http_slack_calls_one_path_of_the_given_address() -> None:
    assert urls_in(HTTP) == ["https://threadwise.acme.com/slack/events"] * 3
    assert HTTP["settings"]["socket_mode_enabled"] is False
    assert over_http("https://threadwise.acme.com/") == over_http("https://threadwise.acme.com")


def test_over_a_socket_slack_calls_no_address() -> None:
    assert urls_in(SOCKET) == []
    assert SOCKET["settings"]["socket_mode_enabled"] is True
    assert SOCKET["settings"]["interactivity"] == {"is_enabled": True}
    assert EXAMPLE not in over_socket()


def test_both_manifests_differ_in_nothing_else() -> None:
    assert SOCKET["oauth_config"] == HTTP["oauth_config"]
    assert SOCKET["display_information"] == HTTP["display_information"]
    assert SOCKET["features"]["bot_user"] == HTTP["features"]["bot_user"]


def test_people_can_write_to_the_bot_and_mentions_in_a_command_arrive_as_in_messages() -> None:
    assert HTTP["features"]["app_home"]["messages_tab_enabled"] is True
    assert HTTP["features"]["app_home"]["messages_tab_read_only_enabled"] is False
    assert HTTP["features"]["slash_commands"][0]["should_escape"] is True


def test_the_manifest_keeps_to_slacks_lengths() -> None:
    assert len(HTTP["display_information"]["name"]) <= 35
    assert len(HTTP["display_information"]["description"]) <= 140
    assert len(HTTP["features"]["bot_user"]["display_name"]) <= 80


@pytest.mark.parametrize(
    "address", ["https://a.b", "https://a.b/", "https://a.b:8443", "https://xn--bcher-kva.example"]
)
def test_an_address_is_https_and_a_host(address: str) -> None:
    assert is_address(address)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "a.b",
        "http://a.b",
        "https://",
        "https://a.b/x",
        "https://a.b?x",
        "https://u@a.b",
        "https://a.b\n",
        "https://a: b",
    ],
)
def test_anything_else_is_no_address(address: str) -> None:
    assert not is_address(address)
