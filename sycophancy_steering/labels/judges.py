"""The two kinds of judges: a model of this study, and a model behind an address."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from sycophancy_steering.config.reading import read_section
from sycophancy_steering.labels.judging import asked_of_a_judge, reply_over_http, row_for_a_judge

LOCAL = Path("params.local.yaml")
Answer = Mapping[str, str]


@dataclass(frozen=True)
class Judge:
    """An entry of `judge` in params.yaml."""

    kind: Literal["model", "address"]
    model: str
    """An entry of `model`; or the name by which the address knows it."""


@dataclass(frozen=True)
class Address:
    """An entry of `judge` in params.local.yaml."""

    address: str
    """Of an OpenAI-compatible server, up to and with /v1."""
    key: str = ""


def replies_of(settings: Judge, name: str, answers: Sequence[Answer]) -> Iterator[tuple[str, str]]:
    """Question and reply, for each of `answers` (see `gradable.py`), as they come."""
    if settings.kind == "model":
        return _by_model(settings, answers)
    return _by_address(name, settings, answers)


def _by_model(settings: Judge, answers: Sequence[Answer]) -> Iterator[tuple[str, str]]:
    """Question and reply, by a model of this study."""
    from sycophancy_steering.activations.extraction_run import batch_tokens
    from sycophancy_steering.engine.forward import ReadingSettings, read_batch
    from sycophancy_steering.engine.language_model import Placement, load_language_model
    from sycophancy_steering.engine.prefix_tree import batches

    reading = read_section(ReadingSettings, "reading")
    placement = read_section(Placement, "model", settings.model)
    language_model = load_language_model(Path(f"data/models/{settings.model}"), placement)
    rows = [row_for_a_judge(answer) for answer in answers]
    prompts = [np.array(language_model.write(row.messages), dtype=np.int32) for row in rows]
    for batch in batches(prompts, batch_tokens(language_model, reading)):
        part = [rows[n] for n in batch]
        result = read_batch(language_model, part, [prompts[n] for n in batch], reading)
        for row, response in zip(part, result.responses, strict=True):
            yield row.id, response.continuation


def _by_address(
    judge: str, settings: Judge, answers: Sequence[Answer]
) -> Iterator[tuple[str, str]]:
    """Question and reply, by a model behind an address."""
    at = read_section(Address, "judge", judge, path=LOCAL)
    for answer in answers:
        yield (
            answer["id"],
            reply_over_http(at.address, at.key, settings.model, asked_of_a_judge(answer)),
        )
