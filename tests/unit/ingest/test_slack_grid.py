"""The export of an organisation with several workspaces: each reads its own, and what is shared with it."""

import json
from pathlib import Path

import pytest

from core.settings import IngestSettings
from core.words import Document
from ingest.options import SourceOptions
from ingest.sources import Found, Item, Refused, detect_kind
from ingest.sources.slack_export import SlackExport
from tests.support.slack_export import ExportBuilder

TS = "1700000000.000100"


def person(user_id: str, *teams: str, **more: object) -> dict[str, object]:
    enterprise = {"enterprise_id": "E1", "teams": list(teams)}
    return {"id": user_id, "profile": {"display_name": f"N{user_id}"}, "enterprise_user": enterprise} | more


def workspace(team: str, users: list[dict[str, object]], channel: str, name: str) -> dict[str, list[dict[str, object]]]:
    return {
        "users.json": [user | {"team_id": team} for user in users],
        "channels.json": [{"id": channel, "name": name, "context_team_id": team, "members": []}],
    }


def organisation() -> ExportBuilder:
    """Two workspaces with a channel `general` each, one private channel, and channels that both share."""
    one, two, guest = person("U1", "T1", "T2"), person("U2", "T2"), person("U3", "T1", is_restricted=True)
    builder = ExportBuilder(users=[])
    builder.listings = {"channels.json": [], "groups.json": [], "dms.json": [], "mpims.json": []}
    builder.listings["org_users.json"] = [one, two, guest, person("U4", "T1", "T2", deleted=True)]
    builder.channel("C5", "both", shared_team_ids=["T1", "T2", "T9"]).channel("C6", "whole", is_global_shared=True)
    builder.channel("C7", "nobody", ["U2"]).channel("C8", "second", context_team_id="T2")
    builder.private("G5", "board", ["U1"]).direct("D1", ["U1", "U2"])
    for prefix, listings in (
        ("teams/acme/", workspace("T1", [one, guest], "C1", "general")),
        ("teams/beta/", workspace("T2", [one, two, person("U9", team_id="T7", is_stranger=True)], "C2", "general")),
    ):
        for file, records in listings.items():
            builder.file(prefix + file, json.dumps(records).encode())
    builder.file("teams/beta/groups.json", json.dumps([{"id": "G2", "name": "secret", "members": ["U2"]}]).encode())
    for folder in ("both", "whole", "nobody", "second", "board", "D1", "teams/acme/general", "teams/beta/general"):
        builder.say(folder, TS, f"in {folder} beside <#C1> and <#C5>")
    return builder.say("teams/beta/secret", TS, "hidden")


def export(tmp_path: Path, builder: ExportBuilder | None = None, **options: object) -> SlackExport:
    place = (builder or organisation()).zipped(tmp_path / "org.zip")
    chosen = SourceOptions(**options)  # type: ignore[arg-type]
    return SlackExport(place, name="acme", settings=IngestSettings(), options=chosen)


def documents(items: list[Item]) -> dict[str, Document]:
    return {item.document.external_id: item.document for item in items if isinstance(item, Found)}


def test_every_conversation_is_for_the_workspaces_that_it_is_shared_with(tmp_path: Path) -> None:
    items = list(export(tmp_path, direct_messages=True).read())
    assert {name.partition(":")[0]: found.audience for name, found in documents(items).items()} == {
        "C1": ("T1",),
        "C2": ("T2",),
        "C5": ("T1", "T2"),
        "C6": ("T1", "T2"),
        "C7": ("E1/C7",),
        "C8": ("T2",),
        "G2": ("T2/G2",),
        "G5": ("E1/G5",),
        "D1": ("E1/D1",),
    }
    assert not [item for item in items if isinstance(item, Refused)]
    assert {entry.channel for item in items for entry in item.entries} >= {"teams/acme/general", "teams/beta/general"}


