"""Extracts models' activations and responses on their prompt sets.

    python stages/activations.py [one_cause [opinion_pairs]]

For one model or each of `models` in params.yaml, and one prompt set or each of its suite: reads
data/models/MODEL, data/prompts/SET.parquet and `model.MODEL`, `activations` of params.yaml; writes
data/activations/MODEL/SET: Parquet shards of activations (or, of a set with `keep: statistics`,
moments of groups of answers), responses.parquet, and the log-probabilities that the responses are
compared with. A model is loaded once. Questions that it was asked before, in any set, come from
.work or from DVC's cache; a run that was killed resumes after its last batch, and one that extracts
the same at the same time waits for the other.
"""

from __future__ import annotations

from itertools import chain

from sycophancy_steering.config.activations import ActivationSettings
from sycophancy_steering.config.compute import read_compute
from sycophancy_steering.config.kept_statistics import check_kept_statistics
from sycophancy_steering.config.model import ModelSettings
from sycophancy_steering.config.reading import read_section
from sycophancy_steering.config.suite import read_models, read_prompt_sets
from sycophancy_steering.engine.ray_process import ray_process
from sycophancy_steering.foundation.command_line import command
from sycophancy_steering.questions.prompt_table import iter_prompts
from sycophancy_steering.schemas.paths import PROMPTS


@command(
    __doc__,
    model="an entry of model in params.yaml; without it, all of models",
    prompt_set="an entry of prompt_set in params.yaml; without it, all of the suite",
)
def main(model: str = "", prompt_set: str = "") -> None:
    check_kept_statistics()
    models = [model] if model else read_models()
    settings = read_section(ActivationSettings, "activations")
    compute = read_compute()
    placements = {name: read_section(ModelSettings, "model", name) for name in models}
    sets = {name: [prompt_set] if prompt_set else read_prompt_sets(name) for name in models}
    for name in {*chain(*sets.values())}:  # refuses what cannot be read before a model is loaded
        next(iter_prompts(PROMPTS / f"{name}.parquet"))
    with ray_process(compute, placements) as process:
        # torch is imported here, which takes seconds, while Ray starts.
        from sycophancy_steering.activations.run import extract_sets

        for name in models:
            extract_sets(name, sets[name], placements[name], settings, compute, process)
            process = None  # ended with its workers


if __name__ == "__main__":
    main()
