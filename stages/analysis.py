"""Analyses one model's vectors: all that starts from its evaluated vectors.

    python stages/analysis.py one_cause

Reads activations, labels, vectors, cells and scores of MODEL; writes reports/analysis/MODEL:
predictivity.csv (every vector), transfer.csv, incremental_validity.csv, sample_efficiency.csv,
tokens.csv, agreement.csv, variance.csv and reliability.csv; and reports/shuffled_pairs/MODEL, what
vectors of shuffled pairs predict. `docs/glossary.md` explains every column.
"""

from __future__ import annotations

from sycophancy_steering.analysis.model_analyses import AnalysisOptions, write_analyses
from sycophancy_steering.analysis.model_study import ModelStudy
from sycophancy_steering.config.activations import ActivationSettings
from sycophancy_steering.config.predictivity import SampleEfficiencySettings, SelectionSettings
from sycophancy_steering.config.reading import read_name, read_names, read_section
from sycophancy_steering.foundation.command_line import command
from sycophancy_steering.vectors.variants import read_variants


@command(__doc__, model="an entry of model in params.yaml")
def main(model: str) -> None:
    study = ModelStudy(
        model,
        read_name("evaluation_set"),
        tuple(read_names("extraction_sets")),
        read_name("headline"),
    )
    options = AnalysisOptions(
        variants=[*read_variants().values()],
        n_shuffles=read_section(SelectionSettings, "selection").n_shuffles,
        sample_efficiency=read_section(SampleEfficiencySettings, "sample_efficiency"),
        continuation_tokens=read_section(ActivationSettings, "activations").continuation_tokens,
    )
    left_out = write_analyses(study, options)
    print(f"{model}: analyses of {study.headline} written to reports/analysis/{model}")
    for vector, reason in left_out.items():
        print(f"  consistency leaves out {vector}: {reason}")


if __name__ == "__main__":
    main()
