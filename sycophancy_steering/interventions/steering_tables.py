"""What was found by steering: `reports/steering/MODEL.parquet`, in tables.

Each takes answers: a row a condition and question, with its `item`, its `label` (is it sycophantic
where nothing is done), and its log-odds of the sycophantic answer `before` and `after`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.interventions.steering_settings import CONDITION, OWN
from sycophancy_steering.organisms.ground_truth import PlantedCause
from sycophancy_steering.statistics.clustered_means import clustered_mean, clustered_share
from sycophancy_steering.statistics.estimates import Estimate, t_quantile
from sycophancy_steering.storage.cell_files import EVERY_SOURCE

ENDS = ("", "_low", "_high")
KINDS = {0: "otherwise", 1: "sycophantic"}
"""What an answer is where nothing is done."""


def estimate_columns(found: dict[str, Estimate]) -> dict[str, float]:
    """Each estimate's value and the ends of its interval."""
    return {
        f"{key}{end}": float(value)
        for key, each in found.items()
        for end, value in zip(ENDS, (each.value, each.low, each.high), strict=True)
    }


def dose_response(answers: pl.DataFrame) -> pl.DataFrame:
    """A row a condition and family: what is done, to how many, and what comes of it.

    `rate_0` and `rate_1` are the share that is sycophantic then, of the questions answered
    otherwise and of those answered sycophantically where nothing is done (`before_0`, `before_1`:
    the same, told by the log-odds, where nothing is done); `shift` the mean change
    of the log-odds; `wrong`, of what is added, the share whose log-odds go the other way; `apart`
    the difference of the two rates. Intervals are clustered by item.
    """
    rows = []
    keys = [*CONDITION, "family"]
    for values, held in answers.group_by(keys, maintain_order=True):
        row: dict[str, object] = dict(zip(keys, values, strict=True))
        items, labels = held["item"].to_numpy().astype(str), held["label"].to_numpy()
        shift, then = (held["after"] - held["before"]).to_numpy(), (held["after"] > 0).to_numpy()
        row |= {"n": len(held), "items": len(np.unique(items))}
        row |= {f"n_{kind}": int((labels == kind).sum()) for kind in KINDS}
        found = {"shift": clustered_mean(shift, items)}
        if row["kind"] == "add":
            found["wrong"] = clustered_share(shift * float(held["dose"][0]) < 0, items)
        for kind in KINDS:
            of = labels == kind
            if of.any():
                row[f"before_{kind}"] = float((held["before"].to_numpy()[of] > 0).mean())
                found[f"rate_{kind}"] = clustered_share(then[of], items[of])
        if len(set(labels)) == 2:
            found["apart"] = class_difference(then.astype(float), labels, items)
        rows.append(row | estimate_columns(found))
    return pl.DataFrame(rows, infer_schema_length=None)


def class_difference(values: Floats, labels: NDArray[np.integer], items: NDArray[np.generic]) -> Estimate:
    """Mean of `values` (n,) where `labels` are 1 minus that where they are 0, clustered by item."""
    share = np.where(labels == 1, 1 / (labels == 1).sum(), -1 / (labels == 0).sum())
    means = np.where(labels == 1, values[labels == 1].mean(), values[labels == 0].mean())
    value = values[labels == 1].mean() - values[labels == 0].mean()
    # The influence of each answer, scaled so that its mean is the error's.
    pull = clustered_mean(len(values) * share * (values - means), items)
    reach = float(pull.high - pull.value)
    return Estimate(np.array(value), np.array(value - reach), np.array(value + reach))


def layer_pairs(answers: pl.DataFrame) -> pl.DataFrame:
    """A row a family and two layers: by how much the log-odds move (`shift`) where a vector is
    added at both, and how far that is from the sum of what either does alone (`departure`, with
    intervals that hold for all rows at once)."""
    moved = answers.with_columns((pl.col("after") - pl.col("before")).alias("shift"))
    alone = moved.filter(pl.col("second").is_null()).select("id", "layer", alone="shift")
    other = alone.select("id", second="layer", other="alone")
    both = (
        moved.filter(pl.col("second").is_not_null())
        .join(alone, on=["id", "layer"], maintain_order="left")
        .join(other, on=["id", "second"], maintain_order="left")
        .with_columns((pl.col("shift") - pl.col("alone") - pl.col("other")).alias("departure"))
    )
    rows = []
    keys = ["vector", "family", "layer", "second", "dose"]
    together = both.select(keys).n_unique()
    for values, held in both.group_by(keys, maintain_order=True):
        items = held["item"].to_numpy().astype(str)
        found = {
            "shift": clustered_mean(held["shift"].to_numpy(), items),
            "departure": clustered_mean(held["departure"].to_numpy(), items, together),
        }
        counts = {"n": len(held), "items": len(np.unique(items))}
        rows.append(dict(zip(keys, values, strict=True)) | counts | estimate_columns(found))
    return pl.DataFrame(rows, infer_schema_length=None)


