"""The reader of Slack exports, on zips that are wrong in their bytes, their headers, their JSON or their messages.

The first byte says how the rest makes the zip, the second what an administrator has chosen and which listings are gone.
"""

import json
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

from core.settings import IngestSettings
from core.words import BUCKETS, EVERYONE, Document
from ingest.errors import SourceUnreadableError
from ingest.items import Found, Item, Refused
from ingest.markup import clean
from ingest.options import SourceOptions
from ingest.sources import slack_export
from ingest.sources.slack_export import SlackExport
from tests.fuzz.draws import Draws
from tests.fuzz.html_here import sandbox_here
from tests.fuzz.slack_values import message_of, value_of
from tests.fuzz.zip_bytes import DEFLATED, STORED, Member, zip_of

MAX_BYTES = 1536
SETTINGS = IngestSettings(max_file_bytes=64 * 1024)
OPTIONS = (
    SourceOptions(direct_messages=True),
    SourceOptions(),
    SourceOptions(direct_messages=True, bots=False, exclude=("random",)),
    SourceOptions(direct_messages=True, include=("gen*", "G1"), period="2023-11-01..2023-11-30"),
)
USERS = [{"id": "U1", "name": "ada", "team_id": "T1"}, {"id": "U2", "name": "ben", "is_restricted": True}]
LISTINGS: dict[str, object] = {
    "users.json": USERS,
    "channels.json": [
        {"id": "C1", "name": "general", "is_general": True, "context_team_id": "T1"},
        {"id": "C2", "name": "random", "members": ["U1"]},
    ],
    "groups.json": [{"id": "G1", "name": "salaries", "members": ["U1"]}],
    "dms.json": [{"id": "D1", "members": ["U1", "U2"]}],
}
LISTED = {name: json.dumps(value).encode() for name, value in LISTINGS.items()}
MAY_BE_GONE = ("users.json", "groups.json", "dms.json")  # without channels.json it is no export
PRIVATE = {"G1": "groups.json", "D1": "dms.json"}
DAYS = ("general/2023-11-14.json", "salaries/2023-11-14.json", "D1/2023-11-14.json", "random/2023-11-15.json")
DRAWN = (
    *(*DAYS, *LISTINGS, "general/2023-11-15.json", "lost/2023-11-14.json"),
    *("mpims.json", "integration_logs.json", "canvases.json", "org_users.json", "lists.json"),
)
NAMES = (
    *(*DRAWN, "general/odd.txt", "general/canvas_in_the_conversation.json", "attachments/F00001.html"),
    *("../general/2023-11-14.json", "/etc/x.json", "C:\\x.json", "General/2023-11-14.json", "general/", "__MACOSX/x"),
    *("teams/acme/channels.json", "teams/acme/users.json", "teams/acme/general/2023-11-14.json", "x.zip"),
    *("a\0b.json", ""),
)
WORDS = (b"PK\3\4", b"PK\1\2", b"PK\5\6", b"PK\6\6", b"PK\6\7", b'"ts":"1700000000.000100"', b'"text":"')


# A child and a copy of it would be most of an input's time, and would hide what the parser raises.
vars(slack_export).update(sandbox_of=sandbox_here)


def archive_of(data: bytes) -> tuple[bytes, Mapping[str, object] | None]:
    """A zip, and what its entries hold where that is known: each name once, each with JSON that is read."""
    draws = Draws(data)
    kind = draws.byte() % 4
    listings = _present(draws.byte())
    if kind == 0:
        return draws.rest(), None
    if kind == 1:
        return zip_of(list(_written(draws.rest(), listings))), None
    entries = listings | dict(_drawn(draws))
    members = [_member(name, value) for name, value in entries.items()]
    if kind == 2:
        return zip_of(members), entries
    lying = [_lying(member, draws) if draws.byte() % 2 else member for member in members]
    return zip_of(lying, count=draws.number(2) if draws.byte() % 8 == 1 else None, comment=draws.raw(8)), None


def _present(choice: int) -> dict[str, object]:
    """The listings but those that three bits of a byte leave out."""
    gone = {name for at, name in enumerate(MAY_BE_GONE) if choice >> (2 + at) & 1}
    return {name: value for name, value in LISTINGS.items() if name not in gone}


def _written(raw: bytes, listings: Iterable[str]) -> Iterator[Member]:
    """Entries between NULs: a byte that picks the name, then what stands in it. Listings that are missing are added."""
    pieces = [(NAMES[piece[0] % len(NAMES)], piece[1:]) for piece in raw.split(b"\0") if piece]
    given = {name for name, _ in pieces}
    yield from (Member(name=name.encode(), content=LISTED[name]) for name in listings if name not in given)
    for name, text in pieces:
        yield Member(name=name.encode(), content=text, method=DEFLATED if len(text) % 2 else STORED)


def _drawn(draws: Draws) -> Iterator[tuple[str, object]]:
    for _ in range(1 + draws.byte() % 5):
        name = draws.pick(DRAWN)
        made: Callable[[Draws], object] = message_of if "/" in name else value_of
        yield name, [made(draws) for _ in range(draws.byte() % 6)]


def _member(name: str, value: object) -> Member:
    known = value is LISTINGS.get(name, _member)
    return Member(name=name.encode(), content=LISTED[name] if known else json.dumps(value).encode())


