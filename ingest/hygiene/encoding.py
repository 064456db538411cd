"""Text that was decoded with the wrong table: what should read `é` reads `Ã©`."""

import re

HEAVY_COUNT = 3
HEAVY_SHARE = 200  # one broken place in so many characters

# UTF-8 takes two bytes and more for what is not ASCII, so that a wrong table makes at least two signs in a row of it.
_SUSPECT = re.compile(r"[\x80-\u04ff\u2013-\u2265\ufb01\ufb02][^\x00-\x7f]|[\xc2\xc3]\s")


def broken_places(text: str) -> int:
    """How many places of the text look as if their bytes had been decoded with the wrong table."""
    if text.isascii() or not _SUSPECT.search(text):
        return 0
    from ftfy.badness import badness  # noqa: PLC0415 - only suspect text pays for the import

    return badness(text)


def is_heavy(places: int, length: int) -> bool:
    """Whether so many broken places in a text of that length (characters) leave nothing to rely on."""
    return places >= HEAVY_COUNT and places * HEAVY_SHARE >= length
