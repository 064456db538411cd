"""Slack's conversations as documents: a thread is one, and loose messages between two pauses are one sitting."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from core.words import MICROS, OPEN_FROM, Block, Bucket, Document, Instant, Signals
from ingest.items import Entry, Found, Item, Skipped
from ingest.markup import one_line

SITTING_MESSAGES = 40  # a sitting that never pauses is cut here, so that an edit re-reads a page and not a month
TITLE_CHARACTERS = 80
MINUTE = 60 * MICROS

_MARK = r"\s*(?:(?:[-*+•–◦▪>]|\(?\d{1,3}[.)]|\(?[A-Za-z][.)])\s+)*"  # noqa: RUF001 - dashes people use
_COLON = "[:\uff1a\ufe55\u2236\ua789]"  # with what fonts show as one
_LABELLED = re.compile(
    rf"({_MARK})(?!\[file: )(?=[^\s:?!|][^:?!|]{{0,79}}?(?:[ \t*_]*{_COLON}(?:[\s*_]|$)|(?<=\S){_COLON}[^\W\d]))"
)

Permalink = Callable[[str, str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """A channel, private channel or direct message: where it lies in the export and who may read it."""

    id: str
    folder: str
    label: str
    audience: tuple[str, ...]
    name: str = ""
    direct: bool = False
    official: bool = False
    pins: frozenset[str] = frozenset()  # the times of messages that somebody has pinned


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message, rendered. `ts` is Slack's own with six decimals; `thread_ts` is empty outside threads."""

    ts: str
    at: Instant
    speaker: str
    text: str
    thread_ts: str = ""
    author: str = ""
    by: str = ""  # the author as a principal, where it is somebody of the workspace
    edited: bool = False
    changed_at: Instant = OPEN_FROM  # when it was last edited; not after `at` where it never was
    broadcast: bool = False
    reactions: int = 0
    resolved: bool = False
    pinned: bool = False


def documents_of(
    conversation: Conversation, messages: Iterable[Message], *, gap_minutes: int, permalink: Permalink
) -> Iterator[Item]:
    """Every message of one conversation, in exactly one entry each; threads first, then sittings, oldest first."""
    kept, repeated = _without_repeats(messages)
    if repeated:
        yield Skipped(
            tuple(Entry(conversation.folder, message.ts, "duplicate", "same_message") for message in repeated)
        )
    roots = {message.thread_ts for message in kept if message.thread_ts}
    threads: dict[str, list[Message]] = {root: [] for root in sorted(roots)}
    top: list[Message] = []
    for message in kept:
        thread = message.thread_ts or message.ts
        if thread in threads:
            threads[thread].append(message)
        if message.ts == thread:
            top.append(message)
    for root, replies in threads.items():
        yield _found(_thread(conversation, root, replies, permalink), conversation, replies)
    for sitting in _sittings(top, roots, gap_minutes * MINUTE):
        yield _found(_sitting(conversation, sitting, permalink), conversation, sitting)


def title_of(document: Document) -> str:
    """The title of a thread or sitting by what is first in it."""
    first = document.blocks[0]
    said = first.text
    for name in (first.speaker, f"{first.speaker} (edited)"):
        said = said.removeprefix(f"{name}: ")
    return f"{document.context}: {one_line(said, TITLE_CHARACTERS)}"


def said_at(block: Block) -> Instant | None:
    """When the message of a block was said, however often it was edited later: where it lies in an export."""
    seconds, _, fraction = block.anchor.partition(".")
    if seconds.isdecimal() and len(fraction) == len("000000") and fraction.isdecimal():
        return Instant(int(seconds) * MICROS + int(fraction))
    return block.at


