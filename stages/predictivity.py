"""Evaluates how well projections on vectors predict which answers are sycophantic.

    python stages/predictivity.py [one_cause [zephyr]]

Reads, for one model or each of `models` in params.yaml, the vectors of every extraction set, and
the activations and labels of its evaluation set; writes, a file a set: every evaluation cell
(reports/cells/MODEL), the maximum statistics under sign flips of the items
(reports/sign_flips/MODEL), and the scores of each answer at the selected layers
(reports/scores/MODEL). Given a second model, evaluates that model's vectors in the first, and
writes to reports/cross_model. Vectors evaluated before on the same answers come from .work.
"""

from __future__ import annotations

from sycophancy_steering.analysis.cached_evaluation import PredictivityOptions
from sycophancy_steering.analysis.evaluation_set import EvaluationSet
from sycophancy_steering.analysis.predictivity_tables import (
    remove_tables_of_other_sets,
    write_all_predictivity,
)
from sycophancy_steering.config.predictivity import ScoringSettings, SelectionSettings
from sycophancy_steering.config.reading import read_section
from sycophancy_steering.config.suite import read_models, read_suite
from sycophancy_steering.foundation.command_line import command
from sycophancy_steering.storage.vector_files import vector_sets


@command(
    __doc__,
    model="an entry of model in params.yaml; without it, all of models",
    vectors_from="the model that the vectors were made from; without it, the same",
)
def main(model: str = "", vectors_from: str = "") -> None:
    scoring = read_section(ScoringSettings, "scoring")
    options = PredictivityOptions(
        scoring.memory_mb,
        scoring.max_layer_distance,
        read_section(SelectionSettings, "selection").n_permutations,
    )
    models = [model] if model else read_models()
    jobs = []
    for name in models:
        suite = read_suite(name)
        evaluation = EvaluationSet(name, suite.evaluation_set)
        owner = vectors_from or name
        made_from = vector_sets(owner, suite.extraction_sets)
        jobs += [(evaluation, owner, prompt_set) for prompt_set in made_from]
        remove_tables_of_other_sets(name, owner, made_from)
    counts = write_all_predictivity(jobs, options)
    for (evaluation, _, made_from), (count, new) in zip(jobs, counts, strict=True):
        model_and_set = f"{evaluation.model}, {made_from}"
        print(f"{model_and_set}: {count} vectors evaluated, {new} of them not cached")


if __name__ == "__main__":
    main()
