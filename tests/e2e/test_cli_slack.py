"""`threadwise slack` as an admin runs it: the manifest to paste, and what is wrong before anybody asks."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from api.slack.scopes import SCOPES
from tests.support.slack_server import SlackServer

pytestmark = pytest.mark.no_database
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Done:
    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401 - whatever was printed
        assert self.out.count("\n") == 1, self.out + self.err
        return json.loads(self.out)


@pytest.fixture
def slack() -> Iterator[SlackServer]:
    with SlackServer() as server:
        yield server


def run(*arguments: str, **environment: str) -> Done:
    done = subprocess.run(
        [sys.executable, "-m", "api.cli", "slack", *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        check=False,
        capture_output=True,
        timeout=60,
        text=True,
    )
    assert "Traceback" not in done.stderr
    return Done(done.returncode, done.stdout, done.stderr)


def check(slack: SlackServer, *arguments: str, **settings: str) -> Done:
    given = {"BOT_TOKEN": slack.bot_token, "API_URL": slack.api_url, "SIGNING_SECRET": slack.signing_secret} | settings
    done = run("check", *arguments, **{f"THREADWISE_SLACK__{name}": value for name, value in given.items()})
    assert not [
        secret for secret in (slack.bot_token, slack.signing_secret, slack.app_token) if secret in done.out + done.err
    ]
    return done


def test_the_manifest_can_be_pasted_as_it_is_printed() -> None:
    done = run("manifest", "--url", "https://threadwise.acme.com/")
    assert done.status == 0
    shape = yaml.safe_load(done.out)
    assert shape["settings"]["event_subscriptions"]["request_url"] == "https://threadwise.acme.com/slack/events"
    assert done.err == ""
    assert yaml.safe_load(run("manifest", "--socket-mode", "--json").json["manifest"])["settings"][
        "socket_mode_enabled"
    ]


def test_a_manifest_without_an_address_says_that_its_address_is_an_example() -> None:
    done = run("manifest")
    assert done.status == 0
    assert "--url" in done.err
    assert "threadwise.example.com" in done.out


@pytest.mark.parametrize(
    "arguments",
    [("--url", "http://acme.com"), ("--url", " "), ("--url", "https://acme.com", "--socket-mode")],
    ids=["no https", "no address", "both"],
)
def test_an_address_that_slack_would_not_call_is_refused(arguments: tuple[str, ...]) -> None:
    done = run("manifest", *arguments)
    assert (done.status, done.out) == (2, "")


def test_check_names_the_workspace_and_says_that_all_is_well(slack: SlackServer) -> None:
    done = check(slack, "--json")
    assert done.status == 0
    assert done.json == {
        "ok": True,
        "workspace": slack.url,
        "team": slack.team,
        "user": slack.bot_user,
        "bot": slack.bot,
        "listens": "http",
        "signing_secret": True,
        "previous_signing_secret": False,
        "app_token": False,
        "missing_scopes": [],
    }
    text = check(slack).out
    assert slack.url in text
    assert "all that are needed" in text


def test_check_says_which_scopes_are_missing_and_what_each_is_for(slack: SlackServer) -> None:
    slack.scopes -= {"users:read", "im:history"}
    done = check(slack, "--json")
    assert done.status == 1
    assert {row["scope"]: row["why"] for row in done.json["missing_scopes"]} == {
        name: SCOPES[name] for name in ("users:read", "im:history")
    }
    text = check(slack).out
    assert f"users:read         to {SCOPES['users:read']}" in text


def test_check_says_that_nothing_can_arrive_without_a_secret_or_an_app_token(slack: SlackServer) -> None:
    done = check(slack, "--json", SIGNING_SECRET="")
    assert (done.status, done.json["listens"]) == (1, "not")
    socket = check(slack, "--json", SIGNING_SECRET="", APP_TOKEN=slack.app_token)
    assert (socket.status, socket.json["listens"]) == (0, "socket")


def test_without_a_token_there_is_no_bot_to_check(slack: SlackServer) -> None:
    done = check(slack, "--json", BOT_TOKEN="")
    assert (done.status, done.json["error"]["code"]) == (2, "invalid_setting")
    assert not slack.calls


def test_a_token_that_slack_does_not_know_and_a_slack_that_is_away_end_with_three(slack: SlackServer) -> None:
    revoked = check(slack, "--json", BOT_TOKEN="xoxb-wrong")  # noqa: S106 - of nobody
    assert (revoked.status, revoked.json["error"]["code"]) == (3, "slack_access")
    away = check(slack, "--json", API_URL="http://127.0.0.1:9/api/")
    assert (away.status, away.json["error"]["code"]) == (3, "slack_unreachable")


def test_a_pulled_workspace_is_ready_to_be_ingested_and_what_was_left_out_is_named(
    slack: SlackServer, tmp_path: Path
) -> None:
    ana = slack.add_user(name="ana")
    slack.say(slack.add_channel(name="general", members=[ana]), ana, "The travel policy is on the wiki.")
    slack.add_channel("C0OTHER", "other", bot=False)
    environment = {"THREADWISE_SLACK__BOT_TOKEN": slack.bot_token, "THREADWISE_SLACK__API_URL": slack.api_url}
    done = run("pull", str(tmp_path / "acme"), "--since", "2020-02-29", "--exclude", "x*", **environment)
    assert (done.status, done.err) == (0, "")
    assert "holds 1 messages" in done.out
    assert "other (C0OTHER): not_in_channel" in done.out
    assert f"Next: threadwise ingest {tmp_path / 'acme'} --workspace-url {slack.url}" in done.out
    assert slack.bot_token not in done.out
