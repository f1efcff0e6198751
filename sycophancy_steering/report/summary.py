"""The study in words and tables, as Markdown that a terminal shows well too."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

import polars as pl

from sycophancy_steering.statistics.discrimination import Estimate, simultaneous
from sycophancy_steering.storage.cell_files import POSITIONS, names, nulls, pooled, shown_name

EXPLAINED = 0.5
"""The share of the labels' variance from which on something is said to explain them."""
OF_FAMILIES = ("opinion_auroc", "misconception_auroc")
SIDES = [
    (made, read) for made in ("about_to", "just_did") for read in ("before_the_answer", "after_it")
]
"""What reads what in reports/controls.json: a tense, and the side of the answer."""
RANGES = {"random": "random directions, 95%", "shuffled": "shuffled labels, 95%"}
NULLS = {
    "letter_auroc": "the letter alone",
    "length_auroc": "prompt length",
    "margin_auroc": "logit margin",
}


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table with its columns in line."""
    widths = [max(len(str(row[n])) for row in [header, *rows]) for n in range(len(header))]
    lines = [
        "| " + " | ".join(str(c).ljust(w) for c, w in zip(row, widths, strict=True)) + " |"
        for row in [header, *rows]
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def quoted(text: object) -> str:
    """What a model wrote, or was asked, in a table's cell: no markup of its own works there."""
    safe = escape("" if text is None else str(text), quote=False)
    for mark in ("\\", "|", "`", "*", "_", "[", "]", "#"):
        safe = safe.replace(mark, f"\\{mark}")
    return " / ".join(line.strip() for line in safe.splitlines() if line.strip())


def interval(value: float, low: float, high: float) -> str:
    """`0.83 [0.78, 0.87]`, or a dash where there is nothing to estimate."""
    if value != value:
        return "-"
    value, low, high = (round(each, 2) + 0.0 for each in (value, low, high))  # no -0.00
    return f"{value:.2f} [{low:.2f}, {high:.2f}]"


def verdict(row: dict[str, float]) -> str:
    """What an AUROC shows, given its interval and that of random directions."""
    if row["auroc_low"] <= 0.5 <= row["auroc_high"]:
        return "nothing is predicted (the interval holds 0.5)"
    inside = row["random_low"] <= row["auroc"] <= row["random_high"]
    null = ", but no better than random directions" if inside else ""
    return ("predicted" if row["auroc"] > 0.5 else "predicted upside down") + null


def model_section(model: str, cells: pl.DataFrame, headline: str) -> str:
    """Answers and tables for one model; `cells` are those of its vectors (see `cell_files.py`)."""
    everything = pooled(cells)
    chosen = everything.filter("chosen")
    parts = [f"## {model}", answers(everything, headline)]
    together = chosen.filter(pl.col("auroc").is_not_nan())
    for position, where in POSITIONS.items():
        held = chosen.filter(pl.col("position") == position)
        if len(held):
            parts += [f"AUROC on `test`, read {where}:", variants_table(held, len(together))]
    parts.append(
        f"Intervals in these tables are wide enough to hold the truth of all {len(together)} cells "
        "at once (95%); those above are of the one vector that was named beforehand."
    )
    invalid = everything.unique("family", maintain_order=True)
    shares = ", ".join(
        f"{row['family']} {row['invalid_share']:.1%}" for row in invalid.iter_rows(named=True)
    )
    parts.append(f"Answers that could not be read, left out of every AUROC: {shares}.")
    return "\n\n".join(parts)


def across_section(model: str, cells: pl.DataFrame) -> str:
    """What other models' vectors read in this one, and that they are other models'."""
    held = pooled(cells).filter(pl.col("chosen") & (pl.col("position") == "prompt"))
    return "\n\n".join(
        [
            f"**Vectors of other models** (`of-MODEL-...`) on `test`, read in {model} after the "
            "prompt. Widths agree, but nothing says that directions mean the same in both. "
            "Intervals hold the truth of all cells of the table at once (95%):",
            variants_table(held, len(held.filter(pl.col("auroc").is_not_nan()))),
        ]
    )


def labels_section(explained: pl.DataFrame, ways: pl.DataFrame) -> str:
    """What gives the labels away without any vector, and how far ways of labelling agree."""
    lines = []
    for (family,), held in explained.group_by("family", maintain_order=True):
        # Nothing is known where all answers are alike, or each is of its own kind.
        rows = list(held.filter(pl.col("explained").is_not_null()).iter_rows(named=True))
        if not rows:
            continue
        shares = ", ".join(f"{row['by']} {row['explained']:.0%}" for row in rows)
        areas = ", ".join(f"{row['by']} {shown(row['auroc'])}" for row in rows)
        guilty = [row["by"] for row in rows if row["explained"] >= EXPLAINED]
        about = f"- **{family}**: variance explained by {shares}; AUROC of {areas}."
        if guilty:
            about += (
                f" **The label is explained by the {guilty[0]}**: what predicts it need not know "
                "anything of sycophancy."
            )
        lines.append(about)
    parts = ["What else explains the labels:"]
    parts.append("\n".join(lines) or "Nothing that can be told: all answers are alike.")
    if len(ways):
        rows = [
            [row["one"], row["other"], str(row["n"]), str(row["differ"]), shown(row["kappa"])]
            for row in ways.iter_rows(named=True)
        ]
        header = ["label told by", "and by", "answers", "differ", "Cohen's kappa"]
        parts += ["Ways of labelling the same answers:", markdown_table(header, rows)]
    return "\n\n".join(parts)


