"""The folder of a pull is whole and for its owner alone, whatever stopped it and whatever else lies there."""

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

import pytest

from api.slack.pull import Order, Pull, Seen
from api.slack.pull_folder import PullBusyError, PullFolderError, opened
from tests.support.slack_pulled import (
    ADA,
    DAY,
    Clock,
    Impatient,
    calls,
    export_of,
    files_in,
    messages_in,
    pull,
    texts_in,
)
from tests.support.slack_server import SlackServer

pytestmark = pytest.mark.no_database
ROOT = Path(__file__).resolve().parents[5]
HISTORY = "conversations.history"


def test_a_renamed_channel_has_its_messages_once(slack: SlackServer, folder: Path) -> None:
    pull(slack, folder)
    slack.conversations["C0GENERAL"].name = "everybody"
    pull(slack, folder)
    assert set(messages_in(folder)) == {"everybody", "board"}
    assert len(texts_in(folder, "everybody")) == 9


@pytest.mark.parametrize("name", ["../../etc", "a/b", "..", ".hidden", "users.json", "", "x" * 300, "nul\0"])
def test_a_name_that_leads_elsewhere_is_no_folder(slack: SlackServer, tmp_path: Path, name: str) -> None:
    slack.conversations["C0GENERAL"].name = name
    around = tmp_path / "a" / "b" / "c"
    around.mkdir(parents=True)
    pull(slack, around / "acme")
    assert len(texts_in(around / "acme", "C0GENERAL")) == 9
    assert {
        path for path in tmp_path.rglob("*") if path.is_file() and not path.is_relative_to(around / "acme")
    } == set()


def test_only_the_owner_can_read_what_was_pulled(slack: SlackServer, folder: Path) -> None:
    mask = os.umask(0)
    try:
        pull(slack, folder)
        pull(slack, folder)
    finally:
        os.umask(mask)
    modes = {(path.is_dir(), stat.S_IMODE(path.stat().st_mode)) for path in (folder, *folder.rglob("*"))}
    assert modes == {(True, 0o700), (False, 0o600)}


def test_the_folder_says_when_and_what_was_pulled_and_readers_do_not_see_it(slack: SlackServer, folder: Path) -> None:
    report = pull(slack, folder)
    said = json.loads((folder / ".pull.json").read_bytes())
    assert said["team"] == slack.team
    assert said["conversations"] == report["conversations"] == {"read": 2, "already_read": 0, "kept": 0, "left_out": 0}
    assert said["pulled_at"]
    assert slack.bot_token not in "".join(path.read_text() for path in folder.rglob("*") if path.is_file())


def test_a_folder_of_somebody_else_is_not_touched(slack: SlackServer, tmp_path: Path) -> None:
    export = export_of(slack, tmp_path / "export")
    before = files_in(export)
    with pytest.raises(PullFolderError, match="no pull wrote"):
        pull(slack, export)
    (tmp_path / "file").touch()
    with pytest.raises(PullFolderError, match="is no folder"):
        pull(slack, tmp_path / "file")
    assert files_in(export) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["export", "file"]


def test_what_somebody_put_beside_the_messages_is_not_thrown_away(slack: SlackServer, folder: Path) -> None:
    pull(slack, folder)
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(PullFolderError, match=r"notes\.txt"):
        pull(slack, folder)
    assert (folder / "notes.txt").read_text() == "mine"


def test_another_workspace_needs_another_folder(slack: SlackServer, folder: Path) -> None:
    pull(slack, folder)
    slack.team = "T0ELSE"
    with pytest.raises(PullFolderError, match="another workspace"):
        pull(slack, folder)


def test_two_pulls_into_one_folder_do_not_meet(slack: SlackServer, folder: Path) -> None:
    with opened(folder, team=slack.team), pytest.raises(PullBusyError):
        pull(slack, folder)
    assert pull(slack, folder)["messages"] == 18


