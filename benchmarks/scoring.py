"""How long a million AUROCs take: cells x permutations, at once and one by one.

    python benchmarks/scoring.py

A cell is one vector's scores of the same 400 answers; a permutation shuffles the labels. Both ways
give the same numbers (checked on the part that the slow one does); the slow one, a loop over
scikit-learn's roc_auc_score, is timed on a part and multiplied. Ranks are compared with
`scipy.stats.rankdata`, with the time that importing `scipy.stats` adds to a process. Writes
benchmarks/scoring.json.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

from sycophancy_steering.statistics.permuted_labels import auroc_of_permuted_labels
from sycophancy_steering.statistics.ranks import tied_ranks

Result = TypeVar("Result")
CELLS, PERMUTATIONS, ANSWERS, SLOW = 1_000, 1_000, 400, 2_000


def main() -> None:
    rng = np.random.default_rng(0)
    scores = np.round(rng.normal(size=(CELLS, ANSWERS)), 2)
    labels = (rng.random(ANSWERS) < 0.4).astype(int)
    permuted = rng.permuted(np.tile(labels, (PERMUTATIONS, 1)), axis=1)
    auroc_of_permuted_labels(tied_ranks(scores[:2]), permuted)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    aurocs, fast = timed(lambda: auroc_of_permuted_labels(tied_ranks(scores), permuted))
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    table = {
        "cells_x_resamples": CELLS * PERMUTATIONS,
        "seconds": round(fast, 3),
        **loop_over_scikit_learn(scores, permuted, aurocs, fast),
        "peak_memory_mb": round(peak, 1),
        **ranks_of_scipy(rng.normal(size=(CELLS, ANSWERS))),
    }
    for name, value in table.items():
        print(f"{name:>24}  {value:,}")
    Path(__file__).with_suffix(".json").write_text(json.dumps(table, indent=2) + "\n")


def loop_over_scikit_learn(
    scores: np.ndarray, permuted: np.ndarray, aurocs: np.ndarray, fast: float
) -> dict[str, float]:
    """Checks some of `aurocs`, one by one, and how long all would take."""
    from sklearn.metrics import roc_auc_score

    pairs = [divmod(n, PERMUTATIONS) for n in range(SLOW)]
    slow, seconds = timed(lambda: [roc_auc_score(permuted[k], scores[n]) for n, k in pairs])
    np.testing.assert_allclose(aurocs.ravel()[:SLOW], slow, rtol=0, atol=1e-12)
    seconds *= CELLS * PERMUTATIONS / SLOW
    return {"loop_seconds": round(seconds, 1), "ratio": round(seconds / fast)}


def ranks_of_scipy(scores: np.ndarray) -> dict[str, float]:
    """Time of our ranks and of scipy's, and of importing scipy.stats."""
    from scipy.stats import rankdata

    own, own_seconds = min((timed(lambda: tied_ranks(scores)) for _ in range(3)), key=second)
    others, seconds = min((timed(lambda: rankdata(scores, axis=-1)) for _ in range(3)), key=second)
    np.testing.assert_array_equal(own, others)
    modules = "scipy.special", "scipy.special, scipy.stats"
    without, with_stats = (min(importing(module) for _ in range(3)) for module in modules)
    return {
        "ranks_seconds": round(own_seconds, 3),
        "rankdata_seconds": round(seconds, 3),
        "import_scipy_stats_seconds": round(with_stats - without, 2),
    }


def second(result: tuple[object, float]) -> float:
    """The seconds of `timed`."""
    return result[1]


def importing(modules: str) -> float:
    """Seconds of a process that imports modules."""
    return timed(lambda: subprocess.run([sys.executable, "-c", f"import {modules}"], check=True))[1]


def timed(task: Callable[[], Result]) -> tuple[Result, float]:
    """What a task returns, and how many seconds it took."""
    start = time.perf_counter()
    result = task()
    return result, time.perf_counter() - start


if __name__ == "__main__":
    main()
