"""What adding a vector, or removing it, does. Figures take tables of schemas/interventions.py."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from sycophancy_steering.figures.drawn import Drawn, by_family, caption, listed
from sycophancy_steering.figures.style import (
    NULL,
    Style,
    chance_line,
    family_rows,
    interval_points,
    legend_below,
    method_order,
    method_style,
    wrapped_panels,
)
from sycophancy_steering.figures.subject import Subject
from sycophancy_steering.formatting.numbers import interval_of, interval_text
from sycophancy_steering.schemas import interventions
from sycophancy_steering.schemas.interventions import OWN
from sycophancy_steering.schemas.table import estimate

RATES = {"rate_1": "answers that were sycophantic", "rate_0": "answers that were not"}
"""Columns of DOSE_RESPONSE by the label of the unchanged answer."""
REMOVALS = {
    "remove": "component removed",
    "everywhere": "at every layer, token",
    "mean": "set to its mean",
    "leace": "erased (LEACE)",
}
TICKS = {"remove": "removed", "everywhere": "removed\neverywhere", "mean": "to its\nmean"}
"""Short words for axes; `leace` is its own."""
GAP = 1.4
"""Between the largest coefficient and the removals, on the x axis."""
OFFSET = 0.13
"""Of the two lines, to the left and to the right, so that intervals can be told apart."""


def dose_response(responses: pl.DataFrame, subject: Subject, vector: str) -> Drawn:
    """The share of sycophantic answers against the coefficient, and after each kind of removal.

    A line for either kind of question; grey: the range of random vectors of the same norm.
    `responses` holds one vector's rows of the table DOSE_RESPONSE.
    """
    families = subject.drawn(responses["family"])
    kinds = [kind for kind in REMOVALS if kind in {*responses["kind"]}]
    added = responses.filter(pl.col("kind") == "add")
    coefficients = sorted({0.0, *added["coefficient"]})
    at = {kind: coefficients[-1] + GAP * (n + 1) for n, kind in enumerate(kinds)}
    figure, axes = wrapped_panels(
        f"{subject.model}: adding and removing {vector}, layer {responses['layer'][0]}",
        families,
        2.4,
    )
    for axis, family in zip(axes, families, strict=True):
        part = responses.filter(pl.col("family") == family)
        style = method_style(vector)
        for (rate, label), own_style in zip(RATES.items(), (style, style.second()), strict=True):
            shift = OFFSET if own_style.hollow else -OFFSET
            _responses(axis, part, rate, own_style, shift)
            _removals(axis, part, rate, own_style, {kind: x + shift for kind, x in at.items()})
            ends: dict[str, Any] = {
                "marker": own_style.marker,
                "mfc": own_style.face,
                "color": style.colour,
            }
            axis.plot([], [], ls=own_style.dashes, label=label, **ends)
        axis.plot([], [], color=NULL, lw=6, label="random vectors, range")
        axis.set_ylim(-0.05, 1.05)
        names = [f"{number:g}" for number in coefficients]
        names += [TICKS.get(kind, kind) for kind in kinds]
        axis.set_xticks([*coefficients, *at.values()], names)
        axis.set_xlabel("coefficient")
    for axis in axes[:: 2 if len(axes) in (2, 4) else 3]:
        axis.set_ylabel("share sycophantic")
    legend_below(figure, *axes[:1])
    own = responses.filter(pl.col("direction") == OWN, pl.col("family").is_in(families))
    first = own.unique("family", maintain_order=True)
    sizes = [
        (row["family"], f"{row['n_1']} and {row['n_0']} in {row['n_items']} items")
        for row in first.iter_rows(named=True)
    ]
    words = caption(
        _moved(responses, families),
        f"Interval: 95%, clustered by item; answers, sycophantic and not: {by_family(sizes)}."
        if sizes
        else "",
        subject.left_out(responses["family"]),
        f"All numbers: {interventions.DOSE_RESPONSE.path(model=subject.model)}.",
    )
    return Drawn(figure, words)


def _moved(responses: pl.DataFrame, families: list[str]) -> str:
    """Where the largest coefficient turns more of the other answers than any random vector does,
    at the largest coefficient that random vectors have."""
    if not families:
        return ""
    added = responses.filter(pl.col("kind") == "add", pl.col("coefficient") > 0)
    strongest = added.filter(pl.col("direction") != OWN)["coefficient"].max()
    beyond, not_beyond = [], []
    for family in families:
        at = added.filter(pl.col("family") == family, pl.col("coefficient") == strongest)
        own = at.filter(pl.col("direction") == OWN)["rate_0"].max()
        random = at.filter(pl.col("direction") != OWN)["rate_0"].max()
        if own is not None and random is not None:
            (beyond if own > random else not_beyond).append(family)  # type: ignore[operator]
    facts = []
    if beyond:
        facts.append(f"more than any random vector in {listed(beyond)}")
    if not_beyond:
        facts.append(f"no more than random vectors in {listed(not_beyond)}")
    if not facts:
        return "No random vectors were tried."
    return (
        f"At coefficient {strongest:g}, the vector turns other answers sycophantic {listed(facts)}."
    )


def _responses(axis: Axes, part: pl.DataFrame, rate: str, style: Style, shift: float) -> None:
    """One line, which passes through the rate without intervention at 0."""
    added = part.filter(pl.col("kind") == "add")
    own = added.filter(pl.col("direction") == OWN).sort("coefficient")
    interval_points(axis, own["coefficient"].to_numpy() + shift, own, rate, style)
    points = {0.0: part[f"baseline_{rate}"][0]} | dict(own.select("coefficient", rate).iter_rows())
    x = np.array(sorted(points))
    values = [points[key] for key in x]
    axis.plot(x + shift, values, ls=style.dashes, color=style.colour, lw=1.3)
    axis.plot(shift, points[0.0], style.marker, color=style.colour, mfc=style.face, ms=5)
    ranges = (
        added.filter(pl.col("direction") != OWN)
        .group_by("coefficient")
        .agg(pl.col(rate).min().alias("lowest"), pl.col(rate).max().alias("highest"))
    )
    for coefficient, lowest, highest in ranges.iter_rows():
        _random_range(axis, coefficient + shift, lowest, highest)


def _removals(
    axis: Axes, part: pl.DataFrame, rate: str, style: Style, at: dict[str, float]
) -> None:
    """A point with its interval for each kind of removal."""
    for kind, x in at.items():
        rows = part.filter(pl.col("kind") == kind)
        own = rows.filter(pl.col("direction") == OWN)
        interval_points(axis, np.full(len(own), x), own, rate, style)
        random = rows.filter(pl.col("direction") != OWN)[rate]
        if len(random):
            _random_range(axis, x, random.min(), random.max())


def _random_range(axis: Axes, x: float, lowest: object, highest: object) -> None:
    ends = np.array([lowest, highest], float) + np.array([-0.01, 0.01])
    axis.plot([x, x], ends, color=NULL, lw=8, alpha=0.75, solid_capstyle="butt", zorder=0)


def two_layers(shifts: pl.DataFrame, subject: Subject, vector: str) -> Drawn:
    """How far adding at two layers differs from the sum of both, in log-odds, by family.

    Bold where the simultaneous interval excludes 0. `shifts` is the table TWO_LAYERS.
    """
    families = subject.drawn(shifts["family"])
    first, second = (sorted(shifts[column].unique()) for column in ("layer", "second_layer"))
    figure, axes = wrapped_panels(
        f"{subject.model}: adding {vector} at two layers at once, half at each", families, 2.9
    )
    largest = float(shifts["nonadditivity"].abs().max() or 1.0)  # type: ignore[arg-type]
    colours = Normalize(-largest, largest)
    apart = []
    for axis, family in zip(axes, families, strict=True):
        of_family = shifts.filter(pl.col("family") == family)
        grid = np.full((len(first), len(second)), np.nan)
        for row in of_family.iter_rows(named=True):
            y, x = first.index(row["layer"]), second.index(row["second_layer"])
            interval = interval_of(row, "nonadditivity")
            if interval is None:
                continue
            grid[y, x] = interval.value
            holds_0 = interval.low <= 0 <= interval.high
            if not holds_0:
                apart.append(f"{family} at {row['layer']} and {row['second_layer']}")
            words = interval_text(interval).replace(" [", "\n[")
            weight = "normal" if holds_0 else "bold"
            axis.text(x, y, words, ha="center", va="center", fontsize=8, weight=weight)
        axis.imshow(grid, cmap="PuOr", norm=colours, alpha=0.7, aspect="auto")
        axis.set_xticks(range(len(second)), second)
        axis.set_yticks(range(len(first)), first)
        axis.set_xlabel("second layer")
    if axes:
        axes[0].set_ylabel("first layer")
        label = "shift minus the sum of both, log-odds"
        figure.colorbar(ScalarMappable(colours, "PuOr"), ax=axes, label=label, shrink=0.8)
    words = caption(
        f"Both together do not add up (bold): {listed(apart)}."
        if apart
        else "Nowhere is the shift shown to differ from the sum of both.",
        "Intervals: simultaneous 95%, clustered by item.",
        subject.left_out(shifts["family"]),
        f"All numbers: {interventions.TWO_LAYERS.path(model=subject.model)}.",
    )
    return Drawn(figure, words)


def effect_against_auroc(effects: pl.DataFrame, agreement: pl.DataFrame, subject: Subject) -> Drawn:
    """What each vector does at each layer, added and removed, against its AUROC there.

    `effects` and `agreement` are the tables EFFECTS and AGREEMENT of interventions.
    """
    families = subject.drawn(effects["family"])
    columns = {"slope": "added", "removal": "removed"}
    figure, axes = family_rows(
        f"{subject.model}: do vectors that predict better also do more?",
        families,
        [*columns.values()],
        2.0,
    )
    facts = []
    for row, family in zip(axes, families, strict=True):
        over_all = agreement.filter(pl.col("family") == family).row(0, named=True)
        of_family = effects.filter(pl.col("family") == family).drop_nulls("auroc")
        for axis, (effect, words) in zip(row, columns.items(), strict=True):
            for vector in sorted(of_family["vector"].unique(), key=method_order):
                _effects_of(axis, of_family.filter(pl.col("vector") == vector), effect, vector)
            chance_line(axis, 0.0)
            chance_line(axis, vertical=True)
            axis.set_ylabel("effect on the log-odds")
            facts.append(
                (
                    f"{family}, {words}",
                    f"{interval_text(interval_of(over_all, effect))} over {over_all['n']}",
                )
            )
    for axis in axes[-1] if axes else ():
        axis.set_xlabel("AUROC on test, after the prompt")
    legend_below(figure, *(axes[0][:1] if axes else ()))
    words = caption(
        f"Rank correlation of both, over vectors and layers: {by_family(facts)}." if facts else "",
        "Each point is a vector at a layer, colours and markers are methods; interval: 95%, "
        "clustered by item.",
        subject.left_out(effects["family"]),
        f"All numbers: {interventions.EFFECTS.path(model=subject.model)}.",
    )
    return Drawn(figure, words)


def _effects_of(axis: Axes, effects: pl.DataFrame, effect: str, vector: str) -> None:
    value, low, high = (effects[column].to_numpy() for column in estimate(effect))
    style = method_style(vector)
    axis.errorbar(
        effects["auroc"],
        value,
        yerr=np.abs(np.stack([low, high]) - value),
        label=vector.rpartition("/")[2],
        fmt=style.marker,
        color=style.colour,
        mfc=style.face,
        ms=4.5,
        lw=0.7,
    )
