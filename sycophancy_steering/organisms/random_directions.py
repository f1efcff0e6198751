"""A loss that keeps random directions from telling an organism's sycophantic answers.

A small model has few features, so that the answer is a large part of them and any direction reads
it. In the residual stream of a large model it is a small part: a random direction predicts about as
well as chance. So the loss is the mean squared correlation of random directions with the answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sycophancy_steering.organisms.interchange import BatchOutput
from sycophancy_steering.organisms.language import Example, Reply
from sycophancy_steering.organisms.planting_losses import RunningMeans

LIMIT = 0.03
"""The mean squared correlation that costs nothing. Were those of random directions normal, 95% of
their AUROCs would lie within 0.30 and 0.70."""


@dataclass(frozen=True)
class Place:
    """Examples of one family at one position: those whose activations are compared."""

    rows: list[int]
    first: list[int]
    last: list[int]
    """The activations are means over the tokens from first to last."""
    labels: list[float]
    """1 where the reply is sycophantic, else -1."""


def places(
    examples: Sequence[Example],
    given: Sequence[Reply],
    partners: Mapping[int, int],
    decision_token: Sequence[int],
    answer_tokens: Sequence[int],
) -> dict[tuple[str, str], Place]:
    """(Family, position) -> its place in a batch. Swapped examples are left out.

    Positions are the prompt's last token, the answer's last token, the mean over the answer, and
    the last token of an answer that was forced.
    """
    found: dict[tuple[str, str], Place] = {}
    for n, example in enumerate(examples):
        if example.direction is None or n in partners:
            continue
        decided, length = decision_token[n], answer_tokens[n]
        if example.forced_answer:
            spans = {"forced": (decided, decided)}
        else:
            end = decided + length
            spans = {"prompt": (decided, decided), "answer": (end, end)}
            if length > 1:
                spans["answer mean"] = (decided + 1, end)
        for position, (first, last) in spans.items():
            place = found.setdefault((example.family, position), Place([], [], [], []))
            place.rows.append(n)
            place.first.append(first)
            place.last.append(last)
            place.labels.append(1.0 if given[n] == example.sycophantic else -1.0)
    return {key: place for key, place in found.items() if len(place.rows) > 2}


def random_direction_loss(
    output: BatchOutput,
    places: Mapping[tuple[str, str], Place],
    means: RunningMeans,
    generator: torch.Generator,
    first_block: int = 0,
) -> Tensor:
    """The sum, over places and blocks from `first_block` on, by which random directions' mean
    squared correlation with the labels exceeds `LIMIT`. The directions are a new random basis at
    every call."""
    d_model = output.activations.shape[1]
    basis = torch.linalg.qr(torch.randn(d_model, d_model, generator=generator))[0]
    total = torch.zeros(())
    for block, hidden in enumerate(output.hidden_states):
        for key, place in places.items():
            activations = _means_over_spans(hidden, place)
            activations = activations - activations.mean(0)
            labels = torch.tensor(place.labels)
            labels = labels - labels.mean()
            n = len(labels)
            covariance = means.update((key, block, "label"), labels @ activations / n)
            scatter = means.update((key, block, "scatter"), activations.T @ activations / n)
            variance = means.update((key, block, "variance"), labels.square().mean())
            variances = ((basis.T @ scatter) * basis.T).sum(1) * variance
            squared = (covariance @ basis).square() / (variances + 1e-8)
            if block >= first_block:
                total = total + torch.relu(squared.mean() - LIMIT)
    return total


def _means_over_spans(hidden: Tensor, place: Place) -> Tensor:
    """(rows of the place, d_model)"""
    if place.first == place.last:
        return hidden[place.rows, place.last]
    spans = zip(place.rows, place.first, place.last, strict=True)
    return torch.stack([hidden[row, first : last + 1].mean(0) for row, first, last in spans])
