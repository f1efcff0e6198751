"""How fast one layer is read from shards, beside a copy in memory.

    python benchmarks/reading.py [--rows 16384] [--width 4096] [--dtype float16]

Writes shards of 1,024 rows and four layers, reads one layer at one position three times, block by
block, and prints the bytes a second: read and checked as float32, the conversion to float32 alone
(ours and numpy's), and a copy in memory. The files are then in the machine's page cache, as they
are when many vectors are made from them. Reading each layer's bytes at offsets taken from the page
headers, instead of by pyarrow, gained less than a factor of two at float16 and nothing at float32.
"""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from sycophancy_steering.storage.activation_shards import (
    NUMBER_TYPES,
    Origin,
    shard_layers,
    write_shard,
)
from sycophancy_steering.storage.half_precision import to_float32

FOLDER = Path(__file__).parent.parent / ".work/benchmark/reading"
N_LAYERS, SHARD_ROWS, REPETITIONS = 4, 1024, 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=16_384)
    parser.add_argument("--width", type=int, default=4096)
    parser.add_argument("--dtype", default="float16", choices=NUMBER_TYPES)
    options = parser.parse_args()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    block = write_shards(options.rows, options.width, options.dtype)
    size = options.rows * options.width * block.itemsize
    copied = np.empty_like(block)

    def repeat(function: Callable[[], object]) -> None:
        for _ in range(-(-options.rows // SHARD_ROWS)):
            function()

    tasks = {
        "read as float32, checked": lambda: [
            part.activations() for part in shard_layers(FOLDER, 2, "matching")
        ],
        "to float32": lambda: repeat(lambda: to_float32(block, options.dtype)),
        "to float32 by numpy": lambda: repeat(lambda: block.astype(np.float32)),
        "a copy": lambda: repeat(lambda: np.copyto(copied, block)),
    }
    print("| rows | width | dtype | | GB/s |\n|---|---|---|---|---|")
    for name, task in tasks.items():
        seconds = min(timed(task) for _ in range(REPETITIONS))
        about = f"| {options.rows} | {options.width} | {options.dtype} | {name} "
        print(f"{about}| {size / seconds / 1e9:.2f} |")
    shutil.rmtree(FOLDER)


def write_shards(rows: int, width: int, dtype: str) -> np.ndarray:
    """Writes the shards; returns one layer of one (rows, width) as it is stored."""
    numbers = np.random.default_rng(0).standard_normal((N_LAYERS, SHARD_ROWS, width), np.float32)
    stored = numbers.astype(np.float32 if dtype == "float32" else np.float16)
    stored = stored.view(NUMBER_TYPES[dtype])
    origin = Origin("m", "r", dtype, width, N_LAYERS, "t")
    for number in range(-(-rows // SHARD_ROWS)):
        count = min(SHARD_ROWS, rows - number * SHARD_ROWS)
        ids = [f"{number}-{n}" for n in range(count)]
        positions = {name: (ids, stored[:, :count]) for name in ("prompt", "matching")}
        write_shard(FOLDER / f"shard-{number:05d}.parquet", positions, origin)
    return stored[2]


def timed(task: Callable[[], object]) -> float:
    """Seconds."""
    start = time.perf_counter()
    task()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
