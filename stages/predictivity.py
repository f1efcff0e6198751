"""Evaluates how well projections on vectors predict which answers are sycophantic.

    python stages/predictivity.py [one_cause [zephyr]]

Reads, for one model or each of `models` in params.yaml, the vectors of every extraction set, and
the activations and labels of the `evaluation_set`; writes, a file a set: every evaluation cell
(reports/cells/MODEL), the maximum statistics under sign flips of the items
(reports/sign_flips/MODEL), and the scores of each answer at the selected layers
(reports/scores/MODEL). Given a second model, evaluates that model's vectors in the first, and
writes to reports/cross_model. Vectors evaluated before on the same answers come from .work.
"""

from __future__ import annotations

from itertools import product

from sycophancy_steering.analysis.evaluation_set import EvaluationSet
from sycophancy_steering.analysis.predictivity_tables import (
    PredictivityOptions,
    write_all_predictivity,
)
from sycophancy_steering.config.predictivity import ScoringSettings, SelectionSettings
from sycophancy_steering.config.reading import read_name, read_names, read_section
from sycophancy_steering.foundation.command_line import command


@command(
    __doc__,
    model="an entry of model in params.yaml; without it, all of models",
    vectors_from="the model that the vectors were made from; without it, the same",
)
def main(model: str = "", vectors_from: str = "") -> None:
    options = PredictivityOptions(
        read_section(ScoringSettings, "scoring").memory_mb,
        read_section(SelectionSettings, "selection").n_permutations,
    )
    models = [model] if model else read_names("models")
    sets, evaluation_set = read_names("extraction_sets"), read_name("evaluation_set")
    pairs = [(EvaluationSet(name, evaluation_set), vectors_from or name) for name in models]
    counts = write_all_predictivity(pairs, sets, options)
    for (name, prompt_set), (count, new) in zip(product(models, sets), counts, strict=True):
        print(f"{name}, {prompt_set}: {count} vectors evaluated, {new} of them not cached")


if __name__ == "__main__":
    main()
