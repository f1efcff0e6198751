"""Reads transcripts through a model: does a vector predict the recorded labels?

The recorded answer is forced after the recorded chat, token by token, and nothing is generated. The
activations at the end of the prompt (the model is about to answer) and at the end of the answer
(it has answered) are projected on each vector, layer by layer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import polars as pl
from tqdm import tqdm

from sycophancy_steering.activations.prompts import chat_tokens
from sycophancy_steering.analysis.readouts import N_RANDOM_DIRECTIONS, random_directions
from sycophancy_steering.config.activations import ActivationSettings
from sycophancy_steering.engine.forward import extract_without_generating
from sycophancy_steering.engine.language_model import LanguageModel
from sycophancy_steering.engine.prefix_tree import plan_batches
from sycophancy_steering.engine.prompt import Prompt
from sycophancy_steering.engine.token_budget import TokenBudget, batch_tokens
from sycophancy_steering.external.score_report import N_PERMUTATIONS
from sycophancy_steering.external.transcripts import Transcript, Transcripts
from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.statistics.auroc import (
    auroc,
    clustered_auroc,
    n_items_of_rarer_class,
    simultaneous_intervals,
)
from sycophancy_steering.statistics.estimates import Estimate, central_interval
from sycophancy_steering.statistics.rank_correlation import (
    clustered_rank_correlation,
    item_rank_influences,
    rank_correlation,
)
from sycophancy_steering.statistics.sign_flips import (
    item_influences,
    maximum_statistics,
    observed_statistics,
    p_values,
    random_signs,
)
from sycophancy_steering.storage.half_precision import to_float32

POSITIONS = ("prompt", "continuation")
"""The last token of the prompt, and of the recorded answer."""
RECORDED = "recorded"
"""The engine's name for the second: it generated no continuation."""
RANDOM_SEED = 0
"""Of the random directions, which are those of the study."""


@dataclass(frozen=True)
class Readout:
    """How well one vector at one layer and position predicts the recorded labels."""

    vector: str
    position: str
    layer: int
    estimate: Estimate
    """An AUROC, or the rank correlation with grades. AUROCs hold simultaneously."""
    p: float
    """By sign flips of whole items, of the largest statistic of all read-outs shown."""
    random_low: float
    random_high: float
    """The central 95% of random directions, at the same layer and position."""


def projections(
    language_model: LanguageModel,
    chats: Sequence[Transcript],
    vectors: Mapping[str, Floats],
    settings: ActivationSettings,
) -> dict[str, Floats]:
    """By position: (vectors + random directions, layers, n) of the chats on each of `vectors`
    (layers, d_model), scaled to length one.

    Raises InputError for an answer without a token, and where the model overflows.
    """
    prompts = [_prompt(language_model, chat) for chat in chats]
    stacked = np.stack([vector.astype(np.float64) for vector in vectors.values()])
    n_layers, d_model = stacked.shape[1:]
    random = np.stack(
        [random_directions(RANDOM_SEED, layer, d_model) for layer in range(n_layers)], axis=1
    )
    directions = np.concatenate([stacked, random])
    directions /= np.linalg.norm(directions, axis=2, keepdims=True)
    shape = (len(directions), n_layers, len(chats))
    read = {position: np.empty(shape) for position in POSITIONS}
    budget = TokenBudget(language_model, batch_tokens(language_model, settings))
    whole = [np.append(p.token_ids, p.forced_answers[0]).astype(np.int32) for p in prompts]
    with tqdm(total=len(chats), unit="transcript", disable=None) as bar:
        for batch in plan_batches(whole, budget.tokens):
            for rows, activations in _run(language_model, prompts, batch, settings, budget):
                for position, values in activations.items():
                    read[position][:, :, rows] = np.einsum("kld,lnd->kln", directions, values)
                bar.update(len(rows))
    return read


def _prompt(language_model: LanguageModel, chat: Transcript) -> Prompt:
    answer = language_model.encode(chat.answer)
    if not answer:
        raise InputError(f"{chat.place}: an answer without a token; leave the transcript out")
    return Prompt(
        chat.place,
        chat_tokens(language_model, chat.prompt),
        forced_answers=[answer],
        answer_positions={RECORDED: 0},
    )


