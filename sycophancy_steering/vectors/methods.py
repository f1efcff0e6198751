"""Methods that make a steering vector from two groups of activations.

A method is a function of a `Contrast` that returns a direction of any length, positive towards
sycophantic answers; the decorator `method` registers it. `steering_vector` scales every direction
to the length of the mean difference, so that coefficients of all vectors mean the same.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from sycophancy_steering.config.variants import Normalisation
from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.vectors.consistent_search import consistent_direction
from sycophancy_steering.vectors.contrast import Contrast, MethodNotApplicable, normalised
from sycophancy_steering.vectors.covariance import ledoit_wolf_covariance
from sycophancy_steering.vectors.logistic_regression import fit_probe
from sycophancy_steering.vectors.principal_component import first_component_weights

Method = Callable[[Contrast], Floats]
METHODS: dict[str, Method] = {}
"""Every method by its name in params.yaml."""
NULLS: set[str] = set()
"""Methods that know nothing of sycophancy: the controls."""
PAIRS_ONLY: set[str] = set()
"""Methods that need contrast pairs."""


def method(*, null: bool = False, pairs_only: bool = False) -> Callable[[Method], Method]:
    """Registers a method under its function's name."""

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
    """Median of the differences in each coordinate, which outliers hardly move.

    Of unpaired answers: the difference of the medians.
    """
    if contrast.paired:
        return contrast.differences.median()
    return contrast.sycophantic.activations.median() - contrast.other.activations.median()


@method()
def pca(contrast: Contrast) -> Floats:
    """First principal direction of the differences (LAT of https://arxiv.org/abs/2310.01405).

    Uncentred, as centring would remove the mean difference, which also sets the sign. Unpaired
    answers count in all their pairs.
    """
    from scipy.linalg import eigh

    mean_difference = contrast.mean_difference
    if contrast.paired:
        covariance = contrast.differences.covariance
    else:
        one, two = (group.activations.covariance for group in contrast.groups)
        covariance = one + two
    second_moment = covariance + np.outer(mean_difference, mean_difference)
    last = [len(second_moment) - 1] * 2  # the largest eigenvalue's only
    return _towards_sycophancy(eigh(second_moment, subset_by_index=last)[1][:, 0], contrast)


@method(pairs_only=True)
def in_context_vector(contrast: Contrast) -> Floats:
    """In-context vectors (Liu et al. 2023, https://arxiv.org/abs/2311.06668), as in their code.

    First principal component of the pairs' differences, all layers side by side, plus their mean;
    of this, one layer's part.
    """
    differences = contrast.differences
    compute = contrast.pair_weights or (lambda: first_component_weights([differences]))
    return differences.weighted_sums(compute()[None])[0] + differences.mean


@method()
@threadpool_limits.wrap(1, "blas")  # many small products, which threads slow down
def probe(contrast: Contrast) -> Floats:
    """Weights of a logistic regression (`fit_probe`), in the activations' own coordinates.

    For probes in general: Alain and Bengio 2016, https://arxiv.org/abs/1610.01644.
    """
    return fit_probe(contrast)[:-1] / contrast.standard_deviation


@method()
def lda(contrast: Contrast) -> Floats:
    """Mean difference whitened by the covariance within groups (`ledoit_wolf_covariance`).

    Fisher's discriminant; the mass-mean probe of Marks and Tegmark (2023,
    https://arxiv.org/abs/2310.06824).
    """
    from scipy.linalg import lstsq

    shares = [len(group) / len(contrast) for group in contrast.groups]
    one, two = (ledoit_wolf_covariance(group) for group in contrast.groups)
    within = shares[0] * one + shares[1] * two
    return lstsq(within, contrast.mean_difference, lapack_driver="gelsy")[0]  # type: ignore[index]


