"""Lists as a person reads them: runs, sources, keys, models."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from api.rendering import ingest_text, one_line

MICROS = 1_000_000
NOTHING = "-"

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
        lines.append(f"  so far     {run['settled']} of {run['total']} documents")
    lines.append(f"  run        {one_line(run['run_id'])}, asked for by {one_line(run['requested_by']) or 'nobody'}")
    lines.append(f"  started    {moment(run['started_at'])}, ended {moment(run['finished_at'])}")
    if run["error_code"]:
        lines.append(f"  error      {one_line(run['error_code'])}: {one_line(run['error'])}")
    return "\n".join(lines)


def sources_text(sources: Sequence[Row]) -> str:
    """Every source with its size, its schedule and its last run."""
    if not sources:
        return "No source yet. Start with: threadwise ingest PATH"
    head = ("SOURCE", "KIND", "DOCUMENTS", "EVERY", "LAST RUN", "STATE")
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
    return source["name"], source["kind"], source["documents"], every, *last


def _key_cells(key: Row) -> tuple[object, ...]:
    times = (moment(key[name]) for name in ("expires_at", "last_used_at", "revoked_at"))
    return key["id"], key["name"], " ".join(key["scopes"]), " ".join(key["principals"]), *times


def _model_cells(model: Row) -> tuple[object, ...]:
    size = f"{model['bytes'] / 1e6:.0f} MB"
    return model["id"], "yes" if model["installed"] else "no", size, model["window"], model["licence"]
