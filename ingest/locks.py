"""One ingestion of a source at a time on this machine. The kernel frees the lock when its process dies."""

import fcntl
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ingest.errors import SourceBusyError


@contextmanager
def source_lock(folder: Path, source: str, *, required: bool = True) -> Iterator[None]:
    """Hold the source's lock; raises `SourceBusyError` at once when another process has it.

    Who does not require it goes on without: a worker's right is its claim, the lock only tells others on this machine.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = hashlib.sha256(source.encode()).hexdigest()[:16]
    with (folder / f"source-{name}.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if not required:
                yield
                return
            raise SourceBusyError(
                f"The source {source!r} is being ingested by another process.", hint="Wait for it, then try again."
            ) from error
        yield
