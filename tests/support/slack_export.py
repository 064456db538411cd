"""Slack exports made for a test, as a zip or a folder, in the shapes that Slack writes."""

import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

Json = dict[str, object]


@dataclass
class ExportBuilder:
    """Collects users, conversations and messages; `zipped` and `unpacked` write them."""

    team: str = "T1"
    users: list[Json] = field(default_factory=list)
    listings: dict[str, list[Json]] = field(default_factory=lambda: {"channels.json": []})
    days: dict[str, list[object]] = field(default_factory=dict)
    extra: dict[str, bytes] = field(default_factory=dict)

    def user(self, user_id: str, name: str, **more: object) -> Self:
        """A person of the team, unless `more` says otherwise."""
        self.users.append(
            {"id": user_id, "team_id": self.team, "name": name.lower(), "profile": {"display_name": name}} | more
        )
        return self

    def channel(self, channel_id: str, name: str, members: Sequence[str] = (), **more: object) -> Self:
        """A public channel."""
        return self.listed("channels.json", {"id": channel_id, "name": name, "members": list(members)} | more)

    def private(self, channel_id: str, name: str, members: Sequence[str] = ()) -> Self:
        """A private channel."""
        return self.listed("groups.json", {"id": channel_id, "name": name, "members": list(members)})

    def direct(self, channel_id: str, members: Sequence[str] = ()) -> Self:
        """Direct messages between two; their folder is named by id."""
        return self.listed("dms.json", {"id": channel_id, "members": list(members)})

    def group_message(self, channel_id: str, name: str, members: Sequence[str] = ()) -> Self:
        """Direct messages among several."""
        return self.listed("mpims.json", {"id": channel_id, "name": name, "members": list(members)})

    def listed(self, listing: str, record: Json) -> Self:
        """A record of any listing."""
        self.listings.setdefault(listing, []).append(record)
        return self

    def say(self, folder: str, ts: str, text: str, *, user: str = "U1", **more: object) -> Self:
        """A message in the day file of its time."""
        return self.raw(folder, day_of(ts), {"type": "message", "ts": ts, "user": user, "text": text} | more)

    def raw(self, folder: str, day: str, message: object) -> Self:
        """Anything at all as an element of a day file."""
        self.days.setdefault(f"{folder}/{day}.json", []).append(message)
        return self

    def file(self, name: str, content: bytes) -> Self:
        """Any other entry, or one that replaces a day file or listing."""
        self.extra[name] = content
        return self

    def entries(self) -> dict[str, bytes]:
        """Name and bytes of every entry."""
        lists: dict[str, Sequence[object]] = {"users.json": self.users, **self.listings, **self.days}
        return {name: json.dumps(items).encode() for name, items in lists.items()} | self.extra

    def zipped(self, place: Path, *, wrapper: str = "") -> Path:
        """The export as a zip, below a folder of its own if `wrapper` names one."""
        with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in self.entries().items():
                archive.writestr(wrapper + name, content)
        return place

    def unpacked(self, place: Path) -> Path:
        """The export as a folder."""
        for name, content in self.entries().items():
            path = place / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return place


def day_of(ts: str) -> str:
    """The day file that a message belongs to, UTC."""
    return datetime.fromtimestamp(int(ts.partition(".")[0]), tz=UTC).date().isoformat()


def small_workspace() -> ExportBuilder:
    """Two people, a guest, a bot, a public and a private channel, a thread and some loose talk."""
    builder = ExportBuilder()
    builder.user("U1", "Ada").user("U2", "Ben").user("U3", "Guest", is_restricted=True)
    builder.user("U4", "Robot", is_bot=True).user("U5", "Gone", deleted=True)
    builder.channel("C1", "general", ["U1", "U2"], is_general=True)
    builder.private("G1", "salaries", ["U1", "U3", "U4", "U5"])
    builder.say("general", "1700000000.000100", "Where is the travel policy?", thread_ts="1700000000.000100")
    builder.say("general", "1700000060.000200", "On the wiki.", user="U2", thread_ts="1700000000.000100")
    builder.say("general", "1700000120.000300", "Lunch?", user="U2")
    builder.say("general", "1700000130.000400", "Yes!")
    builder.say("salaries", "1700000000.000500", "The budget is ready.")
    return builder
