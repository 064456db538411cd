"""What the command line prints. Text from documents reaches no terminal with what could steer it."""

import json
import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from features.listing import Registered

WIDTH = 100
SHOWN = 10  # documents of each kind that a plan names
SNIPPET = 600
_COMMON = """
and are can could did does for from get had has have how may must our per shall should that the their them
there they this was were what when where which who whom whose why will with would you your
"""
COMMON = frozenset(_COMMON.split())
STEM = 5  # letters by which a word is known again in its other forms
# Control characters but tab and line feed, what turns text around (Unicode's Bidi_Control), Unicode's own line
# ends, and halves of characters, which no stream can be written with.
_STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def json_text(value: object) -> str:
    """One line of JSON. What `clean` would drop is escaped: a program reads it, a terminal does not obey it."""
    return _STEERING.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(value, ensure_ascii=False))


def ascii_json(text: str) -> str:
    """The same JSON in ASCII, for a stream that has no other letters."""
    return "".join(letter if letter.isascii() else json.dumps(letter)[1:-1] for letter in text)


def ingest_text(report: Mapping[str, Any], source: str) -> str:
    """Summarise a run: documents, chunks, and the ledger that accounts for every item."""
    ledger = report["ledger"]
    documents = ", ".join(f"{count} {what}" for what, count in report["documents"].items())
    buckets = ", ".join(f"{bucket} {items}" for bucket, items in sorted(ledger["buckets"].items())) or "nothing"
    return (
        f"{one_line(source)}: {one_line(report['state'])} in {report['seconds']:.1f} s\n"
        f"  documents  {one_line(documents)}\n"
        f"  chunks     {report['chunks']} written, {report['embedded']} embedded\n"
        f"  ledger     {ledger['total']} items: {one_line(buckets)}"
    )


def quarantine_text(rows: list[tuple[str, str, str]]) -> str:
    """List what could not be taken and why, the first twenty."""
    lines = [f"  {one_line(place)}: {code}: {one_line(reason)}" for place, code, reason in rows[:20]]
    more = [f"  … and {len(rows) - 20} more"] if len(rows) > 20 else []  # noqa: PLR2004
    return "\n".join(["Quarantined:", *lines, *more])


def plan_text(plan: Mapping[str, Any]) -> str:
    """What a plan would do, the first documents of each kind, and how to have it done."""
    counts = ", ".join(f"{count} {what.replace('_', ' ')}" for what, count in plan["counts"].items())
    minutes = plan["expected_minutes"]
    takes = f"about {minutes:.0f} min" if minutes >= 1 else "less than a minute"
    ledger = plan["ledger"]
    buckets = ", ".join(f"{bucket} {items}" for bucket, items in sorted(ledger["buckets"].items())) or "nothing"
    lines = [
        f"{one_line(plan['source'])}: {one_line(plan['state'])}",
        f"  documents  {one_line(counts)}",
        f"  chunks     {plan['chunks']} to write, {plan['chunks_to_embed']} to embed, {takes}",
        f"  ledger     {ledger['total']} items: {one_line(buckets)}",
    ]
    for what, names in plan["documents"].items():
        lines += _named(what.replace("_", " "), names)
    if plan["state"] == "planned":
        lines.append(f"Nothing of it is done yet. To do it: threadwise runs apply {one_line(plan['plan_hash'])}")
    return "\n".join(lines)


def _named(what: str, names: Sequence[str]) -> list[str]:
    """The first of these names, one in a line."""
    if not names:
        return []
    more = [f"    … and {len(names) - SHOWN} more (--json names them)"] if len(names) > SHOWN else []
    return [f"  {what}", *(f"    {one_line(name)}" for name in names[:SHOWN]), *more]


def ranking_text(ranking: Mapping[str, Any], question: str = "") -> str:
    """Show ranked passages: score, title, address, and of a long text the part that shares most with the question."""
    if not ranking["passages"]:
        return "Nothing that you may read answers this."
    shown = [_passage_text(place, passage, question) for place, passage in enumerate(ranking["passages"], 1)]
    return "\n\n".join([*shown, f"{len(shown)} passages in {ranking['took_ms']:.0f} ms"])


def table_text(title: str, figures: Mapping[str, object]) -> str:
    """Align names and figures."""
    width = max(len(name) for name in figures)
    lines = [f"  {name:<{width}}  {one_line(str(value))}" for name, value in figures.items()]
    return "\n".join([one_line(title), *lines])


def features_text(rows: "Sequence[Registered]") -> str:
    """Show what is registered: each view with its owner, meaning and features."""
    return "\n\n".join(_registered_text(row) for row in rows)


def clean(text: str) -> str:
    """Drop what could steer a terminal or turn text around."""
    return _STEERING.sub("", text)


def one_line(text: str) -> str:
    """Cleaned text that cannot pretend to be another line of the output."""
    return " ".join(clean(text).split())


def snippet(text: str, question: str) -> str:
    """At most `SNIPPET` characters of the text in whole words, from the line on that shows most of the question."""
    if len(text) <= SNIPPET:
        return text
    starts = [0, *(match.end() for match in re.finditer(r"\n", text))]
    asked = set(re.findall(r"\w{3,}", question.lower())) - COMMON
    found = [[match.start() for match in re.finditer(rf"\b{word[:STEM]}", text.lower())] for word in asked]

    def shared(start: int) -> float:
        # Of each word that is asked for, the share that stands here.
        shares = (sum(start <= at < start + SNIPPET for at in places) / len(places) for places in found if places)
        return sum(shares)

    # Of equally good places the last that still shows everything: what is asked for then stands near the top.
    best = max(starts, key=lambda start: (shared(start), start if shared(start) else -start))
    part = text[best : best + SNIPPET]
    tail = "" if best + SNIPPET >= len(text) else " …"
    return ("… " if best else "") + (part.rsplit(" ", 1)[0] + tail if tail else part)


def indented(text: str) -> str:
    """Cleaned text, filled to the width of a page, each line a little to the right."""
    fill = textwrap.TextWrapper(WIDTH, initial_indent="   ", subsequent_indent="   ")
    return "\n".join(fill.fill(line) for line in clean(text).splitlines())


def _passage_text(place: int, passage: Mapping[str, Any], question: str) -> str:
    body = indented(snippet(clean(passage["text"]), question))
    address = f"{one_line(passage['source'])} · {one_line(passage['uri'])}"
    return f"{place}. {one_line(passage['title'])}  [{passage['score']:.3f}]\n   {address}\n{body}"


def _registered_text(row: "Registered") -> str:
    age = f", counts for {row.ttl_days:g} days" if row.ttl_days else ""
    by = f" by {', '.join(row.entities)}" if row.entities else ""
    width = max((len(feature["name"]) for feature in row.features), default=0)
    lines = [f"  {feature['name']:<{width}}  {feature['type']:<8} {feature['description']}" for feature in row.features]
    return "\n".join([f"{row.name} ({row.kind}{by}, owner {row.owner}{age}): {row.description}", *lines])
