"""Measures when an answer can be read: AUROC token by token, beside a reader of the text alone.

    python stages/tokens.py one_cause

Reads prompts, activations and labels of the `evaluation_set`, the vectors made from the set of the
`headline` and, from reports/cells/MODEL, the layer that was chosen for each; writes
reports/tokens/MODEL.csv: a row a family, token (0 is the prompt's end; the others are those of
`activations.continuation_tokens` in params.yaml) and vector, on `test`, from at most 1,024 answers of each split and
family, drawn at random.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
from tqdm import tqdm

from sycophancy_steering.analysis.token_by_token import (
    SCHEMA,
    TokenAnswers,
    answers_with_token,
    revealed_answer,
    token_rows,
    with_prompt_log_odds,
)
from sycophancy_steering.config.activations import ActivationSettings
from sycophancy_steering.config.reading import read_name, read_section
from sycophancy_steering.foundation.array_stream import ArrayStream
from sycophancy_steering.foundation.atomic_files import atomic_write
from sycophancy_steering.foundation.command_line import command
from sycophancy_steering.questions.prompt_table import each_prompt
from sycophancy_steering.questions.prompt_texts import prompt_texts
from sycophancy_steering.statistics.text_baseline import subsample_answers
from sycophancy_steering.storage.activation_shards import RESPONSES, read_ids, stream_activations
from sycophancy_steering.storage.cell_files import selected_layers
from sycophancy_steering.storage.label_files import read_labels
from sycophancy_steering.storage.vector_files import read_vectors

TOLD = ["id", "family", "item", "split", "label"]


@command(__doc__, model="an entry of model in params.yaml")
def main(model: str) -> None:
    prompt_set, on = read_name("headline").partition("/")[0], read_name("evaluation_set")
    numbers = read_section(ActivationSettings, "activations").continuation_tokens
    prompts = Path(f"data/prompts/{on}.parquet")
    activations = Path(f"data/activations/{model}/{on}")
    labels = Path(f"data/labels/{model}/{on}.parquet")
    every = read_labels(labels, read_ids(activations), TOLD).with_row_index("row")
    answers = subsample_answers(every.filter(pl.col("label").is_not_null()))
    spoken = pl.read_parquet(activations / RESPONSES, columns=["spoken"])["spoken"]
    spoken = spoken.gather(answers["row"])
    answers = answers.with_columns(
        beginnings=spoken, gives=gives_away(prompts, answers["row"].to_list(), spoken)
    ).join(prompt_texts(prompts, answers["id"]), on="id", how="left", maintain_order="left")
    vectors = {}
    for name, layer in selected_layers(model, prompt_set).items():
        found, about = read_vectors(Path(f"vectors/{model}/{prompt_set}/{name}.safetensors"))
        if not about.get("null"):
            vectors[f"{prompt_set}/{name}"] = layer, found[layer].astype(np.float64)
    rows = []
    families = answers["family"].unique(maintain_order=True).to_list()
    bar = tqdm(total=len(families) * (len(numbers) + 1), unit="token", disable=None, desc="tokens")
    for family in families:
        held = answers.filter(pl.col("family") == family)
        if held["label"].n_unique() == 2:
            held = with_prompt_log_odds(held)
            for number in (0, *numbers):
                there = answers_with_token(held, number, numbers)
                states = states_of(activations, number, there["id"].to_list())
                rows += token_rows(TokenAnswers(family, number, there, states), vectors)
                bar.update()
    bar.close()
    target = Path(f"reports/tokens/{model}.csv")
    with atomic_write(target) as draft:
        pl.DataFrame(rows, schema=SCHEMA).write_csv(draft, float_precision=5)
    print(f"{target}: {len(vectors)} vectors at the prompt's end and {len(numbers)} tokens")


def gives_away(prompts: Path, rows: list[int], spoken: pl.Series) -> pl.Series:
    """What each of the `spoken` beginnings of each answer to `rows` gives away (see `told`)."""
    pairs = zip(each_prompt(prompts, {*rows}), spoken, strict=True)
    return pl.Series([[revealed_answer(text, row) for text in said] for row, said in pairs])


def states_of(activations: Path, token: int, wanted: list[str]) -> Callable[[int], ArrayStream]:
    """The states (wanted, d_model) at a token of the continuation, 0 being the prompt's end.

    `wanted` are in the order of the shards.
    """
    position = f"token_{token}" if token else "prompt"
    those = set(wanted)
    rows = [n for n, each in enumerate(read_ids(activations, position)) if each in those]

    @cache
    def after(layer: int) -> ArrayStream:
        return stream_activations(activations, layer, position).select_rows(np.array(rows))

    return after


if __name__ == "__main__":
    main()
