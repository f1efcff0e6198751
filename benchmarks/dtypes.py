"""What bfloat16 changes in a finished study's answers, beside float32: labels, AUROCs, ranks.

    python benchmarks/dtypes.py MODEL [--dtype bfloat16] [--study FOLDER]

MODEL is an entry of `models` in float32; `dvc repro` has finished in FOLDER, or here. The model
answers all its questions again, in a copy of the folder, with weights and activations in the other
dtype; labels, vectors and cells are made from them as in the study. Prints, over all questions, the
share whose label is the same; how far AUROC and rank correlation move, over the cells that a reader
compares (at the layer that float32 selects) and over all (every vector, layer, position and
family). The dtype may be the default only if at least 97% of labels are equal, every AUROC is
within 0.01 and every rank correlation within 0.02; benchmarks/extraction.py tells how fast it is.
Writes benchmarks/dtypes.json.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parent.parent
CELL = [
    *("prompt_set", "vector", "extraction_layer", "layer", "readout"),
    *("position", "family", "source", "split"),
]
"""Columns that name a cell of the atlas."""
STAGES = ("activations", "labels", "vectors", "predictivity")
LABELS_EQUAL, AUROC_WITHIN, RANK_WITHIN = 0.97, 0.01, 0.02


def run_study(study: Path, work: Path, model: str, dtype: str) -> None:
    """Answers and evaluates everything in `work`."""
    shutil.copytree(study, work, ignore=_left_out, symlinks=True)
    params = YAML()
    values = params.load((work / "params.yaml").read_text())
    values["models"] = {model: values["models"][model]}
    values["model"][model]["dtype"] = dtype
    with (work / "params.yaml").open("w") as file:
        params.dump(values, file)
    environment = os.environ | {"PYTHONPATH": str(work)}
    for stage in STAGES:
        command = [sys.executable, f"stages/{stage}.py"]
        subprocess.run(command, cwd=work, check=True, env=environment)


def _left_out(folder: str, names: list[str]) -> list[str]:
    """What is computed anew, and what keeps computed results."""
    hidden = {".git", ".dvc", ".venv", ".work"}
    return [n for n in names if n in hidden or (n == "activations" and Path(folder).name == "data")]


def read_labels(folder: Path, model: str) -> pl.DataFrame:
    """Labels of all questions by prompt set and id."""
    files = sorted((folder / "data/labels" / model).glob("*.parquet"))
    return pl.concat(
        pl.read_parquet(file, columns=["id", "label"]).with_columns(prompt_set=pl.lit(file.stem))
        for file in files
    )


def read_cells(folder: Path, model: str) -> pl.DataFrame:
    """The evaluation cells of all vectors that are no nulls."""
    files = sorted((folder / "reports/cells" / model).rglob("*.parquet"))
    cells = pl.concat([pl.read_parquet(file) for file in files], how="diagonal")
    return cells.filter(~pl.col("null"))


def moved(one: pl.DataFrame, other: pl.DataFrame, column: str, bound: float) -> dict[str, float]:
    """How far a column of the same cells is apart."""
    both = one.join(other, on=CELL, suffix="_other")
    apart = (both[column] - both[f"{column}_other"]).drop_nulls().drop_nans().abs().to_numpy()
    return {
        "cells": len(apart),
        "median": round(float(np.median(apart)), 4),
        "95%": round(float(np.quantile(apart, 0.95)), 4),
        "most": round(float(apart.max()), 4),
        "share_within": round(float((apart <= bound).mean()), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--study", type=Path, default=ROOT)
    words = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder, "study")
        run_study(words.study, work, words.model, words.dtype)
        both = read_labels(words.study, words.model).join(
            read_labels(work, words.model), on=["prompt_set", "id"], suffix="_other"
        )
        equal = both["label"].eq_missing(both["label_other"]).to_numpy().mean()
        exact, other = (read_cells(path, words.model) for path in (words.study, work))
        chosen = exact.filter(pl.col("selected"))
    table: dict[str, Any] = {
        "dtype": words.dtype,
        "labels": len(both),
        "labels_equal": round(float(equal), 4),
        "auroc_selected": moved(chosen, other, "auroc", AUROC_WITHIN),
        "auroc_all": moved(exact, other, "auroc", AUROC_WITHIN),
        "rank_correlation_selected": moved(chosen, other, "rank_correlation", RANK_WITHIN),
        "rank_correlation_all": moved(exact, other, "rank_correlation", RANK_WITHIN),
    }
    Path(__file__).with_suffix(".json").write_text(json.dumps(table, indent=2) + "\n")
    for name, value in table.items():
        print(f"{name:>26}  {value}")
    holds = (
        table["labels_equal"] >= LABELS_EQUAL
        and table["auroc_all"]["most"] <= AUROC_WITHIN
        and table["rank_correlation_all"]["most"] <= RANK_WITHIN
    )
    verdict = "may be the default" if holds else "stays a choice: results move too far"
    print(f"\n{words.dtype} {verdict}")


if __name__ == "__main__":
    main()