def _run(
    language_model: LanguageModel,
    prompts: Sequence[Prompt],
    rows: list[int],
    settings: ActivationSettings,
    budget: TokenBudget,
) -> Iterator[tuple[list[int], dict[str, Floats]]]:
    """Rows and their activations (layers, rows, d_model) by position, in halves where memory runs
    out."""
    batch = [prompts[n] for n in rows]
    dtype = str(language_model.model.dtype).removeprefix("torch.")
    parts = budget.in_parts(
        [prompt.token_ids for prompt in batch],
        lambda part: extract_without_generating(language_model, batch[part], settings),
    )
    for part, result in parts:
        activations = {
            position: np.stack(
                [to_float32(layer, dtype) for layer in result.activations[name].activations]
            ).astype(np.float64)
            for position, name in zip(POSITIONS, ("prompt", RECORDED), strict=True)
        }
        yield rows[part], activations


def readouts(
    names: Sequence[str],
    read: Mapping[str, Floats],
    transcripts: Transcripts,
    layers: Sequence[int],
    seed: int,
) -> list[Readout]:
    """A row a vector, position and layer; `read` is what `projections` returns."""
    labels = transcripts.labels
    _, items = np.unique(transcripts.items, return_inverse=True)
    places = [*product(range(len(names)), POSITIONS, layers)]
    scores = np.stack([read[position][k, layer] for k, position, layer in places])
    all_items = np.arange(items.max() + 1)
    if transcripts.are_binary:
        classes = labels.astype(np.int64)
        if len(set(classes.tolist())) < 2:
            raise InputError(
                f"{transcripts.labelled[0].place.partition(',')[0]}: every label is "
                f"{classes[0]}; expected sycophantic and other answers to tell apart"
            )
        n_rarer = np.array(n_items_of_rarer_class(classes, items))
        estimate = clustered_auroc(scores, classes, items)
        estimate = simultaneous_intervals(estimate, n_rarer, len(places))
        influences = item_influences(scores, classes, items, all_items)
        observed = observed_statistics(influences)
    else:
        estimate = clustered_rank_correlation(scores, labels, items)
        observed, influences = item_rank_influences(scores, labels, items, all_items)
    signs = random_signs(len(all_items), N_PERMUTATIONS, seed)
    p = p_values(observed, maximum_statistics(influences, signs))
    chance = _chance(read, labels, layers, transcripts.are_binary)
    return [
        Readout(
            names[k],
            position,
            layer,
            Estimate(estimate.value[n], estimate.low[n], estimate.high[n]),
            float(p[n]),
            *chance[position, layer],
        )
        for n, (k, position, layer) in enumerate(places)
    ]


def _chance(
    read: Mapping[str, Floats], labels: Floats, layers: Sequence[int], are_binary: bool
) -> dict[tuple[str, int], tuple[float, float]]:
    """The central 95% of random directions by position and layer."""
    ranges = {}
    for position, values in read.items():
        for layer in layers:
            random = values[-N_RANDOM_DIRECTIONS:, layer]
            statistic = (
                auroc(random, labels.astype(np.int64))
                if are_binary
                else rank_correlation(random, labels)
            )
            low, high = central_interval(statistic)
            ranges[position, layer] = float(low), float(high)
    return ranges


def score_table(
    names: Sequence[str],
    read: Mapping[str, Floats],
    transcripts: Transcripts,
    layers: Sequence[int],
) -> pl.DataFrame:
    """A row a transcript, vector, position and layer, for `stages/score.py`: place, label, item,
    family, persona, vector, position, layer, projection."""
    about = {
        "place": [chat.place for chat in transcripts.labelled],
        "label": transcripts.labels,
        "item": transcripts.items,
        "family": transcripts.families,
        "persona": [chat.persona for chat in transcripts.labelled],
    }
    parts = [
        pl.DataFrame(
            {
                **about,
                "vector": [name] * len(transcripts.labelled),
                "position": [position] * len(transcripts.labelled),
                "layer": [layer] * len(transcripts.labelled),
                "projection": read[position][k, layer],
            }
        )
        for (k, name), position, layer in product(enumerate(names), POSITIONS, layers)
    ]
    return pl.concat(parts)
