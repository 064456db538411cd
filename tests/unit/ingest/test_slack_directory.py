"""Who may read what, from the listings of an export."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.markup import PRIVATE
from ingest.sources.slack_directory import Directory, directory_of
from ingest.sources.slack_people import GUEST, OWNERS, brief

USERS: list[dict[str, Any]] = [
    {"id": "U1", "team_id": "T1", "profile": {"display_name": "Ada"}},
    {"id": "U2", "team_id": "T1", "name": "ben"},
    {"id": "U3", "team_id": "T1", "is_restricted": True},
    {"id": "U4", "team_id": "T1", "is_ultra_restricted": True},
    {"id": "U5", "team_id": "T1", "is_bot": True},
    {"id": "U6", "team_id": "T1", "deleted": True},
    {"id": "U7", "team_id": "T2"},
    {"id": "USLACKBOT", "team_id": "T1"},
]


def test_only_active_people_of_the_workspace_hold_it() -> None:
    directory = directory_of({"users.json": USERS}, name="s")
    assert directory.workspace == "T1"
    assert [who for who, what in directory.holdings if what == "T1"] == ["T1/U1", "T1/U2"]


def test_a_guest_is_known_and_holds_nothing_but_itself() -> None:
    beyond = [pair for pair in directory_of({"users.json": USERS}, name="s").holdings if pair[1] != "T1"]
    assert beyond == [("T1/U3", "T1/U3"), ("T1/U4", "T1/U4"), ("T1/U7", "T1/U7")]


def test_members_hold_their_private_conversations_guests_included() -> None:
    members = ["U1", "U3", "U5", "U6", "U7"]
    listings = {
        "users.json": USERS,
        "channels.json": [{"id": "C1", "name": "general", "members": members}],
        "groups.json": [{"id": "G1", "name": "board", "members": members}],
        "dms.json": [{"id": "D1", "members": ["U2", "U4"]}],
    }
    private = [pair for pair in directory_of(listings, name="s").holdings if "/" in pair[1] and pair[0] != pair[1]]
    assert private == [
        ("T1/U1", "T1/G1"),
        ("T1/U2", "T1/D1"),
        ("T1/U3", "T1/G1"),
        ("T1/U4", "T1/D1"),
        ("T1/U7", "T1/G1"),
    ]


def test_audiences_follow_the_kind_of_conversation() -> None:
    listings: dict[str, list[dict[str, Any]]] = {
        "users.json": USERS,
        "channels.json": [
            {"id": "C1", "name": "general", "is_general": True},
            {"id": "C2", "name": "hidden", "is_private": True},
        ],
        "groups.json": [{"id": "G1", "name": "board"}],
        "mpims.json": [{"id": "G2", "name": "mpdm-ada--ben-1"}],
        "dms.json": [{"id": "D1"}],
    }
    folders = directory_of(listings, name="s").folders
    found = {name: folder.audience for name, folder in folders.items() if folder}
    assert found["general"] == ("T1",)
    assert found["hidden"] == ("T1/C2",)
    assert found["board"] == ("T1/G1",)
    assert found["mpdm-ada--ben-1"] == ("T1/G2",)
    assert found["D1"] == ("T1/D1",)
    assert {name for name, folder in folders.items() if folder and folder.direct} == {"mpdm-ada--ben-1", "G2", "D1"}
    assert {name for name, folder in folders.items() if folder and folder.official} == {"general", "C1"}


def test_a_conversation_listed_as_public_and_private_is_private() -> None:
    record = {"id": "C1", "name": "board"}
    folder = directory_of({"channels.json": [record], "groups.json": [record], "users.json": USERS}, name="s").folders
    assert folder["board"] is not None
    assert folder["board"].audience == ("T1/C1",)


def test_a_folder_that_two_conversations_claim_belongs_to_neither() -> None:
    listings = {"channels.json": [{"id": "C1", "name": "board"}], "groups.json": [{"id": "G1", "name": "board"}]}
    assert directory_of(listings, name="s").folders["board"] is None


def test_a_mention_of_a_private_channel_does_not_name_it() -> None:
    listings = {"channels.json": [{"id": "C1", "name": "general"}], "groups.json": [{"id": "G1", "name": "layoffs"}]}
    assert directory_of(listings, name="s").channels == {"C1": "general", "G1": PRIVATE}


def test_without_teams_the_workspace_is_made_from_the_source_name() -> None:
    one, two = directory_of({}, name="one").workspace, directory_of({}, name="two").workspace
    assert one != two
    assert one == directory_of({}, name="one").workspace
    assert (one[0], len(one)) == ("W", 9)


@pytest.mark.parametrize("flag", ["is_private", "is_group", "is_mpim", "is_im"])
def test_a_conversation_twice_in_one_listing_takes_the_stricter_state(flag: str) -> None:
    records: list[dict[str, Any]] = [{"id": "C1", "name": "board", flag: True}, {"id": "C1", "name": "board"}]
    for order in (records, records[::-1]):
        directory = directory_of({"channels.json": order, "users.json": USERS}, name="s")
        assert directory.folders["board"] is not None
        assert directory.folders["board"].audience == ("T1/C1",)
        assert directory.channels == {"C1": PRIVATE}


def test_conversations_that_share_a_name_are_known_by_no_key() -> None:
    listings = {"channels.json": [{"id": "C1", "name": "board"}, {"id": "C2", "name": "board"}]}
    assert directory_of(listings, name="s").folders == {"board": None, "C1": None, "C2": None}


def people(*teams: str, **more: object) -> list[dict[str, Any]]:
    return [{"id": f"U{team}{index}", "team_id": team, **more} for index, team in enumerate(teams)]


def test_the_channels_say_which_workspace_they_are_in() -> None:
    channels = [{"id": "C1", "context_team_id": "T3"}, {"id": "C2", "context_team_id": "T3"}, {"context_team_id": "T4"}]
    users = people("T2", is_owner=True)
    assert directory_of({"channels.json": channels, "users.json": users}, name="s").workspace == "T3"


@pytest.mark.parametrize("flag", ["is_primary_owner", "is_owner", "is_admin"])
def test_owners_count_more_than_many_others(flag: str) -> None:
    users = [*people("T2", "T2"), *people("T1", **{flag: True})]
    directory = directory_of({"users.json": users}, name="s")
    assert directory.workspace == "T1"
    assert [who for who, what in directory.holdings if what == "T1"] == ["T1/UT10"]


def test_strangers_do_not_decide_which_workspace_it_is() -> None:
    users = [*people("T2", "T2", is_stranger=True), *people("T1")]
    assert directory_of({"users.json": users}, name="s").workspace == "T1"


@pytest.mark.parametrize("team", ["everyone", "T1/G1", "t1", "T", "T1 ", "T" * 40, "hr"])
def test_what_is_no_team_id_never_becomes_a_principal(team: str) -> None:
    listings = {"users.json": people(team, is_owner=True), "channels.json": [{"id": "C1", "context_team_id": team}]}
    directory = directory_of(listings, name="s")
    derived = directory_of({}, name="s").workspace
    assert directory.workspace == (derived if team != "T1 " else "T1")
    assert all(what != derived for _, what in directory.holdings)


ODD = st.none() | st.booleans() | st.text(max_size=3)
NAME = st.sampled_from(["", "Ada", "Ben"])
TEAM = st.sampled_from(["T1", "T2"])
ENTERPRISE = st.fixed_dictionaries(
    {"enterprise_id": st.just("E1")}, optional={"teams": st.lists(TEAM, max_size=2) | ODD}
)
SOMEBODY = st.fixed_dictionaries(
    {"id": st.sampled_from(["U1", "U2"]), "team_id": TEAM, "enterprise_user": ENTERPRISE | ODD},
    optional={
        "profile": st.fixed_dictionaries({}, optional=dict.fromkeys(("display_name", "real_name"), NAME)) | ODD,
        **dict.fromkeys(("name", "real_name", "deleted", "is_bot", "tz", *OWNERS, *GUEST), ODD),
    },
)


def grid(shared: list[Any], own: list[Any]) -> Directory:
    """An organisation of two workspaces, one of which lists its own people too."""
    board = {"id": "G1", "name": "board", "members": ["U1", "U2"]}
    teams = {
        "teams/a/": {"users.json": own, "channels.json": [{"id": "C1", "name": "a", "context_team_id": "T1"}]},
        "teams/b/": {"channels.json": [{"id": "C2", "name": "b", "context_team_id": "T2"}]},
    }
    return directory_of({"org_users.json": shared, "groups.json": [board]}, name="s", teams=teams)


@given(st.lists(SOMEBODY, max_size=3), st.lists(SOMEBODY, max_size=2))
def test_what_is_kept_of_people_says_all_that_is_read_of_them(shared: list[Any], own: list[Any]) -> None:
    assert grid([*map(brief, shared)], [*map(brief, own)]) == grid(shared, own)
    assert directory_of({"users.json": [*map(brief, own)]}, name="s") == directory_of({"users.json": own}, name="s")


def test_hardly_anything_is_kept_of_what_nobody_reads() -> None:
    whole = {
        "id": "U1",
        "tz": "Europe/Berlin",
        "profile": {"display_name": "Ada", "image_512": "https://x/" + "a" * 99},
    }
    assert brief(whole) == {"id": "U1", "profile": {"display_name": "Ada"}}
