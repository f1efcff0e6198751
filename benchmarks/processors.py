"""Whether another processor gives the same numbers: the default study with and without AVX-512.

    python benchmarks/processors.py                 # runs the study twice, some 15 minutes
    python benchmarks/processors.py STUDY OTHER     # compares two finished studies

Compares every number in the tracked metrics and tables (`reports/**/*.json`, `*.csv`), as printed.
Prints the files with most differences and writes `equal_share`, `largest` (the largest absolute
difference) and `numbers` to benchmarks/processors.json.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

ROOT = Path(__file__).parent.parent
OLDER_PROCESSOR = {
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "ATEN_CPU_CAPABILITY": "avx2",
    "OPENBLAS_CORETYPE": "Haswell",
}
"""What makes oneDNN, torch and OpenBLAS compute as on a processor without AVX-512."""
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?(?![\w.])")


@dataclass(frozen=True)
class Difference:
    """One number that is printed differently in two studies; `size` is infinite where the lines do
    not correspond."""

    file: str
    line: int
    one: str
    other: str
    size: float


def run_study(folder: Path, environment: dict[str, str]) -> None:
    """Runs the default study in a fresh clone at `folder`."""
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(folder)} | environment
    subprocess.run(["dvc", "repro"], cwd=folder, check=True, env=environment)


def tracked(folder: Path) -> list[str]:
    """The metrics and tables of a study that git tracks, without those of `make tuning`."""
    listed = subprocess.run(
        ["git", "ls-files", "reports"], cwd=folder, check=True, capture_output=True, text=True
    )
    names = [name for name in listed.stdout.splitlines() if name.endswith((".json", ".csv"))]
    return [
        name for name in names if not name.startswith(("reports/tuning", "reports/differences"))
    ]


def compare_lines(file: str, line: int, one: str, other: str) -> tuple[int, list[Difference]]:
    """How many numbers two lines hold, and which of them differ."""
    numbers, others = NUMBER.findall(one), NUMBER.findall(other)
    if len(numbers) != len(others) or NUMBER.sub("#", one) != NUMBER.sub("#", other):
        count = max(len(numbers), len(others), 1)
        return count, [Difference(file, line, one.strip(), other.strip(), math.inf)] * count
    return len(numbers), [
        Difference(file, line, a, b, abs(float(a) - float(b)))
        for a, b in zip(numbers, others, strict=True)
        if a != b
    ]


def compare(one: Path, other: Path) -> Iterator[tuple[int, list[Difference]]]:
    """Line by line through all tracked metrics and tables of two studies."""
    for file in tracked(one):
        lines = [(folder / file).read_text().splitlines() for folder in (one, other)]
        for number, (a, b) in enumerate(zip_longest(*lines, fillvalue=""), start=1):
            yield compare_lines(file, number, a, b)


def report(one: Path, other: Path) -> dict[str, object]:
    """Prints what differs between two studies; the share of equal numbers and the largest gap."""
    counts, differences = 0, list[Difference]()
    for count, differ in compare(one, other):
        counts += count
        differences += differ
    by_file: dict[str, list[Difference]] = {}
    for difference in differences:
        by_file.setdefault(difference.file, []).append(difference)
    print(f"{'file':60} {'differ':>6} {'largest':>9}  example")
    for file, found in sorted(by_file.items(), key=lambda pair: -max(d.size for d in pair[1])):
        worst = max(found, key=lambda difference: difference.size)
        example = f"line {worst.line}: {worst.one[:30]} / {worst.other[:30]}"
        print(f"{file:60} {len(found):6} {worst.size:9.5f}  {example}")
    return {
        "equal_share": round(1 - len(differences) / counts, 5),
        "largest": max((difference.size for difference in differences), default=0.0),
        "numbers": counts,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("studies", type=Path, nargs="*", help="two finished studies")
    studies = parser.parse_args().studies
    with tempfile.TemporaryDirectory() as folder:
        if not studies:
            studies = [Path(folder) / "here", Path(folder) / "older"]
            run_study(studies[0], {})
            run_study(studies[1], OLDER_PROCESSOR)
        result = report(*studies)
    (ROOT / "benchmarks/processors.json").write_text(json.dumps(result, indent=2) + "\n")
    print(f"\n{result['equal_share']:.2%} of {result['numbers']} numbers are equal as printed; ")
    print(f"the largest difference is {result['largest']}")


if __name__ == "__main__":
    main()
