"""When an answer can be read: token by token, from the prompt's end through the continuation.

Once the words give the answer away, a state that has read them tells it too. So beside each AUROC
of a projection stands that of a reader of the text alone: of the prompt's words, of the words said
so far, and of which answers these leave possible. It is fitted on `select` and tried on `test`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from sycophancy_steering.analysis.permuted_vectors import aurocs
from sycophancy_steering.analysis.readouts import RANDOM_DIRECTIONS, project
from sycophancy_steering.foundation.array_stream import Stream
from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.questions.answer_parsing import find_answer
from sycophancy_steering.questions.question import Row
from sycophancy_steering.statistics.auroc_difference import auroc_difference
from sycophancy_steering.statistics.discrimination import Estimate, clustered_auroc, middle
from sycophancy_steering.statistics.text_baseline import joined, text_odds

SEED = 0
SCHEMA = {"family": pl.String, "token": pl.Int64, "vector": pl.String, "layer": pl.Int64}
SCHEMA |= {"n": pl.Int64, "items": pl.Int64, "told": pl.Float64}
ESTIMATES = ("auroc", "text", "ahead")
SCHEMA |= {f"{name}{end}": pl.Float64 for name in ESTIMATES for end in ("", "_low", "_high")}
SCHEMA |= {"random_low": pl.Float64, "random_high": pl.Float64}


def told(spoken: str, row: Row) -> int:
    """What the beginning of an answer gives away: 1 that it is the sycophantic one, -1 that it is
    another, 0 neither."""
    found = find_answer(spoken, list(row.choices), row.form)
    if found:
        return 1 if found.letter == row.matching else -1
    said = spoken.strip().casefold()
    possible = {
        letter == row.matching
        for (letter, text), written in zip(row.choices, row.answers, strict=True)
        if any(each.strip().casefold().startswith(said) for each in (written, text))
    }
    return 0 if len(possible) != 1 else 1 if possible.pop() else -1


@dataclass(frozen=True)
class Moment:
    """The answers of one family that have a token, and their states there."""

    family: str
    token: int
    """0 is the prompt's end, 1 the first token that the model says."""
    answers: pl.DataFrame
    """`split`, `item`, `label`, `words` (log-odds of the prompt's), `spoken` and `told` of each."""
    states: Callable[[int], Stream]
    """(answers, d_model) after a layer."""


def measured(moment: Moment, vectors: Mapping[str, tuple[int, Floats]]) -> list[dict[str, object]]:
    """A row of `SCHEMA` for each of `vectors`: the layer it is read at, and (d_model,).

    None where the answers of either split are all alike.
    """
    is_test = (moment.answers["split"] == "test").to_numpy()
    select, test = (moment.answers.filter(each) for each in (~is_test, is_test))
    if min(part["label"].n_unique() for part in (select, test)) < 2:
        return []
    labels, items = test["label"].to_numpy().astype(int), test["item"].to_numpy().astype(str)
    text = text_alone(select, test)
    by_text = clustered_auroc(text[None], labels, items)
    rows, ranges = [], {}
    for name, (layer, vector) in vectors.items():
        states = moment.states(layer).rows(np.flatnonzero(is_test))
        read = project(states, vector[None], cosines=False)[0]
        if layer not in ranges:
            draw = np.random.default_rng([SEED, layer])
            null = draw.standard_normal((RANDOM_DIRECTIONS, len(vector)))
            ranges[layer] = middle(aurocs(null, states, [(np.arange(len(labels)), labels)])[0])
        low, high = ranges[layer]
        found: dict[str, Estimate] = {
            "auroc": clustered_auroc(read, labels, items),
            "text": by_text,
            "ahead": auroc_difference(read, text, labels, items),
        }
        row: dict[str, object] = {
            "family": moment.family,
            "token": moment.token,
            "vector": name,
            "layer": layer,
            "n": len(labels),
            "items": len(np.unique(items)),
            "told": float((test["told"] != 0).to_numpy().mean()),
            "random_low": float(low),
            "random_high": float(high),
        }
        for key, each in found.items():
            ends = {"": each.value, "_low": each.low, "_high": each.high}
            row |= {f"{key}{end}": float(value[0]) for end, value in ends.items()}
        rows.append(row)
    return rows


def text_alone(select: pl.DataFrame, test: pl.DataFrame) -> Floats:
    """Log-odds of the answers of `test` by what can be read of them so far."""
    labels = select["label"].to_numpy().astype(int)
    items = select["item"].to_numpy().astype(str)
    own, new = text_odds(select["spoken"].to_list(), labels, items, test["spoken"].to_list())
    features, others = (
        np.stack([part["words"].to_numpy(), said, part["told"].to_numpy()], axis=1).astype(float)
        for part, said in ((select, own), (test, new))
    )
    return joined(features, labels, others)


def with_words(answers: pl.DataFrame) -> pl.DataFrame:
    """The answers of a family with what the words of their prompts tell (`words`, from `text`)."""
    is_test = (answers["split"] == "test").to_numpy()
    texts, items = answers["text"].to_numpy(), answers["item"].to_numpy().astype(str)
    labels = answers["label"].to_numpy().astype(int)
    own, new = text_odds(
        texts[~is_test].tolist(), labels[~is_test], items[~is_test], texts[is_test].tolist()
    )
    words = np.zeros(len(answers))
    words[~is_test], words[is_test] = own, new
    return answers.with_columns(pl.Series("words", words))


def with_token(answers: pl.DataFrame, number: int, numbers: Sequence[int]) -> pl.DataFrame:
    """Of the answers, those that go on to token `number` (0: all), with what was `spoken` until
    then, and what it `told`: `beginnings` and `gives` hold both after each of `numbers`."""
    if number == 0:
        return answers.with_columns(pl.lit("").alias("spoken"), pl.lit(0).alias("told"))
    place = list(numbers).index(number)
    there = answers.filter(pl.col("beginnings").list.len() > place)
    return there.with_columns(
        pl.col("beginnings").list.get(place, null_on_oob=True).alias("spoken"),
        pl.col("gives").list.get(place, null_on_oob=True).alias("told"),
    )
