"""The rules of who reads a reply, on values."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.slack.directory import asker_reader, channel_readers
from api.slack.errors import OutsiderError, SlackRefusedError
from api.slack.shapes import Conversation, Kind, Person, Places, Standing

TEAM = "T1"
STANDINGS: Sequence[Standing] = ("member", "guest", "outsider", "gone", "machine")
KINDS: Sequence[Kind] = ("public", "private", "direct", "group")

people = st.builds(
    Person, id=st.uuids().map(str), team=st.sampled_from([TEAM, TEAM, TEAM, "T2"]), standing=st.sampled_from(STANDINGS)
)
colleagues = st.builds(
    Person,
    id=st.uuids().map(str),
    team=st.just(TEAM),
    standing=st.sampled_from(["member", "member", "guest", "machine"]),
)
conversations = st.builds(
    Conversation,
    id=st.sampled_from(["C1", "C2"]),
    kind=st.sampled_from(KINDS),
    name=st.just("travel"),
    is_shared_outside=st.booleans(),
    team=st.sampled_from(["", TEAM, "T2"]),
)
places = st.frozensets(st.sampled_from(["C1", "C2", "C3", "C4"]))
seen_places = st.builds(lambda private, public: Places(private=private, public=public - private), places, places)


def conversation(kind: Kind = "public", *, is_shared_outside: bool = False, team: str = TEAM) -> Conversation:
    return Conversation(id="C1", kind=kind, name="travel", is_shared_outside=is_shared_outside, team=team)


def persons(*standings: Standing) -> list[Person]:
    return [Person(id=f"U{number}", team=TEAM, standing=standing) for number, standing in enumerate(standings)]


def held_by(person: Person, inside: Iterable[str]) -> set[str]:
    """The model: everything somebody may read for."""
    if person.team != TEAM or person.standing not in ("member", "guest"):
        return set()
    own = {f"{TEAM}/{person.id}"} | {f"{TEAM}/{place}" for place in inside}
    return own | ({TEAM} if person.standing == "member" else set())


@given(place=conversations, present=st.lists(people, max_size=6) | st.lists(colleagues, max_size=6))
def test_every_reader_in_a_conversation_holds_every_right_of_its_replies(
    place: Conversation, present: list[Person]
) -> None:
    try:
        found = channel_readers(place, TEAM, iter(present))
    except OutsiderError:
        outside = [person for person in present if person.team != TEAM or person.standing == "outsider"]
        assert outside or place.is_shared_outside or place.team == "T2"
        return
    except SlackRefusedError:
        assert place.kind == "direct"
        return
    rights = set(found.reader.principals)
    assert not found.reader.unrestricted
    assert not place.is_shared_outside
    for person in present:
        assert person.team == TEAM
        if person.standing not in ("gone", "machine"):
            assert rights <= held_by(person, [place.id])
    assert rights <= {TEAM, f"{TEAM}/{place.id}"}
    assert place.kind != "public" or rights <= {TEAM}
    assert (found.scope == "everyone") == (not rights)
    assert (found.scope == "workspace") == (TEAM in rights)


@given(person=people.filter(lambda one: one.standing in ("member", "guest")), seen=seen_places, inside=seen_places)
def test_an_asker_holds_what_slack_says_and_loses_the_rest_of_what_the_bot_sees(
    person: Person, seen: Places, inside: Places
) -> None:
    reader = asker_reader(person, seen=seen, inside=inside)
    is_member = person.standing == "member"
    closed = seen.private if is_member else seen.private | seen.public
    own = {f"{person.team}/{person.id}"} | {f"{person.team}/{place}" for place in inside.private}
    lost = {f"{person.team}/{place}" for place in closed - inside.private - inside.public}
    assert set(reader.principals) == own | ({person.team} if is_member else set())
    assert set(reader.without) == lost | (set() if is_member else {person.team})
    assert not reader.unrestricted


@given(place=conversations.filter(lambda one: one.kind != "direct"), seen=places)
def test_a_reply_never_says_what_another_private_conversation_says(place: Conversation, seen: frozenset[str]) -> None:
    own = replace(place, is_shared_outside=False, team=TEAM)
    found = channel_readers(own, TEAM, persons("member"), seen=seen)
    assert set(found.reader.without) == {f"{TEAM}/{other}" for other in seen - {place.id}}


def test_a_public_channel_of_members_reads_what_the_workspace_reads() -> None:
    found = channel_readers(conversation(), TEAM, persons("member", "member", "machine", "gone"))
    assert (found.reader.principals, found.scope, found.is_private) == ((TEAM,), "workspace", False)


def test_one_guest_in_a_public_channel_leaves_what_everyone_reads() -> None:
    found = channel_readers(conversation(), TEAM, persons("member", "guest"))
    assert (found.reader.principals, found.scope, found.is_private) == ((), "everyone", False)


@pytest.mark.parametrize("kind", ["private", "group"])
def test_a_private_conversation_of_members_reads_its_own_messages_and_the_workspaces(kind: Kind) -> None:
    found = channel_readers(conversation(kind), TEAM, persons("member", "member"))
    assert (found.reader.principals, found.scope, found.is_private) == ((TEAM, f"{TEAM}/C1"), "workspace", True)


@pytest.mark.parametrize("kind", ["private", "group"])
def test_a_private_conversation_with_a_guest_reads_its_own_messages_only(kind: Kind) -> None:
    found = channel_readers(conversation(kind), TEAM, persons("guest", "member"))
    assert (found.reader.principals, found.scope, found.is_private) == ((f"{TEAM}/C1",), "conversation", True)


@pytest.mark.parametrize("standings", [(), ("machine",), ("gone", "machine")])
def test_where_nobody_reads_nobody_proves_a_right_of_the_workspace(standings: tuple[Standing, ...]) -> None:
    assert channel_readers(conversation(), TEAM, persons(*standings)).scope == "everyone"
    assert channel_readers(conversation("private"), TEAM, persons(*standings)).scope == "conversation"


@pytest.mark.parametrize("standing", STANDINGS)
def test_nobody_of_another_team_is_overlooked_whatever_they_are(standing: Standing) -> None:
    foreign = Person(id="U9", team="T2", standing=standing)
    with pytest.raises(OutsiderError):
        channel_readers(conversation(), TEAM, [*persons("member"), foreign])


def test_a_stranger_is_an_outsider_even_in_the_own_team() -> None:
    with pytest.raises(OutsiderError):
        channel_readers(conversation(), TEAM, persons("member", "outsider"))


@pytest.mark.parametrize("place", [conversation(is_shared_outside=True), conversation(team="T2")])
def test_a_conversation_that_others_can_see_is_refused_whoever_is_there(place: Conversation) -> None:
    with pytest.raises(OutsiderError):
        channel_readers(place, TEAM, persons("member"))


def test_a_direct_conversation_has_no_readers_but_its_asker() -> None:
    with pytest.raises(SlackRefusedError) as caught:
        channel_readers(conversation("direct", team=""), TEAM, persons("member"))
    assert caught.value.reason == "direct_conversation"