def test_people_hold_all_of_their_workspaces_under_each_of_their_names(tmp_path: Path) -> None:
    source = export(tmp_path)
    assert (source.workspace, source.workspaces) == ("E1", ("E1", "T1", "T2"))
    holdings = set(source.memberships())
    for principal in ("E1/U1", "T1/U1", "T2/U1"):
        assert {held for who, held in holdings if who == principal} == {"T1", "T2", "E1/G5", "E1/D1"}
    assert {held for who, held in holdings if who == "T2/U2"} == {"T2", "T2/G2", "E1/C7", "E1/D1"}


def test_guests_strangers_and_those_who_left_hold_no_workspace(tmp_path: Path) -> None:
    holdings = set(export(tmp_path).memberships())
    assert {held for who, held in holdings if who.endswith("/U3")} == {"E1/U3", "T1/U3"}
    assert {held for who, held in holdings if who.endswith("/U9")} == {"E1/U9", "T2/U9"}
    assert not [who for who, _ in holdings if who.endswith("/U4")]
    assert not [who for who, held in holdings if held == "E1"]


@pytest.mark.parametrize("flag", ["deleted", "is_restricted", "is_ultra_restricted", "is_bot"])
def test_what_one_listing_says_against_somebody_counts_more_than_what_another_says_for_them(
    tmp_path: Path, flag: str
) -> None:
    builder = organisation()
    against = person("U1", "T1", "T2", **{flag: True})
    builder.file("teams/beta/users.json", json.dumps([against | {"team_id": "T2"}, person("U2", "T2")]).encode())
    holdings = set(export(tmp_path, builder).memberships())
    assert "T2" not in {held for who, held in holdings if who.endswith("/U1")}
    assert ("T1/U1", "T1") in holdings
    builder.listings["org_users.json"][0] |= {flag: True}
    assert not {"T1", "T2"} & {held for who, held in export(tmp_path, builder).memberships() if who.endswith("/U1")}


def test_a_workspace_is_not_told_the_names_of_anothers_channels(tmp_path: Path) -> None:
    found = documents(list(export(tmp_path).read()))
    assert found[f"C1:{TS}"].blocks[0].text.endswith("beside #general and #both")
    assert found[f"C2:{TS}"].blocks[0].text.endswith("beside #private-channel and #both")
    assert found[f"C5:{TS}"].blocks[0].text.endswith("beside #private-channel and #both")


def test_a_workspace_that_two_folders_claim_is_given_to_neither(tmp_path: Path) -> None:
    builder = organisation()
    twin = workspace("T1", [person("U2", "T1")], "C3", "twin")
    for file, records in twin.items():
        builder.file(f"teams/twin/{file}", json.dumps(records).encode())
    found = documents(list(export(tmp_path, builder.say("teams/twin/twin", TS, "x")).read()))
    assert "T1" not in {*found[f"C1:{TS}"].audience, *found[f"C3:{TS}"].audience}


def test_channels_are_chosen_by_name_in_every_workspace_or_by_folder(tmp_path: Path) -> None:
    left = {name.partition(":")[0] for name in documents(list(export(tmp_path, include=("general",)).read()))}
    assert left == {"C1", "C2"}
    left = {name.partition(":")[0] for name in documents(list(export(tmp_path, include=("teams/acme",)).read()))}
    assert left == {"C1"}


@pytest.mark.parametrize("wrapper", ["", "Acme org export/"])
def test_the_export_of_an_organisation_is_known_for_one(tmp_path: Path, wrapper: str) -> None:
    builder = organisation()
    for listing in list(builder.listings):
        del builder.listings[listing]
    place = builder.zipped(tmp_path / "org.zip", wrapper=wrapper)
    assert detect_kind(place) == "slack-export"


def test_an_export_of_one_workspace_speaks_for_that_one(tmp_path: Path) -> None:
    builder = ExportBuilder().user("U1", "Ada", team_id="E1", enterprise_user={"teams": ["T1", "T2"]})
    builder.channel("C1", "teams", context_team_id="T1").say("teams", TS, "x")
    source = export(tmp_path, builder)
    assert (source.workspace, source.workspaces) == ("T1", ("T1",))
    assert list(source.memberships()) == [("T1/U1", "T1")]
    assert len(documents(list(source.read()))) == 1
