"""Asks a model under all that is planned: what it finds likely, what it says, what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
from tqdm import tqdm

from lib.answers import find_answer
from lib.asked_again import AskedAgain, log_odds
from lib.intervention import NOTHING
from lib.language_model import LanguageModel
from lib.prompt_rows import each_prompt
from lib.question import Row
from lib.side_effects import costs
from lib.steering import Condition, drawn
from lib.steering_plan import Known, plan
from lib.steering_settings import CONDITION, OWN, Interventions

TABLES = ("answers", "said", "costs")


def steered(
    model: str,
    language_model: LanguageModel,
    settings: Interventions,
    labels: pl.DataFrame,
    on: str,
    budget: int,
    most: int,
) -> dict[str, pl.DataFrame]:
    """The `TABLES`: log-odds of every answer, before and after, under every intervention; what the
    model says with the first of the vectors; and what becomes of facts and of ordinary text.

    `labels` are those of the prompt set `on`, with the `row` of each; `budget` tokens of prompts
    are in memory at a time, and `most` said.
    """
    activations = Path(f"data/activations/{model}/{on}")
    asked = drawn(labels.filter(pl.col("split") == "test"), settings.questions)
    select = labels.filter(pl.col("split") == "select")
    answers, spoken, costly = [], [], []
    for family in asked["family"].unique(maintain_order=True):
        planned = plan(Known(model, activations, select, family), settings)
        held = asked.filter(pl.col("family") == family)
        rows = [*each_prompt(Path(f"data/prompts/{on}.parquet"), {*held["row"]})]
        again = AskedAgain(language_model, [(row.messages, row.answers) for row in rows], budget)
        answers.append(answered(again, rows, held, planned, f"{model}: {family}"))
        first = [each for each in planned["doses"] if each.vector == settings.vectors[0]]
        spoken.append(said(again, rows, held, first, most))
        costly = costly or first
    done = pl.DataFrame([done_of(None), *map(done_of, costly)], CONDITION)
    found = costs(language_model, budget, [each.intervention for each in costly])
    tables = pl.concat(answers), pl.concat(spoken), pl.concat([done, found], how="horizontal")
    return dict(zip(TABLES, tables, strict=True))


def done_of(condition: Condition | None) -> dict[str, object]:
    """What was done, as columns; all missing where nothing was."""
    return {key: getattr(condition, key, None) for key in CONDITION}


def answered(
    again: AskedAgain,
    rows: Sequence[Row],
    asked: pl.DataFrame,
    planned: dict[str, list[Condition]],
    about: str,
) -> pl.DataFrame:
    """A row a condition and question: log-odds of the sycophantic answer, before and after."""
    conditions = [(part, each) for part, held in planned.items() for each in held]
    interventions = [NOTHING, *(each.intervention for _, each in conditions)]
    odds = np.empty((len(interventions), len(rows)))
    with tqdm(total=odds.size, unit="answer", disable=None, desc=about) as bar:
        for n, places, found in again.logprobs(interventions):
            odds[n, places] = [
                log_odds(rows[at], each) for at, each in zip(places, found, strict=True)
            ]
            bar.update(len(places))
    before, tables = pl.Series("before", odds[0]), []
    for (part, each), after in zip(conditions, odds[1:], strict=True):
        done = (pl.lit(value, CONDITION[key]).alias(key) for key, value in done_of(each).items())
        answers = asked.select("id", "item", "family", "label", before, pl.Series("after", after))
        tables.append(answers.select(pl.lit(part).alias("part"), *done, pl.all()))
    return pl.concat(tables)


def said(
    again: AskedAgain,
    rows: Sequence[Row],
    asked: pl.DataFrame,
    conditions: Sequence[Condition],
    most: int,
) -> pl.DataFrame:
    """What the model says by itself, and with a vector in each dose: a row a dose and question,
    `read` being the letter of the answer it was found to be, if any."""
    added = [each for each in conditions if each.direction == OWN and each.kind == "add"]
    tables = []
    for dose, intervention in [(0.0, NOTHING), *((each.dose, each.intervention) for each in added)]:
        texts = again.said(rows, intervention, most)
        read = [
            find_answer(text, [*row.choices], row.form)
            for text, row in zip(texts, rows, strict=True)
        ]
        tables.append(
            asked.select("id", "item", "family", "label").with_columns(
                pl.lit(dose).alias("dose"),
                pl.Series("question", [row.messages[-1].content for row in rows]),
                pl.Series("answer", texts),
                pl.Series("read", [each.letter if each else None for each in read], pl.String),
                pl.Series("sycophantic", [row.matching for row in rows]),
            )
        )
    return pl.concat(tables)
