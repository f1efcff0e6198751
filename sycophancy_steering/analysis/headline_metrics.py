"""The few numbers of a model that `dvc metrics` compares, and the table of all its vectors."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from sycophancy_steering.analysis.maximum_statistics import largest_statistics
from sycophancy_steering.config.suite import Suite
from sycophancy_steering.foundation.atomic_files import atomic_write, write_json
from sycophancy_steering.schemas.analysis import PREDICTIVITY
from sycophancy_steering.schemas.paths import REPORTS
from sycophancy_steering.statistics.sign_flips import p_values
from sycophancy_steering.storage.cell_files import EVERY_SOURCE, read_cells

METRICS = REPORTS / "metrics"
HEADLINE = "headline.json"
"""Among the files of METRICS: two numbers a model, under keys that no other file has, so that
`dvc exp show` names their columns by key alone."""
METRIC_DECIMALS, TABLE_DECIMALS = 3, 4


def write_metrics(suites: Mapping[str, Suite], selected: pl.DataFrame) -> None:
    """Writes METRICS: a file a model (`headline_metrics`), and HEADLINE (`headline_aurocs`)."""
    headline: dict[str, object] = {}
    with atomic_write(METRICS) as draft:
        for model, suite in suites.items():
            cells = read_cells(model, [suite.headline_set])
            of_model = selected.filter(pl.col("model") == model)
            metrics = headline_metrics(cells, of_model, suite.headline)
            write_json(draft / f"{model}.json", metrics)
            headline[model] = headline_aurocs(cells, of_model, suite.headline)
        write_json(draft / HEADLINE, headline)


def headline_aurocs(cells: pl.DataFrame, selected: pl.DataFrame, headline: str) -> dict[str, float]:
    """`auroc` of the headline vector and `best_auroc` of the vectors and layers selected: of all
    pairs of a sycophantic and another answer in the same family, how many the projection puts in
    the right order, on `test`, read after the prompt. Arguments as of `headline_metrics`."""
    n_pairs = pl.col("n_sycophantic").cast(pl.Int64) * (pl.col("n") - pl.col("n_sycophantic"))
    of_headline = pooled_after_prompt(cells).filter("selected", pl.col("vector") == headline)
    pairs = of_headline.select("family", n_pairs.alias("n_pairs"))
    best = selected.filter(pl.col("position") == "prompt").select("family", "auroc")
    aurocs: dict[str, float] = {}
    for key, table in (("auroc", of_headline.select("family", "auroc")), ("best_auroc", best)):
        weighted = table.filter(pl.col("auroc").is_not_nan()).join(pairs, on="family")
        total = int(weighted["n_pairs"].sum())
        if total:
            right = float((weighted["auroc"] * weighted["n_pairs"]).sum())
            aurocs[key] = round(right / total, METRIC_DECIMALS)
    return aurocs


def headline_metrics(
    cells: pl.DataFrame, selected: pl.DataFrame, headline: str
) -> dict[str, object]:
    """`layer`, and for each family `FAMILY_auroc` and `FAMILY_best`: AUROCs on `test`, read after
    the prompt, of the headline vector, and of the vector and layer selected among all.

    `cells` are those of `read_cells`, `selected` the table SELECTED, both of one model. A family
    with one class of answers has no keys.
    """
    of_headline = pooled_after_prompt(cells).filter("selected", pl.col("vector") == headline)
    metrics: dict[str, object] = {"layer": of_headline["layer"][0]}
    for family, auroc in of_headline.select("family", "auroc").iter_rows():
        if auroc == auroc:
            metrics[f"{family}_auroc"] = round(auroc, METRIC_DECIMALS)
    best = selected.filter(pl.col("position") == "prompt").sort("family")
    aurocs = dict(best.select("family", "auroc").iter_rows())
    for family in of_headline["family"]:
        if family in aurocs:
            metrics[f"{family}_best"] = round(aurocs[family], METRIC_DECIMALS)
    return metrics


def pooled_after_prompt(cells: pl.DataFrame) -> pl.DataFrame:
    """The cells read after the prompt that pool all sources of their family."""
    return cells.filter(pl.col("source") == EVERY_SOURCE, pl.col("position") == "prompt")


def predictivity_table(model: str, extraction_sets: list[str]) -> pl.DataFrame:
    """The table PREDICTIVITY: every vector on every family, read after the prompt and after the
    model's own answer, each at its selected layer."""
    cells = read_cells(model, extraction_sets).filter("selected", pl.col("source") == EVERY_SOURCE)
    keys = ["vector", "family"]
    ends = ["auroc", "auroc_low", "auroc_high"]
    prompt = cells.filter(pl.col("position") == "prompt")
    continuation = cells.filter(pl.col("position") == "continuation").select(
        *keys, *(pl.col(end).alias(f"continuation_{end}") for end in ends)
    )
    maxima = largest_statistics(model, extraction_sets, "rank_maximum")
    over_all = p_values(prompt["rank_statistic"].fill_null(0).to_numpy(), maxima)
    tested = ~pl.col("null") & pl.col("rank_statistic").is_not_null()  # nulls are no candidates
    table = prompt.with_columns(
        rank_correlation_p_all_cells=pl.when(tested).then(pl.Series(over_all))
    ).join(continuation, on=keys, how="left", maintain_order="left")
    floats = [name for name, kind in PREDICTIVITY.columns.items() if kind == pl.Float64]
    return table.select(*PREDICTIVITY.columns).with_columns(pl.col(floats).round(TABLE_DECIMALS))
