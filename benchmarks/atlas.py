"""An atlas of 200 vectors at 32 layers: time, and memory at 2,000 and at 20,000 answers.

    python benchmarks/atlas.py [--rows 2000 20000] [--layers 32] [--vectors 200] [--width 256]

Random float16 activations at three positions lie in shards on disk; every vector is evaluated at
its own layer and every position, in parts, as by `stages/predictivity.py`, by as many processes as
there are cores. Cells, intervals, sign flips and random directions are those of a study. Peak
memory is that of the largest process; activations of 20,000 answers take 1 GB on disk and should
make it no larger. Prints a table and writes benchmarks/atlas.json.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import sycophancy_steering.foundation.command_line  # noqa: F401  (sets allocators)

import numpy as np  # isort: skip
import polars as pl  # isort: skip

from sycophancy_steering.analysis.cached_evaluation import (
    PredictivityOptions,
    evaluate_missing,
    random_ranges_cached,
)
from sycophancy_steering.analysis.evaluation_set import EvaluationSet
from sycophancy_steering.analysis.predictivity_tables import VECTORS_PER_JOB
from sycophancy_steering.analysis.readouts import READ_POSITIONS
from sycophancy_steering.foundation.process_pool import JOBS_VARIABLE, job_count, run_jobs
from sycophancy_steering.storage.activation_shards import Origin, write_shard

SHARD_ROWS = 500
SCORES_MB = 32
"""`scoring.memory_mb` of params.yaml."""
ITEMS, TEMPLATES = 200, 8


@dataclass(frozen=True)
class SyntheticSet(EvaluationSet):
    """Random labels and shifts of answers to questions of two families, in two splits."""

    rows: int

    @cached_property
    def labels(self) -> pl.DataFrame:
        """A row an answer; all answers about an item are in one family and split."""
        rng = np.random.default_rng(0)
        item = rng.integers(ITEMS, size=self.rows)
        return pl.DataFrame(
            {
                "id": [f"q{n:06}" for n in range(self.rows)],
                "source": [f"s{n % 2}" for n in item],
                "family": [f"f{n % 2}" for n in item],
                "item": [f"i{n:03}" for n in item],
                "template": [f"t{n}" for n in rng.integers(TEMPLATES, size=self.rows)],
                "split": ["select" if n % 5 < 2 else "test" for n in item],
                "label": (rng.random(self.rows) < 0.4).astype(int),
                "form": ["words"] * self.rows,
                "matching": ["A"] * self.rows,
                "prompt_tokens": rng.integers(20, 90, size=self.rows),
                "margin": rng.normal(size=self.rows),
                "shift": rng.normal(size=self.rows),
                "counts": [True] * self.rows,
            }
        )

    @cached_property
    def grader_error(self) -> None:
        """Labels are right."""

    @cached_property
    def digest(self) -> str:
        """Of one size: all else is the same."""
        return str(self.rows)


def write_activations(folder: Path, rows: int, layers: int, width: int) -> None:
    """Shards of random activations."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(1)
    origin = Origin("random", "r", "float16", width, layers, "t")
    for start in range(0, rows, SHARD_ROWS):
        ids = [f"q{n:06}" for n in range(start, min(rows, start + SHARD_ROWS))]
        shape = layers, len(ids), width
        positions = {
            name: (ids, rng.standard_normal(shape, dtype=np.float32).astype(np.float16))
            for name in READ_POSITIONS
        }
        write_shard(folder / f"shard-{start // SHARD_ROWS:05}.parquet", positions, origin)


def evaluate(rows: int, layers: int, n_vectors: int, width: int) -> None:
    """Evaluates all vectors in the current folder; prints JSON with seconds and peak memory."""
    evaluation = SyntheticSet("random", "held_out", rows)
    options = PredictivityOptions(SCORES_MB, 0, 999)
    rng = np.random.default_rng(2)
    vectors = {
        f"v{n}": rng.standard_normal((layers, width), dtype=np.float32) for n in range(n_vectors)
    }
    names = [*vectors]
    start = time.perf_counter()
    run_jobs(random_ranges_cached, [(evaluation, position) for position in READ_POSITIONS])
    parts = [names[n : n + VECTORS_PER_JOB] for n in range(0, len(names), VECTORS_PER_JOB)]
    run_jobs(
        evaluate_missing,
        [
            (
                {name: vectors[name] for name in part},
                {name: f"{name} {rows}" for name in part},
                evaluation,
                options,
            )
            for part in parts
        ],
    )
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(json.dumps({"seconds": round(seconds, 1), "peak_mb": round(peak)}))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs="+", default=[2000, 20000])
    parser.add_argument("--layers", type=int, default=32)
    parser.add_argument("--vectors", type=int, default=200)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--here", type=int, help="(used by itself: rows)")
    given = parser.parse_args()
    if given.here:
        evaluate(given.here, given.layers, given.vectors, given.width)
        return
    sizes = ["--layers", "--vectors", "--width"]
    values = [given.layers, given.vectors, given.width]
    words = [word for pair in zip(sizes, map(str, values), strict=True) for word in pair]
    n_jobs = max(2, job_count())  # one would run in this process, which also makes the activations
    print(f"{given.vectors} vectors, {given.layers} layers, {n_jobs} processes")
    print("| answers | seconds | peak of a process, MB |\n|---|---|---|")
    found: dict[str, object] = dict(zip(("layers", "vectors", "width"), values, strict=True))
    for rows in given.rows:
        with tempfile.TemporaryDirectory() as folder:
            write_activations(
                Path(folder, "data/activations/random/held_out"), rows, given.layers, given.width
            )
            command = [sys.executable, __file__, "--here", str(rows), *words]
            environment = os.environ | {JOBS_VARIABLE: str(n_jobs)}
            done = subprocess.run(
                command, cwd=folder, env=environment, check=True, stdout=subprocess.PIPE, text=True
            )
        result = json.loads(done.stdout)
        found[str(rows)] = result
        print(f"| {rows:,} | {result['seconds']} | {result['peak_mb']} |", flush=True)
    Path(__file__).with_suffix(".json").write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