def _without_repeats(messages: Iterable[Message]) -> tuple[list[Message], list[Message]]:
    """Messages by time without repeats, and the repeats: one given twice, a reply's copy for the channel."""
    kept: list[Message] = []
    repeated: list[Message] = []
    # Of two with the same time the latest state, and of equal ones the one that belongs to the thread, is the better.
    ordered = sorted(messages, key=_by_time)
    said = {(message.thread_ts, message.author, message.text) for message in ordered if not message.broadcast}
    now: set[tuple[str, str]] = set()  # who said what at the current time
    edited: set[str] = set()  # who has edited what was said at the current time
    for message in ordered:
        if not kept or kept[-1].ts != message.ts:
            now.clear()
            edited.clear()
        # Of one time and one person, the same text is the same message, and beside an edited one its old state.
        again = (message.author, message.text) in now or message.author in edited
        copied = message.broadcast and (message.thread_ts, message.author, message.text) in said
        if again or copied:
            repeated.append(message)
        else:
            kept.append(message)
            now.add((message.author, message.text))
            edited |= {message.author} if message.edited else set()
    return kept, repeated


def _by_time(message: Message) -> tuple[Instant, bool, int, bool]:
    return message.at, not message.edited, -message.changed_at, message.broadcast


def _sittings(top: Sequence[Message], roots: set[str], gap: int) -> Iterator[list[Message]]:
    """Loose messages without a pause between them.

    Roots of threads count as talk and as places: a loose message that later gets a reply leaves its sitting, and
    every other sitting stays what it was.
    """
    current: list[Message] = []
    size, last = 0, Instant(0)
    for message in top:
        # Two of one time stay together: a sitting is named by the time of its first message.
        if message.at - last > gap or (size >= SITTING_MESSAGES and message.at != last):
            if current:
                yield current
            current, size = [], 0
        if message.ts not in roots:
            current.append(message)
        size += 1
        last = message.at
    if current:
        yield current


def _thread(conversation: Conversation, root: str, messages: Sequence[Message], permalink: Permalink) -> Document:
    first = messages[0]
    rooted = first.ts == root
    return Document(
        external_id=f"{conversation.id}:{root}",
        kind="thread",
        title=_title(conversation, first),
        uri=permalink(conversation.id, root),
        audience=conversation.audience,
        blocks=tuple(map(_block, messages)),
        author=first.speaker if rooted else "",
        context=conversation.label,
        signals=_signals(conversation, messages, replies=len(messages) - rooted, resolved=rooted and first.resolved),
    )


def _sitting(conversation: Conversation, messages: Sequence[Message], permalink: Permalink) -> Document:
    first = messages[0]
    return Document(
        external_id=f"{conversation.id}:{first.ts}",
        kind="sitting",
        title=_title(conversation, first),
        uri=permalink(conversation.id, first.ts),
        audience=conversation.audience,
        blocks=tuple(map(_block, messages)),
        context=conversation.label,
        signals=_signals(conversation, messages, replies=0, resolved=False),
    )


def _title(conversation: Conversation, first: Message) -> str:
    return f"{conversation.label}: {one_line(first.text, TITLE_CHARACTERS)}"


def _block(message: Message) -> Block:
    name = f"{message.speaker} (edited)" if message.edited else message.speaker
    return Block(
        text=_attributed(name, message.text),
        anchor=message.ts,
        at=max(message.at, message.changed_at),  # what an edit says was not said before it; `said_at` has the other
        speaker=message.speaker,
        by=message.by,
    )


def _attributed(name: str, text: str) -> str:
    """A message under the name of who says it, once more where a further line looks as if somebody else did."""
    first, *others = text.splitlines(keepends=True) or [""]
    return f"{name}: {first}" + "".join(
        f"{label[1]}{name}: {line[label.end() :]}" if (label := _LABELLED.match(line)) else line for line in others
    )


def _signals(conversation: Conversation, messages: Sequence[Message], *, replies: int, resolved: bool) -> Signals:
    return Signals(
        last_activity=max(max(message.at, message.changed_at) for message in messages),
        replies=replies,
        reactions=sum(message.reactions for message in messages),
        people=len({message.author for message in messages}),
        resolved=resolved,
        official=conversation.official
        or any(message.pinned or message.ts in conversation.pins for message in messages),
    )


def _found(document: Document, conversation: Conversation, messages: Sequence[Message]) -> Found:
    bucket: Bucket = "merged" if len(messages) > 1 else "indexed"
    return Found(document, tuple(Entry(conversation.folder, message.ts, bucket, document.kind) for message in messages))
