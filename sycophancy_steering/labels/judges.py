"""Replies of judges: a model of this study, or a model behind an address."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from sycophancy_steering.config.labels import JudgeAddress, JudgeSettings
from sycophancy_steering.config.reading import read_section
from sycophancy_steering.labels.judging import judge_prompt, judge_row, request_reply
from sycophancy_steering.schemas.paths import MODELS

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
    from sycophancy_steering.activations.model_work import extract_questions
    from sycophancy_steering.activations.prompts import to_prompt
    from sycophancy_steering.config.activations import ActivationSettings
    from sycophancy_steering.config.compute import read_compute
    from sycophancy_steering.config.model import ModelSettings
    from sycophancy_steering.engine.open_workers import open_workers
    from sycophancy_steering.engine.prefix_tree import plan_batches
    from sycophancy_steering.engine.workers import Task

    reading = read_section(ActivationSettings, "activations")
    placement = read_section(ModelSettings, "model", settings.model)
    folder, rows = MODELS / settings.model, [judge_row(answer) for answer in answers]
    with open_workers(folder, placement, reading, read_compute()) as workers:
        questions = [(row, to_prompt(workers.language_model, row)) for row in rows]
        token_ids = [prompt.token_ids for _, prompt in questions]
        batches = [
            [questions[n] for n in batch] for batch in plan_batches(token_ids, workers.batch_tokens)
        ]
        tasks = [Task((batch, reading, True), [row.id for row, _ in batch]) for batch in batches]
        for _, (_, extracted) in workers.run(extract_questions, tasks):
            for response in extracted.responses:
                yield response["id"], response["continuation"]


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
