"""The verdict on one model in a sentence or two and a table of a row for each family."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from sycophancy_steering.config.suite import read_suite
from sycophancy_steering.documentation.report_values import estimate_text, markdown_table
from sycophancy_steering.formatting.numbers import (
    Interval,
    Range,
    interval_of,
    interval_text,
    number_text,
    range_text,
)
from sycophancy_steering.report.verdict import STRENGTH, predicts
from sycophancy_steering.schemas.analysis import PREDICTIVITY
from sycophancy_steering.schemas.interventions import DOSE_RESPONSE, OWN
from sycophancy_steering.schemas.labels import BEHAVIOUR
from sycophancy_steering.schemas.power import POWER
from sycophancy_steering.storage.cell_files import EVERY_SOURCE
from sycophancy_steering.storage.label_files import not_sycophantic

HEADINGS = (
    "Question", "Gives in (otherwise)", "AUROC before it answers", "AUROC after",
    "Steering, log-odds (random vectors)",
)  # fmt: skip
TOO_FEW = "too few answers to say"
POSITIONS = {"auroc": "before it answers", "continuation_auroc": "after"}


def short_verdict(model: str) -> str:
    """What a model does, what predicts it and what causes it, from the tables that git has.

    Where no AUROC could have been found (the table POWER), there are too few answers to say.
    """
    suite = read_suite(model)
    behaviour = BEHAVIOUR.read(model=model, prompt_set=suite.evaluation_set)
    pooled = behaviour.filter(pl.col("source") == EVERY_SOURCE)
    nothing = not_sycophantic(behaviour)
    power = POWER.read(model=model).filter(pl.col("planted") == "as_labelled")
    families = [row for row in pooled.iter_rows(named=True) if row["family"] not in nothing]
    predictivity = PREDICTIVITY.read(model=model).filter(pl.col("vector") == suite.headline)
    aurocs = {row["family"]: row for row in predictivity.iter_rows(named=True)}
    detectable = {
        row["family"]: row["detectable_auroc"]
        for row in power.drop_nulls("detectable_auroc").iter_rows(named=True)
        if row["family"] not in nothing
    }
    effects = steering_effects(DOSE_RESPONSE.read(model=model), suite.headline)
    outcomes = {
        position: [
            family
            for family in detectable
            if (auroc := interval_of(aurocs[family], position)) and predicts(auroc) == "predicted"
        ]
        for position in POSITIONS
    }
    causes = [name for name, (shift, random) in effects.items() if shift.low > max(0, random.high)]
    before, after = (share(names, detectable) for names in outcomes.values())
    lines = [
        f"- **Is it sycophantic?** In {len(families)} of {len(pooled)} kinds of question"
        + (f" (not in {', '.join(sorted(nothing))})." if nothing else "."),
        f"- **Does the vector predict it?** Before it answers, in {before} kinds with enough "
        f"answers; after, in {after} (`{suite.headline}`).",
        f"- **Could that have been found?** {found_sentence([*detectable.values()])}",
        f"- **Is the vector a cause?** Adding it does more than random vectors in "
        f"{share(causes, effects)}.",
    ]
    rows = [family_row(row, aurocs, detectable, effects) for row in families]
    return "\n".join([*lines, "", markdown_table(HEADINGS, rows)])


def share(some: Sequence[str], of: Mapping[str, Any]) -> str:
    """`**none of 3**`, or `**1 of 3** (opinion)`."""
    names = f" ({', '.join(some)})" if some else ""
    return f"**{len(some) or 'none'} of {len(of)}**{names}"


def found_sentence(detectable: Sequence[float]) -> str:
    """The size of effect that a study like this one would have found."""
    if not detectable:
        return "No: there are too few answers."
    lowest, highest = number_text(min(detectable)), number_text(max(detectable))
    return (
        "With as many answers, four of five such studies find a true AUROC of "
        f"{lowest if lowest == highest else f'{lowest} to {highest}, by kind of question'}."
    )


def steering_effects(responses: pl.DataFrame, headline: str) -> dict[str, tuple[Interval, Range]]:
    """What adding the vector once does to the log-odds of giving in, and the range of what random
    vectors of its norm do, by family."""
    added = responses.filter(
        pl.col("vector") == headline, pl.col("kind") == "add", pl.col("coefficient") == STRENGTH
    )
    random = {
        family: Range(low, high)
        for family, low, high in added.filter(pl.col("direction") != OWN)
        .group_by("family")
        .agg(pl.col("shift").min().alias("low"), pl.col("shift").max().alias("high"))
        .drop_nulls()
        .iter_rows()
    }
    return {
        row["family"]: (shift, random[row["family"]])
        for row in added.filter(pl.col("direction") == OWN).iter_rows(named=True)
        if (shift := interval_of(row, "shift")) and row["family"] in random
    }


def family_row(
    behaviour: Mapping[str, Any],
    aurocs: Mapping[str, Mapping[str, Any]],
    detectable: Mapping[str, float],
    effects: Mapping[str, tuple[Interval, Range]],
) -> list[str]:
    """The cells of one family."""
    family = behaviour["family"]
    rate = estimate_text(behaviour, "rate")
    cells = [family, f"{rate} ({number_text(behaviour['control_rate'])})"]
    for position in POSITIONS:
        auroc = estimate_text(aurocs[family], position)
        cells.append(auroc if family in detectable else TOO_FEW)
    shift, random = effects.get(family, (None, None))
    return [*cells, f"{interval_text(shift)} ({range_text(random)})" if shift else "-"]
