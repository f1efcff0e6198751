"""Memory, disk and time of a set whose activations are folded into statistics.

    python benchmarks/folding.py

Random activations of 100,000 and of a million questions, of four layers and three positions, are
stored in batches as the stage `activations` stores them, in a random order within each window, and
folded by the same code. Prints a table and writes benchmarks/folding.json: seconds, peak memory and
how much of it the keys of the questions are, the most bytes on disk, and how far the covariance is
from one in extended precision.
"""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from functools import reduce
from pathlib import Path

import numpy as np

from sycophancy_steering.activations.folding import FoldedAnswer, Folding
from sycophancy_steering.foundation.moments import Moments
from sycophancy_steering.schemas.activations import BLOCK_SCHEMA
from sycophancy_steering.storage.activation_shards import Origin
from sycophancy_steering.storage.activation_statistics import (
    StatisticsIndex,
    moments_path,
    read_moments,
)
from sycophancy_steering.storage.activation_store import ActivationStore

ROWS = (100_000, 1_000_000)
N_LAYERS, WIDTH, MEAN = 4, 64, 10
POSITIONS = ("prompt", "matching", "not_matching")
WINDOW, BATCH = 1024, 256
GROUPS = ("11-", "10-", "1--", "01-", "00-", "0--")
ROOT = Path(__file__).parent.parent
WORK = ROOT / ".work/benchmark/folding"


def main() -> None:
    """Folds both numbers of questions, each in a process of its own."""
    if len(sys.argv) > 1:
        print(json.dumps(fold(int(sys.argv[1]))))
        return
    print("| questions | seconds | peak | without keys | on disk | activations | difference |")
    print("|---|---|---|---|---|---|---|")
    results = {}
    for rows in ROWS:
        shutil.rmtree(WORK, ignore_errors=True)
        WORK.mkdir(parents=True)
        command = [sys.executable, __file__, str(rows)]
        done = subprocess.run(command, cwd=WORK, check=True, stdout=subprocess.PIPE, text=True)
        result = json.loads(done.stdout)
        results[str(rows)] = result
        print(
            f"| {rows:,} | {result['seconds']:.0f} | {result['peak_mb']:.0f} MB | "
            f"{result['peak_mb'] - result['keys_mb']:.0f} MB | "
            f"{result['disk_mb']:.1f} MB | {result['activations_mb']:,.0f} MB | "
            f"{result['difference']:.1e} |",
            flush=True,
        )
    shutil.rmtree(WORK)
    Path(__file__).with_suffix(".json").write_text(json.dumps(results, indent=2) + "\n")


def fold(rows: int) -> dict[str, float]:
    """Folds so many questions in the current folder."""
    keys = [f"{n:016x}" for n in range(rows)]
    windows = [range(start, min(start + WINDOW, rows)) for start in range(0, rows, WINDOW)]
    origin = Origin("random", "r", "float16", WIDTH, N_LAYERS, "t")
    index = StatisticsIndex(origin, "covariance", ["logprob", "continuation"], "q", 0, {})
    store = ActivationStore("folding", BLOCK_SCHEMA)

    def answers(numbers: Sequence[int]) -> Iterator[list[FoldedAnswer]]:
        for number in numbers:
            yield [
                FoldedAnswer(keys[n], GROUPS[n % len(GROUPS)], "AB"[n % 2], "BA"[n % 2])
                for n in windows[number]
            ]

    folding = Folding(store, [[keys[n] for n in window] for window in windows], index, answers)
    rng, disk = np.random.default_rng(0), 0
    sums, products = np.zeros(WIDTH, np.longdouble), np.zeros((WIDTH, WIDTH), np.longdouble)
    start = time.perf_counter()
    for window in windows:
        starts = np.arange(window.start, window.stop, BATCH)
        for first in rng.permutation(starts):
            batch = keys[first : min(first + BATCH, window.stop)]
            shape = (N_LAYERS, len(batch), WIDTH)
            activations = {
                name: (batch, (MEAN + rng.standard_normal(shape, np.float32)).astype(np.float16))
                for name in POSITIONS
            }
            answered = [{"id": key, "prompt_tokens": 1, "continuation": ""} for key in batch]
            store.add_block(batch, activations, answered, origin)
            one = activations["prompt"][1][0].astype(float) - MEAN
            sums += one.sum(0)
            products += one.T @ one
        disk = max(disk, size(store.folder))
        folding.fold_complete()
    seconds = time.perf_counter() - start
    groups = read_moments(moments_path(folding.statistics_of(len(windows)), "prompt", 0))
    merged = reduce(Moments.merge, groups.values())
    assert merged.count == rows and merged.scatter is not None
    exact = products - np.outer(sums, sums) / rows
    return {
        "seconds": round(seconds, 1),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6, 1),
        "keys_mb": round(keys_size(keys) / 1e6, 1),
        "disk_mb": round(disk / 1e6, 1),
        "activations_mb": rows * N_LAYERS * len(POSITIONS) * WIDTH * 2 / 1e6,
        "difference": float(np.abs(merged.scatter - exact).max() / np.abs(exact).max()),
    }


def keys_size(keys: list[str]) -> int:
    """Bytes of the keys, in the order of the prompt set and in windows."""
    return len(keys) * sys.getsizeof(keys[0]) + 2 * sys.getsizeof(keys)


def size(folder: Path) -> int:
    """Bytes of all files but the responses of folded questions."""
    folders = [path for path in folder.iterdir() if path.is_dir() and path.name != "folded"]
    return sum(path.stat().st_size for folder in folders for path in folder.iterdir())


if __name__ == "__main__":
    main()
