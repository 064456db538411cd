"""A later export of the same workspace, grown out of an earlier one in known places.

Every place is one that nothing else depends on: a thread whose messages are like nobody else's, a loose message far
from all others, a channel that no message mentions.
"""

import json
import random
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.words import MICROS

GAP = 2 * 3600 * MICROS  # twice the pause that ends a sitting
DAY = 24 * 3600
LATER = 40 * DAY

Message = dict[str, Any]


@dataclass(frozen=True, slots=True)
class GrownPlaces:
    """External ids by what has to become of them; `renamed` is the channel whose documents all change."""

    changed: frozenset[str]
    signals: frozenset[str]
    added: frozenset[str]
    removed: frozenset[str]
    renamed: str


@dataclass(slots=True)
class _Grown:
    entries: dict[str, Any]  # parsed JSON by name of the entry
    rng: random.Random
    taken: set[str] = field(default_factory=set)  # external ids that are touched already

    def conversations(self) -> Iterator[tuple[str, str]]:
        for record in self.entries["channels.json"]:
            yield record["id"], record["name"]

    def messages(self, folder: str) -> list[Message]:
        found = [m for name, day in self.entries.items() if name.startswith(f"{folder}/") for m in day]
        return sorted((m for m in found if isinstance(m, dict) and "ts" in m), key=lambda m: micros(m["ts"]))

    def say(self, folder: str, message: Message) -> None:
        self.entries.setdefault(f"{folder}/grown.json", []).append(message)

    def take(self, candidates: list[tuple[str, str, Message]]) -> tuple[str, str, Message]:
        """One place of (external id, folder, message) that nothing was done to yet."""
        free = [place for place in candidates if place[0] not in self.taken]
        assert free, "the export has no place for this"
        place = self.rng.choice(free)
        self.taken.add(place[0])
        return place


def grow(source_zip: Path, target: Path, *, seed: int) -> GrownPlaces:
    """Write the grown export as a zip; the same seed touches the same places."""
    with zipfile.ZipFile(source_zip) as archive:
        names = [name for name in archive.namelist() if name.endswith(".json") and not name.startswith("__MACOSX")]
        grown = _Grown({name: json.loads(archive.read(name)) for name in names}, random.Random(seed))
    renamed = _renamed(grown)
    replies = [place for channel, folder in grown.conversations() for place in _replies(grown, channel, folder)]
    loose = [place for channel, folder in grown.conversations() for place in _loose(grown, channel, folder)]
    changed = {_late_reply(grown, replies), _edit(grown, replies), _deletion(grown, replies), _sitting(grown, loose)}
    signals = {_reaction(grown, replies), _pin(grown, replies)}
    removed, added = _removal(grown, loose), _addition(grown, loose)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in grown.entries.items():
            archive.writestr(name, json.dumps(content))
    return GrownPlaces(frozenset(changed), frozenset(signals), frozenset({added}), frozenset({removed}), renamed)


def micros(ts: str) -> int:
    """A timestamp of Slack's in microseconds."""
    seconds, _, fraction = str(ts).partition(".")
    return int(seconds) * MICROS + int(fraction.ljust(6, "0"))


def _renamed(grown: _Grown) -> str:
    """Rename the smallest channel with messages that nothing mentions, and everything in it with its folder."""
    everything = json.dumps([day for name, day in grown.entries.items() if "/" in name]).lower()
    sizes = {
        channel: len(grown.messages(folder))
        for channel, folder in grown.conversations()
        if channel.lower() not in everything and any(map(_plain, grown.messages(folder)))
    }
    channel = min(sizes, key=lambda one: (sizes[one], one))
    record = next(one for one in grown.entries["channels.json"] if one["id"] == channel)
    old, new = record["name"], f"{record['name']}-renamed"
    record["name"] = new
    for name in [name for name in grown.entries if name.startswith(f"{old}/")]:
        grown.entries[f"{new}/{name.partition('/')[2]}"] = grown.entries.pop(name)
    grown.taken |= {f"{channel}:{message.get('thread_ts', message['ts'])}" for message in grown.messages(new)}
    return channel


