"""Room on a disk: whoever is about to write much asks first, so that what has to be recorded still can be."""

import shutil
from pathlib import Path

from core.errors import StorageFullError

MEGABYTE = 1024 * 1024


def require_room(folder: Path, megabytes: int) -> None:
    """Raise `StorageFullError` unless so many megabytes are free where this folder is, or will be made."""
    place = folder
    while not place.exists() and place != place.parent:
        place = place.parent
    free = shutil.disk_usage(place).free
    if free < megabytes * MEGABYTE:
        raise StorageFullError(
            f"Only {free // MEGABYTE} MB are free on the disk of {folder}; {megabytes} have to stay free.",
            hint="Make room; what waits goes on by itself. THREADWISE_INGEST__MIN_FREE_MB is the limit.",
        )
