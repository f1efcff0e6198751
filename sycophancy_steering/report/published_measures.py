"""What published figures measure, and what of ours stands beside each measure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import polars as pl

from sycophancy_steering.config.suite import Suite
from sycophancy_steering.formatting.numbers import Interval, interval_of
from sycophancy_steering.report.predictivity import headline_facts
from sycophancy_steering.schemas.interventions import CAUSAL_EFFECTS, DOSE_RESPONSE, OWN
from sycophancy_steering.schemas.labels import BEHAVIOUR
from sycophancy_steering.storage.cell_files import EVERY_SOURCE, pooled_over_sources, read_cells


@dataclass(frozen=True)
class OurNumber:
    """A number of this study, with its 95% interval if it has one, and its number of answers."""

    value: float
    low: float | None
    high: float | None
    n: int | None


@dataclass(frozen=True)
class Measure:
    """A published measure."""

    words: str
    """What it is."""
    ours: str
    """The name of the numbers of `OurNumbers` that are the same or nearly so; empty where none
    is."""
    differs: str
    """How ours differs, or why there is none."""


MEASURES: Mapping[str, Measure] = {
    "auroc": Measure(
        "AUROC of a direction",
        "aurocs",
        "ours is of the headline vector on topics and people it was not made from, at a layer "
        "chosen on others, read before the answer",
    ),
    "rate": Measure(
        "share of sycophantic answers",
        "rates",
        "ours counts answers to our own questions that count (the model was right before)",
    ),
    "answer_probability": Measure(
        "mean probability of the sycophantic option",
        "probabilities",
        "ours is against the likeliest other option, of questions that the vector was not made "
        "from, those answered either way weighted by their shares",
    ),
    "rate_change": Measure(
        "change of the sycophantic share by steering",
        "rate_changes",
        "ours is of questions half of which were answered sycophantically before",
    ),
    "rate_change_random": Measure(
        "the same by a random vector",
        "",
        "ours is in log-odds: the section on cause has the range of random vectors",
    ),
    "random_share": Measure(
        "effect of a random vector over that of the vector",
        "random_shares",
        "ours is the furthest of the random vectors over the vector's own, in log-odds per unit",
    ),
    "correlation": Measure(
        "correlation of the projection with a graded outcome",
        "rank_correlations",
        "ours is Spearman's, with the shift of the log-odds by the user's words, not a judge's "
        "trait score over several kinds of prompt",
    ),
    "judge_score": Measure(
        "a judge's score of open answers", "", "no open answers are judged in this study"
    ),
    "missed_by_substring": Measure(
        "share of capitulations that a search for the answer's words misses",
        "",
        "no second grader reads the answers in this study",
    ),
    "transfer_auroc": Measure(
        "AUROC on another behaviour", "", "this study asks nothing about lying"
    ),
    "transfer_r_squared": Measure(
        "share of the transfer that cosines explain",
        "",
        "ours is a rank correlation, in the section on transfer",
    ),
    "auroc_change": Measure(
        "change of the AUROC by training", "", "ours is in reports/tuning.md, after `make tuning`"
    ),
    "training_correlation": Measure(
        "correlation of a shift by training with a trait score",
        "",
        "ours is in reports/tuning.md, after `make tuning`",
    ),
    "balanced_accuracy": Measure(
        "balanced accuracy", "", "this study chooses no threshold: see the AUROC"
    ),
}


@dataclass(frozen=True)
class OurNumbers:
    """The numbers of one model of this study, each by kind of question; read when they are asked
    for."""

    model: str
    suite: Suite

    def of(self, measure: Measure, family: str, coefficient: float | None) -> OurNumber | None:
        """The number beside a published one; None where there is none."""
        if not measure.ours:
            return None
        if measure.ours == "rate_changes":
            return None if coefficient is None else self.rate_changes.get((family, coefficient))
        if measure.ours == "probabilities":
            return self.probabilities.get((family, coefficient or 0.0))
        return getattr(self, measure.ours).get(family)

    @cached_property
    def aurocs(self) -> Mapping[str, OurNumber]:
        """Of the headline vector."""
        return _numbers((row["family"], row["auroc"], row["n"]) for row in self._headline)

    @cached_property
    def rank_correlations(self) -> Mapping[str, OurNumber]:
        """Of the headline vector with the shift of the log-odds."""
        return _numbers(
            (row["family"], interval_of(row, "rank_correlation"), row["n_shifts"])
            for row in self._headline
        )

    @cached_property
    def rates(self) -> Mapping[str, OurNumber]:
        """Shares of sycophantic answers."""
        table = BEHAVIOUR.read(model=self.model, prompt_set=self.suite.evaluation_set)
        pooled = table.filter(pl.col("source") == EVERY_SOURCE)
        return _numbers(
            (row["family"], interval_of(row, "rate"), row["n"]) for row in pooled.to_dicts()
        )

    @cached_property
    def probabilities(self) -> Mapping[tuple[str, float], OurNumber]:
        """Of the sycophantic option, by kind of question and coefficient of the first vector
        added (0: none)."""
        probabilities = {}
        for row in self._added.to_dicts():
            family, coefficient = row["family"], row["coefficient"]
            for key, when in (((family, 0.0), "baseline_"), ((family, coefficient), "")):
                either = [row[f"{when}probability_{label}"] for label in (0, 1)]
                if family in self.rates and None not in either:
                    rate = self.rates[family].value
                    value = (1 - rate) * either[0] + rate * either[1]
                    probabilities[key] = OurNumber(value, None, None, row["n"])
        return probabilities

    @cached_property
    def rate_changes(self) -> Mapping[tuple[str, float], OurNumber]:
        """By kind of question and coefficient, along the first vector that is added."""
        return _numbers(
            ((row["family"], row["coefficient"]), _change(row), row["n"])
            for row in self._added.to_dicts()
        )

    @cached_property
    def _added(self) -> pl.DataFrame:
        """What the first vector that is added does, by kind of question and coefficient."""
        return DOSE_RESPONSE.read(model=self.model).filter(
            pl.col("vector") == self.suite.intervention_vectors[0],
            pl.col("direction") == OWN,
            pl.col("kind") == "add",
        )

    @cached_property
    def random_shares(self) -> Mapping[str, OurNumber]:
        """Of the first vector that is added; without an interval."""
        effects = CAUSAL_EFFECTS.read(model=self.model).filter(
            pl.col("vector") == self.suite.intervention_vectors[0]
        )
        shares = {}
        for row in effects.to_dicts():
            ends = [row["random_slope_lowest"], row["random_slope_highest"], row["slope"]]
            if all(end is not None and end == end for end in ends) and row["slope"]:
                lowest, highest, slope = map(abs, ends)
                share = max(lowest, highest) / slope
                shares[row["family"]] = OurNumber(share, None, None, row["n"])
        return shares

    @cached_property
    def _headline(self) -> Sequence[Mapping[str, Any]]:
        cells = pooled_over_sources(read_cells(self.model, [self.suite.headline_set]))
        return headline_facts(cells, self.suite.headline)


def _change(row: Mapping[str, Any]) -> Interval | None:
    """The change of the sycophantic share, answers of both kinds together."""
    before = [row["baseline_rate_0"], row["baseline_rate_1"]]
    after = [row["rate_0"], row["rate_1"]]
    counts = [row["n_0"], row["n_1"]]
    known = [
        (count, new - old)
        for count, old, new in zip(counts, before, after, strict=True)
        if count and old is not None and new is not None and old == old and new == new
    ]
    total = sum(count for count, _ in known)
    if not total:
        return None
    nan = float("nan")
    return Interval(sum(count * change for count, change in known) / total, nan, nan)


def _numbers(rows: Any) -> dict[Any, OurNumber]:
    """Numbers by key, without those that are undefined; bounds that are undefined are None."""
    return {
        key: OurNumber(interval.value, _known(interval.low), _known(interval.high), n)
        for key, interval, n in rows
        if interval is not None
    }


def _known(bound: float) -> float | None:
    return None if bound != bound else bound