def test_a_damaged_folder_is_read_anew(slack: SlackServer, folder: Path) -> None:
    pull(slack, folder)
    whole = files_in(folder)
    next(folder.glob("general/*.json")).write_text("[{")
    (folder / "board" / ".pull.json").write_text('{"id": "../../out", "since": "", "newest": ""}')
    pull(slack, folder)
    assert files_in(folder) == whole


def test_where_files_cannot_be_linked_they_are_copied(
    slack: SlackServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> NoReturn:
        raise PermissionError

    pull(slack, folder)
    before = files_in(folder)
    monkeypatch.setattr(os, "link", refused)
    pull(slack, folder, overlap_days=0)
    assert files_in(folder) == before


def test_progress_counts_conversations_and_messages(slack: SlackServer, folder: Path) -> None:
    seen: list[Seen] = []
    Pull(Impatient(slack), Order(folder=folder), seen.append).run()
    assert (seen[0].done, seen[0].total) == (0, 2)
    assert (seen[-1].done, seen[-1].total, seen[-1].messages) == (2, 2, 24)


class StopError(BaseException):
    """A kill: nobody catches it."""


class Mortal(Impatient):
    """Dies at its n-th request."""

    def __init__(self, slack: SlackServer, last: int) -> None:
        super().__init__(slack, page_size=2)
        self._last = last

    def _call(self, *arguments: Any, **named: Any) -> dict[str, Any]:  # noqa: ANN401 - as in SlackWeb
        if self.requests >= self._last:
            raise StopError
        return super()._call(*arguments, **named)


def test_stopped_at_any_request_it_goes_on_and_ends_like_an_undisturbed_pull(
    slack: SlackServer, tmp_path: Path
) -> None:
    calm = Impatient(slack, page_size=2)
    pull(slack, tmp_path / "calm", web=calm)
    for last in range(3, calm.requests, 5):
        folder = tmp_path / f"acme{last}"
        with pytest.raises(StopError):
            pull(slack, folder, web=Mortal(slack, last))
        assert not folder.exists()
        again = Impatient(slack, page_size=2)
        pull(slack, folder, web=again)
        assert files_in(folder) == files_in(tmp_path / "calm")
        assert again.requests < calm.requests or last < 10


def test_stopped_at_any_step_in_the_folder_it_ends_like_an_undisturbed_pull(
    slack: SlackServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    """The folder is there before and after, whole; between its two last steps the next pull brings it back."""
    rename, folder = Path.rename, tmp_path / "acme"
    left = 0

    def mortal(path: Path, target: Path) -> Path:
        nonlocal left
        left -= 1
        if left == 0:
            raise StopError
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", mortal)
    for number in range(2):
        clock.now += 40 * DAY
        slack.say("C0GENERAL", ADA, f"News {number}")
        pull(slack, tmp_path / f"calm{number}")
        for steps in range(1, 100):
            left = steps
            try:
                pull(slack, folder)
            except StopError:
                continue
            break
        left = 0
        assert steps > 8
        assert messages_in(folder) == messages_in(tmp_path / f"calm{number}")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["acme", "calm0", "calm1"]


def test_a_killed_process_has_lost_nothing_that_it_had_read(slack: SlackServer, folder: Path) -> None:
    environment = {
        "THREADWISE_SLACK__BOT_TOKEN": slack.bot_token,
        "THREADWISE_SLACK__API_URL": slack.api_url,
    }
    command = [sys.executable, "-m", "api.cli", "slack", "pull", str(folder), "--json"]
    hold = slack.hold("users.list")
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ | environment, stdout=subprocess.PIPE)
    hold.wait_until_reached()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    slack.mend()
    assert not folder.exists()
    calls(slack)
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | environment, check=False, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    report = json.loads(done.stdout)
    assert report["conversations"] == {"read": 0, "already_read": 2, "kept": 0, "left_out": 0}
    assert HISTORY not in calls(slack)
    assert len(texts_in(folder, "general")) == 9
    assert slack.bot_token not in done.stdout + done.stderr
