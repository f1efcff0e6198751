"""Analyses the evaluated vectors of every model, and compares them.

    python stages/analysis.py

Reads activations, labels, vectors, cells, scores and sign flips of each of `models` in params.yaml;
writes, in reports/analysis/MODEL, predictivity.csv (every vector), transfer.csv,
incremental_validity.csv, sample_efficiency.csv, tokens.csv, agreement.csv, variance.csv,
reliability.csv, large_dimensions.csv (coordinates far larger than the others) and, where the suite
has a `neutral_set`, monitor.csv; what vectors of shuffled pairs predict
(reports/shuffled_pairs/MODEL); in reports/comparison, selected.csv (the best vectors, with
p-values), differences.csv (each vector against the headline) and variance_components.csv;
reports/metrics, the headline numbers that `dvc metrics` compares: MODEL.json, under the same keys
for every model, and headline.json, two numbers a model; and reports/atlas.parquet, all evaluation
cells.
`docs/glossary.md` explains every column.
"""

from __future__ import annotations

from sycophancy_steering.analysis.atlas import write_atlas
from sycophancy_steering.analysis.comparison import comparison_tables
from sycophancy_steering.analysis.headline_metrics import write_metrics
from sycophancy_steering.analysis.model_analyses import AnalysisOptions, write_analyses
from sycophancy_steering.analysis.model_study import ModelStudy
from sycophancy_steering.config.activations import ActivationSettings
from sycophancy_steering.config.predictivity import SampleEfficiencySettings, SelectionSettings
from sycophancy_steering.config.reading import read_section
from sycophancy_steering.config.suite import read_models, read_suite
from sycophancy_steering.foundation.command_line import command
from sycophancy_steering.schemas.comparison import DIFFERENCES, SELECTED, VARIANCE_COMPONENTS
from sycophancy_steering.vectors.variants import read_variants


@command(__doc__)
def main() -> None:
    suites = {model: read_suite(model) for model in read_models()}
    options = AnalysisOptions(
        variants=[*read_variants().values()],
        n_shuffles=read_section(SelectionSettings, "selection").n_shuffles,
        sample_efficiency=read_section(SampleEfficiencySettings, "sample_efficiency"),
        continuation_tokens=read_section(ActivationSettings, "activations").continuation_tokens,
    )
    studies = [ModelStudy(model, suite) for model, suite in suites.items()]
    for study in studies:
        for name in study.sets_with_statistics:
            print(
                f"{study.model}: of the activations of {name} statistics are kept: agreement, "
                "variance, reliability, sample_efficiency and shuffled_pairs leave it out"
            )
    for model, left_out in write_analyses(studies, options).items():
        for vector, reason in left_out.items():
            print(f"{model}: consistency leaves out {vector}: {reason}")
    tables = comparison_tables(suites)
    SELECTED.write(tables.selected)
    DIFFERENCES.write(tables.differences)
    VARIANCE_COMPONENTS.write(tables.variance_components)
    write_metrics(suites, tables.selected)
    print(f"{write_atlas()} cells of {len(suites)} models in reports/atlas.parquet")


if __name__ == "__main__":
    main()
