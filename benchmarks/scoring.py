"""How long a million AUROCs take: cells x resamples, at once and one by one.

    python benchmarks/scoring.py

A cell is one vector's scores of the same 400 answers; a resample deals the labels anew. Both ways
give the same numbers (checked on the part that the slow one does); the slow one, a loop over
scikit-learn's roc_auc_score, is timed on a part and multiplied. Writes benchmarks/scoring.json.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent / "stages"))

from sycophancy_steering.statistics.permuted_labels import auroc_of_permuted_labels
from sycophancy_steering.statistics.ranks import tied_ranks

CELLS, RESAMPLES, ANSWERS, SLOW = 1_000, 1_000, 400, 2_000


def main() -> None:
    draw = np.random.default_rng(0)
    scores = np.round(draw.normal(size=(CELLS, ANSWERS)), 2)
    labels = (draw.random(ANSWERS) < 0.4).astype(int)
    dealt = draw.permuted(np.tile(labels, (RESAMPLES, 1)), axis=1)
    auroc_of_permuted_labels(tied_ranks(scores[:2]), dealt)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    found = auroc_of_permuted_labels(tied_ranks(scores), dealt)
    fast = time.perf_counter() - start
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024

    from sklearn.metrics import roc_auc_score

    start = time.perf_counter()
    slow_found = [roc_auc_score(dealt[n % RESAMPLES], scores[n // RESAMPLES]) for n in range(SLOW)]
    slow = (time.perf_counter() - start) * CELLS * RESAMPLES / SLOW
    np.testing.assert_allclose(found.ravel()[:SLOW], slow_found, rtol=0, atol=1e-12)

    table = {
        "cells_x_resamples": CELLS * RESAMPLES,
        "seconds": round(fast, 3),
        "loop_seconds": round(slow, 1),
        "ratio": round(slow / fast),
        "peak_memory_mb": round(peak, 1),
    }
    for name, value in table.items():
        print(f"{name:>18}  {value:,}")
    Path(__file__).with_suffix(".json").write_text(json.dumps(table, indent=2) + "\n")


if __name__ == "__main__":
    main()
