"""Rows a second that the readers of question files read, by format.

python benchmarks/readers.py [N_ROWS]

Writes files of N_ROWS (100,000) invented records and reads each once, in one process.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "tests"))

from published_samples import SAMPLES, write_sample  # noqa: E402

from sycophancy_steering.sources.published import read_published  # noqa: E402


def main(n_rows: int = 100_000) -> None:
    print(f"{'file':>16} {'records':>8} {'seconds':>8} {'rows/s':>8}")
    for name, (format, _, _) in SAMPLES.items():
        with tempfile.TemporaryDirectory() as folder:
            path = write_sample(name, Path(folder), n_rows)
            start, cpu = time.perf_counter(), time.process_time()
            reading = read_published(path, format)
            seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
        assert len(reading.questions) == reading.n_records
        print(
            f"{name:>16} {reading.n_records:8} {seconds:8.2f} {reading.n_records / seconds:8.0f}"
            f"  (processor: {cpu:.2f} s)",
            flush=True,
        )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
