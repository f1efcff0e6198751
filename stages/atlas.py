"""Gathers everything that was measured in one table.

    python stages/atlas.py

Reads reports/cells; writes reports/atlas.parquet, a row a model, vector, layer it was made at,
layer and position it is read at, evaluation set, family, source, split and read-out. See README.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from sycophancy_steering.foundation.atomic_files import atomic_write
from sycophancy_steering.foundation.command_line import command
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.storage.cell_files import CELLS

FIRST = ["model", "vector", "extraction_layer", "layer", "position"]
FIRST += ["evaluation", "family", "source", "split", "readout"]
"""The columns that tell one row from another."""


@command(__doc__)
def main() -> None:
    files = sorted(CELLS.rglob("*.parquet"))
    if not files:
        raise InputError(f"{CELLS}: no cells; run `dvc repro predictivity` or `dvc pull`")
    tables = [
        pl.scan_parquet(path).with_columns(vector=pl.concat_str(pl.lit(f"{path.stem}/"), "name"))
        for path in files
    ]
    atlas = pl.concat(tables).drop("name")
    rest = [name for name in atlas.collect_schema().names() if name not in FIRST]
    target = Path("reports/atlas.parquet")
    with atomic_write(target) as draft:
        atlas.select(*FIRST, *rest).sink_parquet(draft)
    rows = pl.scan_parquet(target).select(pl.len()).collect().item()
    print(f"{target}: {rows} cells of {len(files)} sets of vectors")


if __name__ == "__main__":
    main()
