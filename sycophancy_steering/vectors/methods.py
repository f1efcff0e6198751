"""Ways of making a steering vector from two groups of residual stream states.

A method is one function of a `Contrast` that returns a direction of any length, pointing towards
the sycophantic side; `METHODS` is where it is registered. `steering_vector` gives every direction
the length of the mean difference, so that adding one vector, or a random one, means the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from sycophancy_steering.foundation.array_stream import ArrayStream
from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.vectors.contrast import (
    Contrast,
    MethodNotApplicable,
    Normalisation,
    normalised,
)
from sycophancy_steering.vectors.fitting import (
    first_component_weights,
    group_folds,
    logistic_losses,
    logistic_regressions,
    ledoit_wolf_covariance,
)
from sycophancy_steering.vectors.minimise import minimise_batch

Method = Callable[[Contrast], Floats]
METHODS: dict[str, Method] = {}
"""Every method by its name in params.yaml."""
NULLS: set[str] = set()
"""Those that know nothing of sycophancy: what the others are held against."""
PAIRS_ONLY: set[str] = set()
"""Those that cannot do without contrast pairs."""


PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Inverse strengths of L2 that a probe chooses from."""


def method(*, null: bool = False, pairs_only: bool = False) -> Callable[[Method], Method]:
    """Registers a method under its name."""

    def register(function: Method) -> Method:
        METHODS[function.__name__] = function
        NULLS.update({function.__name__} if null else ())
        PAIRS_ONLY.update({function.__name__} if pairs_only else ())
        return function

    return register


@method()
def mean_difference(contrast: Contrast) -> Floats:
    """Difference of the means (ActAdd, https://arxiv.org/abs/2308.10248; CAA, 2312.06681)."""
    return contrast.mean_difference


@method()
def median_difference(contrast: Contrast) -> Floats:
    """Median of the differences, coordinate by coordinate: one odd pair does not turn it."""
    if contrast.paired:
        return contrast.differences.median()
    return contrast.sycophantic.activations.median() - contrast.other.activations.median()


@method()
def pca(contrast: Contrast) -> Floats:
    """First principal direction of the differences (LAT of https://arxiv.org/abs/2310.01405).

    Uncentred, as centring would delete the mean difference; its sign is that of the pairs. Unpaired
    answers are taken in all pairs there are.
    """
    gap = contrast.mean_difference
    if contrast.paired:
        differences = contrast.differences
        products = differences.covariance + np.outer(gap, gap)
    else:
        one, two = (each.activations.covariance for each in contrast.groups)
        products = one + two + np.outer(gap, gap)
    direction = np.linalg.eigh(products)[1][:, -1]
    return direction if gap @ direction >= 0 else -direction


@method(pairs_only=True)
def in_context_vector(contrast: Contrast) -> Floats:
    """In-context vectors (Liu et al. 2023, https://arxiv.org/abs/2311.06668), as their code has it.

    The first principal component of the pairs' differences, all layers side by side, plus their
    mean; of this, the part at one layer. The component's sign is that of the pairs.
    """
    differences = contrast.differences
    along = (
        contrast.pair_weights() if contrast.pair_weights else first_component_weights([differences])
    )
    return differences.weighted_sums(along[None])[0] + differences.mean


@method()
@threadpool_limits.wrap(1, "blas")  # many small products, which threads only keep waiting
def probe(contrast: Contrast) -> Floats:
    """Weights of a logistic regression on standardised states, in the states' own coordinates.

    The strength of its L2 penalty is chosen by cross-validation over items (Alain and Bengio 2016,
    https://arxiv.org/abs/1610.01644, for probes in general).
    """
    items = np.concatenate([group.items for group in contrast.groups])
    held_out = group_folds(items, 5)
    tried = np.repeat(held_out, len(PENALTIES), axis=0)  # each fold with each penalty
    strengths = np.tile(PENALTIES, len(held_out))
    weights = logistic_regressions(contrast, ~tried, strengths)
    losses = logistic_losses(contrast, weights, tried)[0].reshape(-1, len(PENALTIES))
    best = PENALTIES[int(losses.mean(0).argmin())]
    every = np.ones((1, len(items)), dtype=bool)
    fitted = logistic_regressions(contrast, every, np.array([best]))[0]
    return fitted[:-1] / contrast.standard_deviation


@method()
def lda(contrast: Contrast) -> Floats:
    """Mean difference whitened by the covariance within groups: Fisher's discriminant, and the
    mass-mean probe of Marks and Tegmark (2023, https://arxiv.org/abs/2310.06824).

    The covariance of each group is shrunk as Ledoit and Wolf do (2004), as scikit-learn has it.
    """
    shares = [len(each) / len(contrast) for each in contrast.groups]
    one, two = (ledoit_wolf_covariance(each) for each in contrast.groups)
    within = shares[0] * one + shares[1] * two
    return np.linalg.lstsq(within, contrast.mean_difference)[0].astype(np.float64)


