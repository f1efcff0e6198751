"""How fast one layer is read from shards, beside a copy in memory.

    python benchmarks/reading.py [--rows 100000] [--width 4096] [--dtype float16]

Writes shards of 1,024 rows and four layers (some 3 GB), reads one layer at one position three
times, block by block, and prints the bytes read a second, raw and as float32, and those of a copy.
The files are then in the machine's page cache, as they are when many vectors are made from them.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "stages"))

from sycophancy_steering.storage.activation_shards import Origin, pages_of, write_shard  # noqa: E402

FOLDER = ROOT / ".work/benchmark/reading"
LAYERS, AT_ONCE = 4, 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--width", type=int, default=4096)
    parser.add_argument("--dtype", default="float16")
    given = parser.parse_args()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    draw = np.random.default_rng(0)
    kind = np.float32 if given.dtype == "float32" else np.float16
    states = draw.standard_normal((LAYERS, AT_ONCE, given.width), np.float32).astype(kind)
    states = states.view(np.uint16) if given.dtype == "bfloat16" else states
    origin = Origin("m", "r", given.dtype, given.width, LAYERS, "t")
    for number in range(-(-given.rows // AT_ONCE)):
        count = min(AT_ONCE, given.rows - number * AT_ONCE)
        ids = [f"{number}-{n}" for n in range(count)]
        held = {position: (ids, states[:, :count]) for position in ("prompt", "matching")}
        write_shard(FOLDER / f"shard-{number:05d}.parquet", held, origin)
    size = given.rows * given.width * states.itemsize
    read, raw, copied = [], [], []
    for _ in range(3):
        start = time.perf_counter()
        for page in pages_of(FOLDER, 2, "matching"):
            with open(page.path, "rb", buffering=0) as file:
                file.seek(page.start)
                file.read(page.rows * given.width * states.itemsize)
        raw.append(size / (time.perf_counter() - start))
        start = time.perf_counter()
        rows = sum(len(page.values()) for page in pages_of(FOLDER, 2, "matching"))
        read.append(size / (time.perf_counter() - start))
        assert rows == given.rows
        source = np.ones(size, np.uint8)
        target = np.zeros(size, np.uint8)
        start = time.perf_counter()
        np.copyto(target, source)
        copied.append(size / (time.perf_counter() - start))
        del source, target
    shutil.rmtree(FOLDER)
    print("| rows | width | dtype | | GB/s | of a copy in memory |\n|---|---|---|---|---|---|")
    for what, speeds in (("bytes", raw), ("as float32, checked", read), ("a copy", copied)):
        about = f"| {given.rows} | {given.width} | {given.dtype} | {what} "
        print(f"{about}| {max(speeds) / 1e9:.2f} | {max(speeds) / max(copied):.0%} |")


if __name__ == "__main__":
    main()
