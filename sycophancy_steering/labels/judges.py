"""Replies of judges: a model of this study, or a model behind an address."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from sycophancy_steering.config.labels import JudgeAddress, JudgeSettings
from sycophancy_steering.config.reading import read_section
from sycophancy_steering.labels.judging import judge_prompt, judge_row, request_reply

LOCAL_PARAMS = Path("params.local.yaml")
Answer = Mapping[str, str]


def judge_replies(
    settings: JudgeSettings, name: str, answers: Sequence[Answer]
) -> Iterator[tuple[str, str]]:
    """Grade id and reply for each of `answers` (rows of `gradable_answers`), as they arrive."""
    if settings.kind == "model":
        return _by_model(settings, answers)
    return _by_address(name, settings, answers)


def _by_model(settings: JudgeSettings, answers: Sequence[Answer]) -> Iterator[tuple[str, str]]:
    """Replies of a model of this study."""
    from sycophancy_steering.activations.prompts import to_prompt
    from sycophancy_steering.activations.token_budget import batch_tokens
    from sycophancy_steering.config.activations import ActivationSettings
    from sycophancy_steering.config.model import ModelSettings
    from sycophancy_steering.engine.forward import extract_batch
    from sycophancy_steering.engine.language_model import load_language_model
    from sycophancy_steering.engine.prefix_tree import plan_batches

    reading = read_section(ActivationSettings, "activations")
    placement = read_section(ModelSettings, "model", settings.model)
    language_model = load_language_model(Path(f"data/models/{settings.model}"), placement)
    rows = [judge_row(answer) for answer in answers]
    prompts = [to_prompt(language_model, row) for row in rows]
    token_ids = [prompt.token_ids for prompt in prompts]
    for batch in plan_batches(token_ids, batch_tokens(language_model, reading)):
        result = extract_batch(language_model, [prompts[n] for n in batch], reading)
        for n, output in zip(batch, result.outputs, strict=True):
            yield rows[n].id, language_model.decode(output.continuation)


def _by_address(
    judge: str, settings: JudgeSettings, answers: Sequence[Answer]
) -> Iterator[tuple[str, str]]:
    """Replies of a model behind an address."""
    at = read_section(JudgeAddress, "judge", judge, path=LOCAL_PARAMS)
    for answer in answers:
        yield (
            answer["id"],
            request_reply(at.address, at.key, settings.model, judge_prompt(answer)),
        )
