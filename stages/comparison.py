"""Compares the vectors of each model: the best against chance, and all against the headline.

    python stages/comparison.py

Reads reports/cells, reports/scores, reports/sign_flips and reports/shuffled_pairs of each of
`models` in params.yaml; writes reports/comparison/selected.csv (the best vector of each family,
with p-values), differences.csv (each vector against the headline), variance_components.csv (how far
the AUROC varies between prompt sets and methods), and reports/atlas.parquet (all cells).
"""

from __future__ import annotations

from sycophancy_steering.analysis.atlas import write_atlas
from sycophancy_steering.analysis.comparison import comparison_tables
from sycophancy_steering.config.reading import read_name, read_names
from sycophancy_steering.foundation.command_line import command
from sycophancy_steering.schemas.comparison import DIFFERENCES, SELECTED, VARIANCE_COMPONENTS


@command(__doc__)
def main() -> None:
    models, sets = read_names("models"), read_names("extraction_sets")
    tables = comparison_tables(models, sets, read_name("headline"))
    SELECTED.write(tables.selected)
    DIFFERENCES.write(tables.differences)
    VARIANCE_COMPONENTS.write(tables.variance_components)
    print(f"{write_atlas()} cells of {len(models)} models in reports/atlas.parquet")


if __name__ == "__main__":
    main()
