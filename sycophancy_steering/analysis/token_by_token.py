"""When an answer can be predicted: token by token, from the end of the prompt on.

Once the words reveal the answer, an activation that has seen them predicts it trivially. So each
AUROC of a projection stands beside that of a baseline that only reads the text: the words of the
prompt, the continuation so far, and which answers that leaves possible. The baseline is fitted on
`select` and evaluated on `test`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
from tqdm import tqdm

from sycophancy_steering.analysis.model_study import ModelStudy
from sycophancy_steering.analysis.readouts import N_RANDOM_DIRECTIONS, project
from sycophancy_steering.foundation.array_stream import ArrayStream
from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.questions.answer_parsing import find_answer
from sycophancy_steering.questions.prompt_table import iter_prompts
from sycophancy_steering.questions.prompt_texts import prompt_texts
from sycophancy_steering.questions.question import Row
from sycophancy_steering.schemas.activations import RESPONSES
from sycophancy_steering.schemas.analysis import TOKENS
from sycophancy_steering.statistics.auroc import auroc, clustered_auroc
from sycophancy_steering.statistics.auroc_difference import auroc_difference
from sycophancy_steering.statistics.estimates import central_interval
from sycophancy_steering.statistics.text_baseline import (
    bag_of_words_log_odds,
    logistic_log_odds,
    subsample_answers,
)
from sycophancy_steering.storage.activation_shards import read_ids, stream_activations

SEED = 0
"""Of the random directions."""


def revealed_answer(prefix: str, row: Row) -> int:
    """What the beginning of an answer reveals: 1 a sycophantic one, -1 another, 0 neither."""
    answer = find_answer(prefix, list(row.choices), row.form)
    if answer:
        return 1 if answer.letter == row.matching else -1
    start = prefix.strip().casefold()
    possible = {
        letter == row.matching
        for (letter, text), written in zip(row.choices, row.answers, strict=True)
        if any(form.strip().casefold().startswith(start) for form in (written, text))
    }
    return 0 if len(possible) != 1 else 1 if possible.pop() else -1


@dataclass(frozen=True)
class TokenAnswers:
    """The answers of one family that have a token, and their activations there."""

    family: str
    token: int
    """0 is the end of the prompt, 1 the first token of the continuation."""
    answers: pl.DataFrame
    """`split`, `item`, `label`, `prompt_log_odds`, `prefix` and `revealed`, a row an answer."""
    activations: Callable[[int], ArrayStream]
    """(answers, d_model) after a layer."""


def token_rows(
    token: TokenAnswers, vectors: Mapping[str, tuple[int, Floats]]
) -> list[dict[str, object]]:
    """Rows of the table TOKENS, one for each of `vectors`: the layer read, and (d_model,).

    None where either split has one class of answers.
    """
    is_test = (token.answers["split"] == "test").to_numpy()
    select, test = (token.answers.filter(mask) for mask in (~is_test, is_test))
    if min(part["label"].n_unique() for part in (select, test)) < 2:
        return []
    labels, items = test["label"].to_numpy().astype(int), test["item"].to_numpy().astype(str)
    text = text_log_odds(select, test)
    text_auroc = clustered_auroc(text[None], labels, items).columns("text_auroc")
    random_ranges: dict[int, tuple[Floats, Floats]] = {}
    rows = []
    for name, (layer, vector) in vectors.items():
        activations = token.activations(layer).select_rows(np.flatnonzero(is_test))
        scores = project(activations, vector[None])
        if layer not in random_ranges:
            rng = np.random.default_rng([SEED, layer])
            directions = rng.standard_normal((N_RANDOM_DIRECTIONS, len(vector)))
            random_ranges[layer] = central_interval(auroc(project(activations, directions), labels))
        low, high = random_ranges[layer]
        estimates = (
            clustered_auroc(scores, labels, items).columns("auroc")
            | text_auroc
            | auroc_difference(scores, text, labels, items).columns("auroc_minus_text")
        )
        rows.append(
            {
                "family": token.family,
                "token": token.token,
                "vector": name,
                "layer": layer,
                "n": len(labels),
                "n_items": len(np.unique(items)),
                "text_reveals_share": float((test["revealed"] != 0).to_numpy().mean()),
                "random_low": float(low),
                "random_high": float(high),
            }
            | {column: float(value[0]) for column, value in estimates.items()}
        )
    return rows


def text_log_odds(select: pl.DataFrame, test: pl.DataFrame) -> Floats:
    """Log-odds of the answers of `test`, from the text up to the token."""
    labels = select["label"].to_numpy().astype(int)
    items = select["item"].to_numpy().astype(str)
    prefixes = bag_of_words_log_odds(
        select["prefix"].to_list(), labels, items, test["prefix"].to_list()
    )
    features, test_features = (
        np.stack(
            [part["prompt_log_odds"].to_numpy(), log_odds, part["revealed"].to_numpy()], axis=1
        ).astype(float)
        for part, log_odds in zip((select, test), prefixes, strict=True)
    )
    return logistic_log_odds(features, labels, test_features)


def with_prompt_log_odds(answers: pl.DataFrame) -> pl.DataFrame:
    """The answers of a family with `prompt_log_odds`, what the words of the prompt (`text`) say."""
    is_test = (answers["split"] == "test").to_numpy()
    texts, items = answers["text"].to_numpy(), answers["item"].to_numpy().astype(str)
    labels = answers["label"].to_numpy().astype(int)
    log_odds = np.zeros(len(answers))
    log_odds[~is_test], log_odds[is_test] = bag_of_words_log_odds(
        texts[~is_test].tolist(), labels[~is_test], items[~is_test], texts[is_test].tolist()
    )
    return answers.with_columns(pl.Series("prompt_log_odds", log_odds))


def answers_with_token(
    answers: pl.DataFrame, token: int, stored_tokens: Sequence[int]
) -> pl.DataFrame:
    """The answers that go on to `token` (0: all), with the `prefix` to it and what it `revealed`.

    `prefixes` and `reveals` of `answers` list both for each of `stored_tokens`.
    """
    if token == 0:
        return answers.with_columns(pl.lit("").alias("prefix"), pl.lit(0).alias("revealed"))
    place = list(stored_tokens).index(token)
    long_enough = answers.filter(pl.col("prefixes").list.len() > place)
    return long_enough.with_columns(
        pl.col("prefixes").list.get(place, null_on_oob=True).alias("prefix"),
        pl.col("reveals").list.get(place, null_on_oob=True).alias("revealed"),
    )


def tokens_table(study: ModelStudy, stored_tokens: Sequence[int]) -> pl.DataFrame:
    """The table TOKENS: the vectors of the headline's set, each at its selected layer.

    At most 1,024 answers of each split and family, drawn at random. `stored_tokens` are those of
    the continuation whose activations are stored.
    """
    answers = _answers_with_prefixes(study)
    prompt_set = study.suite.headline_set
    vectors = {
        f"{prompt_set}/{variant}": (layer, study.vectors[prompt_set, variant][layer])
        for variant, layer in study.selected_layers.items()
        if (prompt_set, variant) in study.vectors
    }
    families = answers["family"].unique(maintain_order=True).to_list()
    bar = tqdm(
        total=len(families) * (1 + len(stored_tokens)), unit="token", disable=None, desc="tokens"
    )
    rows = []
    for family in families:
        of_family = answers.filter(pl.col("family") == family)
        if of_family["label"].n_unique() == 2:
            of_family = with_prompt_log_odds(of_family)
            for token in (0, *stored_tokens):
                at_token = answers_with_token(of_family, token, stored_tokens)
                activations = token_activations(
                    study.evaluation.folder, token, at_token["id"].to_list()
                )
                rows += token_rows(TokenAnswers(family, token, at_token, activations), vectors)
                bar.update()
    bar.close()
    return pl.DataFrame(rows, schema=TOKENS.columns)


def _answers_with_prefixes(study: ModelStudy) -> pl.DataFrame:
    """A sample of the labelled answers with `text`, `prefixes` and `reveals`."""
    evaluation = study.evaluation
    labels = evaluation.labels.select("id", "family", "item", "split", "label")
    labelled = labels.with_row_index("row").filter(pl.col("label").is_not_null())
    answers = subsample_answers(labelled)
    stored = pl.read_parquet(evaluation.folder / RESPONSES, columns=["continuation_prefixes"])
    prefixes = stored["continuation_prefixes"].gather(answers["row"])
    rows = iter_prompts(evaluation.prompts_path, {*answers["row"].to_list()})
    reveals = [
        [revealed_answer(prefix, row) for prefix in of_answer]
        for row, of_answer in zip(rows, prefixes, strict=True)
    ]
    texts = prompt_texts(evaluation.prompts_path, answers["id"])
    return answers.with_columns(prefixes=prefixes, reveals=pl.Series(reveals)).join(
        texts, on="id", how="left", maintain_order="left"
    )


def token_activations(
    folder: Path, token: int, wanted_ids: Sequence[str]
) -> Callable[[int], ArrayStream]:
    """(wanted_ids, d_model) by layer at a token of the continuation, 0 being the prompt's end.

    `wanted_ids` are in the order of the shards.
    """
    position = f"token_{token}" if token else "prompt"
    wanted = set(wanted_ids)
    rows = np.array([n for n, name in enumerate(read_ids(folder, position)) if name in wanted])

    @cache
    def after_layer(layer: int) -> ArrayStream:
        return stream_activations(folder, layer, position).select_rows(rows)

    return after_layer
