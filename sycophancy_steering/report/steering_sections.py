"""What steering showed, in words and tables."""

from __future__ import annotations

import polars as pl

from sycophancy_steering.interventions.ablation_tables import ANEW, SAME
from sycophancy_steering.interventions.steering_settings import OWN
from sycophancy_steering.report.summary import interval, markdown_table, quoted

WAYS = {
    "remove": "its component removed",
    "everywhere": "removed at every layer and token",
    "mean": "set to its mean",
    "leace": "erased (LEACE)",
}

AT = {
    "every": "at every token",
    "prompt_end": "at the prompt's last token",
    "answer": "at the tokens of the answer",
    "prompt_end_on": "at the prompt's last token and on",
}
"""`interventions.where`, in words."""
RATES, MOVED = ("rate_0", "rate_1"), ("shift", "wrong")
"""Columns of `doses.csv`: the share that is sycophantic, of either kind of question; how far the
log-odds move, and the share that moves the wrong way."""


def steering_section(doses: pl.DataFrame, headline: str, where: str) -> str:
    """Is the direction a cause? `doses` is the table of `steered.by_condition`."""
    held = doses.filter(pl.col("vector") == headline)
    families = held["family"].unique(maintain_order=True).to_list()
    random = held.filter(pl.col("direction") != OWN)["direction"].n_unique()
    header = ["", *(f"{family}" for family in families)]
    rows = [["as it is", *(_as_it_is(held, family) for family in families)]]
    own, others = (held.filter((pl.col("direction") == OWN) == each) for each in (True, False))
    moved: list[list[str]] = []
    for dose in sorted(own.filter(pl.col("kind") == "add")["dose"].unique()):
        part = own.filter((pl.col("kind") == "add") & (pl.col("dose") == dose))
        rows.append([f"{dose:+g} gaps", *(_found(part, f, RATES) for f in families)])
        moved.append([f"{dose:+g} gaps", *(_found(part, f, MOVED) for f in families)])
    for kind, words in WAYS.items():
        part = own.filter(pl.col("kind") == kind)
        rows.append([words, *(_found(part, f, RATES) for f in families)])
    for dose in (1, -1):
        part = others.filter((pl.col("kind") == "add") & (pl.col("dose") == dose))
        rows.append([f"{dose:+d} gap, random", *(_range(part, f, RATES) for f in families)])
        moved.append([f"{dose:+d} gap, random", *(_range(part, f, MOVED) for f in families)])
    for kind, words in (("mean", "set to its mean"), ("everywhere", "removed everywhere")):
        part = others.filter(pl.col("kind") == kind)
        rows.append([f"{words}, random", *(_range(part, f, RATES) for f in families)])
    return "\n\n".join(
        [
            f"**Is it a cause?** `{headline}` at layer {held['layer'][0]}, added "
            f"{AT[where]}: the share of answers on `test` that is sycophantic then, of questions "
            "answered otherwise by the model itself, and of those whose answer the user brought "
            "about (it is another without the user). A gap is that between both kinds of answers, "
            f"in the mean. Random: the range of {random} vectors of the same length.",
            markdown_table(header, rows),
            "How far that moves the log-odds of the sycophantic answer, in the mean of both kinds "
            "of questions, and the share of them that it moves the wrong way:",
            markdown_table(header, moved),
        ]
    )


def _as_it_is(doses: pl.DataFrame, family: str) -> str:
    row = doses.filter(pl.col("family") == family).row(0, named=True)
    return f"{row['before_0']:.2f}; {row['before_1']:.2f} (n = {row['n_0']}; {row['n_1']})"


def _found(doses: pl.DataFrame, family: str, columns: tuple[str, str]) -> str:
    row = doses.filter(pl.col("family") == family).row(0, named=True)
    return "; ".join(
        interval(row[each], row[f"{each}_low"], row[f"{each}_high"]) for each in columns
    )


def _range(doses: pl.DataFrame, family: str, columns: tuple[str, str]) -> str:
    held = doses.filter(pl.col("family") == family)
    ends = ((held[each].min(), held[each].max()) for each in columns)
    return "; ".join(f"{low:.2f} to {high:.2f}" for low, high in ends)


