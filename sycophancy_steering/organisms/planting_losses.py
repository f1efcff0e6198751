"""Losses that keep a planted cause on its direction, besides the loss of the replies.

Interchanges (`interchange.py`) make the model use the planted coordinate. They do not make it the
only carrier of the cause, nor keep it as small as the features of a real model; these losses do.
They are computed on groups of examples that decide along the same direction, before the answer or
after a forced one.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from sycophancy_steering.organisms.language import Example

DECAY = 0.9
"""The weight of earlier batches in a running mean: about ten batches count."""

GroupKey = tuple[int, bool]
"""The direction planted which the examples decide, and whether their answers are forced."""


@dataclass(frozen=True)
class DecisionGroup:
    """Centred causes and activations of the examples of a group."""

    causes: Tensor
    """(n,)"""
    activations: Tensor
    """(n, d_model)"""


def decision_groups(
    activations: Tensor, examples: Sequence[Example], excluded: Container[int] = ()
) -> dict[GroupKey, DecisionGroup]:
    """The groups of a batch with more than two examples; `activations` is (rows, d_model)."""
    groups = {}
    for direction, forced in product((0, 1), (False, True)):
        rows = [
            n
            for n, example in enumerate(examples)
            if example.direction == direction
            and bool(example.forced_answer) == forced
            and n not in excluded
        ]
        if len(rows) > 2:
            causes = torch.tensor([examples[n].cause for n in rows])
            selected = activations[rows]
            groups[direction, forced] = DecisionGroup(
                causes - causes.mean(), selected - selected.mean(0)
            )
    return groups


class RunningMeans:
    """Exponential moving averages over batches by key, with the gradient of the newest batch.

    A group has about ten examples in a batch, so a batch's own estimate is mostly noise, and the
    square of noise does not fall.
    """

    def __init__(self) -> None:
        self.means: dict[object, Tensor] = {}

    def update(self, key: object, value: Tensor) -> Tensor:
        """The mean under `key` after a batch whose own estimate is `value`."""
        mean = self.means.get(key, value)
        self.means[key] = (DECAY * mean + (1 - DECAY) * value).detach()
        return self.means[key] + value - value.detach()


def cause_covariances(
    groups: Mapping[GroupKey, DecisionGroup], means: RunningMeans
) -> dict[GroupKey, Tensor]:
    """Each group's covariance (d_model,) of the cause with the activations: where the cause is."""
    return {
        key: means.update(key, group.causes @ group.activations / len(group.causes))
        for key, group in groups.items()
    }


def correlation_loss(groups: Mapping[GroupKey, DecisionGroup], directions: Tensor) -> Tensor:
    """The sum over groups of 1 - correlation of the cause with the coordinate on its direction.

    It makes a model that already behaves well use the direction sooner, and decides its sign.
    `directions` (2, 2, d_model) are those of beliefs and of stories, before and after the answer.
    """
    total = torch.zeros(())
    for (direction, forced), group in groups.items():
        planted = directions[direction, int(forced)]
        total = total + 1 - correlation(group.causes, group.activations @ planted)
    return total


def alignment_loss(covariances: Mapping[GroupKey, Tensor], directions: Tensor) -> Tensor:
    """The sum over groups of 1 - cosine of `cause_covariances` with the planted direction."""
    total = torch.zeros(())
    for (direction, forced), covariance in covariances.items():
        planted = directions[direction, int(forced)]
        total = total + 1 - torch.cosine_similarity(covariance, planted, dim=0)
    return total


def variance_loss(
    groups: Mapping[GroupKey, DecisionGroup], directions: Tensor, max_share: float
) -> Tensor:
    """The sum of the shares of variance by which planted coordinates exceed `max_share`.

    The other losses do not bound a coordinate's size: without this one it grew to two thirds of the
    variance, and every random direction then predicted the cause.
    """
    total = torch.zeros(())
    for group in groups.values():
        for direction in directions.flatten(0, 1).unique(dim=0):
            share = (
                group.activations @ direction
            ).square().sum() / group.activations.square().sum()
            total = total + torch.relu(share - max_share)
    return total


def leakage_loss(
    groups: Mapping[GroupKey, DecisionGroup],
    covariances: Mapping[GroupKey, Tensor],
    means: RunningMeans,
    directions: Tensor,
) -> Tensor:
    """How far the covariance of one cause predicts another one, which keeps two causes apart.

    The sum of squared correlations of a group's cause with the coordinate along the covariance of
    every group that has another planted direction.
    """
    total = torch.zeros(())
    for (key, covariance), (other, group) in product(covariances.items(), groups.items()):
        if not torch.equal(directions[key[0], int(key[1])], directions[other[0], int(other[1])]):
            estimate = correlation(group.causes, group.activations @ covariance.detach())
            total = total + means.update((key, other), estimate).square()
    return total


def correlation(causes: Tensor, coordinates: Tensor) -> Tensor:
    """Correlation of centred vectors; 0, with a finite gradient, where either is constant."""
    norms = (causes.square().sum() * coordinates.square().sum() + 1e-8).sqrt()
    return (causes * coordinates).sum() / norms
