"""Projections of a model's activations after a direction was ablated."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from tqdm import tqdm

from sycophancy_steering.engine.intervention import NO_INTERVENTION, Intervention
from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.interventions.conditions import Condition, condition_columns
from sycophancy_steering.interventions.question_batch import QuestionBatch
from sycophancy_steering.schemas.interventions import CONDITION, ORIGINAL, REFITTED

Progress = tqdm  # type: ignore[type-arg]
SCORE_STEPS = 1000
"""Scores are rounded to the median norm of the activations divided by this: less is numerical
error."""
NO_DIFFERENCE = 1e-5
"""A mean difference shorter than this share of the activations' mean norm is rounding error, as
after LEACE on the same questions, and has no direction: it becomes zero."""


def ablation_scores(
    conditions: Sequence[Condition],
    vectors: Floats,
    select: QuestionBatch,
    test: QuestionBatch,
    description: str,
) -> pl.DataFrame:
    """Scores of the questions of `test` after each condition, and after none.

    A row a condition, `readout_vector`, `readout_layer` and question: the `score` is the projection
    of the last token's activations on the `ORIGINAL` vector (`vectors`, (layers, d_model)), or on
    the mean difference `REFITTED` to the activations of `select` under the same condition;
    `label_after` is 1 where the answer is then sycophantic.
    """
    interventions = [NO_INTERVENTION, *(condition.intervention for condition in conditions)]
    layers = range(len(vectors))
    total = len(interventions) * (len(select.rows) + len(test.rows))
    with tqdm(total=total, unit="prompt", disable=None, desc=f"{description}, ablation") as bar:
        refitted = mean_differences(select, interventions, layers, bar)
        readouts = {ORIGINAL: np.broadcast_to(vectors, refitted.shape), REFITTED: refitted}
        stacked = np.stack([*readouts.values()], axis=1)
        scores, log_odds = scores_and_log_odds(test, interventions, stacked, bar)
    questions = test.answers.select("id", "item", "family", "label")
    tables = []
    for number, condition in enumerate([None, *conditions]):
        columns = [
            pl.lit(value, CONDITION[column]).alias(column)
            for column, value in condition_columns(condition).items()
        ]
        labels_after = pl.Series("label_after", (log_odds[number] > 0).astype(np.int64))
        tables += [
            questions.with_columns(
                *columns,
                pl.lit(readout_vector).alias("readout_vector"),
                pl.lit(layer).alias("readout_layer"),
                pl.Series("score", scores[number, readout, layer]),
                labels_after,
            )
            for readout, readout_vector in enumerate(readouts)
            for layer in layers
        ]
    return pl.concat(tables)


def mean_differences(
    questions: QuestionBatch,
    interventions: Sequence[Intervention],
    layers: Sequence[int],
    bar: Progress,
) -> Floats:
    """(interventions, layers, d_model): mean activations of sycophantic minus other answers; zero
    where the two do not differ (`NO_DIFFERENCE`)."""
    labels = questions.answers["label"].to_numpy()
    weights = np.where(labels == 1, 1 / (labels == 1).sum(), -1 / (labels == 0).sum())
    differences = np.zeros((len(interventions), len(layers), questions.forward.model.d_model))
    norms = np.zeros((len(interventions), len(layers), 1))
    for number, indices, activations in questions.forward.activations(interventions, layers):
        differences[number] += np.einsum("n,lnd->ld", weights[indices], activations)
        norms[number, :, 0] += np.linalg.norm(activations, axis=-1).sum(-1) / len(labels)
        bar.update(len(indices))
    lengths = np.linalg.norm(differences, axis=-1, keepdims=True)
    return np.where(lengths > NO_DIFFERENCE * norms, differences, 0.0)


def scores_and_log_odds(
    questions: QuestionBatch, interventions: Sequence[Intervention], vectors: Floats, bar: Progress
) -> tuple[Floats, Floats]:
    """Projections on the unit vectors of `vectors` (interventions, readouts, layers, d_model), zero
    for a zero vector, rounded (`SCORE_STEPS`): (interventions, readouts, layers, n); and the
    log-odds of the sycophantic answers: (interventions, n)."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    units = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    layers, n_questions = range(vectors.shape[2]), len(questions.rows)
    scores = np.empty((*vectors.shape[:3], n_questions))
    log_odds = np.empty((len(vectors), n_questions))
    norms = np.empty((len(layers), n_questions))
    passes = questions.forward.activations_and_logprobs(interventions, layers)
    for number, indices, activations, logprobs in passes:
        log_odds[number, indices] = questions.log_odds_of(indices, logprobs)
        scores[number][:, :, indices] = np.einsum("rld,lnd->rln", units[number], activations)
        norms[:, indices] = np.linalg.norm(activations, axis=-1)
        bar.update(len(indices))
    step = np.median(norms, axis=1)[:, None] / SCORE_STEPS
    return np.round(scores / step) * step, log_odds