def _lying(member: Member, draws: Draws) -> Member:
    """The entry with some of its fields as the bytes have them."""
    what = draws.byte()
    return Member(
        name=draws.pick(NAMES).encode() if what & 1 else member.name,
        content=bytes(draws.number(2)) if what & 2 else member.content,
        method=draws.pick((STORED, DEFLATED, 12, 14, 99)) if what & 4 else DEFLATED,
        flags=draws.number(2) if what & 8 else 0x800,
        attributes=draws.number(4) if what & 16 else 0,
        checksum=draws.number(4) if what & 32 else None,
        size=draws.number(4) if what & 64 else None,
        packed_size=draws.number(1) if what & 128 else None,
        offset=draws.number(1) if draws.byte() % 8 == 1 else None,
    )


def seeds() -> Iterator[bytes]:
    """One of every kind, whole and nearly whole."""
    honest = [Member(name=name.encode(), content=listed) for name, listed in LISTED.items()]
    said = b'[{"ts":"1700000000.000100","user":"U1","text":"Lunch? <@U2> in <#G1|x>"}]'
    days = [Member(name=name.encode(), content=said, method=DEFLATED) for name in DAYS[:3]]
    yield b"\0\0" + zip_of([*honest, *days])
    yield b"\0\0" + zip_of([*honest, days[0], days[0]], comment=b"twice")
    yield b"\1\xe1" + b"\0".join(bytes([index]) + said for index in range(len(DAYS)))
    yield b"\1\0" + b"\0".join(bytes([index]) + b"[{}]" for index in range(len(NAMES)))
    yield b"\1\3\0" + said + b"\0\5[{]\0\6" + b"[" * 400
    canvas = b'[{"id":"F00001","shares":{"public":{"C1":[]}}},{"id":"F2","channels":["C1"],"html":"<p>a<p>b"}]'
    listed, page = (bytes([NAMES.index(name)]) for name in ("canvases.json", "attachments/F00001.html"))
    yield b"\1\0" + listed + canvas + b"\0" + page + b"<h1>Plan</h1><p hidden>x</p><ul><li>y</ul>"
    for kind in (2, 3):
        for shift in range(4):
            yield bytes([kind, shift]) + bytes((7 * at + 31 * shift) % 256 for at in range(300))


def one_input(data: bytes) -> None:
    """Read an export; only `SourceUnreadableError` may come out, and what does not come out as one adds up."""
    archive, entries = archive_of(data)
    options = OPTIONS[data[1] % len(OPTIONS)] if len(data) > 1 else OPTIONS[0]
    place = Path(_folder().name) / "fuzzed.zip"
    place.write_bytes(archive)
    export = SlackExport(place, name="fuzzed", settings=SETTINGS, options=options)
    try:
        if data[1:2] >= b"\xe0":
            _check_state(export)
        items = list(export.read())
    except SourceUnreadableError as error:
        str(error).encode()
        return
    _check(export, items)
    if entries is not None:
        _check_secrecy(items, entries, export)
        _check_sum(items, entries)


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    """One for the whole process: a new one for each input would cost as much as reading it."""
    return tempfile.TemporaryDirectory(prefix="fuzzed-")


def _check_state(export: SlackExport) -> None:
    """What is known without reading messages; each opens the zip once more."""
    assert len(export.fingerprint()) == 64
    assert export.covered is None or export.covered[0] < export.covered[1]


def _check(export: SlackExport, items: list[Item]) -> None:
    """Whatever an export says: nobody is everyone, text is clean, and every line of the ledger can be stored."""
    assert all(holder != EVERYONE != held for holder, held in export.memberships())
    for item in items:
        if isinstance(item, Found):
            _check_document(item.document, export)
        elif isinstance(item, Refused):
            "\n".join((item.place, item.code, item.reason, item.doubts or "")).encode()
        for entry in item.entries:
            assert entry.bucket in BUCKETS
            assert (entry.channel, entry.item) == (clean(entry.channel), clean(entry.item))
            assert re.fullmatch(r"[a-z_.]{0,80}", entry.reason) or entry.reason == clean(entry.reason)


def _check_document(document: Document, export: SlackExport) -> None:
    assert Document.from_canonical(document.canonical()) == document
    assert document.blocks
    assert document.audience
    assert {principal.partition("/")[0] for principal in document.audience} <= {*export.workspaces}
    assert export.audience_of(document.external_id) == document.audience
    for text in (document.title, document.context, document.author, *(block.text for block in document.blocks)):
        assert text == clean(text), "text that is not clean"


def _check_secrecy(items: list[Item], entries: Mapping[str, object], export: SlackExport) -> None:
    """What the listings call private is nobody's but its members'."""
    for item in items:
        conversation = item.document.external_id.partition(":")[0] if isinstance(item, Found) else ""
        if isinstance(item, Found) and entries.get(PRIVATE.get(conversation, "")) in LISTINGS.values():
            assert not {*export.workspaces} & {*item.document.audience}, "a private conversation became public"


def _check_sum(items: list[Item], entries: Mapping[str, object]) -> None:
    """Every message is in exactly one line of the ledger, unless its file was refused."""
    if any(isinstance(item, Refused) and item.place.endswith(".json") for item in items):
        return
    said = sum(len(value) for name, value in entries.items() if "/" in name and isinstance(value, list))
    told = sum(bool(entry.channel) for item in items for entry in item.entries)
    assert told == said, f"{said} messages, {told} entries"
