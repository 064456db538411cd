"""Engines and feature store: loading, searching with and without a filter, reading signals, importing Feast.

`python benchmarks/engines.py [--json] [--sizes 10000,100000] [--kind flat|hnsw|ivf]`. One thread; the vectors are
random and clustered, the words follow a power law. The machine should be otherwise idle.
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from core.settings import IndexSettings
from features.filters import PassageFilter
from features.store import FeatureStore, open_feature_store
from tests.support import catalog_rows as rows

ROOT = Path(__file__).resolve().parents[1]
DIMENSION = 384
AUDIENCES = 50
NOW = 2_000_000_000_000_000
POOL = 100
REPEATS = 41
COMMON = "the a of and to in is for on with vacation policy laptop request office leave team manager please"
QUESTION = "What is the vacation policy of w17 w233 and how do I request leave w1999 w45"
IMPORT = "import time; t = time.perf_counter(); {code}; print(time.perf_counter() - t, *open('/proc/self/status'))"
IMPORTS = {
    "plain": "import feast.feature_store",
    "ours": "from features.feast_import import import_feast; import_feast()",
}


def clustered(count: int) -> NDArray[np.float32]:
    """Unit vectors (count, 384) around 200 centres."""
    rng = np.random.default_rng(1)
    centres = rng.standard_normal((200, DIMENSION)).astype(np.float32)
    drawn = centres[rng.integers(0, 200, count)]
    drawn += 0.8 * rng.standard_normal((count, DIMENSION)).astype(np.float32)
    unit: NDArray[np.float32] = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    return unit


def batches(count: int) -> Iterator[list[rows.Row]]:
    """The chunks, four to a document, in batches of 5,000."""
    rng = random.Random(1)
    vectors, common = clustered(count), COMMON.split()
    rare = [f"w{int(rng.paretovariate(0.9)) % 20_000}" for _ in range(200_000)]
    for start in range(0, count, 5_000):
        yield [
            rows.Row(
                name=str(i),
                document=str(i // 4),
                text=" ".join((*rng.choices(common, k=20), *rng.choices(rare, k=40), f"id{i}")),
                vector=vectors[i],
                audience=(f"C{(i // 4) % AUDIENCES}",),
                signals={"last_activity": NOW - i * 1_000_000, "replies": i % 7},
            )
            for i in range(start, min(count, start + 5_000))
        ]


def milliseconds(call: Callable[[], object]) -> dict[str, float]:
    """Median and 99th percentile of `REPEATS` calls after one that warms up."""
    call()
    taken = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        call()
        taken.append(1_000 * (time.perf_counter() - start))
    return {"p50": round(statistics.median(taken), 3), "p99": round(max(taken), 3)}


def measure(count: int, kind: str, folder: Path) -> dict[str, object]:
    """Everything at one size."""
    database = rows.create(folder)
    space = rows.space_of(DIMENSION)
    generation = rows.start_generation(database, space)
    for batch in batches(count):
        rows.write(database, generation, space, batch)
    index = IndexSettings.model_validate({"kind": kind})
    store = open_feature_store(data_dir=folder, database_url=database.url, index=index)
    everything = PassageFilter(None, NOW)
    query = clustered(count)[count // 3]
    results: dict[str, object] = {"chunks": count, "kind": kind, **catching_up(store, query)}
    for share in (1.0, 0.5, 0.1, 0.02):
        readable = tuple(rows.audience_of(database, f"C{n}") for n in range(int(share * AUDIENCES)))
        wanted = PassageFilter(readable, NOW) if share < 1 else everything
        results[f"search_{share:.0%}_ms"] = milliseconds(
            lambda wanted=wanted: store.search_rows(query, QUESTION, pool=POOL, filter=wanted)  # type: ignore[misc]
        )
    results |= reading(store, query)
    store.close()
    database.close()
    return results


def catching_up(store: FeatureStore, query: NDArray[np.float32]) -> dict[str, object]:
    """Seconds of the first load with and without the building of the lexical index, and of a look without news."""
    wanted = PassageFilter(None, NOW)
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        store.search_rows(query, "", pool=1, filter=wanted)
        seconds.append(round(time.perf_counter() - start, 3))
        store.close()
    store.search_rows(query, "", pool=1, filter=wanted)
    nothing = PassageFilter((), NOW)
    idle = milliseconds(lambda: store.search_rows(query, "", pool=1, filter=nothing))
    return {"first_load_s": seconds[0], "load_s": seconds[1], "no_news_ms": idle}


def reading(store: FeatureStore, query: NDArray[np.float32]) -> dict[str, object]:
    """Signals of fifty documents by column and through Feast's generic call."""
    found = store.search_rows(query, QUESTION, pool=POOL, filter=PassageFilter(None, NOW))
    documents = found.document_ids[:50]
    service = store.feast.get_feature_service("answer_ranking")
    entities: dict[str, list[object]] = {"document_id": [*documents], "now": [NOW] * len(documents)}
    return {
        "signals_ms": milliseconds(lambda: store.ranking_signals(documents, NOW)),
        "signals_generic_ms": milliseconds(lambda: store.feast.get_online_features(service, entities).to_dict()),
    }


def importing() -> dict[str, dict[str, float]]:
    """Seconds and resident megabytes of importing Feast, as it comes and as we import it."""
    costs = {}
    for name, code in IMPORTS.items():
        command = [sys.executable, "-c", IMPORT.format(code=code)]
        output = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout  # noqa: S603
        resident = int(output.partition("VmRSS:")[2].split()[0]) / 1024
        costs[name] = {"seconds": round(float(output.split()[0]), 2), "megabytes": round(resident)}
    return costs


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--sizes", default="10000,100000")
    parser.add_argument("--kind", default="flat", choices=["flat", "hnsw", "ivf"])
    options = parser.parse_args()
    results: list[dict[str, object]] = [{"import": importing()}]
    for size in options.sizes.split(","):
        with tempfile.TemporaryDirectory() as folder:
            results.append(measure(int(size), options.kind, Path(folder)))
    if options.json:
        print(json.dumps(results))
        return
    for result in results:
        for name, value in result.items():
            print(f"{name:22} {value}")


if __name__ == "__main__":
    main()
