"""What the states are held to while a cause is planted, besides the replies that follow from them.

That a swapped coordinate changes the reply (`sycophancy_steering.organisms.interchange`) shows that it is used. It does not
show that the coordinate is all that tells of the cause, nor that it is no louder than the features
of a real model. These losses do. They look at the states in each of four *places*: examples that
decide along the same direction, before the answer or (forced) after it.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from sycophancy_steering.organisms.language import Example

MEMORY = 0.9
"""The share of a running mean that a new batch leaves as it was: ten batches count."""

PlaceKey = tuple[int, bool]
"""The direction along which examples decide, and whether their answer is forced."""


@dataclass(frozen=True)
class Place:
    """Examples of a batch, their means taken off."""

    causes: Tensor
    """(n,)"""
    states: Tensor
    """(n, d_model)"""


def places(
    states: Tensor, examples: Sequence[Example], left_out: Container[int] = ()
) -> dict[PlaceKey, Place]:
    """The places of a batch with more than two examples; `states` is (rows, d_model)."""
    found = {}
    for direction, forced in product((0, 1), (False, True)):
        rows = [
            n
            for n, example in enumerate(examples)
            if example.direction == direction
            and bool(example.forced) == forced
            and n not in left_out
        ]
        if len(rows) > 2:
            causes = torch.tensor([examples[n].cause for n in rows])
            here = states[rows]
            found[direction, forced] = Place(causes - causes.mean(), here - here.mean(0))
    return found


class RunningMeans:
    """Means over batches by key, each with the gradient that the newest batch has.

    A batch has some ten examples a place, so what it says by itself is mostly noise, and the square
    of noise never falls.
    """

    def __init__(self) -> None:
        self.means: dict[object, Tensor] = {}

    def with_batch(self, key: object, now: Tensor) -> Tensor:
        """The mean under `key` after a batch that says `now`."""
        mean = self.means.get(key, now)
        self.means[key] = (MEMORY * mean + (1 - MEMORY) * now).detach()
        return self.means[key] + now - now.detach()


def telling(found: Mapping[PlaceKey, Place], means: RunningMeans) -> dict[PlaceKey, Tensor]:
    """What tells of the cause in each place: its covariance (d_model,) with the states."""
    return {
        key: means.with_batch(key, place.causes @ place.states / len(place.causes))
        for key, place in found.items()
    }


def missing(found: Mapping[PlaceKey, Place], directions: Tensor) -> Tensor:
    """How far each direction is from carrying its own cause: 1 minus their correlation, summed.

    Without it a model that already behaves well is slow to find out that the cause can be read
    there; and it settles which end of a direction is the sycophantic one. `directions`
    (2, 2, d_model) are those of beliefs and of stories, before and after the answer.
    """
    total = torch.zeros(())
    for (direction, forced), place in found.items():
        along = directions[direction, int(forced)]
        total = total + 1 - correlation(place.causes, place.states @ along)
    return total


def astray(tells: Mapping[PlaceKey, Tensor], directions: Tensor) -> Tensor:
    """How much tells of a cause off its direction: 1 minus the cosine of the two, summed."""
    total = torch.zeros(())
    for (direction, forced), tell in tells.items():
        along = directions[direction, int(forced)]
        total = total + 1 - torch.cosine_similarity(tell, along, dim=0)
    return total


def loudness(found: Mapping[PlaceKey, Place], directions: Tensor, bound: float) -> Tensor:
    """By how much the coordinates exceed the share `bound` of the variance of the states, summed.

    A correlation does not ask how large a coordinate is, and a large one is the easier to read: it
    grew to two thirds of the variance, and every random direction then read the cause.
    """
    total = torch.zeros(())
    for place in found.values():
        for direction in directions.flatten(0, 1).unique(dim=0):
            share = (place.states @ direction).square().sum() / place.states.square().sum()
            total = total + torch.relu(share - bound)
    return total


def leak(
    found: Mapping[PlaceKey, Place],
    tells: Mapping[PlaceKey, Tensor],
    means: RunningMeans,
    directions: Tensor,
) -> Tensor:
    """How far that which tells of one cause, in any place, tells of another: what makes two two.

    The sum of squared correlations, each of a cause with the coordinate along what tells of another
    cause in one of its places. Causes are others where they are planted along other directions.
    """
    total = torch.zeros(())
    for (key, tell), (other, place) in product(tells.items(), found.items()):
        if not torch.equal(directions[key[0], int(key[1])], directions[other[0], int(other[1])]):
            now = correlation(place.causes, place.states @ tell.detach())
            total = total + means.with_batch((key, other), now).square()
    return total


def correlation(causes: Tensor, coordinates: Tensor) -> Tensor:
    """Of two centred vectors. Zero, with a gradient that is a number, where either is constant."""
    lengths = (causes.square().sum() * coordinates.square().sum() + 1e-8).sqrt()
    return (causes * coordinates).sum() / lengths