@method()
def leace(contrast: Contrast) -> Floats:
    """The direction that LEACE erases (Belrose et al. 2023, https://arxiv.org/abs/2306.03819).

    Once its projection is removed, no linear classifier separates the groups.
    """
    import torch
    from concept_erasure import LeaceFitter

    fitter = LeaceFitter(len(contrast.mean), 1, dtype=torch.float64)
    if contrast.rows_are_kept:
        for _, block, label in contrast.labelled_blocks():
            labels = torch.full((len(block), 1), float(label))
            fitter.update(torch.from_numpy(block), labels.double())
    else:
        share = len(contrast.sycophantic) / len(contrast)
        fitter.n = torch.tensor(len(contrast))
        fitter.mean_x = torch.from_numpy(contrast.mean)
        fitter.mean_z = torch.tensor([share], dtype=torch.float64)
        fitter.sigma_xx_ = torch.from_numpy(contrast.scatter)
        cross_scatter = contrast.mean_difference * share * (1 - share) * len(contrast)
        fitter.sigma_xz_ = torch.from_numpy(cross_scatter)[:, None]
    return _towards_sycophancy(fitter.eraser.proj_right.numpy()[0], contrast)


@method(pairs_only=True)
@threadpool_limits.wrap(1, "blas")  # as for `probe`
def ccs(contrast: Contrast) -> Floats:
    """Contrast-consistent search (Burns et al. 2022, https://arxiv.org/abs/2212.03827).

    An unsupervised probe whose probabilities for a question's two answers add up to one and are
    far from one half (`consistent_direction`); labels set its sign only.
    """
    return _towards_sycophancy(consistent_direction(contrast), contrast)


@method(null=True)
def random(contrast: Contrast) -> Floats:
    """A random direction."""
    return contrast.rng.standard_normal(len(contrast.mean))


@method(null=True)
def shuffled(contrast: Contrast) -> Floats:
    """The mean difference after a random exchange of each pair's answers, or of all labels."""
    if contrast.paired:
        signs = contrast.rng.choice([-1.0, 1.0], len(contrast.sycophantic))
        return contrast.differences.weighted_sums(signs[None] / len(signs))[0]
    n_one, n_two = map(len, contrast.groups)
    weights = contrast.rng.permutation(np.repeat([1 / n_one, -1 / n_two], [n_one, n_two]))
    one, two = (group.activations for group in contrast.groups)
    return one.weighted_sums(weights[None, :n_one])[0] + two.weighted_sums(weights[None, n_one:])[0]


@method(null=True)
def letter(contrast: Contrast) -> Floats:
    """Answers with the first letter against answers with another, sycophantic or not."""
    means = [
        (name, counted)
        for group in contrast.groups
        for name, counted in group.means_by_letter().items()
        if name
    ]
    first = min((name for name, _ in means), default="")
    with_first = [counted for name, counted in means if name == first]
    with_others = [counted for name, counted in means if name != first]
    if not (with_first and with_others):
        raise MethodNotApplicable("no answers with two different letters")
    one, two = (
        np.average([mean for _, mean in side], axis=0, weights=[n for n, _ in side])
        for side in (with_first, with_others)
    )
    return one - two


def steering_vector(
    method: str, contrast: Contrast, normalisation: Normalisation = "none"
) -> NDArray[np.float32]:
    """`exact_vector` as it is stored."""
    return exact_vector(method, contrast, normalisation).astype(np.float32)


def exact_vector(method: str, contrast: Contrast, normalisation: Normalisation = "none") -> Floats:
    """The direction (d_model,) of `method`, as long as the mean difference.

    Raises MethodNotApplicable where these answers do not allow the method.
    """
    changed, factors = normalised(contrast, normalisation)
    direction = METHODS[method](changed) * factors
    length = np.linalg.norm(direction)
    if length == 0:
        return np.zeros_like(direction)
    return direction * (np.linalg.norm(contrast.mean_difference) / length)


def _towards_sycophancy(direction: Floats, contrast: Contrast) -> Floats:
    """The direction or its opposite, whichever has a positive share of the mean difference."""
    return direction if direction @ contrast.mean_difference >= 0 else -direction
