"""What moves predictivity, what does best and where vectors carry over, in words and tables."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from sycophancy_steering.report.summary import interval, markdown_table, shown
from sycophancy_steering.statistics.discrimination import Estimate, simultaneous
from sycophancy_steering.storage.cell_files import kind


def variation_section(variation: pl.DataFrame) -> str:
    """How much the AUROC depends on the prompt set, on the method, and on both together."""
    lines = [
        f"- **{row['family']}**: predictivity varies by {spread(row, 'between_sets')} of AUROC "
        f"between prompt sets, by {spread(row, 'between_methods')} between methods, and by "
        f"{spread(row, 'together')} because a method suits one set and not another; between the "
        f"best and the worst of {row['sets']} x {row['methods']} lie {spread(row, 'largest_gap')}."
        for row in variation.iter_rows(named=True)
    ]
    if not lines:
        return ""
    about = (
        "**How much it depends on how the vector was made** (standard deviations after the "
        "prompt, intervals over items):"
    )
    return "\n\n".join([about, "\n".join(lines)])


def spread(row: Mapping[str, float], name: str) -> str:
    """A spread with its interval."""
    return interval(row[name], row[f"{name}_low"], row[f"{name}_high"])


def selection_section(selected: Mapping[str, float | str], families: list[str]) -> str:
    """What does best on `select`, on `test`, and how often chance does as well."""
    rows = []
    for family in families:
        for suffix, where in (("", "after the prompt"), ("_after", "after its own answer")):
            name = f"{family}{suffix}"
            if f"{name}_chosen" not in selected:
                continue
            ends = (float(selected[f"{name}_{end}"]) for end in ("auroc", "low", "high"))
            rows.append(
                [
                    family,
                    where,
                    str(selected[f"{name}_chosen"]),
                    interval(*ends),
                    f"{selected[f'{name}_p_all_cells']:.3f}",
                    f"{selected[f'{name}_p_shuffled_pairs']:.3f}",
                ]
            )
    if not rows:
        return ""
    about = (
        f"**The best of {selected['cells_tried']} cells**, chosen on `select`, on `test`. The "
        "first p is over all cells tried (the items' signs dealt anew, the largest statistic); the "
        "second is how often the whole choice does as well with vectors from shuffled pairs, which "
        "still lie where the states vary:"
    )
    header = ["family", "read", "chosen", "AUROC", "p, all cells", "p, shuffled pairs"]
    return "\n\n".join([about, markdown_table(header, rows)])


def gain_section(gain: pl.DataFrame, headline: str) -> str:
    """What the projection tells that words and margin do not."""
    if not len(gain):
        return ""
    rows = []
    for (family,), held in gain.with_columns(kind()).group_by("kind", maintain_order=True):
        way = {row["way"]: row for row in held.iter_rows(named=True)}
        cells = [
            interval(*(way[name][f"auroc{end}"] for end in ("", "_low", "_high")))
            for name in ("text", "margin", "projection")
        ]
        added = [
            interval(*(way[f"{name} + projection"][f"gain{end}"] for end in ("", "_low", "_high")))
            for name in ("text", "margin")
        ]
        rows.append([f"{family} (n = {held['n'][0]})", *cells, *added])
    header = ["family", "words", "margin", "projection", "added to words", "added to margin"]
    about = (
        f"**What the projection adds** (`{headline}`, after the prompt): AUROC on `test` of the "
        "prompt's words alone, of the logit margin, of the projection, all fitted on `select`; and "
        "how much AUROC the projection adds to the first two:"
    )
    return "\n\n".join([about, markdown_table(header, rows)])


def efficiency_section(found: pl.DataFrame, family: str, method: str) -> str:
    """How many pairs one method needs, and what pairing saves."""
    held = found.filter(pl.col("family") == family, pl.col("method") == method)
    rows = []
    for (pairs,), both in held.group_by("pairs", maintain_order=True):
        cells = {row["paired"]: row for row in both.iter_rows(named=True)}
        row = [str(pairs)]
        for paired in (True, False):
            c = cells.get(paired)
            row.append(
                f"{interval(c['auroc'], c['low'], c['high'])}, {c['spread']:.3f}" if c else "-"
            )
        rows.append(row)
    if not rows:
        return ""
    about = (
        f"**How many pairs it takes** (`{method}` on {family}): mean AUROC over draws of the "
        "pairs, their middle 95% and their standard deviation; with both answers of each of n "
        "questions, and with answers of n questions against those of n others:"
    )
    header = ["pairs", "both answers of n questions", "n questions and n others"]
    return "\n\n".join([about, markdown_table(header, rows)])


def left_out_section(left_out: Mapping[str, Mapping[str, str]]) -> str:
    """The recipes that a set's answers do not allow, with the reason; `left_out` by set."""
    lines = [
        f"- {name}/{recipe}: {reason}."
        for name, recipes in left_out.items()
        for recipe, reason in recipes.items()
    ]
    return "\n\n".join(
        ["Ways of making vectors that were left out:", "\n".join(lines)] if lines else []
    )


def transfer_section(transfer: pl.DataFrame, told: Mapping[str, float], at: str) -> str:
    """Sets x families of one method at one layer, and what cosines foretell. `at` says which."""
    transfer = transfer.with_columns(kind())
    families = transfer["kind"].unique(maintain_order=True).to_list()
    area = simultaneous(
        Estimate(*(transfer[end].to_numpy() for end in ("auroc", "auroc_low", "auroc_high"))),
        transfer["items_of_rarer"].to_numpy(),
        len(transfer),
    )
    ends = (pl.Series("auroc_low", area.low), pl.Series("auroc_high", area.high))
    transfer = transfer.with_columns(*ends)
    cell = {(row["prompt_set"], row["kind"]): row for row in transfer.iter_rows(named=True)}
    rows = []
    for name in transfer["prompt_set"].unique(maintain_order=True):
        row = [name]
        for family in families:
            c = cell[name, family]
            area = interval(c["auroc"], c["auroc_low"], c["auroc_high"])
            angles = "own" if c["own"] else f"{shown(c['cosine'])}, {shown(c['mahalanobis'])}"
            known = c["own"] or c["cosine"] == c["cosine"]
            row.append(f"{area} ({angles})" if known else area)
        rows.append(row)
    about = (
        f"**Where vectors carry over** ({at}): AUROC on `test`, and in brackets the cosine with "
        "the column's own vector, Euclidean and Mahalanobis (intervals hold the truth of all cells "
        "at once):"
    )
    parts = [about, markdown_table(["made from", *families], rows)]
    if "cosine" in told and "mahalanobis" in told:
        plain, metric = (
            interval(told[by], told[f"{by}_low"], told[f"{by}_high"])
            for by in ("cosine", "mahalanobis")
        )
        parts.append(
            "Over all methods and layers, the AUROC goes with the Euclidean cosine by a rank "
            f"correlation of {plain}, with the Mahalanobis cosine by {metric} (intervals over "
            "methods, which share their answers: they are too narrow)."
        )
    return "\n\n".join(parts)
