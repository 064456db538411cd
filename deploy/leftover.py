"""What a PostgreSQL that was killed leaves behind, and how the next one gets past it."""

import os
from pathlib import Path
from typing import Final

from features.files import write_whole

LOCKS: Final = ("data/postmaster.pid", ".s.PGSQL.5432.lock")
"""Files of PostgreSQL, in the folder of its cluster, whose first line is the number of the process that serves it."""


def disclaim(folder: Path, program: Path) -> None:
    """Let locks stand for this process whose number another program has now, as after a restart of the machine.

    PostgreSQL refuses to start while any process of its account has that number. It does not when the number is that of
    the process in which it starts. The files stay because it looks up in them whether processes of the killed server
    still share its memory. Call this in the process that becomes `program`, and only while no server answers.
    """
    for name in LOCKS:
        first, _, rest = _content(folder / name).partition(b"\n")
        if first.isdigit() and _is_other(int(first), program):
            write_whole(folder / name, b"%d\n%b" % (os.getpid(), rest))


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _is_other(pid: int, program: Path) -> bool:
    """Whether a process of this number runs another program."""
    folder = Path(f"/proc/{pid}")
    try:
        running = str((folder / "exe").readlink())
    except PermissionError:  # of another group, perhaps, or protected; what it is called everybody may read
        return _content(folder / "comm").strip() not in (b"", os.fsencode(program.name))
    except OSError:
        return False
    # An installation that was replaced under a running program shows like this.
    return running.removesuffix(" (deleted)") != str(program.resolve())
