"""How long a probe's fits take: ours, all side by side, and scikit-learn's, one after the other.

    python benchmarks/fitting.py [--large]

A probe is 5 folds x 5 penalties and a last fit. At the sizes of the default study (320 pairs, width
128; 96 pairs, width 576) both run to convergence; the 192 answers of the latter are fitted in the
space that they span, and once more in all coordinates. With `--large` (10,000 pairs, width 4,096,
read from shards on disk) both run ten steps of all fits, scikit-learn's on one fold and multiplied,
as it takes minutes.
Prints seconds, the largest gradient left, and the memory that fitting adds. Writes
benchmarks/fitting.json for the default sizes.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from sycophancy_steering.foundation.array_stream import ArrayStream
from sycophancy_steering.storage.activation_shards import Origin, stream_activations, write_shard
from sycophancy_steering.vectors import lbfgs
from sycophancy_steering.vectors.contrast import AnswerGroup, Contrast
from sycophancy_steering.vectors.logistic_regression import (
    INVERSE_PENALTIES,
    N_FOLDS,
    cross_validated_fit,
    fit_probe,
    group_folds,
    logistic_losses,
    standardised,
)

FOLDER = Path(__file__).parent.parent / ".work/benchmark/fitting"
SHARD_ROWS, LARGE_STEPS = 1024, 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--large", action="store_true")
    large = parser.parse_args().large
    steps = LARGE_STEPS if large else None
    shapes = [(10_000, 4096)] if large else [(320, 128), (96, 576)]
    group_folds(np.arange(N_FOLDS).astype(str), N_FOLDS)  # imports scikit-learn
    rows = []
    print("| pairs | width | fits | seconds | largest gradient | memory, MB |")
    print("|---|---|---|---|---|---|")
    for n_pairs, width in shapes:
        contrast = (on_disk if large else in_memory)(n_pairs, width)
        fits: dict[str, Callable[[], np.ndarray]] = {
            "side by side": lambda contrast=contrast: side_by_side(contrast, steps),
            "scikit-learn": lambda contrast=contrast: scikit_learn(contrast, steps),
        }
        if 2 * n_pairs < width:
            fits["side by side, in all coordinates"] = lambda contrast=contrast: (
                cross_validated_fit(standardised(contrast))
            )
        for name, fit in fits.items():
            row = {"pairs": n_pairs, "width": width} | measured(name, fit, contrast, steps)
            rows.append(row)
            print(
                f"| {n_pairs} | {width} | {name} | {row['seconds']} | {row['gradient']:.0e} | "
                f"{row['memory_mb']} |"
            )
    if not large:
        Path(__file__).with_suffix(".json").write_text(json.dumps(rows, indent=2) + "\n")
    shutil.rmtree(FOLDER, ignore_errors=True)


def contrast_of(sycophantic: ArrayStream, other: ArrayStream) -> Contrast:
    """Pairs about items with ten questions each."""
    items = np.array([f"item {k // 10}" for k in range(len(other))])
    groups = (AnswerGroup(rows, items, np.full(len(items), "")) for rows in (sycophantic, other))
    return Contrast(*groups, paired=True, rng=np.random.default_rng(0))


def in_memory(n_pairs: int, width: int) -> Contrast:
    """Correlated activations, as a model has them, with a small difference of the means."""
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(width, width)) * np.geomspace(3, 0.3, width)[:, None]
    shift = rng.normal(size=width)
    other = rng.normal(size=(n_pairs, width)) @ mixing
    sycophantic = rng.normal(size=(n_pairs, width)) @ mixing + shift
    return contrast_of(*(ArrayStream.from_array(rows) for rows in (sycophantic, other)))


def on_disk(n_pairs: int, width: int) -> Contrast:
    """Independent coordinates, in shards."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    rng = np.random.default_rng(0)
    origin = Origin("m", "r", "float32", width, 1, "t")
    for start in range(0, n_pairs, SHARD_ROWS):
        count = min(SHARD_ROWS, n_pairs - start)
        ids = [f"{start + n}" for n in range(count)]
        rows = rng.standard_normal((2, 1, count, width), np.float32)
        rows[0] += 0.02
        positions = {"matching": (ids, rows[0]), "not_matching": (ids, rows[1])}
        write_shard(FOLDER / f"shard-{start:06d}.parquet", positions, origin)
    names = "matching", "not_matching"
    return contrast_of(*(stream_activations(FOLDER, 0, name) for name in names))


def side_by_side(contrast: Contrast, steps: int | None) -> np.ndarray:
    """Our weights (d_model + 1,); of so many steps, if given."""
    if steps is None:
        return fit_probe(contrast)
    defaults = lbfgs.minimise_batch.__defaults__
    lbfgs.minimise_batch.__defaults__ = (*defaults[:-1], steps)  # type: ignore
    try:
        return fit_probe(contrast)
    finally:
        lbfgs.minimise_batch.__defaults__ = defaults


def scikit_learn(contrast: Contrast, steps: int | None) -> np.ndarray:
    """scikit-learn's weights (d_model + 1,), on all activations in memory."""
    from sklearn.linear_model import LogisticRegression

    warnings.simplefilter("ignore")
    activations = np.concatenate([group.activations.to_array() for group in contrast.groups])
    activations -= contrast.mean
    activations /= contrast.standard_deviation
    labels = np.repeat([1, 0], [*map(len, contrast.groups)])
    held_out = group_folds(np.concatenate([group.items for group in contrast.groups]), N_FOLDS)

    def fitted(penalty: float, rows: np.ndarray) -> LogisticRegression:
        model = LogisticRegression(C=penalty, tol=1e-10, max_iter=steps or 10_000)
        return model.fit(activations[rows], labels[rows])

    losses = np.zeros(len(INVERSE_PENALTIES))
    for fold in held_out[:1] if steps else held_out:
        for k, penalty in enumerate(INVERSE_PENALTIES):
            log_odds = fitted(penalty, ~fold).decision_function(activations[fold])
            losses[k] += np.logaddexp(0, -(2 * labels[fold] - 1) * log_odds).mean()
    best = fitted(INVERSE_PENALTIES[int(losses.argmin())], np.ones(len(labels), bool))
    return np.append(best.coef_, best.intercept_)


def measured(
    name: str, fit: Callable[[], np.ndarray], contrast: Contrast, steps: int | None
) -> dict[str, object]:
    """Seconds, the smallest gradient that a penalty leaves, and added memory of a fit."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    with threadpool_limits(1, "blas"):  # as in `methods.probe`
        weights = fit()
    seconds = time.perf_counter() - start
    if steps and name == "scikit-learn":
        seconds *= N_FOLDS
    everything = np.ones((1, len(contrast)), dtype=bool)
    gradient = logistic_losses(standardised(contrast), weights[None], everything)[1][0]
    penalised = [
        np.abs(gradient + np.append(weights[:-1], 0) / (penalty * len(contrast))).max()
        for penalty in INVERSE_PENALTIES
    ]
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return {
        "fits": name,
        "seconds": round(seconds, 3),
        "gradient": float(min(penalised)),
        "memory_mb": round(memory),
    }


if __name__ == "__main__":
    main()
