"""How often the verifier lets a changed sentence pass, how often it drops an equal one, and what a call costs.

    [THREADWISE_EVAL_DATA=FOLDER] .venv/bin/python benchmarks/verification.py [SEED]

Sentences come from three public sets below FOLDER/beir and from the demo company; without FOLDER from the demo alone.
Of changed sentences none should be kept. An equal one that is dropped costs its wording alone, for its quote stands.
"""

import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from generation.alignment import verify
from tests.support.perturbations import CHANGES, REWRITES, Pair, corpus_sentences, demo_sentences, pairs

SETS = ("contoso_hr", "handbook_faq", "slack_tenacademy")
PER_SET = 300
DEMO = Path(__file__).parents[1] / "demo"


def corpora() -> dict[str, Sequence[str]]:
    """Name and sentences of everything at hand."""
    data = os.environ.get("THREADWISE_EVAL_DATA")
    found: dict[str, Sequence[str]] = {"demo": demo_sentences(DEMO)}
    if data is None:
        print("THREADWISE_EVAL_DATA is not set: the demo company alone")
        return found
    return found | {name: corpus_sentences(Path(data) / "beir" / name) for name in SETS}


def reasons(made: Sequence[Pair]) -> Counter[str]:
    """What the verifier says to each pair."""
    return Counter(verify(pair.changed, pair.source).reason for pair in made)


def table(title: str, kinds: Sequence[tuple[str, list[Pair]]]) -> None:
    """One row for each kind: how many, how many were kept, and the commonest reasons."""
    print(f"\n{title:<22} {'n':>5} {'kept':>5} {'share':>7}  reasons")
    for kind, made in kinds:
        said = reasons(made)
        share = said["ok"] / max(len(made), 1)
        others = ", ".join(f"{reason} {count}" for reason, count in said.most_common(5) if reason != "ok")
        print(f"{kind:<22} {len(made):>5} {said['ok']:>5} {share:>7.1%}  {others}")


def cost(sentences: Sequence[str]) -> list[float]:
    """Microseconds of one call that keeps, for each sentence."""
    spent = []
    for sentence in sentences:
        start = time.perf_counter_ns()
        verify(sentence, sentence)
        spent.append((time.perf_counter_ns() - start) / 1_000)
    return sorted(spent)


def growth() -> float:
    """The time for a text of 400,000 characters over that for 200,000, the best of three each."""
    took = []
    for words in (40_000, 80_000):
        text = "days " * words
        runs = []
        for _ in range(3):
            start = time.perf_counter()
            verify(text, f"{text}off")
            runs.append(time.perf_counter() - start)
        took.append(min(runs))
    return took[1] / took[0]


def main() -> None:
    """Print both tables and the cost."""
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else 20_261_121
    found = corpora()
    print(f"seed {seed}; " + ", ".join(f"{name}: {len(sentences)} sentences" for name, sentences in found.items()))
    for title, kinds in (("changed", CHANGES), ("equal", REWRITES)):
        rows = []
        for kind, change in kinds.items():
            made = [pair for text in found.values() for pair in pairs(text, change, limit=PER_SET, seed=seed)]
            rows.append((kind, made))
        table(title, rows)
    spent = cost([sentence for sentences in found.values() for sentence in sentences[:500]])
    print(f"\nµs per call: p50 {median(spent):.0f}, p99 {spent[len(spent) * 99 // 100]:.0f}")
    print(f"twice the text takes {growth():.2f} times as long")


if __name__ == "__main__":
    main()
