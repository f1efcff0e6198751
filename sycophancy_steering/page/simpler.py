"""What simpler things than the vector predict, family by family: which of them does best."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from sycophancy_steering.formatting.numbers import Interval, Range, interval_of, range_of
from sycophancy_steering.page.study import Study
from sycophancy_steering.schemas import analysis, comparison
from sycophancy_steering.storage.cell_files import EVERY_SOURCE

WORDS, PROBE, MARGIN = "words of the prompt", "linear probe", "logit margin"
FROM_LOGPROBS = ("logprob", "logprob_per_token", "flipped", "mc1", "mc2")
"""Label sources that are read from the same log-probabilities as the margin."""


@dataclass(frozen=True)
class Simpler:
    """The headline vector before the answer, beside what needs no vector, for one family."""

    family: str
    n: int
    n_items: int
    vector: Interval
    predictors: Mapping[str, Interval]
    """Words of the prompt, linear probe, logit margin: those that are known."""
    random: Range | None
    """The central 95% of random directions."""
    added_to_words: Interval | None
    """What the projection adds to the AUROC of the prompt's words."""
    over_probe: Interval | None
    """The vector's AUROC less the probe's, on the same answers."""
    margin_is_label: bool
    """Whether the label is read off the margin, which then is no baseline."""

    @property
    def best(self) -> tuple[str, Interval]:
        """The simpler thing that predicts best; a random direction where nothing else is known."""
        left_out = {MARGIN} if self.margin_is_label else set()
        known = {name: auroc for name, auroc in self.predictors.items() if name not in left_out}
        if not known:
            middle = (self.random.low + self.random.high) / 2 if self.random else 0.5
            ends = (self.random.low, self.random.high) if self.random else (0.5, 0.5)
            return "random directions", Interval(middle, *ends)
        return max(known.items(), key=lambda entry: entry[1].value)

    @property
    def better(self) -> bool:
        """Whether the vector is shown to be better than the best of them."""
        name, auroc = self.best
        if self.vector.low <= 0.5 or (self.random and self.vector.value <= self.random.high):
            return False
        if name == WORDS:
            return self.added_to_words is not None and self.added_to_words.low > 0
        if name == PROBE:
            return self.over_probe is not None and self.over_probe.low > 0
        return self.vector.low > auroc.high


def simpler_things(study: Study) -> list[Simpler]:
    """One entry a family in which there is something to predict, where its AUROC is known."""
    suite = study.suite
    at_prompt = study.cells.filter("selected", pl.col("position") == "prompt")
    headline = {
        row["family"]: row
        for row in at_prompt.filter(pl.col("vector") == suite.headline).iter_rows(named=True)
    }
    probe = f"{suite.headline_set}/probe"
    probes = {
        row["family"]: row
        for row in at_prompt.filter(pl.col("vector") == probe).iter_rows(named=True)
    }
    differences = comparison.DIFFERENCES.read().filter(
        pl.col("model") == study.model, pl.col("vector") == probe
    )
    minus = {row["family"]: row for row in differences.iter_rows(named=True)}
    validity = analysis.INCREMENTAL_VALIDITY.read(model=study.model).filter(
        pl.col("source") == EVERY_SOURCE
    )
    fitted = {(row["family"], row["predictor"]): row for row in validity.iter_rows(named=True)}
    entries = []
    for family in study.families:
        row = headline.get(family)
        vector = interval_of(row, "auroc") if row else None
        if row is None or vector is None:
            continue
        rows = {
            WORDS: fitted.get((family, "text")),
            PROBE: probes.get(family),
            MARGIN: fitted.get((family, "margin")),
        }
        aurocs = {name: interval_of(one, "auroc") for name, one in rows.items() if one}
        both, less = fitted.get((family, "text + projection")), minus.get(family)
        over = interval_of(less, "auroc_difference") if less else None
        entries.append(
            Simpler(
                family,
                row["n"],
                row["n_items"],
                vector,
                {name: auroc for name, auroc in aurocs.items() if auroc},
                range_of(row, "random"),
                interval_of(both, "added_auroc") if both else None,
                Interval(-over.value, -over.high, -over.low) if over else None,
                suite.label_source in FROM_LOGPROBS,
            )
        )
    return entries