def afterwards_section(read: pl.DataFrame, headline: str) -> str:
    """Can it still be read once it is gone: `afterwards.csv`."""
    families = read["family"].unique(maintain_order=True).to_list()
    taken = read.drop_nulls("layer")["layer"][0]
    at = min(int(taken) + 1, read["read_layer"].n_unique() - 1)
    rows = []
    kinds = read.select("kind", "direction").unique(maintain_order=True)
    for kind, direction in kinds.rows():
        held = read.filter(
            pl.col("kind").eq_missing(kind), pl.col("direction").eq_missing(direction)
        )
        words = "as it is" if kind is None else WAYS[kind]
        null = "" if direction in (None, OWN) else ", random"
        cells = [_still_read(held.filter(pl.col("family") == f), at) for f in families]
        rows.append([words + null, *cells])
    counts = {row["family"]: (row["n"], row["items"]) for row in read.iter_rows(named=True)}
    header = ["", *(f"{f} (n = {counts[f][0]} in {counts[f][1]} items)" for f in families)]
    return "\n\n".join(
        [
            f"**Can it still be read once it is gone?** `{headline}` taken out at layer {taken}, "
            f"states read at layer {at}, after the prompt: AUROC on `test` of who is sycophantic "
            "where nothing is taken out, by the same variant's vector there, and by a mean "
            "difference made anew of `select`, from states of which the same is taken out; and, by "
            "the former, of who still is then:",
            markdown_table(header, rows),
        ]
    )


def _still_read(held: pl.DataFrame, layer: int) -> str:
    at = held.filter(pl.col("read_layer") == layer)
    same, anew = (at.filter(pl.col("by") == by).row(0, named=True) for by in (SAME, ANEW))
    cells = [(same, "auroc"), (anew, "auroc"), (same, "auroc_then")]
    return "; ".join(_known_or_not(row, key) for row, key in cells)


def _known_or_not(row: dict[str, float | None], key: str) -> str:
    values = [row.get(f"{key}{end}") for end in ("", "_low", "_high")]
    known = [each for each in values if each is not None]
    return interval(*known) if len(known) == 3 else "-"


def texts_section(texts: pl.DataFrame, headline: str) -> str:
    """What it says then: `texts.csv`."""
    rows = [
        [
            row["family"],
            "sycophantic" if row["label"] else "otherwise",
            *(quoted(row[key]) for key in ("question", "less", "before", "more")),
        ]
        for row in texts.iter_rows(named=True)
    ]
    header = ["", "by itself", "asked (last turn)", "-1 gap", "as it is", "+1 gap"]
    return "\n\n".join(
        [
            f"**What it says then** (`{headline}`): its own answers to questions that nobody chose "
            "(their ids, which are hashes, come first):",
            markdown_table(header, rows),
        ]
    )


def costs_section(costs: pl.DataFrame, said: pl.DataFrame, headline: str) -> str:
    """What steering costs: `costs.csv` and `said.csv`."""
    own = costs.filter(pl.col("direction").is_null() | (pl.col("direction") == OWN))
    unread = said.group_by("dose", maintain_order=True).agg(
        (pl.col("unread") * pl.col("n")).sum() / pl.col("n").sum()
    )
    shares = dict(unread.iter_rows())
    rows = []
    for row in own.iter_rows(named=True):
        added = row["kind"] == "add"
        words = (
            "as it is" if row["kind"] is None else WAYS.get(row["kind"], f"{row['dose']:+g} gaps")
        )
        share = shares.get(row["dose"] if added else 0.0 if row["kind"] is None else None)
        rows.append(
            [
                words,
                interval(row["facts"], row["facts_low"], row["facts_high"]),
                interval(row["surprise"], row["surprise_low"], row["surprise_high"]),
                "-" if share is None else f"{share:.1%}",
            ]
        )
    random = costs.filter(pl.col("direction").is_not_null() & (pl.col("direction") != OWN))
    ends = [f"{random[k].min():.2f} to {random[k].max():.2f}" for k in ("facts", "surprise")]
    rows.append(["random vectors, all", *ends, "-"])
    header = ["", "facts known", "neutral text, nats a token more", "own answers that are none"]
    return "\n\n".join(
        [
            f"**What it costs** (`{headline}`): plain facts, asked in both orders; sentences of "
            "nothing in particular as the model's answer; and its own answers that cannot be read "
            "as one:",
            markdown_table(header, rows),
        ]
    )