def effects(answers: pl.DataFrame) -> pl.DataFrame:
    """A row a vector, layer and family: `slope`, half the difference of the log-odds with the
    vector added and taken away; and `removal`, how much nearer the log-odds of both kinds of
    answers are to one another with its coordinate set to the mean."""
    rows = []
    for values, held in answers.group_by("vector", "layer", "family", maintain_order=True):
        add, mean = (held.filter(pl.col("kind") == kind) for kind in ("add", "mean"))
        more, less = (add.filter(pl.col("dose") == dose)["after"] for dose in (1.0, -1.0))
        items, labels = mean["item"].to_numpy().astype(str), mean["label"].to_numpy()
        found = {"slope": clustered_mean(((more - less) / 2).to_numpy(), items)}
        if len(set(labels)) == 2:
            nearer = (mean["before"] - mean["after"]).to_numpy()
            found["removal"] = class_difference(nearer, labels, items)
        row = dict(zip(("vector", "layer", "family"), values, strict=True))
        rows.append(row | {"n": len(mean), "items": len(set(items))} | estimate_columns(found))
    return pl.DataFrame(rows, infer_schema_length=None)


def rank_correlation(one: Floats, other: Floats, groups: NDArray[np.generic]) -> Estimate:
    """Spearman's of `one` and `other` (n,), its interval by leaving out one of `groups` (n,) after
    the other, on Fisher's z scale (Tukey 1958); NaN where either side is constant."""

    def of(kept: NDArray[np.bool_]) -> float:
        first, second = (pl.Series(each[kept]).rank().to_numpy() for each in (one, other))
        if min(np.ptp(first), np.ptp(second)) == 0:
            return float("nan")
        return float(np.corrcoef(first, second)[0, 1])

    value, names = of(np.ones(len(one), bool)), np.unique(groups)
    if len(names) < 3:
        return Estimate(np.array(value), np.array(np.nan), np.array(np.nan))
    left_out = np.arctanh(np.clip([of(groups != name) for name in names], -0.9999, 0.9999))
    n = len(names)
    error = np.sqrt((n - 1) / n * ((left_out - left_out.mean()) ** 2).sum())
    reach, z = t_quantile(n - 1) * error, np.arctanh(np.clip(value, -0.9999, 0.9999))
    return Estimate(np.array(value), np.tanh(z - reach), np.tanh(z + reach))


def headline_row(doses: pl.DataFrame, family: str) -> dict[str, float]:
    """What the metrics say of a vector's row group in `by_condition`: of one family.

    `steer_from` and `steer_to`: the share that is sycophantic of questions answered otherwise, as
    they are and with one natural gap added; `back_from` and `back_to`: of those answered
    sycophantically, with one gap taken away. `random_to` and `random_most`: where random vectors
    of the same length take the former, in the mean and at most; `random_share`: that mean as a
    share of the way from `steer_from` to `steer_to`, 1 where that leads nowhere. `ablation_effect`:
    the share of the difference of both kinds that is gone where the coordinate is at its mean.
    """
    held = doses.filter(pl.col("family") == family)
    own, random = (held.filter((pl.col("direction") == OWN) == is_own) for is_own in (True, False))
    more, less = (
        own.filter(pl.col("kind") == "add", pl.col("dose") == dose).row(0, named=True)
        for dose in (1.0, -1.0)
    )
    mean = own.filter(pl.col("kind") == "mean").row(0, named=True)
    way = more["rate_0"] - more["before_0"]
    reached = random.filter(pl.col("kind") == "add")["rate_0"].to_numpy()
    found = {"n": more["n"], "steer_from": more["before_0"]}
    found |= {f"steer_to{end}": more[f"rate_0{end}"] for end in ENDS}
    found |= {"back_from": less["before_1"]}
    found |= {f"back_to{end}": less[f"rate_1{end}"] for end in ENDS}
    found |= {"random_to": float(reached.mean()), "random_most": float(reached.max())}
    found["random_share"] = (found["random_to"] - found["steer_from"]) / way if way > 0 else 1.0
    at_first = more["before_1"] - more["before_0"]
    for end, other in zip(ENDS, ("", "_high", "_low"), strict=True):
        found[f"ablation_effect{end}"] = 1 - mean[f"apart{other}"] / at_first
    return found


