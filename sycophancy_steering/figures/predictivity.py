"""How well vectors predict: by layer, by variant, and answer by answer."""

from __future__ import annotations

import numpy as np
import polars as pl
from matplotlib.axes import Axes

from sycophancy_steering.figures.drawn import (
    Drawn,
    by_family,
    caption,
    listed,
    named_or_counted,
    runs,
)
from sycophancy_steering.figures.style import (
    AUROC_RANGE,
    METHOD_STYLES,
    MOST_SERIES,
    Style,
    chance_line,
    family_rows,
    layer_axis,
    legend_below,
    line_with_band,
    method_order,
    method_style,
    null_band,
    null_bars,
    points_with_intervals,
    wrapped_panels,
)
from sycophancy_steering.figures.subject import Subject
from sycophancy_steering.formatting.numbers import Interval, interval_text
from sycophancy_steering.schemas.analysis import PREDICTIVITY
from sycophancy_steering.schemas.predictivity import CELLS, SCORES
from sycophancy_steering.schemas.table import estimate
from sycophancy_steering.statistics.auroc import clustered_auroc
from sycophancy_steering.storage.cell_files import (
    POSITIONS,
    null_vectors,
    pooled_over_sources,
    vector_names,
)

AUROC = tuple(estimate("auroc"))
RANDOM = "95% of random directions"


def drawn_vectors(cells: pl.DataFrame, headline: str) -> list[str]:
    """The headline, and of up to four other methods, in the order of all figures, the vector that
    differs from it in its method alone; without such a vector, the method's first one."""
    nulls = null_vectors(cells)
    names = [name for name in vector_names(cells) if name not in nulls]
    prompt_set, _, variant = headline.partition("/")
    own = method_style(variant)
    method = next((name for name, style in METHOD_STYLES.items() if style == own), variant)
    chosen = [headline]
    for other, style in METHOD_STYLES.items():
        of_method = [name for name in names if method_style(name) == style]
        if other == method or not of_method:
            continue
        alike = f"{prompt_set}/{other}{variant.removeprefix(method)}"
        chosen.append(alike if alike in of_method else of_method[0])
    return chosen[:MOST_SERIES]


def auroc_by_layer(cells: pl.DataFrame, subject: Subject) -> Drawn:
    """AUROC on `test` by layer: a row for each family, a column for each position.

    `cells` are those of the headline's prompt set.
    """
    cells = pooled_over_sources(cells)
    families = subject.drawn(cells["family"])
    vectors = drawn_vectors(cells, subject.headline)
    figure, axes = family_rows(
        f"{subject.model}: how well vectors from {subject.prompt_set} predict, by layer",
        families,
        [*POSITIONS.values()],
    )
    for row, family in zip(axes, families, strict=True):
        for axis, position in zip(row, POSITIONS, strict=True):
            part = cells.filter(pl.col("position") == position, pl.col("family") == family)
            for vector in vectors:
                line = part.filter(pl.col("vector") == vector).sort("layer")
                thin = vector != subject.headline
                name = vector.partition("/")[2] + ("" if thin else ", 95% interval")
                style = method_style(vector)
                line_with_band(axis, line, ("layer", *AUROC), style, name, thin=thin)
            chosen = part.filter(pl.col("vector") == subject.headline, pl.col("selected"))
            ring = {
                "ms": 11,
                "mfc": "none",
                "mec": subject.style.colour,
                "mew": 1.2,
                "ls": "",
                "clip_on": False,
            }
            axis.plot(chosen["layer"], chosen["auroc"], "o", label="its selected layer", **ring)
            _random_band(axis, part)
            chance_line(axis)
            axis.set_ylim(*AUROC_RANGE)
            layer_axis(axis)
        row[0].set_ylabel("AUROC on test")
    for axis in axes[-1] if axes else ():
        axis.set_xlabel("layer (decoder block, from 0)")
    legend_below(figure, *(axes[0][:1] if axes else ()))
    return Drawn(figure, _layers_caption(cells, subject, vectors))


