"""How alike two texts are, told from sketches of them: MinHash over sequences of five words, and its bands.

The same text gives the same bytes in every process and on every machine. A sketch tells which share of all their word
sequences two texts have in common, give or take a few hundredths, without the texts.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

METHOD: Final = 1
"""Grows with whatever makes sketches another: those of an older method are made again."""

ALIKE: Final = 0.8
"""From this similarity on two documents are nearly the same."""

FEWEST_WORDS: Final = 20
"""Of a text that is compared: shorter ones are alike by chance."""

MOST_TWINS: Final = 8
"""Links that a document gets when it is sketched: the best ones. Later documents may add theirs."""

BUCKET: Final = 32
"""Documents that are found by one hash: of text that is everywhere, the rest is linked to these and not to itself."""

SHINGLE: Final = 5  # words
BANDS: Final = 16
ROWS: Final = 8
PERMUTATIONS: Final = BANDS * ROWS
BLOCK: Final = 256  # shingles that are permuted at once: what fits into the cache of a core

Signature = NDArray[np.uint32]
"""Shape (128,): of every permutation the smallest value. Shape (0,) for a text too short to compare."""

# Letters of scripts that put no space between words count as words of their own.
_WORD = re.compile("[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\\W\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+")
_PERSON = b"threadwise.like"


@dataclass(frozen=True, slots=True, eq=False)
class Sketch:
    """What a document is compared by, and the hashes by which its likes are found; no hash for a text too short."""

    signature: Signature
    bands: tuple[int, ...]

    @classmethod
    def of(cls, texts: Iterable[str]) -> "Sketch":
        """The sketch of a document from the texts of its blocks, in order."""
        signature = signature_of(texts)
        return cls(signature, tuple(bands_of(signature)))


@dataclass(frozen=True, slots=True)
class Twins:
    """Two documents by id, the smaller id first, and which share of their word sequences both have (0 to 1)."""

    document_id: str
    twin_id: str
    similarity: float


def signature_of(texts: Iterable[str]) -> Signature:
    """What a document is compared by, from the texts of its blocks in order."""
    words = [word for text in texts for word in _WORD.findall(unicodedata.normalize("NFKC", text).casefold())]
    if len(words) < FEWEST_WORDS:
        return np.empty(0, dtype=np.uint32)
    shingles = _shingles(words)
    least = np.full(PERMUTATIONS, np.iinfo(np.uint64).max, dtype=np.uint64)
    for start in range(0, len(shingles), BLOCK):
        permuted = shingles[start : start + BLOCK, np.newaxis] * _FACTORS + _ADDENDS
        np.minimum(least, permuted.min(axis=0), out=least)
    return (least >> np.uint64(32)).astype(np.uint32)


def similarities(one: Signature, others: Sequence[Signature]) -> NDArray[np.float64]:
    """The estimated Jaccard similarity of one text and each of the others, shape (n,). None may be too short."""
    agreeing: NDArray[np.float64] = (np.stack(others) == one).mean(axis=1)
    return agreeing


def bands_of(signature: Signature) -> list[int]:
    """Sixteen signed 64-bit hashes, none for a text too short: two texts that share one are worth comparing.

    Of two texts with a similarity of .8 nineteen in twenty share one, with .5 one in sixteen.
    """
    rows = signature.astype(np.uint64).reshape(-1, ROWS)
    places = _PLACES[: len(rows)]
    found: list[int] = _mixed((rows * _WEIGHTS).sum(axis=1, dtype=np.uint64) + places).view(np.int64).tolist()
    return found


def packed(signature: Signature) -> bytes:
    """A sketch as it is stored."""
    return signature.astype("<u4").tobytes()


def unpacked(stored: bytes) -> Signature:
    """The inverse of `packed`."""
    return np.frombuffer(stored, dtype="<u4").astype(np.uint32)


def link(
    new: Mapping[str, Sketch], known: Mapping[str, Signature], buckets: MutableMapping[int, list[str]]
) -> tuple[list[Twins], list[tuple[int, str]]]:
    """Twins of the new documents among each other and the known ones, and the (hash, document) rows to find them by.

    `buckets` are all documents by hash, as far as the new ones' hashes go; the new ones are added to them.
    """
    twins: list[Twins] = []
    rows: list[tuple[int, str]] = []
    seen = dict(known)
    for document_id, sketch in sorted(new.items()):
        near = sorted({other for one in sketch.bands for other in buckets.get(one, ()) if other in seen})
        twins += _best(document_id, sketch.signature, {other: seen[other] for other in near})
        open_hashes = [one for one in sketch.bands if len(buckets.setdefault(one, [])) < BUCKET]
        for one in open_hashes:
            buckets[one].append(document_id)
        rows += [(one, document_id) for one in open_hashes]
        seen[document_id] = sketch.signature
    return twins, rows


def _best(document_id: str, signature: Signature, near: Mapping[str, Signature]) -> list[Twins]:
    if not near:
        return []
    found = zip(similarities(signature, list(near.values())).tolist(), near, strict=True)
    best = sorted((-similarity, other) for similarity, other in found if similarity >= ALIKE)[:MOST_TWINS]
    return [Twins(min(document_id, other), max(document_id, other), -negated) for negated, other in best]


def _shingles(words: Sequence[str]) -> NDArray[np.uint64]:
    """A well-mixed hash of each different sequence of five words."""
    codes = np.array([_code(word) for word in words], dtype=np.uint64)
    last = len(codes) - SHINGLE + 1
    sequences = np.zeros(last, dtype=np.uint64)
    for place in range(SHINGLE):
        sequences = sequences * _STEP + codes[place : place + last]
    different: NDArray[np.uint64] = np.unique(_mixed(sequences))
    return different


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Values that tell nothing of what they were made from by a sum."""
    folded = (values ^ (values >> np.uint64(32))) * _MIX
    mixed: NDArray[np.uint64] = folded ^ (folded >> np.uint64(29))
    return mixed


@lru_cache(maxsize=16_384)
def _code(word: str) -> int:
    digest = hashlib.blake2b(word.encode(errors="surrogatepass"), digest_size=8, person=_PERSON).digest()
    return int.from_bytes(digest, "little")


def _constants(name: str, count: int) -> NDArray[np.uint64]:
    return np.array([_code(f"{METHOD} {name} {number}") for number in range(count)], dtype=np.uint64)


_FACTORS = _constants("factor", PERMUTATIONS) | np.uint64(1)
_ADDENDS = _constants("addend", PERMUTATIONS)
_PLACES = _constants("band", BANDS)
_WEIGHTS = _constants("row", ROWS) | np.uint64(1)
_STEP, _MIX = _constants("mix", 2) | np.uint64(1)