def _plain(message: Message) -> bool:
    usual = message.get("subtype") is None and not message.get("edited") and not message.get("bot_id")
    return bool(usual and message.get("user") and len(str(message.get("text") or "")) > 3)


def _replies(grown: _Grown, channel: str, folder: str) -> Iterator[tuple[str, str, Message]]:
    """Replies of threads of three or more plain messages."""
    threads: dict[str, list[Message]] = defaultdict(list)
    times = Counter(message["ts"] for message in grown.messages(folder))
    for message in grown.messages(folder):
        if message.get("thread_ts"):
            threads[message["thread_ts"]].append(message)
    for root, messages in threads.items():
        is_plain = all(_plain(message) and times[message["ts"]] == 1 for message in messages)
        if len(messages) > 2 and is_plain and messages[0]["ts"] == root:
            yield f"{channel}:{root}", folder, grown.rng.choice(messages[1:])


def _loose(grown: _Grown, channel: str, folder: str) -> Iterator[tuple[str, str, Message]]:
    """Messages outside threads with nothing else near them."""
    messages = [m for m in grown.messages(folder) if not m.get("thread_ts") or m["thread_ts"] == m["ts"]]
    for before, message, after in zip([None, *messages], messages, [*messages[1:], None], strict=False):
        far = all(other is None or abs(micros(other["ts"]) - micros(message["ts"])) > GAP for other in (before, after))
        if far and _plain(message) and not message.get("thread_ts"):
            yield f"{channel}:{message['ts']}", folder, message


def _at(message: Message, seconds: int) -> str:
    at = micros(message["ts"]) + seconds * MICROS
    return f"{at // MICROS}.{at % MICROS:06d}"


def _late_reply(grown: _Grown, replies: list[tuple[str, str, Message]]) -> str:
    name, folder, message = grown.take(replies)
    said = {"type": "message", "user": message["user"], "text": "It has changed since then.", "ts": _at(message, LATER)}
    grown.say(folder, said | {"thread_ts": message["thread_ts"]})
    return name


def _edit(grown: _Grown, replies: list[tuple[str, str, Message]]) -> str:
    name, _, message = grown.take(replies)
    message["text"] = f"{message['text']} Corrected later."
    message["edited"] = {"user": message["user"], "ts": _at(message, DAY)}
    return name


def _deletion(grown: _Grown, replies: list[tuple[str, str, Message]]) -> str:
    name, _, message = grown.take(replies)
    _bury(message)
    return name


def _sitting(grown: _Grown, loose: list[tuple[str, str, Message]]) -> str:
    name, folder, message = grown.take(loose)
    grown.say(folder, {"type": "message", "user": message["user"], "text": "One more.", "ts": _at(message, 60)})
    return name


def _removal(grown: _Grown, loose: list[tuple[str, str, Message]]) -> str:
    name, _, message = grown.take(loose)
    _bury(message)
    return name


def _addition(grown: _Grown, loose: list[tuple[str, str, Message]]) -> str:
    """Something new, long after everything else in a channel."""
    name, folder, message = grown.take(loose)
    ts = _at(grown.messages(folder)[-1], LATER + LATER)
    grown.say(folder, {"type": "message", "user": message["user"], "text": "Something new.", "ts": ts})
    return f"{name.partition(':')[0]}:{ts}"


def _reaction(grown: _Grown, replies: list[tuple[str, str, Message]]) -> str:
    name, _, message = grown.take(replies)
    before = message.get("reactions") or []
    message["reactions"] = [*before, {"name": "seedling", "users": [message["user"]], "count": 1}]
    return name


def _pin(grown: _Grown, replies: list[tuple[str, str, Message]]) -> str:
    official = {one["id"] for one in grown.entries["channels.json"] if one.get("is_general") or one.get("pins")}
    name, _, message = grown.take([place for place in replies if place[0].partition(":")[0] not in official])
    message["pinned_to"] = [name.partition(":")[0]]
    return name


def _bury(message: Message) -> None:
    ts = message["ts"]
    thread = {"thread_ts": message["thread_ts"]} if message.get("thread_ts") else {}
    message.clear()
    message.update({"type": "message", "subtype": "tombstone", "text": "This message was deleted.", "ts": ts, **thread})