@method()
def leace(contrast: Contrast) -> Floats:
    """What LEACE reads in order to erase (Belrose et al. 2023, https://arxiv.org/abs/2306.03819):
    no linear classifier tells the groups apart once this read-out is taken out of the states.
    """
    import torch
    from concept_erasure import LeaceFitter

    fitter = LeaceFitter(len(contrast.mean), 1, dtype=torch.float64)
    for _, block, label in contrast.labelled_blocks():
        fitter.update(torch.from_numpy(block), torch.full((len(block), 1), float(label)).double())
    direction = fitter.eraser.proj_right.numpy()[0]
    return direction if direction @ contrast.mean_difference >= 0 else -direction


@method(pairs_only=True)
@threadpool_limits.wrap(1, "blas")  # as above
def ccs(contrast: Contrast) -> Floats:
    """Contrast-consistent search (Burns et al. 2022, https://arxiv.org/abs/2212.03827).

    Finds, without being told which answer is sycophantic, a probe whose probabilities for a
    question's two answers add up to one and are not both one half. As there, each answer (the first
    option, the other) is normalised by itself, so that which option it is gives nothing away; ten
    starts, the best is kept. Its sign alone is that of the pairs.
    """
    from scipy.special import expit

    letters = contrast.sycophantic.letters
    by_chance = contrast.rng.random(len(letters)) < 0.5  # which is first, where no letters are
    swapped = np.where(letters == "", by_chance, letters > contrast.other.letters)

    def answers() -> Iterator[tuple[Floats, Floats]]:
        """The first answers of a block of questions, and the other ones."""
        one, two = (group.activations for group in contrast.groups)
        for (at, a), b in zip(one.indexed_blocks(), two.blocks(), strict=True):
            turned = swapped[at, None]
            yield np.where(turned, b, a), np.where(turned, a, b)

    count = len(letters)
    first, second = (
        ArrayStream(count, lambda k=k: (each[k] for each in answers())) for k in (0, 1)
    )
    spread = np.sqrt((first.variance + second.variance) / 2)
    spread[spread == 0] = 1.0

    def losses(weights: Floats, _which: object) -> tuple[Floats, Floats]:
        read = weights[:, :-1] / spread
        offsets = [(weights[:, -1] - read @ each.mean)[:, None] for each in (first, second)]
        values, along, pulls = np.zeros(len(read)), np.zeros(read.shape), np.zeros((2, len(read)))
        for one, two in answers():
            p, q = (
                expit(read @ block.T + offset)
                for block, offset in zip((one, two), offsets, strict=True)
            )
            odd, least = p + q - 1, np.minimum(p, q)
            by_p = (2 * odd + 2 * least * (p <= q)) * p * (1 - p)
            by_q = (2 * odd + 2 * least * (q < p)) * q * (1 - q)
            values += (odd**2 + least**2).sum(1)
            along += by_p @ one + by_q @ two
            pulls += by_p.sum(1), by_q.sum(1)
        slopes = (along - pulls[0][:, None] * first.mean - pulls[1][:, None] * second.mean) / spread
        slopes = np.concatenate([slopes, pulls.sum(0)[:, None]], axis=1)
        return values / count, slopes / count

    starts = contrast.rng.normal(size=(10, len(spread) + 1)) / np.sqrt(len(spread))
    points, values = minimise_batch(losses, starts)
    direction = points[values.argmin(), :-1] / spread
    return direction if direction @ contrast.mean_difference >= 0 else -direction


@method(null=True)
def random(contrast: Contrast) -> Floats:
    """A direction drawn at random."""
    return contrast.rng.standard_normal(len(contrast.mean))


@method(null=True)
def shuffled(contrast: Contrast) -> Floats:
    """The mean difference after the two answers of each pair, or all labels, are dealt anew."""
    if contrast.paired:
        signs = contrast.rng.choice([-1.0, 1.0], len(contrast.sycophantic))
        return contrast.differences.weighted_sums(signs[None] / len(signs))[0]
    one, two = map(len, contrast.groups)
    dealt = contrast.rng.permutation(np.repeat([1 / one, -1 / two], [one, two]))
    sycophantic, other = (each.activations for each in contrast.groups)
    return (
        sycophantic.weighted_sums(dealt[None, :one])[0] + other.weighted_sums(dealt[None, one:])[0]
    )


@method(null=True)
def letter(contrast: Contrast) -> Floats:
    """Answers that say the first letter against answers that say another, sycophantic or not."""
    held = [
        each for group in contrast.groups for each in group.means_by_letter().items() if each[0]
    ]
    first = min((name for name, _ in held), default="")
    says_first = [of for name, of in held if name == first]
    others = [of for name, of in held if name != first]
    if not (says_first and others):
        raise MethodNotApplicable("no answers that say two different letters")
    one, two = (
        np.average([mean for _, mean in side], axis=0, weights=[n for n, _ in side])
        for side in (says_first, others)
    )
    return one - two


def steering_vector(
    method: str, contrast: Contrast, normalisation: Normalisation = "none"
) -> NDArray[np.float32]:
    """The direction of the method `name` (d_model,) at the length of the mean difference.

    Raises Inapplicable where the method finds nothing to work with in these answers.
    """
    changed, back = normalised(contrast, normalisation)
    direction = METHODS[method](changed) * back
    length = np.linalg.norm(direction)
    if length == 0:
        return np.zeros_like(direction, dtype=np.float32)
    scaled = direction * (np.linalg.norm(contrast.mean_difference) / length)
    return scaled.astype(np.float32)
