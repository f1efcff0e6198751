"""Runs a model over a prompt set and keeps what it was in and what it said.

    python stages/activations.py one_cause opinion_pairs

Reads data/models/MODEL, data/prompts/SET.parquet and `model.MODEL`, `reading` of params.yaml;
writes data/activations/MODEL/SET/: Parquet shards of states, and responses.parquet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from lib.activation_shards import RESPONSES, Origin, write_shard
from lib.command import command
from lib.language_model import LanguageModel, Placement, load_language_model
from lib.likelihoods import likelihoods, references, without_user
from lib.model_pass import (
    Kept,
    ReadingSettings,
    Response,
    length_sorted_batches,
    read_batch,
)
from lib.output import whole
from lib.parameters import read_section
from lib.prompt_rows import read_prompts
from lib.question import Row

ROWS_PER_SHARD = 1024


@command(
    __doc__,
    model="an entry of model in params.yaml",
    prompt_set="an entry of prompt_set in params.yaml",
)
def main(model: str, prompt_set: str) -> None:
    settings = read_section(ReadingSettings, "reading")
    placement = read_section(Placement, "model", model)
    rows = read_prompts(Path(f"data/prompts/{prompt_set}.parquet"))
    folder = Path(f"data/models/{model}")
    language_model = load_language_model(folder, placement)

    with whole(Path(f"data/activations/{model}/{prompt_set}")) as draft:
        draft.mkdir()
        responses: list[Response] = []
        bar = tqdm(total=len(rows), unit="question", disable=None, desc=prompt_set)
        for number, start in enumerate(range(0, len(rows), ROWS_PER_SHARD)):
            part = rows[start : start + ROWS_PER_SHARD]
            held, answered = read_part(language_model, part, settings, bar)
            origin = Origin(
                model=model,
                revision=language_model.revision,
                dtype=placement.dtype,
                d_model=held["prompt"][1].shape[2],
                layers=held["prompt"][1].shape[0],
                template_hash=language_model.template_hash,
                style=language_model.style,
            )
            write_shard(draft / f"shard-{number:05d}.parquet", held, origin)
            responses += answered
        bar.close()
        said = compared(language_model, rows, responses, settings)
        pq.write_table(pa.Table.from_pylist(said, schema=RESPONSE_SCHEMA), draft / RESPONSES)
    answered = sum(response.answer is not None for response in responses)
    print(f"{model} on {prompt_set}: {len(rows)} questions, {answered} answered")


def read_part(
    language_model: LanguageModel,
    rows: Sequence[Row],
    settings: ReadingSettings,
    bar: tqdm,
) -> tuple[dict[str, tuple[list[str], np.ndarray]], list[Response]]:
    """Ids and states (layers, n, d_model) at each position; responses. In the order of `rows`."""
    prompts = [language_model.write(row.messages) for row in rows]
    places: list[int] = []
    kept: dict[str, list[Kept]] = {}
    responses = []
    for batch in length_sorted_batches([len(ids) for ids in prompts], settings.batch_size):
        part = [rows[n] for n in batch]
        result = read_batch(language_model, part, [prompts[n] for n in batch], settings)
        places += batch
        for position, block in result.states.items():
            there = [batch[n] for n in block.rows]
            kept.setdefault(position, []).append(Kept(there, block.states))
        responses += result.responses
        bar.update(len(batch))
    held = {}
    for position, blocks in kept.items():
        at = [n for block in blocks for n in block.rows]
        states = np.concatenate([block.states for block in blocks], axis=1)
        held[position] = [rows[n].id for n in sorted(at)], states[:, np.argsort(at)]
    return held, [responses[n] for n in np.argsort(places)]


def compared(
    language_model: LanguageModel,
    rows: Sequence[Row],
    responses: Sequence[Response],
    settings: ReadingSettings,
) -> list[dict[str, Any]]:
    """The responses with what they are compared with: the question without its user, references."""
    plain = [without_user(row) for row in rows]
    known = [references(row, bool(language_model.tokenizer.chat_template)) for row in rows]
    asked = [each for each in plain + known if each]
    with tqdm(total=len(set(asked)), unit="question", disable=None, desc="without user") as bar:
        found = likelihoods(language_model, asked, settings, bar)
    return [
        asdict(response)
        | {
            "plain_logprobs": found[alone] if alone else None,
            "true_logprobs": found[told][: len(row.true_answers)] if told else None,
            "false_logprobs": found[told][len(row.true_answers) :] if told else None,
        }
        for response, row, alone, told in zip(responses, rows, plain, known, strict=True)
    ]


RESPONSE_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("prompt_tokens", pa.int32()),
        ("continuation", pa.string()),
        ("answer", pa.string()),
        ("logprobs", pa.list_(pa.float64())),
        ("any_logprobs", pa.list_(pa.float64())),
        ("spoken", pa.list_(pa.string())),
        ("plain_logprobs", pa.list_(pa.float64())),
        ("true_logprobs", pa.list_(pa.float64())),
        ("false_logprobs", pa.list_(pa.float64())),
    ]
)


if __name__ == "__main__":
    main()
