"""How far a pull is, in a line, and what its command does not take."""

from io import StringIO

import pytest
from typer.testing import CliRunner

from api.commands import slack
from api.slack.pull import Seen
from api.slack.pull_progress import line_of, plain_lines


def test_a_line_says_how_far_it_is_and_when_it_will_be_done() -> None:
    assert line_of(Seen(done=0, total=8, messages=3), 9) == "reading: 0/8 conversations, 3 messages"
    assert line_of(Seen(done=2, total=8, messages=3), 10).endswith(", about 30 s left")
    assert line_of(Seen(done=1, total=8, messages=3), 60).endswith(", about 7 min left")
    assert "left" not in line_of(Seen(done=8, total=8, messages=3), 60)


def test_lines_come_now_and_then() -> None:
    out, times = StringIO(), iter([0.0, 1.0, 5.0, 6.0, 11.0])
    show = plain_lines(out, lambda: next(times))
    for done in range(4):
        show(Seen(done=done, total=9, messages=done))
    assert [line.partition(",")[0] for line in out.getvalue().splitlines()] == [
        "reading: 1/9 conversations",
        "reading: 3/9 conversations",
    ]


@pytest.mark.parametrize("arguments", [("acme", "--since", "soon"), (" ",), ("acme", "--overlap-days", "-1")])
def test_what_cannot_be_meant_is_refused_before_anybody_is_asked(arguments: tuple[str, ...]) -> None:
    done = CliRunner().invoke(slack.app, ["pull", *arguments])
    assert (done.exit_code, done.stdout) == (2, "")
