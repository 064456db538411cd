"""A worker that grows beyond its limit ends itself before the machine has to end something.

What it worked on counts as an attempt, as if it had been killed: a document that needs too much memory is given up.
"""

import os
import threading
import time
from functools import cache
from pathlib import Path
from typing import Final

import structlog

LOOK_SECONDS: Final = 0.2
KILLED: Final = 137
MEGABYTE: Final = 1024 * 1024

log = structlog.get_logger(__name__)


@cache
def watch_memory(megabytes: int) -> None:
    """End this process once it holds more memory than that; looks from a thread of its own, one for each process."""
    threading.Thread(target=_watch, args=(megabytes,), name="memory", daemon=True).start()


def resident_megabytes() -> int:
    """Megabytes of memory that this process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // MEGABYTE


def _watch(megabytes: int) -> None:
    while (held := resident_megabytes()) <= megabytes:
        time.sleep(LOOK_SECONDS)
    log.error("worker_too_large", megabytes=held)
    os._exit(KILLED)
