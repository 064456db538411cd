"""A run's ledger as CSV, safe to open in a spreadsheet."""

import csv
import io
from collections.abc import Iterable, Mapping
from typing import Any, Final

COLUMNS: Final = ("channel", "file", "bucket", "reason", "change", "items", "documents")
# What makes a spreadsheet compute a cell instead of showing it, in both widths that keyboards have:
# https://owasp.org/www-community/attacks/CSV_Injection
TRIGGERS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def ledger_csv(ledger: Mapping[str, Any]) -> str:
    """A row for each file where there are files, else for each line of channels; RFC 4180, with a header.

    Text that a spreadsheet would compute begins with an apostrophe.
    """
    rows: Iterable[Mapping[str, Any]] = ledger.get("files") or ledger["lines"]
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    writer.writerows([_cell(row.get(name, "")) for name in COLUMNS] for row in rows)
    return out.getvalue()


def _cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(TRIGGERS) else value
