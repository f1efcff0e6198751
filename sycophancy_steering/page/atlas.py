"""Every cell of the study in one table that the browser sorts and filters."""

from __future__ import annotations

import polars as pl

from sycophancy_steering.page.packing import pack
from sycophancy_steering.page.section import Section
from sycophancy_steering.page.study import Study
from sycophancy_steering.schemas.predictivity import ATLAS

DECIMALS = 3
FILTERS = {
    "model": "model",
    "prompt_set": "made from",
    "method": "method",
    "vector": "vector",
    "family": "kind of question",
    "source": "source",
    "position": "read",
    "layer": "layer",
    "split": "split",
    "readout": "read-out",
}
"""Columns that the table is filtered by, and their headers."""
NUMBERS = {
    "auroc": "AUROC",
    "auroc_low": "95% from",
    "auroc_high": "to",
    "random_low": "random from",
    "random_high": "to",
    "n": "n",
    "n_items": "topics",
    "within_item_auroc": "within topics",
    "within_item_auroc_low": "95% from",
    "within_item_auroc_high": "to",
    "rank_correlation": "rank correlation",
    "rank_correlation_low": "95% from",
    "rank_correlation_high": "to",
}
"""Columns of numbers, and their headers."""
LAST = ("prompt_set", "method", "source")
"""Filters whose columns stand last: the vector's name says most of it."""
MARKS = {"selected": "selected", "null": "null"}
"""Columns of yes and no: the layer chosen on `select`; vectors that know nothing of sycophancy."""


def atlas(study: Study) -> Section | None:
    """The table ATLAS, packed."""
    first = [name for name in FILTERS if name not in LAST]
    names = [*first, *NUMBERS, *MARKS, *LAST]
    cells = ATLAS.scan().select(names).collect()
    if cells.is_empty():
        return None
    floats = {name: DECIMALS for name in names if ATLAS.columns[name] == pl.Float64}
    columns = pack(cells, floats)
    titles = FILTERS | MARKS | NUMBERS
    about = {
        "rows": len(cells),
        "columns": [
            {
                "name": column.name,
                "title": titles[column.name],
                "lowest": column.lowest,
                "width": column.width,
                "decimals": column.decimals,
                "words": column.words,
                "chunks": len(column.chunks),
                "filter": column.name in FILTERS or column.name in MARKS,
            }
            for column in columns
        ],
    }
    return Section(
        f"{len(cells):,} evaluation cells: every vector, layer, position, kind of question, split "
        "and read-out.",
        [str(ATLAS.path())],
        facts={"about": about, "packed": columns, "filters": FILTERS | MARKS},
    )
