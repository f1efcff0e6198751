"""Reads a model's states again while something is taken out of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from tqdm import tqdm

from sycophancy_steering.engine.intervention import NO_INTERVENTION, Intervention
from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.interventions.ablation_tables import REFITTED, ORIGINAL
from sycophancy_steering.interventions.question_batch import QuestionBatch
from sycophancy_steering.interventions.conditions import Condition, condition_columns
from sycophancy_steering.interventions.steering_settings import CONDITION

Progress = tqdm  # type: ignore[type-arg]


def ablation_scores(
    conditions: Sequence[Condition],
    made: Floats,
    select: QuestionBatch,
    test: QuestionBatch,
    about: str,
) -> pl.DataFrame:
    """A row a condition (none first), `read_layer`, vector (`by`) and question of `test`: the
    `score` of its state on the vector, and whether it is answered sycophantically `then`.

    Read `by` the `SAME` vector (of `made` (layers, d_model), which was made where nothing was
    taken out) and by the mean difference made `ANEW` of `select`, from states of which the same
    was taken out.
    """
    interventions = [NO_INTERVENTION, *(each.intervention for each in conditions)]
    layers = range(len(made))
    steps = len(interventions) * (len(select.rows) + len(test.rows))
    with tqdm(total=steps, unit="prompt", disable=None, desc=f"{about} read again") as bar:
        anew = mean_differences(select, interventions, layers, bar)
        readers = {ORIGINAL: np.broadcast_to(made, anew.shape), REFITTED: anew}
        scores, odds = _scores_and_log_odds(test, interventions, np.stack([*readers.values()], axis=1), bar)
    tables = []
    for n, condition in enumerate([None, *conditions]):
        done = [pl.lit(v, CONDITION[k]).alias(k) for k, v in condition_columns(condition).items()]
        for which, by in enumerate(readers):
            for layer in layers:
                about_it = test.answers.select("id", "item", "family", "label").with_columns(
                    *done,
                    pl.lit(by).alias("by"),
                    pl.lit(layer).alias("read_layer"),
                    pl.Series("score", scores[n, which, layer]),
                    pl.Series("then", (odds[n] > 0).astype(np.int64)),
                )
                tables.append(about_it)
    return pl.concat(tables)


def mean_differences(
    questions: QuestionBatch,
    interventions: Sequence[Intervention],
    layers: Sequence[int],
    bar: Progress,
) -> Floats:
    """(interventions, layers, d_model): of states of both kinds of answers."""
    labels = questions.answers["label"].to_numpy()
    weights = np.where(labels == 1, 1 / (labels == 1).sum(), -1 / (labels == 0).sum())
    found = np.zeros((len(interventions), len(layers), questions.forward.model.d_model))
    for n, places, states in questions.forward.activations(interventions, layers):
        found[n] += np.einsum("n,lnd->ld", weights[places], states)
        bar.update(len(places))
    return found


def _scores_and_log_odds(
    questions: QuestionBatch, interventions: Sequence[Intervention], vectors: Floats, bar: Progress
) -> tuple[Floats, Floats]:
    """(interventions, readers, layers, n): projections on `vectors` (interventions, readers,
    layers, d_model), to a thousandth of a typical state: what is left of rounding tells nothing;
    and the log-odds (interventions, n) of the sycophantic answer."""
    units = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    layers = range(vectors.shape[2])
    found = np.empty((*vectors.shape[:3], len(questions.rows)))
    odds = np.empty((len(vectors), len(questions.rows)))
    sizes = np.empty((len(layers), len(questions.rows)))
    again = questions.forward.activations_and_logprobs(interventions, layers)
    for n, places, states, logprobs in again:
        odds[n, places] = questions.log_odds_of(places, logprobs)
        found[n][:, :, places] = np.einsum("rld,lnd->rln", units[n], states)
        sizes[:, places] = np.linalg.norm(states, axis=-1)
        bar.update(len(places))
    grain = np.median(sizes, axis=1)[:, None] / 1000
    return np.round(found / grain) * grain, odds
