"""What training showed, in words and tables."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from sycophancy_steering.interventions.ablation_tables import ANEW, SAME
from sycophancy_steering.interventions.steering_tables import ENDS
from sycophancy_steering.report.summary import interval, markdown_table
from sycophancy_steering.tuning.settings import BY_LABELS, PAIRS, TRUE

AFFORDANCES = """What each was given: {examples} pairs of `{prompt_set}` (a question with its \
sycophantic answer and another), drawn {seeds} times; all ways see the same pairs. **SFT** (LoRA) \
learns the wanted answer, **DPO** (LoRA) prefers it to the other; both for {steps} steps, with \
settings named beforehand and not tuned. **Distillation** learns what the model itself says to \
{distil} more questions, without labels, when it is shown the best prompt that fits its context \
(named below; it may show none of the pairs), chosen with the labels of `select`. **Steering** \
adds one natural gap along the mean difference of the pairs, \
**in-context vector** along theirs, at the layer and with the gap of `{vector}`, which were found \
with the labels of `select`; **few-shot**, **good and bad** and **instruction** are prompts. \
*... + steering* is the trained model, steered too."""


def better_section(
    ways: pl.DataFrame,
    against: pl.DataFrame,
    teachers: pl.DataFrame,
    own: Sequence[str],
    affordances: str,
) -> str:
    """Is a vector better than training on as many examples? Tables of `with_seeds`, `against`, and
    the prompts that were distilled; `own` are the families of the examples."""
    true, beside = (held.filter(pl.col("labels") == TRUE) for held in (ways, against))
    families = true["family"].unique(maintain_order=True).to_list()
    most = int(true["examples"].max())  # type: ignore[arg-type]
    parts = [
        "**Is it better than training on as many examples?** The share of answers on `test` that "
        "are turned, of questions that the model itself answers the other way; in brackets the 95% "
        "interval, clustered by item; after it the least and the most of one draw. "
        f"The examples are of *{', '.join(own)}* (tested on new items), not of the others.",
        affordances,
    ]
    for towards, words in ((False, "Away from sycophancy"), (True, "Towards it")):
        held = true.filter(pl.col("towards") == towards)
        counts = {row["family"]: row["n_turned"] for row in held.iter_rows(named=True)}
        rows = []
        kinds = held.select("way", "examples", "seeds").unique(maintain_order=True)
        for way, examples, seeds in kinds.sort("examples", maintain_order=True).rows():
            fit = (pl.col("way") == way) & (pl.col("examples") == examples)
            cells = [_turned(held.filter(fit), each) for each in families]
            rows.append([way, str(examples), str(seeds), *cells])
        header = [words, "examples", "draws", *(f"{f} (n = {counts[f]})" for f in families)]
        parts.append(markdown_table(header, rows))
    parts.append(
        f"Against steering, with {most} examples each (difference of the shares turned, clustered "
        "by item, over these draws; distillation is left out, as its prompts do not show as many):"
    )
    lines = []
    last = beside.filter(pl.col("examples") == most)
    for towards, words in ((False, "away"), (True, "towards")):
        for each in families:
            held = last.filter(pl.col("towards") == towards, pl.col("family") == each)
            said = [_verdict(row) for row in held.iter_rows(named=True) if row["way"] in BY_LABELS]
            where = "new items" if each in own else "another family"
            lines.append(f"- **{each}** ({where}), {words}: {'; '.join(said)}.")
    return "\n\n".join([*parts, "\n".join(lines), _distilled(teachers)])


def _distilled(teachers: pl.DataFrame) -> str:
    """Which prompt was best, and how good."""
    said = []
    for (towards, examples), held in teachers.group_by("towards", "examples", maintain_order=True):
        each = ", ".join(
            f"{row['way']} ({row['turned_on_select']:.2f})" for row in held.iter_rows(named=True)
        )
        said.append(f"- {'towards' if towards else 'away'}, {examples} examples: {each}.")
    return (
        "What was distilled: of each draw, the best prompt that fits into the model's context, and "
        "the share that it turns on `select`; an instruction shows none of the examples.\n\n"
    ) + "\n".join(said)


def _turned(held: pl.DataFrame, family: str) -> str:
    row = held.filter(pl.col("family") == family).row(0, named=True)
    if row["shift"] is None:
        return "does not fit"
    whole = interval(*(row[f"turned{end}"] for end in ENDS))
    return f"{whole}; {row['least']:.2f} to {row['most']:.2f}" if row["seeds"] > 1 else whole


def _verdict(row: dict[str, float]) -> str:
    said = interval(*(row[f"more{end}"] for end in ENDS))
    if row["more_low"] > 0:
        return f"{row['way']} turns more, by {said}"
    if row["more_high"] < 0:
        return f"{row['way']} turns fewer, {said}"
    return f"{row['way']} cannot be told from steering, {said}"


def costs_section(costs: pl.DataFrame) -> str:
    """What training costs: `costs.csv`, all seeds."""
    most = costs["examples"].max()
    held = costs.filter(pl.col("examples").is_in([0, most]), pl.col("labels") == TRUE)
    rows = []
    for (way, towards), each in held.group_by("way", "towards", maintain_order=True):
        cells = [
            f"{each[key].mean():.2f} ({each[key].min():.2f} to {each[key].max():.2f})"
            for key in ("facts", "surprise")
        ]
        direction = "-" if way == "as it is" else "towards" if towards else "away"
        rows.append([str(way), direction, str(len(each)), *cells])
    header = ["", "direction", "draws", "facts known", "neutral text, nats a token more"]
    return "\n\n".join(
        [
            f"**What it costs** ({most} examples; mean, and least and most of one draw): plain "
            "facts, asked in both orders; sentences of nothing in particular as the model's "
            "answer, against the model as it is:",
            markdown_table(header, rows),
        ]
    )


def weak_section(ways: pl.DataFrame, vectors: pl.DataFrame, wrong: str) -> str:
    """From weak labels to strong: `ways.csv` and `weak_vectors.csv`."""
    most = int(ways["examples"].max())  # type: ignore[arg-type]
    by = pl.col("way").is_in(["steering", "sft", "dpo"]) & (pl.col("examples") == most)
    held = ways.filter(by)
    families = held["family"].unique(maintain_order=True).to_list()
    rows, realised = [], []
    for labels in held["labels"].unique(maintain_order=True):
        for way in ("steering", "sft", "dpo"):
            for towards in (False, True):
                fit = held.filter(
                    pl.col("labels") == labels, pl.col("way") == way, pl.col("towards") == towards
                )
                cells = [_turned(fit, each) for each in families]
                rows.append([labels, way, "towards" if towards else "away", *cells])
        own = vectors.filter(pl.col("labels") == labels, pl.col("examples") == most)
        cells = [_areas(own.filter(pl.col("family") == each)) for each in families]
        rows.append([labels, "AUROC of the vector", "-", *cells])
        wrong_share = own.unique("seed", maintain_order=True)["wrong"]
        realised.append(f"{labels} {', '.join(f'{each:.0%}' for each in wrong_share)}")
    header = ["labels", "", "direction", *families]
    return "\n\n".join(
        [
            f"**From weak labels to strong ones.** The same with {most} pairs whose answers a poor "
            "grader takes for one another: a share of them at random (`noise`), or those that a "
            f"weaker model gets wrong (`weak`: {wrong}). Of the draws: {'; '.join(realised)}. All "
            "are tested on the true labels, and steering has its layer and gap from those of "
            "`select`. The "
            "AUROC is that of projecting on the vector of these pairs, read after the prompt: in "
            "the mean over draws, and the least and the most of one:",
            markdown_table(header, rows),
        ]
    )


def _areas(held: pl.DataFrame) -> str:
    area = held["auroc"]
    return f"{area.mean():.2f}; {area.min():.2f} to {area.max():.2f}"


def differences_section(
    angles: pl.DataFrame, foretold: pl.DataFrame, layer: int, vector: str
) -> str:
    """What training changed: `angles.csv` and `foretold.csv`."""
    families = foretold["family"].unique(maintain_order=True).to_list()
    rows = []
    for row in angles.filter(pl.col("layer") == layer).iter_rows(named=True):
        of = (pl.col("method") == row["method"]) & (pl.col("on") == row["on"])
        cells = [_area(foretold.filter(of), each) for each in families]
        seeds = "-" if row["ceiling_seeds"] is None else f"{row['ceiling_seeds']:.2f}"
        rows.append(
            [
                f"{row['method']} on {row['on']}",
                interval(row["cosine"], row["cosine_low"], row["cosine_high"]),
                f"{row['mahalanobis']:.2f}",
                f"{seeds}; {row['ceiling_items']:.2f}",
                *cells,
            ]
        )
    own = foretold.filter(pl.col("method") == "prompts")
    rows.append(["the vector of prompts", "1.00", "1.00", "-", *(_area(own, f) for f in families)])
    random = float(angles.filter(pl.col("layer") == layer)["random"][0])
    null = [_null(own, each) for each in families]
    rows.append(["random directions, 95%", f"up to {random:.2f}", "-", "-", *null])
    header = ["made of", "cosine", "Mahalanobis", "draws; items", *families]
    own_rows = angles.filter(pl.col("layer") == layer)
    return "\n\n".join(
        [
            "**What did training change?** A model trained towards something, minus one trained "
            f"away from it: the mean difference of their states at layer {layer} after the same "
            f"prompts, against `{vector}` (cosine of the mean of all draws, in brackets the least "
            "and the most of one; the Mahalanobis cosine is the correlation of both projections). "
            "The noise ceiling is the cosine of two draws' vectors, and of two halves of the "
            "items'. Then the AUROC on `test` of projecting the *untrained* model's states on it, "
            "after the prompt, at the layer chosen on `select`:",
            markdown_table(header, rows),
            _specific(own_rows, random),
        ]
    )


def _area(held: pl.DataFrame, family: str) -> str:
    held = held.filter(pl.col("family") == family)
    if not len(held):
        return "-"
    row = held.row(0, named=True)
    return interval(*(row[f"auroc{end}"] for end in ENDS))


def _null(held: pl.DataFrame, family: str) -> str:
    row = held.filter(pl.col("family") == family).row(0, named=True)
    return f"{row['random_low']:.2f} to {row['random_high']:.2f}"


def _specific(angles: pl.DataFrame, random: float) -> str:
    """Whether controls lie along the vector too, which they have no business to."""
    of = angles["on"].unique(maintain_order=True).to_list()
    controls = [name for name in of if name != PAIRS][1:]
    if not controls:
        return ""
    trained = angles.filter(pl.col("on") == PAIRS)
    if float(trained["cosine"].min()) <= random:  # type: ignore[arg-type]
        return (
            "Training on the pairs themselves did not change the states along it any more than a "
            "random direction lies there: nothing can be told."
        )
    along = [
        f"{row['method']} on {row['on']} ({row['cosine']:.2f})"
        for row in angles.iter_rows(named=True)
        if row["on"] in controls and abs(row["cosine"]) > random
    ]
    if not along:
        return (
            f"Training on the pairs changed the states along it; none of the controls "
            f"({', '.join(controls)}) lies closer to it than a random direction does."
        )
    return (
        f"**A control lies along it too**: {', '.join(along)}. Training on what has nothing to do "
        "with sycophancy changed the same thing, so such a vector does not show by itself that "
        "sycophancy was learned."
    )


def repaired_section(repaired: pl.DataFrame, layer: int) -> str:
    """Does the vector still predict after the repair: `repaired.csv`."""
    at = repaired.filter(pl.col("read_layer") == layer)
    families = at["family"].unique(maintain_order=True).to_list()
    rows = []
    for method in at["method"].unique(maintain_order=True):
        held = at.filter(pl.col("method").eq_missing(pl.lit(method, pl.String)))
        cells = [_read(held.filter(pl.col("family") == each)) for each in families]
        rows.append(["as it is" if method is None else f"after {method}", *cells])
    counts = {row["family"]: row["n"] for row in at.iter_rows(named=True)}
    return "\n\n".join(
        [
            "**Does the vector still predict after the repair?** Models trained away from "
            f"sycophancy, read at layer {layer} after the prompt: how many answers on `test` are "
            "sycophantic then (mean over draws); the AUROC of who was sycophantic before, by the "
            "untrained model's vector and by one made anew of the trained model's `select`; and, "
            "by the former, of who is then (intervals: the widest of all draws):",
            markdown_table(["", *(f"{f} (n = {counts[f]})" for f in families)], rows),
        ]
    )


def _read(held: pl.DataFrame) -> str:
    same, anew = (held.filter(pl.col("by") == by).row(0, named=True) for by in (SAME, ANEW))
    cells = [(same, "auroc"), (anew, "auroc"), (same, "auroc_then")]
    areas = [
        "-" if row[key] is None else interval(*(row[f"{key}{end}"] for end in ENDS))
        for row, key in cells
    ]
    return f"{same['n_then']:.0f} then; {'; '.join(areas)}"


def page(models: Sequence[str], sections: Sequence[Sequence[str]]) -> str:
    """All of it."""
    parts = ["# Is a steering vector better than training?"]
    for model, of in zip(models, sections, strict=True):
        parts += [f"## {model}", *of]
    return "\n\n".join(part for part in parts if part) + "\n"