def _layers_caption(cells: pl.DataFrame, subject: Subject, vectors: list[str]) -> str:
    nulls = null_vectors(cells)
    others = [
        name.partition("/")[2]
        for name in vector_names(cells)
        if name not in vectors and name not in nulls
    ]
    families = subject.drawn(cells["family"])
    return caption(
        *(_where_outside(cells, subject, position) for position in POSITIONS if families),
        "A random direction leaves it at one layer in twenty.",
        f"Interval: 95%, clustered by item. {counts(cells, families)}",
        subject.left_out(cells["family"]),
        f"Thin lines differ from it in the method alone where that was tried; {len(others)} other "
        f"variants are not drawn ({', '.join(others)})."
        if others
        else "",
        f"All numbers: {CELLS.path(model=subject.model, prompt_set=subject.prompt_set)}.",
    )


def _where_outside(cells: pl.DataFrame, subject: Subject, position: str) -> str:
    """The layers at which the headline lies above the band of random directions, and below."""
    line = cells.filter(pl.col("vector") == subject.headline, pl.col("position") == position)
    sides = {
        "above": pl.col("auroc") > pl.col("random_high"),
        "below": pl.col("auroc") < pl.col("random_low"),
    }
    facts = []
    for side, outside in sides.items():
        layers = {
            family: runs(line.filter(outside, pl.col("family") == family)["layer"])
            for family in subject.drawn(cells["family"])
        }
        seen = by_family({family: words for family, words in layers.items() if words})
        facts.append(f"{side} the grey band {'at layers: ' + seen if seen else 'nowhere'}")
    return f"Read {POSITIONS[position]}, {subject.variant} lies {listed(facts)}."


def counts(cells: pl.DataFrame, families: list[str]) -> str:
    """`n: opinion 48 answers in 12 items, 28 sycophantic; ...`; nothing without families."""
    first = cells.filter(pl.col("family").is_in(families)).unique("family", maintain_order=True)
    facts = [
        (row["family"], f"{row['n']} ({row['n_items']}, {row['n_sycophantic']})")
        for row in first.iter_rows(named=True)
    ]
    return f"Answers (items, sycophantic): {by_family(facts)}." if facts else ""


def variants_side_by_side(cells: pl.DataFrame, subject: Subject) -> Drawn:
    """AUROC on `test` after the prompt, at the layer selected for each variant: a row for each."""
    cells = pooled_over_sources(cells).filter("selected", pl.col("position") == "prompt")
    families = subject.drawn(cells["family"])
    variants = sorted(cells["vector"].unique(), key=method_order)
    height = 0.17 * len(variants) + 0.35
    figure, axes = wrapped_panels(
        f"{subject.model}: how well each variant from {subject.prompt_set} predicts, "
        "after the prompt",
        families,
        height,
    )
    outside = []
    for axis, family in zip(axes, families, strict=True):
        part = cells.filter(pl.col("family") == family)
        y = np.array([variants.index(name) for name in part["vector"]])
        null_bars(axis, y, part["random_low"], part["random_high"], RANDOM)
        for height_of, row in zip(y, part.partition_by("vector", maintain_order=True), strict=True):
            style = method_style(row["vector"][0])
            points_with_intervals(axis, height_of[None], row, AUROC, style)
        chance_line(axis, vertical=True)
        axis.set_xlim(*AUROC_RANGE)
        axis.set_yticks(range(len(variants)), [name.partition("/")[2] for name in variants])
        away = part.filter(~pl.col("auroc").is_between("random_low", "random_high"))
        if names := [name.partition("/")[2] for name in away["vector"]]:
            names = sorted(names, key=method_order)
            outside.append((f"{family}:", named_or_counted(names, len(variants))))
    if axes:
        axes[0].set_ylim(len(variants) - 0.4, -0.6)
    for axis in axes:
        if axis.xaxis.get_tick_params()["labelbottom"]:
            axis.set_xlabel("AUROC on test")
    legend_below(figure, *axes[:1])
    words = caption(
        f"Beyond the grey bar lie, in {by_family(outside)}."
        if outside
        else "No variant lies beyond the grey bar."
        if families
        else "",
        "Of random directions, one in twenty does. Each is read at the layer selected for it on "
        "other answers; interval: 95%, clustered by item.",
        counts(cells, families),
        subject.left_out(cells["family"]),
        f"After the model's own answer, and all numbers: {PREDICTIVITY.path(model=subject.model)}.",
    )
    return Drawn(figure, words)


