"""A run's ledger as CSV, safe to open in a spreadsheet."""

import csv
import io
from collections.abc import Iterable, Mapping
from typing import Any, Final

COLUMNS: Final = ("channel", "bucket", "reason", "items")
# What makes a spreadsheet compute a cell instead of showing it, in both widths that keyboards have:
# https://owasp.org/www-community/attacks/CSV_Injection
TRIGGERS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def ledger_csv(lines: Iterable[Mapping[str, Any]]) -> str:
    """The lines with a header, RFC 4180; text that a spreadsheet would compute begins with an apostrophe."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    writer.writerows([_cell(line[name]) for name in COLUMNS] for line in lines)
    return out.getvalue()


def _cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(TRIGGERS) else value
