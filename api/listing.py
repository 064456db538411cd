"""Lists as a person reads them: runs, sources, keys, models."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from api.progress import line_of
from api.rendering import ingest_text, one_line, table_text

MICROS = 1_000_000
NOTHING = "-"
SHOWN = 20  # refused files that a ledger names

Row = Mapping[str, Any]


def moment(instant: int | None) -> str:
    """Microseconds as local date and time, to the minute; a dash for what has not happened."""
    if not instant:
        return NOTHING
    return f"{datetime.fromtimestamp(instant / MICROS, tz=UTC).astimezone():%Y-%m-%d %H:%M}"


def columns(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table with a header; every cell is one clean line."""
    cells = [list(head), *([one_line(str(cell)) or NOTHING for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
    )


def runs_text(runs: Sequence[Row]) -> str:
    """The newest runs first."""
    if not runs:
        return "No run yet. Start with: threadwise ingest PATH"
    head = ("RUN", "SOURCE", "STATE", "BY", "STARTED", "ENDED")
    return columns(head, (_run_cells(run) for run in runs))


def run_text(run: Row, report: Row) -> str:
    """One run: what it did or how far it is, and why it failed."""
    lines = [ingest_text(report, str(run["source"]))]
    if run["finished_at"] is None:
        lines.append(f"  so far     {one_line(line_of(run))}")
    lines.append(f"  run        {one_line(run['run_id'])}, asked for by {one_line(run['requested_by']) or 'nobody'}")
    lines.append(f"  started    {moment(run['started_at'])}, ended {moment(run['finished_at'])}")
    if run["error_code"]:
        lines.append(f"  error      {one_line(run['error_code'])}: {one_line(run['error'])}")
    return "\n".join(lines)


def ledger_text(ledger: Row) -> str:
    """Where everything went that a run read, the first files that it refused, and what was noticed in documents."""
    lines = [[line[name] for name in ("channel", "bucket", "reason", "items")] for line in ledger["lines"]]
    parts = [columns(("CHANNEL", "BUCKET", "REASON", "ITEMS"), lines)]
    parts.append(f"{sum(line['items'] for line in ledger['lines'])} items in all")
    parts += _refused_lines([row for row in ledger.get("files", ()) if row["bucket"] == "failed" and row["file"]])
    if noticed := [[one["kind"], one["detail"], one["count"]] for one in ledger["quality"]]:
        parts += ["", columns(("NOTICED", "WHAT", "HOW OFTEN"), noticed)]
    return "\n".join(parts)


def _refused_lines(files: Sequence[Row]) -> list[str]:
    if not files:
        return []
    more = [f"… and {len(files) - SHOWN} more: use --csv"] if len(files) > SHOWN else []
    refused = [(row["file"], row["reason"], _still_there(row["documents"])) for row in files[:SHOWN]]
    return ["", columns(("REFUSED", "WHY", "ANSWERED FROM"), refused), *more]


def _still_there(documents: int) -> str:
    return f"its earlier state ({documents})" if documents else NOTHING


def problems_text(run: Row) -> str:
    """What a run could not take, the newest first: place, code, reason, and how often it was tried."""
    lines = ["Could not be taken:", *map(_problem_line, run["problems"])]
    if (more := run["documents"]["quarantined"] - len(run["problems"])) > 0:
        lines.append(f"  … and {more} more")
    return "\n".join([*lines, "threadwise dead-letters says what can be done about it."])


def _problem_line(problem: Row) -> str:
    tries = f" ({problem['attempts']} tries)" if problem["attempts"] > 1 else ""
    return f"  {one_line(problem['place'])}: {one_line(problem['code'])}: {one_line(problem['reason'])}{tries}"


def twins_text(twins: Sequence[Row], total: int, waiting: int) -> str:
    """Pairs of documents that are nearly the same, the most alike first, and how many were not compared yet."""
    head = ("ALIKE", "SOURCE", "DOCUMENT", "TWIN'S SOURCE", "TWIN", "READERS")
    lines = [columns(head, map(_twin_cells, twins)) if twins else "No two documents are nearly the same."]
    if total > len(twins):
        lines.append(f"… and {total - len(twins)} more")
    if waiting:
        lines.append(f"{waiting} documents were not compared yet; the next ingestion that changes something does it.")
    return "\n".join(lines)


def _twin_cells(pair: Row) -> tuple[object, ...]:
    named = [one[name] for one in pair["documents"] for name in ("source", "external_id")]
    return f"{pair['similarity']:.0%}", *named, "the same" if pair["same_audience"] else "different"


def letters_text(letters: Sequence[Row]) -> str:
    """What runs could not take, the newest first."""
    if not letters:
        return "No dead letter: everything that was read is there. threadwise runs lists what was read."
    head = ("LETTER", "SOURCE", "PLACE", "CODE", "TRIES", "STATE", "SINCE")
    return columns(head, (_letter_cells(letter) for letter in letters))


def letter_text(letter: Row) -> str:
    """One dead letter, all of it."""
    size = f"{letter['size']} bytes" if letter["size"] else NOTHING
    figures = {
        "source": letter["source"],
        letter["kind"]: letter["place"],
        "run": letter["run_id"],
        "change": letter["change"] or NOTHING,
        "stage": letter["stage"],
        "error": f"{letter['code']}: {letter['reason']}",
        "tries": letter["attempts"],
        "size": size,
        "since": moment(letter["recorded_at"]),
        "settled": moment(letter["settled_at"]),
    }
    return table_text(f"Dead letter {letter['id']}: {letter['state']}", figures)


def sources_text(sources: Sequence[Row]) -> str:
    """Every source with its size, its schedule, its last run, how old its state is, and why it is paused."""
    if not sources:
        return "No source yet. Start with: threadwise ingest PATH"
    head = ("SOURCE", "KIND", "DOCUMENTS", "EVERY", "LAST RUN", "STATE", "FRESH", "PAUSED")
    return columns(head, (_source_cells(source) for source in sources))


def keys_text(keys: Sequence[Row]) -> str:
    """Every key: whose, for what, until when."""
    if not keys:
        return "No key yet. Make one with: threadwise keys create --name NAME --scope ask --principal everyone"
    head = ("KEY", "NAME", "SCOPES", "READS AS", "EXPIRES", "LAST USED", "REVOKED")
    return columns(head, (_key_cells(key) for key in keys))


def models_text(models: Sequence[Row]) -> str:
    """Every known language model, and whether it is here."""
    head = ("MODEL", "HERE", "SIZE", "WINDOW", "LICENCE")
    return columns(head, (_model_cells(model) for model in models))


def _run_cells(run: Row) -> tuple[object, ...]:
    state = f"{run['state']} ({run['error_code']})" if run["error_code"] else run["state"]
    if run["state"] in ("planning", "running") and run["queued_at"] and not run["is_held"]:
        state = f"{run['state']} (waits for a worker)"
    times = moment(run["started_at"]), moment(run["finished_at"])
    return run["run_id"], run["source"], state, run["requested_by"], *times


def _source_cells(source: Row) -> tuple[object, ...]:
    every = f"{source['every_minutes']} min" if source["every_minutes"] else NOTHING
    last = moment(source["last_at"]), source["last_state"] or NOTHING
    fresh = f"{moment(source['fresh_at'])} (stale)" if source["stale"] else moment(source["fresh_at"])
    return source["name"], source["kind"], source["documents"], every, *last, fresh, source["paused"] or NOTHING


def _letter_cells(letter: Row) -> tuple[object, ...]:
    names = ("id", "source", "place", "code", "attempts", "state")
    return *(letter[name] for name in names), moment(letter["recorded_at"])


def _key_cells(key: Row) -> tuple[object, ...]:
    times = (moment(key[name]) for name in ("expires_at", "last_used_at", "revoked_at"))
    return key["id"], key["name"], " ".join(key["scopes"]), " ".join(key["principals"]), *times


def _model_cells(model: Row) -> tuple[object, ...]:
    size = f"{model['bytes'] / 1e6:.0f} MB"
    return model["id"], "yes" if model["installed"] else "no", size, model["window"], model["licence"]


def generations_text(rows: Sequence[Row]) -> str:
    """Generations in the order in which they were begun."""
    if not rows:
        return "No generation yet. Start with: threadwise ingest PATH"
    head = ("GENERATION", "STATE", "BEGUN", "DOCUMENTS", "CHUNKS", "OWED", "WITHOUT", "WHY NOT")
    return columns(head, (_generation_cells(row) for row in rows))


def _generation_cells(row: Row) -> tuple[object, ...]:
    # Documents are written into the one that readers see directly, so nothing is owed to it.
    owed = 0 if row["live"] else row["pending"] + row["missing"]
    name = f"{row['id']}, seen by readers" if row["live"] else row["id"]
    made = row["documents"] - owed - row["quarantined"]
    return name, row["state"], moment(row["created_at"]), made, row["chunks"], owed, row["quarantined"], row["error"]