def label_against_cosine(scores: pl.DataFrame, subject: Subject) -> Drawn:
    """Whether each answer is sycophantic, against the cosine of its activation with the vector.

    `scores` holds the test answers of one vector (`family`, `item`, `position`, `layer`, `cosine`,
    `label`).
    """
    families = subject.drawn(scores["family"])
    figure, axes = family_rows(
        f"{subject.model}: answers by the cosine of their activations with {subject.headline}",
        families,
        [*POSITIONS.values()],
        1.55,
        sharey=True,
    )
    rng = np.random.default_rng(0)
    facts = []
    for row, family in zip(axes, families, strict=True):
        for axis, (position, where) in zip(row, POSITIONS.items(), strict=True):
            of = (pl.col("position") == position) & (pl.col("family") == family)
            answers = scores.filter(of)
            if answers.is_empty():
                continue
            x, y, items = (answers[name].to_numpy() for name in ("cosine", "label", "item"))
            jittered = y + rng.uniform(-0.09, 0.09, len(y))
            _answers(axis, x, jittered, subject.style)
            _fifths(axis, x, y)
            auroc = clustered_auroc(x, y, items)
            interval = Interval(float(auroc.value), float(auroc.low), float(auroc.high))
            axis.set_title(f"{family}, {where}: {interval_text(interval)}")
            facts.append((family, f"{len(y)} ({len(set(items))})"))
        row[0].set_yticks([0, 0.5, 1], ["other", "50%", "sycophantic"])
        row[0].set_ylim(-0.2, 1.2)
    for axis in axes[-1] if axes else ():
        axis.set_xlabel("cosine of the activation with the vector")
    legend_below(figure, *(axes[0][:1] if axes else ()))
    layers = {
        row["position"]: row["layer"] for row in scores.unique("position").iter_rows(named=True)
    }
    words = caption(
        "Where the vector predicts, squares rise from left to right: each is the share of "
        "sycophantic answers in a fifth of all, by cosine. Points are answers, jittered."
        if families
        else "",
        "In titles, the AUROC with its 95% interval, clustered by item. Answers (items): "
        f"{by_family(dict(facts))}."
        if facts
        else "",
        f"Read at layer {listed(sorted({*layers.values()}))}, test split." if layers else "",
        subject.left_out(scores["family"]),
        f"All numbers: {SCORES.path(model=subject.model, prompt_set=subject.prompt_set)}.",
    )
    return Drawn(figure, words)


def _random_band(axis: Axes, cells: pl.DataFrame) -> None:
    line = cells.unique("layer").sort("layer")
    layers = line["layer"].to_numpy()
    null_band(axis, layers, line["random_low"], line["random_high"], RANDOM)


def _answers(axis: Axes, x: np.ndarray, y: np.ndarray, style: Style) -> None:
    axis.plot(x, y, ".", ms=7, alpha=0.45, mew=0, color=style.colour, label="an answer", zorder=0)


def _fifths(axis: Axes, x: np.ndarray, y: np.ndarray) -> None:
    edges = np.quantile(x, np.linspace(0, 1, 6))
    part = np.clip(np.searchsorted(edges, x, side="right") - 1, 0, 4)
    centres = [x[part == n].mean() for n in range(5) if (part == n).any()]
    shares = [y[part == n].mean() for n in range(5) if (part == n).any()]
    words = "share sycophantic in a fifth"
    axis.plot(centres, shares, "s-", ms=6, lw=0.8, color="black", mec="white", label=words)
