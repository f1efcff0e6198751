"""All evaluation cells of the study in one table."""

from __future__ import annotations

import polars as pl

from sycophancy_steering.foundation.atomic_files import atomic_write
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.schemas.paths import REPORTS
from sycophancy_steering.schemas.predictivity import ATLAS


def write_atlas() -> int:
    """Joins all tables CELLS, in which `vector` becomes SET/VARIANT, into ATLAS; the rows written.

    Raises InputError where there are none.
    """
    files = sorted([*REPORTS.glob("cells/*/*.parquet"), *REPORTS.glob("cross_model/*/*/cells/*")])
    if not files:
        raise InputError("reports/cells: no cells; run `dvc repro predictivity` or `dvc pull`")
    tables = [
        pl.scan_parquet(path).with_columns(
            vector=pl.concat_str(pl.lit(f"{_set_name(path.parts)}/"), "vector")
        )
        for path in files
    ]
    with atomic_write(ATLAS.path()) as draft:
        pl.concat(tables).select(*ATLAS.columns).sink_parquet(draft)
    return pl.scan_parquet(ATLAS.path()).select(pl.len()).collect().item()


def _set_name(parts: tuple[str, ...]) -> str:
    """The extraction set of a table of cells, with its model where that is another one."""
    prompt_set = parts[-1].removesuffix(".parquet")
    return prompt_set if "cross_model" not in parts else f"of-{parts[-3]}-{prompt_set}"
