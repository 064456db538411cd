"""Slack's events many times over and in any order, and the service killed between hearing, answering and posting."""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import pytest

from tests.support.doorbell import eventually
from tests.support.rest import Process, running
from tests.support.slack_company import ADA, GENERAL, MENTION, fill, populate, says, send_to, settings_for
from tests.support.slack_events import Envelope, deliver
from tests.support.slack_faults import Hold
from tests.support.slack_server import SlackServer
from threadwise.runtime import Threadwise

LEAVE = "How many days of leave can be carried over?"
LEASE_SECONDS = 1.5

Start = Callable[[], AbstractContextManager[Process]]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, SlackServer]]:
    folder = tmp_path_factory.mktemp("company")
    with SlackServer() as slack:
        populate(slack)
        with Threadwise(settings_for(slack, folder / "data")) as threadwise:
            fill(threadwise, folder)
        yield folder, slack


@pytest.fixture
def slack(filled: tuple[Path, SlackServer]) -> Iterator[SlackServer]:
    """The Slack, in order. What was said before stays: a service that was killed may still look for it."""
    yield filled[1]
    filled[1].mend()


@pytest.fixture
def start(filled: tuple[Path, SlackServer]) -> Start:
    """A way to start the process that serves REST and Slack, again and again on the same data."""
    folder, slack = filled
    variables = {
        "LLM__KIND": "none",
        "SLACK__BOT_TOKEN": slack.bot_token,
        "SLACK__SIGNING_SECRET": slack.signing_secret,
        "SLACK__API_URL": slack.api_url,
        "SLACK__LEASE_SECONDS": str(LEASE_SECONDS),
        "SLACK__TIMEOUT_SECONDS": "0.45",
        "ASK__QUEUE": "100",
    }
    given = {f"THREADWISE_{name}": value for name, value in variables.items()}
    return lambda: running(folder / "data", folder / "api.log", given)


def asked(slack: SlackServer) -> Envelope:
    return slack.events.app_mention(GENERAL, ADA, f"{MENTION} {LEAVE}")


def kill(service: Process) -> None:
    service.process.kill()
    service.process.wait()


def replies(slack: SlackServer, questions: Iterable[str]) -> list[int]:
    """How many visible replies each of these questions has, by their timestamps."""
    found = Counter(message.thread_ts for message in slack.posted_by_bot(GENERAL))
    return [found[ts] for ts in questions]


def is_answered(slack: SlackServer, questions: Iterable[str]) -> Callable[[], bool]:
    return lambda: all(replies(slack, questions))


def test_events_delivered_one_to_four_times_in_any_order_have_one_reply_each(
    slack: SlackServer, start: Start, *, full_size: bool
) -> None:
    seed = random.randrange(10**6)
    print(f"SEED={seed}")
    rng = random.Random(seed)
    envelopes = [asked(slack) for _ in range(300 if full_size else 100)]
    deliveries = [envelope for envelope in envelopes for _ in range(rng.randint(1, 4))]
    rng.shuffle(deliveries)
    with start() as service:

        def send(envelope: Envelope) -> int:
            url = f"{service.url}/slack/events"
            return deliver(url, envelope, secret=slack.signing_secret, retry=(1, "http_timeout")).status

        with ThreadPoolExecutor(8) as pool:
            statuses = Counter(pool.map(send, deliveries))
        # The very same request twice within a second is a replay; each event was taken at least once.
        assert set(statuses) <= {200, 401}, statuses
        questions = [envelope.event["ts"] for envelope in envelopes]
        eventually(is_answered(slack, questions), 240)
    assert set(replies(slack, questions)) == {1}
    assert all(says(message, "five days") for message in slack.posted_by_bot(GENERAL))


def before_the_answer(slack: SlackServer) -> Hold:
    return slack.hold("conversations.members")


def before_the_post_arrives(slack: SlackServer) -> Hold:
    slack.drop_before("chat.postMessage")
    return slack.hold("chat.postMessage")


def after_the_post_was_made(slack: SlackServer) -> Hold:
    return slack.hold("chat.postMessage", after_effect=True)


def while_the_post_is_under_way(slack: SlackServer) -> Hold:
    return slack.hold("chat.postMessage")


@pytest.mark.parametrize(
    "moment", [before_the_answer, before_the_post_arrives, after_the_post_was_made, while_the_post_is_under_way]
)
def test_killed_at_a_named_moment_it_replies_once(
    slack: SlackServer, start: Start, moment: Callable[[SlackServer], Hold]
) -> None:
    with start() as service:
        hold = moment(slack)
        envelope = asked(slack)
        assert send_to(service.url, slack)(envelope).status == 200
        hold.wait_until_reached()
        kill(service)
        hold.release()
    with start():
        eventually(is_answered(slack, [envelope.event["ts"]]), 30)
        wait_for_late_posts(slack)
    assert replies(slack, [envelope.event["ts"]]) == [1]


def test_killed_at_any_moment_every_acknowledged_question_has_one_reply(
    slack: SlackServer, start: Start, *, full_size: bool
) -> None:
    seed = random.randrange(10**6)
    print(f"SEED={seed}")
    rng = random.Random(seed)
    acknowledged: set[str] = set()
    for _ in range(50 if full_size else 4):
        with start() as service:
            for _ in range(6):
                envelope = asked(slack)
                if send_to(service.url, slack)(envelope).status == 200:
                    acknowledged.add(envelope.event["ts"])
            with suppress(AssertionError):
                eventually(is_answered(slack, acknowledged), rng.uniform(0.0, 0.6))
            kill(service)
    with start():
        eventually(is_answered(slack, acknowledged), 60)
        wait_for_late_posts(slack)
    assert set(replies(slack, acknowledged)) == {1}


def test_two_services_on_one_database_reply_once(slack: SlackServer, start: Start) -> None:
    with start() as first, start() as second:
        envelopes = [asked(slack) for _ in range(20)]
        for envelope in envelopes:
            for service in (first, second):
                assert send_to(service.url, slack)(envelope).status == 200
        questions = [envelope.event["ts"] for envelope in envelopes]
        eventually(is_answered(slack, questions), 60)
    assert set(replies(slack, questions)) == {1}


def test_told_to_stop_it_leaves_what_it_has_not_answered_to_the_next(slack: SlackServer, start: Start) -> None:
    with start() as service:
        hold = slack.hold("conversations.members")
        envelope = asked(slack)
        send_to(service.url, slack)(envelope)
        hold.wait_until_reached()
        service.process.terminate()
        hold.release()
        assert service.process.wait(20) == 0
    with start():
        eventually(is_answered(slack, [envelope.event["ts"]]), 30)
    assert replies(slack, [envelope.event["ts"]]) == [1]


def wait_for_late_posts(slack: SlackServer) -> None:
    """Wait longer than a lease for a post that should not come."""
    before = len(slack.calls_of("chat.postMessage"))
    with suppress(AssertionError):
        eventually(lambda: len(slack.calls_of("chat.postMessage")) > before, LEASE_SECONDS + 1)
