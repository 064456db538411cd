"""Who reads a reply, asked of Slack's mock: rights hold at once, and what cannot be asked gives none."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Thread

import pytest

from api.slack.directory import CONVERSATIONS_SECONDS, PEOPLE_SECONDS, Directory
from api.slack.errors import OutsiderError, SlackRefusedError, SlackUnreachableError
from core.errors import ThreadwiseError
from tests.support.slack_server import SlackServer
from tests.support.slack_web import web_of
from tests.support.slack_workspace import Kind

pytestmark = pytest.mark.no_database

OTHER_TEAM = "T0OTHER"


@dataclass(slots=True)
class Clock:
    seconds: float = 100.0

    def __call__(self) -> float:
        return self.seconds


@dataclass(slots=True)
class Office:
    """A workspace, its directory, and the clock of the directory."""

    slack: SlackServer
    clock: Clock = field(default_factory=Clock)
    directory: Directory = field(init=False)

    def __post_init__(self) -> None:
        web = web_of(self.slack, page_size=3)
        self.directory = Directory(web, web.identity, clock=self.clock)

    @property
    def team(self) -> str:
        return self.slack.team

    def asker(self, user: str) -> tuple[set[str], set[str]]:
        reader = self.directory.asker(self.team, user)
        return set(reader.principals), set(reader.without)

    def channel(self, channel: str) -> tuple[str, ...]:
        return self.directory.channel(channel).reader.principals

    def calls(self, method: str) -> int:
        return len(self.slack.calls_of(method))


@pytest.fixture
def office() -> Iterator[Office]:
    with SlackServer() as slack:
        yield Office(slack)


def test_a_member_holds_the_workspace_themselves_and_the_private_conversations_they_are_in(office: Office) -> None:
    slack, team = office.slack, office.team
    user, other = slack.add_user(), slack.add_user()
    slack.add_channel(members=[user])
    slack.direct(user)
    inside = [slack.add_channel(kind=kind, members=[user, other]) for kind in ("private", "mpim", "private", "mpim")]
    outside = [slack.add_channel(kind=kind, members=[other]) for kind in ("private", "mpim", "private", "mpim")]
    slack.archive(inside[0])
    assert office.asker(user) == (
        {team, f"{team}/{user}", *(f"{team}/{channel}" for channel in inside)},
        {f"{team}/{channel}" for channel in outside},
    )


def test_of_a_private_channel_without_the_bot_slack_says_nothing_and_nothing_is_taken_away(office: Office) -> None:
    user = office.slack.add_user()
    office.slack.add_channel(kind="private", members=[user], bot=False)
    assert office.asker(user) == ({office.team, f"{office.team}/{user}"}, set())


@pytest.mark.parametrize("is_ultra_restricted", [False, True])
def test_a_guest_does_not_hold_the_workspace_whatever_was_known_before(
    office: Office, *, is_ultra_restricted: bool
) -> None:
    slack, team = office.slack, office.team
    user = slack.add_user(is_restricted=True, is_ultra_restricted=is_ultra_restricted)
    inside, outside = slack.add_channel(kind="private", members=[user]), slack.add_channel(kind="private")
    assert office.asker(user) == ({f"{team}/{user}", f"{team}/{inside}"}, {team, f"{team}/{outside}"})


def test_nobody_from_outside_is_an_asker(office: Office) -> None:
    slack = office.slack
    strangers = [
        slack.add_user(deleted=True),
        slack.add_user(is_bot=True),
        slack.add_user(is_stranger=True),
        slack.add_user(team_id=OTHER_TEAM),
        slack.add_user(team_id=OTHER_TEAM, listed=True),
        slack.bot_user,
        "USLACKBOT",
        "U0NOBODY",
    ]
    for user in strangers:
        with pytest.raises(OutsiderError):
            office.directory.asker(office.team, user)


def test_whoever_comes_from_another_team_is_not_even_looked_up(office: Office) -> None:
    user = office.slack.add_user()
    for team in (OTHER_TEAM, "", office.team.lower()):
        with pytest.raises(OutsiderError):
            office.directory.asker(team, user)
    assert not office.calls("users.info")


def test_a_right_that_was_taken_away_is_gone_with_the_next_question(office: Office) -> None:
    slack, team = office.slack, office.team
    user = slack.add_user()
    channel = slack.add_channel(kind="private", members=[user])
    assert f"{team}/{channel}" in office.asker(user)[0]
    slack.leave(channel, user)
    assert office.asker(user) == ({team, f"{team}/{user}"}, {f"{team}/{channel}"})
    slack.change_user(user, is_restricted=True)
    assert office.asker(user) == ({f"{team}/{user}"}, {team, f"{team}/{channel}"})
    slack.change_user(user, deleted=True)
    with pytest.raises(OutsiderError):
        office.asker(user)


def test_a_public_channel_of_members_gives_what_the_workspace_reads(office: Office) -> None:
    slack = office.slack
    channel = slack.add_channel(members=[slack.add_user() for _ in range(7)])
    slack.join(channel, slack.add_user(is_bot=True))
    slack.join(channel, slack.add_user(deleted=True))
    slack.join(channel, "USLACKBOT")
    found = office.directory.channel(channel)
    assert (found.reader.principals, found.scope, found.is_private) == ((office.team,), "workspace", False)
    assert not found.reader.unrestricted


def test_a_guest_on_the_last_page_of_a_public_channel_leaves_what_everyone_reads(office: Office) -> None:
    slack = office.slack
    channel = slack.add_channel(members=[slack.add_user() for _ in range(7)])
    slack.join(channel, slack.add_user(is_restricted=True))
    found = office.directory.channel(channel)
    assert (found.reader.principals, found.scope, found.is_private) == ((), "everyone", False)


@pytest.mark.parametrize("kind", ["private", "mpim"])
def test_a_private_conversation_gives_its_own_messages_and_the_workspaces_without_guests(
    office: Office, kind: Kind
) -> None:
    slack, team = office.slack, office.team
    user = slack.add_user()
    slack.add_channel(kind="private", members=[user])  # a right of the only reader that the reply must not use
    channel = slack.add_channel(kind=kind, members=[user])
    found = office.directory.channel(channel)
    assert (found.reader.principals, found.scope, found.is_private) == ((team, f"{team}/{channel}"), "workspace", True)
    slack.join(channel, slack.add_user(is_ultra_restricted=True))
    office.directory.forget_people()
    found = office.directory.channel(channel)
    assert (found.reader.principals, found.scope, found.is_private) == ((f"{team}/{channel}",), "conversation", True)


@pytest.mark.parametrize("kind", ["public", "private", "mpim"])
@pytest.mark.parametrize("listed", [True, False])
def test_one_person_of_another_team_silences_a_conversation(office: Office, kind: Kind, *, listed: bool) -> None:
    slack = office.slack
    members = [slack.add_user() for _ in range(4)]
    channel = slack.add_channel(kind=kind, members=[*members, slack.add_user(team_id=OTHER_TEAM, listed=listed)])
    with pytest.raises(OutsiderError):
        office.directory.channel(channel)


def test_a_machine_of_another_team_or_a_stranger_silences_a_conversation_too(office: Office) -> None:
    slack = office.slack
    for outsider in (slack.add_user(is_bot=True, team_id=OTHER_TEAM), slack.add_user(is_stranger=True), "U0NOBODY"):
        channel = slack.add_channel(members=[slack.add_user(), outsider])
        with pytest.raises(OutsiderError):
            office.directory.channel(channel)


def test_a_channel_that_is_shared_with_another_company_is_refused_without_asking_who_is_there(office: Office) -> None:
    channel = office.slack.add_channel(members=[office.slack.add_user()], shared_with=[OTHER_TEAM])
    with pytest.raises(OutsiderError):
        office.directory.channel(channel)
    assert not office.calls("conversations.members")


@pytest.mark.parametrize("kind", ["private", "mpim"])
def test_a_conversation_without_the_bot_is_refused_by_slack(office: Office, kind: Kind) -> None:
    channel = office.slack.add_channel(kind=kind, members=[office.slack.add_user()], bot=False)
    with pytest.raises(SlackRefusedError, match="channel_not_found"):
        office.directory.channel(channel)


def test_a_direct_conversation_is_left_to_its_asker(office: Office) -> None:
    with pytest.raises(SlackRefusedError) as caught:
        office.directory.channel(office.slack.direct(office.slack.add_user()))
    assert caught.value.reason == "direct_conversation"


def test_whoever_joins_is_seen_by_the_next_question_even_if_the_list_of_people_is_older(office: Office) -> None:
    slack = office.slack
    channel = slack.add_channel(members=[slack.add_user()])
    assert office.channel(channel) == (office.team,)
    slack.join(channel, slack.add_user())
    assert office.channel(channel) == (office.team,)
    slack.join(channel, slack.add_user(is_restricted=True))
    assert office.channel(channel) == ()


def test_a_channel_that_becomes_private_or_shared_is_seen_by_the_next_question(office: Office) -> None:
    slack = office.slack
    channel = slack.add_channel(members=[slack.add_user()])
    assert office.channel(channel) == (office.team,)
    slack.conversations[channel].kind = "private"
    assert office.channel(channel) == (office.team, f"{office.team}/{channel}")
    slack.share(channel, OTHER_TEAM)
    with pytest.raises(OutsiderError):
        office.channel(channel)


def test_people_are_asked_for_once_in_five_minutes_and_after_every_change(office: Office) -> None:
    slack = office.slack
    user = slack.add_user()
    channel = slack.add_channel(members=[user])
    for _ in range(3):
        office.channel(channel)
    assert office.calls("users.list") == 1
    slack.change_user(user, is_restricted=True)
    office.clock.seconds += PEOPLE_SECONDS - 1
    assert office.channel(channel) == (office.team,)
    office.clock.seconds += 1
    assert office.channel(channel) == ()
    slack.change_user(user, is_restricted=False)
    office.directory.forget_people()
    assert office.channel(channel) == (office.team,)
    assert office.calls("users.list") == 3


def test_the_bots_own_conversations_are_asked_for_once_a_minute_and_after_every_change(office: Office) -> None:
    slack, team = office.slack, office.team
    user = slack.add_user()
    assert office.asker(user)[1] == set()
    first = slack.add_channel(kind="private")
    office.clock.seconds += CONVERSATIONS_SECONDS - 1
    assert office.asker(user)[1] == set()
    office.clock.seconds += 1
    assert office.asker(user)[1] == {f"{team}/{first}"}
    second = slack.add_channel(kind="mpim")
    office.directory.forget_conversations()
    assert office.asker(user)[1] == {f"{team}/{first}", f"{team}/{second}"}


def test_what_was_asked_before_a_change_is_not_kept_after_it(office: Office) -> None:
    slack = office.slack
    user = slack.add_user()
    channel = slack.add_channel(members=[user])
    held = slack.hold("users.list", after_effect=True)
    asking = Thread(target=office.channel, args=(channel,))
    asking.start()
    held.wait_until_reached()
    slack.change_user(user, is_restricted=True)
    office.directory.forget_people()  # waits for nobody
    held.release()
    asking.join()
    assert office.channel(channel) == ()


def test_questions_at_once_share_one_list_of_people(office: Office) -> None:
    channel = office.slack.add_channel(members=[office.slack.add_user()])
    threads = [Thread(target=office.channel, args=(channel,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert office.calls("users.list") == 1


ASKED_FOR_AN_ASKER = ("auth.test", "users.info", "users.conversations")
ASKED_FOR_A_CHANNEL = ("auth.test", "conversations.info", "conversations.members", "users.list")
FAULTS: dict[str, Callable[[SlackServer, str], None]] = {
    "fails": lambda slack, method: slack.fail(method, 500),
    "refuses": lambda slack, method: slack.fail(method, "invalid_arguments"),
    "lets nobody in": lambda slack, method: slack.fail(method, "access_denied"),
    "is limited": lambda slack, method: slack.limit(method),
    "breaks off": lambda slack, method: slack.drop_answer(method),
    "says nothing": lambda slack, method: slack.fail(method, 200, body='{"ok": true}'),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_cannot_be_asked_gives_no_rights_at_all(office: Office, fault: str) -> None:
    user = office.slack.add_user()
    channel = office.slack.add_channel(members=[user])
    for method in ASKED_FOR_AN_ASKER:
        office.directory.forget_conversations()
        FAULTS[fault](office.slack, method)
        with pytest.raises(ThreadwiseError):
            office.asker(user)
    for method in ASKED_FOR_A_CHANNEL:
        office.directory.forget_people()
        FAULTS[fault](office.slack, method)
        with pytest.raises(ThreadwiseError):
            office.channel(channel)
    assert office.channel(channel) == (office.team,)


@pytest.mark.parametrize("fault", FAULTS)
def test_somebody_new_who_cannot_be_looked_up_gives_no_rights_to_a_channel(office: Office, fault: str) -> None:
    channel = office.slack.add_channel(members=[office.slack.add_user()])
    office.channel(channel)
    office.slack.join(channel, office.slack.add_user(is_restricted=True))
    FAULTS[fault](office.slack, "users.info")
    with pytest.raises(ThreadwiseError):
        office.channel(channel)


@pytest.mark.parametrize("method", ["conversations.members", "users.list"])
def test_a_list_that_breaks_off_in_the_middle_gives_no_rights(office: Office, method: str) -> None:
    channel = office.slack.add_channel(members=[office.slack.add_user() for _ in range(7)])
    held = office.slack.hold(method, after_effect=True)
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(office.channel, channel)
        held.wait_until_reached()
        office.slack.drop_before(method)
        held.release()
        with pytest.raises(SlackUnreachableError):
            asking.result()
    assert office.calls(method) == 2