def shown(value: float | None) -> str:
    """Two digits, or a dash where there is nothing to estimate."""
    return "-" if value is None or value != value else f"{value:.2f}"


def answers(cells: pl.DataFrame, headline: str) -> str:
    """A sentence for each family, on the headline vector, after the prompt."""
    lines = []
    fit = (pl.col("name") == headline) & (pl.col("position") == "prompt")
    held = cells.filter(fit)
    for (family,), rows in held.group_by("family", maintain_order=True):
        row = rows.row(0, named=True)
        about = f"- **{family}** ({row['generalisation']}): "
        if row["n_sycophantic"] in (0, row["n"]):
            lines.append(f"{about}all {row['n']} answers are alike: there is nothing to predict.")
            continue
        row = rows.filter(pl.col("chosen")).row(0, named=True)
        area = interval(row["auroc"], row["auroc_low"], row["auroc_high"])
        lines.append(
            f"{about}{verdict(row)}. AUROC {area} of `{headline}`, layer {row['layer']}, "
            f"n = {row['n']} in {row['items']} items; random directions {row['random_low']:.2f} to "
            f"{row['random_high']:.2f}, logit margin {row['margin_auroc']:.2f}."
        )
    return "\n".join(lines)


def variants_table(held: pl.DataFrame, together: int) -> str:
    """A row a vector, then the nulls; a column a family. Intervals for `together` cells at once."""
    area = simultaneous(
        Estimate(*(held[end].to_numpy() for end in ("auroc", "auroc_low", "auroc_high"))),
        held["items_of_rarer"].to_numpy(),
        together,
    )
    held = held.with_columns(pl.Series("auroc_low", area.low), pl.Series("auroc_high", area.high))
    families = held["family"].unique(maintain_order=True).to_list()
    vectors = names(held)
    cell = {(row["name"], row["family"]): row for row in held.iter_rows(named=True)}
    first = [cell[vectors[0], family] for family in families]
    header = ["vector", "layer"] + [f"{c['family']} (n = {c['n']})" for c in first]
    rows = []
    for name in vectors:
        row = [cell[name, family] for family in families]
        label = shown_name(held, name) + (" (null)" if name in nulls(held) else "")
        areas = [interval(c["auroc"], c["auroc_low"], c["auroc_high"]) for c in row]
        rows.append([label, str(row[0]["layer"]), *areas])
    for key, label in RANGES.items():
        ends = [(c[f"{key}_low"], c[f"{key}_high"]) for c in first]
        rows.append([label, "", *(f"{low:.2f} to {high:.2f}" for low, high in ends)])
    for key, label in NULLS.items():
        rows.append([label, "", *(f"{c[key]:.2f}" for c in first)])
    return markdown_table(header, rows)


def controls_section(controls: dict[str, dict[str, float]]) -> str:
    """What is known of the organisms, and whether the study found it."""

    def areas(found: dict[str, float], names: Iterable[str]) -> list[str]:
        ends = ("", "_low", "_high")
        return [interval(*(found[f"{name}{end}"] for end in ends)) for name in names]

    families = [
        [organism, f"{found['planted_cosine']:.2f}", *areas(found, OF_FAMILIES)]
        for organism, found in controls.items()
    ]
    across = ["tenses_cosine", *(f"{made}_{read}_auroc" for made, read in SIDES)]
    tenses = [[organism, *areas(found, across)] for organism, found in controls.items()]
    return "\n\n".join(
        [
            "## Controls: models whose cause of sycophancy is known",
            "Vectors come from opinions only, from answers put into the model's mouth. In "
            "`one_cause` misconceptions have the same cause, so they must be predicted; in "
            "`two_causes` another, so they must not be. In `two_tenses` what the model just did "
            "has another direction than what it is about to do, so that these vectors need not "
            "predict anything before the answer.",
            markdown_table(
                [
                    "organism",
                    "cosine with the planted direction",
                    "opinion AUROC",
                    "misconception AUROC",
                ],
                families,
            ),
            '"About to" and "just did", on opinions, where they are planted: the cosine of the two '
            "without noise, and the AUROC of either, before the answer and after it. One direction "
            "in the first two organisms, two in the third:",
            markdown_table(
                ["organism", "cosine", *(f"{m} {r}".replace("_", " ") for m, r in SIDES)], tenses
            ),
        ]
    )
