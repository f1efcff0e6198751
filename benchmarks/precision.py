"""What half precision changes in the results of the real model, and what it saves.

    python benchmarks/precision.py [--dtype bfloat16]

Runs activations, labels, vectors and predictivity of SmolLM2 in a copy of the finished study
(`dvc repro`), with `dtype` in place of float32 and nothing taken from a cache. Compares with the
study: the share of equal labels on the evaluation set, and AUROCs and rank correlations on `test`
of all vectors at all layers. Prints a table and writes benchmarks/precision.json. Default dtypes
stand by the bounds there: 97% of labels equal, every AUROC within 0.01, rank correlations within
0.02.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import polars as pl
from ruamel.yaml import YAML
from workload import processor

ROOT = Path(__file__).parent.parent
MODEL = "smollm2"
STAGES = ("activations", "labels", "vectors", "predictivity")
COPIED = ("data", "stages", "sycophancy_steering", "vectors/foreign", "params.yaml", "dvc.yaml")
CELL = ["vector", "extraction_layer", "readout", "layer", "position", "family", "source"]


def run_copy(folder: Path, dtype: str) -> dict[str, float]:
    """Runs `STAGES` in a copy of the study at `folder`; seconds by stage."""
    for name in COPIED:
        if (ROOT / name).exists():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["cp", "-r", str(ROOT / name), str(target)], check=True)
    for name in ("data/activations", "data/labels"):
        subprocess.run(["rm", "-rf", str(folder / name)], check=True)
    yaml = YAML()
    params = yaml.load(folder / "params.yaml")
    params["model"][MODEL]["dtype"] = dtype
    params["models"] = {MODEL: params["models"][MODEL]}
    yaml.dump(params, folder / "params.yaml")
    seconds = {}
    for stage in STAGES:
        start = time.perf_counter()
        command = [sys.executable, f"stages/{stage}.py", MODEL]
        environment = os.environ | {"PYTHONPATH": str(folder)}
        subprocess.run(command, cwd=folder, check=True, env=environment, stdout=subprocess.DEVNULL)
        seconds[stage] = time.perf_counter() - start
    return seconds


def equal_labels(one: Path, other: Path, evaluation_set: str) -> tuple[float, int]:
    """The share of answers with the same label, of those that have one in either; and their
    number."""
    tables = [
        pl.read_parquet(folder / f"data/labels/{MODEL}/{evaluation_set}.parquet")
        for folder in (one, other)
    ]
    both = (
        tables[0]
        .select("id", "label")
        .join(tables[1].select("id", other="label"), on="id", how="full")
    )
    labelled = both.filter(pl.col("label").is_not_null() | pl.col("other").is_not_null())
    return float(labelled["label"].eq_missing(labelled["other"]).mean() or 0), len(labelled)


def cells(folder: Path) -> pl.DataFrame:
    """Projections of vectors that are no null, on `test`."""
    files = sorted((folder / f"reports/cells/{MODEL}").glob("*.parquet"))
    return pl.concat([pl.read_parquet(file) for file in files], how="diagonal_relaxed").filter(
        pl.col("split") == "test", pl.col("readout") == "projection", ~pl.col("null")
    )


def differences(one: Path, other: Path, column: str) -> pl.Series:
    """Absolute differences of a column, cell by cell."""
    joined = cells(one).join(cells(other), on=CELL, suffix="_other", nulls_equal=True)
    return (joined[column] - joined[f"{column}_other"]).abs().drop_nulls().drop_nans()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dtype", default="bfloat16", choices=["bfloat16", "float16"])
    dtype = parser.parse_args().dtype
    suite = YAML(typ="safe").load(ROOT / "params.yaml")
    evaluation_set = suite["suite"][suite["models"][MODEL]]["evaluation_set"]
    written: dict[str, float] = {}
    print(f"{processor()}; {MODEL} in {dtype} against float32\n")
    with tempfile.TemporaryDirectory() as work:
        seconds = run_copy(Path(work), dtype)
        share, count = equal_labels(ROOT, Path(work), evaluation_set)
        written["equal_labels"] = round(share, 4)
        print(
            f"labels: {share:.1%} of {count} equal; activations in {seconds['activations']:.0f} s\n"
        )
        print("| of all vectors and layers | cells | median difference | 95% below | largest |")
        print("|---|---|---|---|---|")
        for column in ("auroc", "rank_correlation"):
            each = differences(ROOT, Path(work), column)
            middle, most, largest = each.median(), each.quantile(0.95), each.max()
            written |= {f"{column}_median": middle, f"{column}_95": most, f"{column}_max": largest}
            print(f"| {column} | {len(each)} | {middle:.4f} | {most:.4f} | {largest:.4f} |")
    written = {name: round(float(value), 4) for name, value in written.items()}
    path = ROOT / "benchmarks/precision.json"
    path.write_text(json.dumps(written, indent=2) + "\n")


if __name__ == "__main__":
    main()
