"""Ways of making a steering vector from two groups of residual stream states.

A method is one function of a `Contrast` that returns a direction of any length, pointing towards
the sycophantic side; `METHODS` is where it is registered. `steering_vector` gives every direction
the length of the mean difference, so that adding one vector, or a random one, means the same.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from lib.contrast import Contrast, Floats, Inapplicable, Normalisation, normalised

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
        return np.median(contrast.differences, axis=0)
    return np.median(contrast.sycophantic.states, axis=0) - np.median(contrast.other.states, axis=0)


@method()
def pca(contrast: Contrast) -> Floats:
    """First principal direction of the differences (LAT of https://arxiv.org/abs/2310.01405).

    Uncentred, as centring would delete the mean difference; its sign is that of the pairs.
    """
    differences = contrast.differences
    direction = np.linalg.svd(differences, full_matrices=False)[2][0]
    return direction if (differences @ direction).sum() >= 0 else -direction


@method(pairs_only=True)
def in_context_vector(contrast: Contrast) -> Floats:
    """In-context vectors (Liu et al. 2023, https://arxiv.org/abs/2311.06668), as their code has it.

    The first principal component of the pairs' differences, all layers side by side, plus their
    mean; of this, the part at one layer. The component's sign is that of the pairs.
    """
    differences = contrast.differences
    products = contrast.all_layers() if contrast.all_layers else differences @ differences.T
    n = len(products)
    centring = np.eye(n) - 1 / n
    sizes, directions = np.linalg.eigh(centring @ products @ centring)
    along = centring @ directions[:, -1]  # (n,): where each pair lies on the component, scaled
    share = differences.T @ along / np.sqrt(max(sizes[-1], np.finfo(float).tiny))
    towards = (products @ along).sum()  # of the component and the mean, over all layers
    return (share if towards >= 0 else -share) + differences.mean(0)


@method()
@threadpool_limits.wrap(1, "blas")  # many small products, which threads only keep waiting
def probe(contrast: Contrast) -> Floats:
    """Weights of a logistic regression on standardised states, in the states' own coordinates.

    The strength of its L2 penalty is chosen by cross-validation over items (Alain and Bengio 2016,
    https://arxiv.org/abs/1610.01644, for probes in general).
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GroupKFold

    states, labels, items, _ = contrast.pooled()
    spread = states.std(0)
    spread[spread == 0] = 1.0
    states = (states - states.mean(0)) / spread
    # By hand, as the scoring of scikit-learn's LogisticRegressionCV takes longer than its fits.
    folds = GroupKFold(min(5, len(np.unique(items))))
    losses = np.zeros(len(PENALTIES))
    for train, held_out in folds.split(states, labels, items):
        model = LogisticRegression(max_iter=1000, warm_start=True)
        for n, strength in enumerate(PENALTIES):
            model.set_params(C=strength).fit(states[train], labels[train])
            odds = model.decision_function(states[held_out]) * (2 * labels[held_out] - 1)
            losses[n] += np.logaddexp(0, -odds).mean()
    best = PENALTIES[int(losses.argmin())]
    fitted = LogisticRegression(C=best, max_iter=1000).fit(states, labels)
    return fitted.coef_[0] / spread


@method()
def lda(contrast: Contrast) -> Floats:
    """Mean difference whitened by the covariance within groups: Fisher's discriminant, and the
    mass-mean probe of Marks and Tegmark (2023, https://arxiv.org/abs/2310.06824).

    The covariance is shrunk as Ledoit and Wolf do (2004).
    """
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    states, labels, _, _ = contrast.pooled()
    fitted = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(states, labels)
    return fitted.coef_[0]


@method()
def leace(contrast: Contrast) -> Floats:
    """What LEACE reads in order to erase (Belrose et al. 2023, https://arxiv.org/abs/2306.03819):
    no linear classifier tells the groups apart once this read-out is taken out of the states.
    """
    import torch
    from concept_erasure import LeaceFitter

    states, labels, _, _ = contrast.pooled()
    fitter = LeaceFitter.fit(torch.from_numpy(states), torch.from_numpy(labels).double())
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
    from scipy.optimize import minimize

    one, two = contrast.sycophantic.states, contrast.other.states
    letters = contrast.sycophantic.letters
    by_chance = contrast.draw.random(len(one)) < 0.5  # which is first, where no letters are shown
    swapped = np.where(letters == "", by_chance, letters > contrast.other.letters)
    first = np.where(swapped[:, None], two, one)
    second = np.where(swapped[:, None], one, two)
    spread = np.concatenate([first - first.mean(0), second - second.mean(0)]).std(0)
    spread[spread == 0] = 1.0
    first, second = (first - first.mean(0)) / spread, (second - second.mean(0)) / spread

    def loss(weights: Floats) -> tuple[float, Floats]:
        p = 1 / (1 + np.exp(-np.clip(first @ weights[:-1] + weights[-1], -30, 30)))
        q = 1 / (1 + np.exp(-np.clip(second @ weights[:-1] + weights[-1], -30, 30)))
        odd, least = p + q - 1, np.minimum(p, q)
        by_p = (2 * odd + 2 * least * (p <= q)) * p * (1 - p)
        by_q = (2 * odd + 2 * least * (q < p)) * q * (1 - q)
        slope = np.append(by_p @ first + by_q @ second, (by_p + by_q).sum())
        return float((odd**2 + least**2).mean()), slope / len(p)

    starts = contrast.draw.normal(size=(10, one.shape[1] + 1)) / np.sqrt(one.shape[1])
    fits = [minimize(loss, start, jac=True, method="L-BFGS-B") for start in starts]
    direction = min(fits, key=lambda fit: fit.fun).x[:-1] / spread
    return direction if direction @ contrast.mean_difference >= 0 else -direction


@method(null=True)
def random(contrast: Contrast) -> Floats:
    """A direction drawn at random."""
    return contrast.draw.standard_normal(contrast.sycophantic.states.shape[1])


@method(null=True)
def shuffled(contrast: Contrast) -> Floats:
    """The mean difference after the two answers of each pair, or all labels, are dealt anew."""
    if contrast.paired:
        signs = contrast.draw.choice([-1.0, 1.0], len(contrast.sycophantic))
        return (contrast.differences * signs[:, None]).mean(0)
    states, labels, _, _ = contrast.pooled()
    dealt = contrast.draw.permutation(labels)
    return states[dealt == 1].mean(0) - states[dealt == 0].mean(0)


@method(null=True)
def letter(contrast: Contrast) -> Floats:
    """Answers that say the first letter against answers that say another, sycophantic or not."""
    states, _, _, letters = contrast.pooled()
    first = letters == min((each for each in letters if each), default="")
    others = (letters != "") & ~first
    if not (first.any() and others.any()):
        raise Inapplicable("no answers that say two different letters")
    return states[first].mean(0) - states[others].mean(0)


def steering_vector(
    name: str, contrast: Contrast, how: Normalisation = "none"
) -> NDArray[np.float32]:
    """The direction of the method `name` (d_model,) at the length of the mean difference.

    Raises Inapplicable where the method finds nothing to work with in these answers.
    """
    changed, back = normalised(contrast, how)
    direction = METHODS[name](changed) * back
    length = np.linalg.norm(direction)
    if length == 0:
        return np.zeros_like(direction, dtype=np.float32)
    scaled = direction * (np.linalg.norm(contrast.mean_difference) / length)
    return scaled.astype(np.float32)