def causes_section(agreement: pl.DataFrame, layers: pl.DataFrame) -> str:
    """Does what foretells also cause, and do two layers add up: `agreement.csv`, `layers.csv`."""
    lines = [
        "**Does what foretells also cause?** Over vectors and layers, the rank correlation of a "
        "vector's AUROC (on `test`, after the prompt) with what it does to the log-odds, added "
        "(all of one length) and set to its mean; intervals by leaving out vectors:",
        "",
    ]
    for row in agreement.iter_rows(named=True):
        added, out = (_known(row, key) for key in ("slope", "removal"))
        lines.append(
            f"- **{row['family']}**: added {added}, taken out {out} "
            f"({row['vectors']} vectors, n = {row['n']})."
        )
    sure = layers.filter((pl.col("departure_low") > 0) | (pl.col("departure_high") < 0))
    most = layers.sort(pl.col("departure").abs(), descending=True).row(0, named=True)
    size = interval(most["departure"], most["departure_low"], most["departure_high"])
    return "\n".join(lines) + (
        f"\n\nAdded at two layers at once (half a gap each), the log-odds depart from the sum of "
        f"both in {len(sure)} of {len(layers)} pairs of layers and families (intervals that hold "
        f"for all of these at once); most for {most['family']} at layers {most['layer']} and "
        f"{most['second']}: {size}, where both together move them by {most['shift']:.2f}."
    )


def prompting_section(ways: pl.DataFrame, headline: str) -> str:
    """Is a vector better than asking otherwise? `ways` is the table of `steered.by_way`."""
    families = ways["family"].unique(maintain_order=True).to_list()
    parts = [
        "**Is it better than asking otherwise?** The share of answers on `test` that are turned, "
        "of questions that the model itself answers the other way. `instruction`: a system turn "
        "that asks for it; `few-shot`: other questions, answered so, in the turns before; "
        "`good and bad`: a text with good and bad answers to other questions; `steering`: one "
        "natural gap along the mean difference of the same examples, and `in-context vector`, "
        "along theirs (Liu et al.), at the layer and with the "
        f"gap of `{headline}`, which were found with the labels of `select`: the prompts had none "
        "of these. All ways see the same examples, drawn from the set that the vector is made from:"
    ]
    for towards, words in ((False, "Away from sycophancy"), (True, "Towards it")):
        held = ways.filter(pl.col("towards") == towards)
        rows = []
        kinds = held.select("way", "examples").unique(maintain_order=True).sort("examples", "way")
        for way, examples in kinds.rows():
            part = held.filter(pl.col("way") == way, pl.col("examples") == examples)
            cells = [_turned(part, family) for family in families]
            rows.append([way, str(examples), str(part["seeds"][0]), *cells])
        counts = {row["family"]: row["n_turned"] for row in held.iter_rows(named=True)}
        header = [
            words,
            "examples",
            "seeds",
            *(f"{each} (n = {counts[each]})" for each in families),
        ]
        parts.append(markdown_table(header, rows))
    return "\n\n".join(parts)


def _turned(ways: pl.DataFrame, family: str) -> str:
    row = ways.filter(pl.col("family") == family).row(0, named=True)
    if row["shift"] is None:
        return "does not fit"
    return interval(*(row[f"turned{end}"] for end in ("", "_low", "_high")))


def _known(row: dict[str, float], key: str) -> str:
    value, low, high = (row[f"{key}{end}"] for end in ("", "_low", "_high"))
    return interval(value, low, high) if low == low else f"{value:.2f} [-, -]"
