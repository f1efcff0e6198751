"""How consistent vectors are, and when and where answers can be read, in words and tables."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from sycophancy_steering.analysis.anticipation import READ_IN, TENSES, surest
from sycophancy_steering.report.summary import interval, markdown_table

SOURCES = {
    "prompt set": "another prompt set",
    "position": "another position",
    "both": "both",
    "letter": "the other letter only",
    "template": "another template",
    "item": "other items",
    "question": "other questions about them",
    "seed": "another half of the questions",
}
"""What two vectors may differ in, as in `sycophancy_steering.analysis.consistency`."""
ONLY_NOISE = "only noise"


def variance_section(variance: pl.DataFrame, layer: int) -> str:
    """What makes vectors differ, a row a source and a column a set."""
    held = variance.filter(pl.col("layer") == layer)
    sets = [name for name in held["prompt_set"].unique(maintain_order=True) if name is not None]
    cell = {
        (row["source"], row["prompt_set"]): (
            interval(row["variance"], row["low"], row["high"]) if row["compared"] else ONLY_NOISE
        )
        for row in held.iter_rows(named=True)
    }
    rows = [
        [words, *(cell.get((source, name), "-") for name in (None, *sets))]
        for source, words in SOURCES.items()
        if any(key[0] == source for key in cell)
    ]
    about = (
        f"**What makes vectors differ** (mean differences, layer {layer}): half the mean squared "
        "distance of two vectors of length one that differ in one thing alone (0: the same, 1: "
        "orthogonal, 2: opposite; noise taken out, so that it may pass 0 by chance; the last three "
        "are that noise, of sets as large as they are; a vector that may be nothing else is left "
        "out):"
    )
    return "\n\n".join([about, markdown_table(["made from", "between sets", *sets], rows)])


def reliability_section(reliability: pl.DataFrame, layer: int) -> str:
    """How far two vectors of so many pairs agree."""
    held = reliability.filter(pl.col("layer") == layer)
    if not len(held):
        return ""
    sets = held["prompt_set"].unique(maintain_order=True).to_list()
    rows = []
    for (pairs,), part in held.group_by("pairs", maintain_order=True):
        cell = {
            row["prompt_set"]: interval(row["cosine"], row["low"], row["high"])
            for row in part.iter_rows(named=True)
        }
        rows.append([str(pairs), *(cell.get(name, "-") for name in sets)])
    about = (
        f"**How sure a vector is** (mean differences, layer {layer}): mean cosine of two vectors, "
        f"each of so many pairs about other items, and the middle 95% of {held['draws'][0]} draws:"
    )
    return "\n\n".join([about, markdown_table(["pairs", *sets], rows)])


def tokens_section(tokens: pl.DataFrame, headline: str) -> str:
    """When the answer can be read, beside a reader of the text."""
    held = tokens.filter(pl.col("vector") == headline)
    if not len(held):
        return ""
    families = held["family"].unique(maintain_order=True).to_list()
    rows = []
    for (token,), part in held.sort("token").group_by("token", maintain_order=True):
        cell = {
            row["family"]: (
                f"{interval(row['auroc'], row['auroc_low'], row['auroc_high'])}; "
                f"{interval(row['ahead'], row['ahead_low'], row['ahead_high'])}; "
                f"{row['told']:.0%} of {row['n']}"
            )
            for row in part.iter_rows(named=True)
        }
        rows.append([str(token), *(cell.get(family, "-") for family in families)])
    about = (
        f"**When it can be read** (`{headline}`): AUROC on `test` token by token, 0 being the "
        "prompt's end; by how much it is ahead of what the text alone tells so far (a reader of "
        "the prompt's words, the words said, and which answers they leave possible); and the share "
        "of answers that the text has given away by then, of those that go on so far:"
    )
    return "\n\n".join([about, markdown_table(["token", *families], rows)])


def tenses_section(agreement: pl.DataFrame, read: pl.DataFrame) -> str:
    """Whether "about to" and "just did" are one direction, and what each of them reads.

    `agreement` is that of `about_to_and_just_did`, with intervals that hold for all layers at once.
    """
    if not len(agreement):
        return ""
    within = agreement.filter(pl.col("family") == pl.col("other_family"))
    lines = [
        f"- **{family}**: {one_or_two(held)}"
        for (family,), held in within.group_by("family", maintain_order=True)
    ]
    about = (
        "**About to be sycophantic, or just was**: the mean difference at the prompt's end of "
        "answers that the model went on to give, against that after answers forced into its mouth. "
        "One direction where their cosine without noise is above 0.5 in its whole interval, two "
        "where it is below (intervals hold for all layers at once, 95%):"
    )
    across = (
        'Within families and across, "about to" (rows) against "just did" (columns), at the layer '
        "where they agree most surely:"
    )
    parts = [about, "\n".join(lines), across, across_families(agreement)]
    rows = []
    for (family,), held in read.group_by("family", maintain_order=True):
        layer = surest(within.filter(pl.col("family") == family))["layer"]
        cell = {
            (row["made"], row["position"]): interval(
                row["auroc"], row["auroc_low"], row["auroc_high"]
            )
            for row in held.filter(pl.col("layer") == layer).iter_rows(named=True)
        }
        rows.append([family, str(layer), *(cell.get((m, p), "-") for m in TENSES for p in READ_IN)])
    if rows:
        header = ["family", "layer"]
        header += [f'"{TENSES[made]}", {where[1]}' for made in TENSES for where in READ_IN.values()]
        parts += [
            "What each of them reads of its own family, AUROC on `test`, at the layer where they "
            "agree most surely:",
            markdown_table(header, rows),
        ]
    return "\n\n".join(parts)


def across_families(agreement: pl.DataFrame) -> str:
    """The cosines of every family's "about to" with every family's "just did"."""
    cell = {}
    for key, held in agreement.group_by("family", "other_family", maintain_order=True):
        best = surest(held)
        if best["low"] is not None:
            value = interval(best["agreement"], best["low"], best["high"])
            cell[key] = f"{value}, layer {best['layer']}"
    families = agreement["family"].unique(maintain_order=True).to_list()
    rows = [
        [row, *(cell.get((row, column), ONLY_NOISE) for column in families)] for row in families
    ]
    return markdown_table(["about to", *families], rows)


def one_or_two(held: pl.DataFrame) -> str:
    """In how many directions two tenses are planted, layer by layer."""
    best = surest(held)
    if best["low"] is None:
        return f"{ONLY_NOISE}."
    parts = [
        f"{words} at {layers_in_words(held.filter(fit)['layer'])}"
        for words, fit in (
            ("one direction", pl.col("low") > 0.5),
            ("two directions", pl.col("high") < 0.5),
        )
        if len(held.filter(fit))
    ]
    value = interval(best["agreement"], best["low"], best["high"])
    return (
        f"{'; '.join(parts) or 'not known'} (most surely alike at layer {best['layer']}: {value})."
    )


def layers_in_words(layers: Iterable[int]) -> str:
    """`layer 3`, `layers 0, 4, 5`."""
    names = [str(layer) for layer in layers]
    return f"layer{'s' if len(names) > 1 else ''} {', '.join(names)}"
