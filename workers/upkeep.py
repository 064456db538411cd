"""`python -m workers.upkeep purge|fsck`: work beside the duties that takes long, in a process of its own.

Whoever keeps the duties starts it and does not wait. Killed, it is begun again by the next one that is due.
"""

import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

import structlog

from core import telemetry
from core.errors import ThreadwiseError
from core.settings import Settings, load_settings
from core.words import Instant
from workers.logs import take_over_logging
from workers.nice import NICENESS

Act = Literal["purge", "fsck"]

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Upkeep:
    """Starts these processes, one of each kind at a time; they have the settings of this one."""

    _running: dict[Act, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, act: Act) -> int:
        """Start it unless the last one is still at work; returns how many were started."""
        last = self._running.get(act)
        if last is not None and last.poll() is None:
            return 0
        command = [sys.executable, "-m", __name__, act]
        self._running[act] = subprocess.Popen(command, stdin=subprocess.DEVNULL)  # noqa: S603 - a command of our own
        return 1


def work(act: Act, settings: Settings) -> None:
    """Do it once. What is found is logged by kind; nothing is repaired unasked."""
    from threadwise.runtime import Threadwise  # noqa: PLC0415 - whoever only starts the process needs none of it

    with Threadwise(settings) as threadwise:
        if act == "purge":
            log.info("purged", deletions=threadwise.deletions.purge_due())
            return
        verdict = threadwise.maintenance.fsck(since=Instant(0))
        found = Counter(finding.kind for finding in verdict.left if finding.severity != "litter")
        if found:
            log.error("fsck_found", **found)
        else:
            log.info("fsck_clean", seconds=round(verdict.seconds, 1))


def main() -> None:
    """Do what the argument says."""
    act: Act = "fsck" if sys.argv[1:] == ["fsck"] else "purge"
    settings = load_settings()
    os.umask(0o077)  # what is written is for its owner alone
    telemetry.configure(verbose=True)
    take_over_logging()
    os.nice(NICENESS)
    try:
        work(act, settings)
    except ThreadwiseError as error:
        log.warning("upkeep_failed", act=act, code=error.code)
        sys.exit(1)


if __name__ == "__main__":
    main()
