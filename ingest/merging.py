"""An export of a part of the time beside what is stored: inside its days it decides, outside them what is stored does.

Pure. A block belongs to the time when its message was first said, which is its anchor; an edit does not move it.
"""

from collections.abc import Iterable
from dataclasses import replace

from core.words import Block, Document, Instant, Signals
from ingest.conversations import said_at, title_of

Covered = tuple[Instant, Instant]
"""From when to before when an export says anything."""


def merged(stored: Document, fresh: Document | None, covered: Covered) -> Document | None:
    """What the document is now: stored blocks from outside the covered time, and those that the export has.

    None where nothing is left of it. Applying the same export again changes nothing.
    """
    here = {block.anchor for block in fresh.blocks} if fresh else set()
    kept = [block for block in stored.blocks if not is_inside(block, covered) and block.anchor not in here]
    if not kept:
        return fresh
    if fresh is None and len(kept) == len(stored.blocks):
        return stored
    blocks = tuple(sorted((*kept, *(fresh.blocks if fresh else ())), key=lambda block: block.anchor))
    first = stored if fresh is None or blocks[0].anchor not in here else fresh
    whole = replace(
        first,
        audience=(fresh or stored).audience,
        blocks=blocks,
        signals=_signals([stored, *([fresh] if fresh else [])], first, blocks),
    )
    # What was said first and is gone must not live on in the title.
    is_headless = blocks[0].anchor != first.blocks[0].anchor
    return replace(whole, title=title_of(whole), author="") if is_headless else whole


def is_inside(block: Block, covered: Covered) -> bool:
    """Whether the export would have this block if it still existed. What has no time is never said to be gone."""
    said = said_at(block)
    return said is not None and covered[0] <= said < covered[1]


def _signals(states: Iterable[Document], first: Document, blocks: tuple[Block, ...]) -> Signals:
    """Counted over all blocks where they can be; reactions and marks are those of the state that has more of them."""
    known = [state.signals for state in states]
    rooted = bool(blocks) and first.external_id.endswith(f":{blocks[0].anchor}")
    return Signals(
        last_activity=max((block.at for block in blocks if block.at is not None), default=None),
        replies=len(blocks) - rooted if first.kind == "thread" else 0,
        reactions=max(signals.reactions for signals in known),
        people=len({block.by or block.speaker for block in blocks}),
        resolved=known[-1].resolved or known[0].resolved,
        official=known[-1].official,
    )
