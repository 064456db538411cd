"""FAISS in the shapes the settings name: exact search over any rows, HNSW and IVF-Flat over all of them.

Similarities are inner products, which are cosines because a space's vectors are normalised. HNSW: Malkov and
Yashunin 2016, arXiv 1603.09320; IVF: Jégou et al. 2011.
"""

from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np
import structlog
from numpy.typing import NDArray

from core.settings import IndexSettings

_wrapped: Any = faiss  # the stubs describe the C++ constructors of these classes, not their Python wrappers

log = structlog.get_logger()

POINTS_PER_LIST = 39
"""FAISS's own minimum of training points for each inverted list."""

MAX_EFFORT = 4
"""A filter raises `ef_search` by the inverse of the share it leaves, up to this factor."""

Found = tuple[NDArray[np.int64], NDArray[np.float32]]
"""Slots and similarities, best first, both (k',) with k' <= k."""


@dataclass(frozen=True, slots=True)
class Approximate:
    """An index over the slots [0, covered). It is never changed once built: what comes later is searched exactly."""

    index: faiss.Index
    covered: int


def exact(vectors: NDArray[np.float32], query: NDArray[np.float32], k: int, slots: NDArray[np.int64] | None) -> Found:
    """The k best of `vectors` (n, d) for `query` (d,), or of the given slots only; nothing is copied."""
    count = len(vectors) if slots is None else len(slots)
    k = min(k, count)
    if k == 0:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
    ids, similarities = np.empty((1, k), dtype=np.int64), np.empty((1, k), dtype=np.float32)
    selector = None if slots is None else faiss.IDSelectorArray(slots)
    pointers = [faiss.swig_ptr(array) for array in (query, vectors, similarities, ids)]
    faiss.knn_inner_product(
        pointers[0], pointers[1], vectors.shape[1], 1, len(vectors), k, pointers[2], pointers[3], selector
    )
    return ids[0], similarities[0]


def build(settings: IndexSettings, vectors: NDArray[np.float32]) -> Approximate | None:
    """An index of the kind that is set, or None where exact search is what remains (the reason is logged)."""
    count, dimension = vectors.shape
    index: faiss.Index
    if settings.kind == "hnsw":
        index = faiss.IndexHNSWFlat(dimension, settings.hnsw_m, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = settings.hnsw_ef_construction
    elif settings.kind == "ivf" and count >= POINTS_PER_LIST * settings.ivf_nlist:
        quantizer = faiss.IndexFlatIP(dimension)
        index = faiss.IndexIVFFlat(quantizer, dimension, settings.ivf_nlist, faiss.METRIC_INNER_PRODUCT)
        index.train(vectors)
    else:
        if settings.kind == "ivf":
            log.info("ivf_too_few_vectors", vectors=count, needed=POINTS_PER_LIST * settings.ivf_nlist)
        return None
    index.add(vectors)
    return Approximate(index, count)


def covering(before: Approximate | None, settings: IndexSettings, vectors: NDArray[np.float32]) -> Approximate | None:
    """An index over all of `vectors`: built, or a copy of `before` with the rest added; `before` stays as it is."""
    if before is None:
        return build(settings, vectors)
    index = faiss.clone_index(before.index)
    index.add(vectors[before.covered :])
    return Approximate(index, len(vectors))


def search(
    approximate: Approximate, settings: IndexSettings, query: NDArray[np.float32], k: int, mask: NDArray[np.bool_]
) -> Found:
    """The k best that the index finds among its covered slots where `mask` is true."""
    covered = mask[: approximate.covered]
    left = int(np.count_nonzero(covered))
    k = min(k, left)
    if k == 0:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
    bits = np.packbits(covered, bitorder="little")
    selector = None if left == len(covered) else _wrapped.IDSelectorBitmap(bits)
    parameters = _parameters(settings, k, left / len(covered), selector)
    similarities, ids = approximate.index.search(query[None, :], k, params=parameters)
    found = ids[0] >= 0
    return ids[0][found], similarities[0][found]


def _parameters(settings: IndexSettings, k: int, share: float, selector: Any) -> Any:  # noqa: ANN401 - see _wrapped
    if settings.kind == "ivf":
        return _wrapped.SearchParametersIVF(nprobe=min(settings.ivf_nprobe, settings.ivf_nlist), sel=selector)
    effort = int(settings.hnsw_ef_search * min(MAX_EFFORT, 1.0 / share))
    return _wrapped.SearchParametersHNSW(efSearch=max(effort, k), sel=selector)
