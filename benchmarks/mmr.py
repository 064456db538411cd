"""How many times faster `retrieval.mmr` is than langchain-core's function, both from one query and one pool.

Run from the repository: `python benchmarks/mmr.py`. Both sides compute the query's cosines and pick; rounds
alternate, so that a busy machine slows both. Set `OPENBLAS_NUM_THREADS=1` for one thread.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter_ns

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from langchain_core.vectorstores.utils import maximal_marginal_relevance

from retrieval.mmr import mmr_order

CANDIDATES, PICKS, DIMENSION, MMR_LAMBDA, ROUNDS, SEED = 100, 10, 384, 0.9, 200, 7


def main() -> None:
    """Print medians in microseconds and the ratios as one line of JSON; fail when the picks differ."""
    rng = np.random.default_rng(SEED)
    vectors = rng.standard_normal((CANDIDATES, DIMENSION), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    query = vectors[0] + 0.7 * vectors[1]
    query /= np.linalg.norm(query)
    rows = vectors.tolist()
    sides: dict[str, Callable[[], list[int]]] = {
        "threadwise": lambda: mmr_order(vectors @ query, vectors, k=PICKS, mmr_lambda=MMR_LAMBDA).tolist(),
        "langchain_lists": lambda: maximal_marginal_relevance(query, rows, MMR_LAMBDA, PICKS),
        "langchain_arrays": lambda: maximal_marginal_relevance(query, list(vectors), MMR_LAMBDA, PICKS),
    }
    picks = {name: side() for name, side in sides.items()}
    if len({tuple(found) for found in picks.values()}) > 1:
        sys.exit(f"the picks differ: {picks}")
    rounds = [{name: _microseconds(side) for name, side in sides.items()} for _ in range(ROUNDS)]
    _report({name: median(spent[name] for spent in rounds) for name in sides})


def _microseconds(side: Callable[[], list[int]]) -> float:
    start = perf_counter_ns()
    side()
    return (perf_counter_ns() - start) / 1000


def _report(medians: dict[str, float]) -> None:
    ours = medians["threadwise"]
    ratios = {f"ratio_{name}": round(spent / ours, 1) for name, spent in medians.items() if name != "threadwise"}
    shape = {"n": CANDIDATES, "k": PICKS, "d": DIMENSION, "mmr_lambda": MMR_LAMBDA, "seed": SEED}
    spent = {f"{name}_us": round(value, 1) for name, value in medians.items()}
    sys.stdout.write(json.dumps(shape | spent | ratios) + "\n")


if __name__ == "__main__":
    main()
