"""The rates that benchmarks/plan.py plans with, measured by `python benchmarks/plan.py --measure`.

In the folder of a finished study, whose seconds are in stages/seconds.json: bytes a second that DVC
hashes and that shards are written with; questions a second that batches are planned of, answers are
labelled, and rows x layers evaluated; and the driver's memory of a question.
"""

from __future__ import annotations

import json
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from dvc_data.hashfile.hash import file_md5
from dvc_objects.fs.local import LocalFileSystem

from sycophancy_steering.config.suite import read_models, read_prompt_sets, read_suite
from sycophancy_steering.engine.prefix_tree import plan_batches
from sycophancy_steering.schemas.activations import RESPONSES
from sycophancy_steering.schemas.paths import ACTIVATIONS
from sycophancy_steering.storage.activation_shards import Origin, read_origin, write_shard
from sycophancy_steering.storage.activation_store import hash_of

ROWS, LAYERS, D_MODEL = 1024, 4, 4096
N_PLANNED, N_TOKENS, N_KEYS, BUDGET = 4096, 72, 20_000, 32_768
ANALYSES = ("predictivity", "power", "analysis")


def measured() -> dict[str, float]:
    """All rates, by name."""
    with tempfile.TemporaryDirectory(dir=".") as folder:
        path = Path(folder) / "shard-00000.parquet"
        block = np.ones((LAYERS, ROWS, D_MODEL), np.float16)
        origin = Origin("none", "none", "float16", D_MODEL, LAYERS, "none")
        ids = [str(n) for n in range(ROWS)]
        written = seconds_of(lambda: write_shard(path, {"prompt": (ids, block)}, origin))
        size = path.stat().st_size
        hashed = seconds_of(lambda: file_md5(str(path), LocalFileSystem()))
    seconds = json.loads(Path("stages/seconds.json").read_text())
    rates = {
        "write_bytes_s": size / written,
        "hash_bytes_s": size / hashed,
        "planned_s": N_PLANNED / seconds_of(planned),
        "question_bytes": question_bytes(),
        "labelled_s": n_answers() / seconds["labels"],
        "row_layers_s": row_layers() / sum(seconds[stage] for stage in ANALYSES),
    }
    for name, rate in rates.items():
        print(f"{name}: {rate:,.0f}")
    return {name: float(f"{rate:.3g}") for name, rate in rates.items()}


def seconds_of(task: Callable[[], object]) -> float:
    """The least of three runs."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        task()
        times.append(time.perf_counter() - start)
    return min(times)


def planned() -> None:
    """Plans batches of questions in windows, as extraction does."""
    tokens = np.random.default_rng(0).integers(50_000, size=(N_PLANNED, N_TOKENS))
    for start in range(0, N_PLANNED, ROWS):
        for _ in plan_batches([*tokens[start : start + ROWS]], BUDGET):
            pass


def question_bytes() -> float:
    """What extraction keeps of each question in memory: its key, twice in a table of blocks, and
    its first 200 characters."""
    tracemalloc.start()
    keys = [hash_of(n) for n in range(N_KEYS)]
    kept = keys, [key.ljust(200) for key in keys], dict.fromkeys(keys, Path(".")), {*keys}
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return size / len(kept[0])


def n_answers() -> int:
    """Rows of all responses."""
    return sum(
        pq.read_metadata(ACTIVATIONS / model / name / RESPONSES).num_rows
        for model in read_models()
        for name in read_prompt_sets(model)
    )


def row_layers() -> int:
    """Questions of the evaluation sets times layers, of all models."""
    total = 0
    for model in read_models():
        folder = ACTIVATIONS / model / read_suite(model).evaluation_set
        rows = pq.read_metadata(folder / RESPONSES).num_rows
        total += rows * read_origin(folder).n_layers
    return total