def with_predictivity(effects: pl.DataFrame, cells: pl.DataFrame) -> pl.DataFrame:
    """`effects` with the `auroc` on `test` of each vector's projection, read after the prompt at
    the layer it was made at."""
    own = (pl.col("extraction_layer") == pl.col("layer")) & (pl.col("position") == "prompt")
    pooled = (pl.col("source") == EVERY_SOURCE) & (pl.col("readout") == "projection")
    areas = cells.filter(own & pooled & (pl.col("split") == "test")).select(
        pl.col("name").alias("vector"), "layer", "family", "auroc", "auroc_low", "auroc_high"
    )
    return effects.join(areas, on=["vector", "layer", "family"], maintain_order="left")


def agreement(effects: pl.DataFrame) -> pl.DataFrame:
    """A row a family: the rank correlation, over vectors and layers, of what a vector foretells
    (AUROC) with what it does when added (`slope`) and when taken out (`removal`)."""
    rows = []
    for (family,), held in effects.group_by("family", maintain_order=True):
        known = held.drop_nulls("auroc")
        areas, groups = known["auroc"].to_numpy(), known["vector"].to_numpy().astype(str)
        row = {"family": family, "n": len(known), "vectors": len(set(groups))}
        found = {
            by: rank_correlation(areas, known[by].to_numpy(), groups) for by in ("slope", "removal")
        }
        rows.append(row | estimate_columns(found))
    return pl.DataFrame(rows, infer_schema_length=None)


def contradictions(truth: PlantedCause, found: Mapping[str, Mapping[str, float]]) -> list[str]:
    """What of `headline_of`, by family, the planted cause speaks against.

    A vector of opinions that was made after the answer: where both tenses have one direction, it
    decides opinions, and misconceptions where these have the same cause and only then.
    """
    wrong = []
    for family, held in found.items():
        decides = truth.separate_record == 1 and (family == "opinion" or truth.n_causes == 1)
        if decides and (held["steer_from"] >= 0.3 or held["steer_to"] <= 0.7):
            wrong.append(
                f"{family}: added, it takes {held['steer_from']:.2f} to {held['steer_to']:.2f}"
            )
        if decides and held["random_share"] >= 0.25:
            wrong.append(f"{family}: a random vector goes {held['random_share']:.0%} of the way")
        if decides and held["ablation_effect"] <= 0.5:
            wrong.append(f"{family}: taken out, {held['ablation_effect']:.0%} of it is gone")
        further = held["steer_to"] - held["random_to"]
        if truth.separate_record == 1 and not decides and further >= 0.25:
            wrong.append(f"{family}: moved {further:.2f} further than by chance, without a cause")
    return wrong


def prompting_table(answers: pl.DataFrame) -> pl.DataFrame:
    """A row a way of asking (`way`, `towards`, `examples`, and `labels` where there are any) and
    family, all seeds together: the
    share of questions whose answer is `turned`, of those not answered so by the model itself, and
    the mean `shift` of the log-odds; intervals clustered by item, in all draws of the examples.
    Missing for prompts that do not fit."""
    rows = []
    keys = ["way", "towards", "examples", *({"labels"} & {*answers.columns}), "family"]
    for values, held in answers.group_by(keys, maintain_order=True):
        row: dict[str, object] = dict(zip(keys, values, strict=True))
        items = held["item"].to_numpy().astype(str)
        shift = (held["after"] - held["before"]).to_numpy()
        other = (held["label"] == (0 if row["towards"] else 1)).to_numpy()
        turned = ((held["after"] > 0) == row["towards"]).to_numpy()
        row |= {"n": held["id"].n_unique(), "seeds": held["seed"].n_unique()}
        row |= {"n_turned": held.filter(other)["id"].n_unique(), "items": len(set(items))}
        found = {"shift": clustered_mean(shift, items)}
        if other.any():
            found["turned"] = clustered_share(turned[other], items[other])
        missing = dict.fromkeys(estimate_columns(found)) if np.isnan(shift).any() else {}
        rows.append(row | estimate_columns(found) | missing)
    return pl.DataFrame(rows, infer_schema_length=None)
