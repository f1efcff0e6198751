"""Extracts activations, answer log-probabilities and continuations of a batch of prompts.

The path of a prompt: its tokens go into a prefix tree (`prefix_tree.py`); shared prefixes and then
the rest of each prompt are run once (`prefill.py`), leaving keys and values (`kv_cache.py`); forced
answers are run after the prefilled prompts (`forced_answers.py`); a greedy continuation follows
(`generation.py`), which starts from a forced answer where the model agrees with it. Hooks capture
the residual stream along the way (`residual_stream.py`). Results do not depend on the batch:
positions are counted over real tokens, and padding is masked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from sycophancy_steering.config.activations import ActivationSettings
from sycophancy_steering.engine.forced_answers import (
    answer_logprobs,
    forced_answer_activations,
    logprobs_by_row,
    longest_answer,
    run_forced_answers,
)
from sycophancy_steering.engine.generation import Continuations, ContinuationSettings
from sycophancy_steering.engine.language_model import LanguageModel
from sycophancy_steering.engine.prefill import PrefilledPrompts, prefill
from sycophancy_steering.engine.prompt import (
    ExtractedBatch,
    ModelOutput,
    PositionActivations,
    Prompt,
    token_position,
)
from sycophancy_steering.foundation.errors import InputError


def extracted_layers(language_model: LanguageModel, settings: ActivationSettings) -> range:
    """The layers whose activations are stored. Raises InputError for one the model lacks."""
    depth = language_model.model.config.get_text_config().num_hidden_layers
    last = depth - 1 if settings.last_layer == "last" else settings.last_layer
    if last >= depth:
        raise InputError(
            f"params.yaml: activations.last_layer: expected 0 to {depth - 1}, found {last}"
        )
    return range(last + 1)


@torch.inference_mode()
def extract_batch(
    language_model: LanguageModel, prompts: Sequence[Prompt], settings: ActivationSettings
) -> ExtractedBatch:
    """Activations at all positions, log-probabilities of all answers, and continuations.

    Either every prompt has forced answers, or none has. Raises InputError for an answer without
    tokens, and where the model overflows.
    """
    layers = extracted_layers(language_model, settings)
    answers, wordings = _forced_answers(prompts), _answer_wordings(prompts)
    n_following = max(longest_answer(answers), longest_answer(wordings), settings.max_new_tokens)
    token_ids = [prompt.token_ids for prompt in prompts]
    prefilled = prefill(language_model, token_ids, n_following, layers, settings.share_prefixes)

    names = ["prompt", "continuation", "continuation_mean", *prompts[0].answer_positions]
    names += map(token_position, settings.continuation_tokens)
    stored = prefilled.activations.new_empty(len(names), *prefilled.activations.shape)
    activations = dict(zip(names, stored, strict=True))
    activations["prompt"][:] = prefilled.activations
    continuations = Continuations(
        language_model, prompts, layers, ContinuationSettings.from_settings(settings)
    )
    logprobs = []
    for number, answer in enumerate(run_forced_answers(language_model, prefilled, answers, layers)):
        logprobs.append(answer.logprobs)
        for name in prompts[0].answer_positions:
            rows = [
                n for n, prompt in enumerate(prompts) if prompt.answer_positions[name] == number
            ]
            last = torch.tensor([len(answers[n][number]) - 1 for n in rows], dtype=torch.long)
            activations[name][:, rows] = answer.activations[:, rows, last]
        continuations.accept_forced(
            answer, [row[number] if number < len(row) else [] for row in answers]
        )
    wording_logprobs = _wording_logprobs(language_model, prefilled, prompts, wordings)
    continuations.generate(prefilled)

    activations["continuation"][:] = continuations.last
    activations["continuation_mean"][:] = continuations.mean
    for number in settings.continuation_tokens:
        activations[token_position(number)][:] = continuations.at_token[number]
    outputs = [
        ModelOutput(*output)
        for output in zip(
            continuations.token_ids,
            logprobs_by_row(logprobs, answers),
            wording_logprobs,
            strict=True,
        )
    ]
    return ExtractedBatch(
        _by_position(activations, stored, prompts, continuations.token_ids),
        outputs,
        prefilled.tokens_run,
    )


@torch.inference_mode()
def extract_without_generating(
    language_model: LanguageModel, prompts: Sequence[Prompt], settings: ActivationSettings
) -> ExtractedBatch:
    """Activations at the ends of prompts and, if they have any, of forced answers
    (`answer_positions`) only.

    Nothing is generated, no log-probability is computed, and no layer above the last stored one is
    run. Raises InputError as `extract_batch`.
    """
    layers = extracted_layers(language_model, settings)
    names = list(prompts[0].answer_positions)
    forced = _forced_answers(prompts)
    answers = [
        [row[prompt.answer_positions[name]] for name in names]
        for prompt, row in zip(prompts, forced, strict=True)
    ]
    prefilled = prefill(
        language_model,
        [prompt.token_ids for prompt in prompts],
        longest_answer(answers),
        layers,
        settings.share_prefixes,
        layers[-1],
    )
    at_answers = forced_answer_activations(language_model, prefilled, answers, layers)
    stored = torch.stack([prefilled.activations, *at_answers])
    activations = dict(zip(["prompt", *names], stored, strict=True))
    return ExtractedBatch(
        _by_position(activations, stored, prompts, [[] for _ in prompts]),
        [ModelOutput() for _ in prompts],
        prefilled.tokens_run,
    )


def _forced_answers(prompts: Sequence[Prompt]) -> list[Sequence[Sequence[int]]]:
    for prompt in prompts:
        if not all(map(len, prompt.forced_answers)):
            raise InputError(f"question {prompt.id}: an answer without a token; expected some text")
    return [prompt.forced_answers for prompt in prompts]


def _answer_wordings(prompts: Sequence[Prompt]) -> list[list[Sequence[int]]]:
    """Each prompt's wordings of all choices, one after another; empty where there are none."""
    if not any(prompt.answer_wordings for prompt in prompts):
        return []
    return [
        [wording for choice in prompt.answer_wordings for wording in choice] for prompt in prompts
    ]


def _wording_logprobs(
    language_model: LanguageModel,
    prefilled: PrefilledPrompts,
    prompts: Sequence[Prompt],
    wordings: Sequence[Sequence[Sequence[int]]],
) -> list[list[float]] | list[None]:
    """Log-probability of each prompt's choices, each in any of its wordings."""
    if not wordings:
        return [None] * len(prompts)
    logprobs = answer_logprobs(language_model, prefilled, wordings)
    summed = []
    for prompt, row in zip(prompts, logprobs, strict=True):
        ends = np.cumsum([len(choice) for choice in prompt.answer_wordings])[:-1]
        summed.append([float(np.logaddexp.reduce(choice)) for choice in np.split(row, ends)])
    return summed


def _by_position(
    activations: Mapping[str, Tensor],
    stored: Tensor,
    prompts: Sequence[Prompt],
    continuations: Sequence[Sequence[int]],
) -> dict[str, PositionActivations]:
    """Activations by position, each of the prompts that have the position.

    `stored` (positions, layers, rows, d_model) holds all of `activations`. Raises InputError where
    one is not finite.
    """
    finite = stored.isfinite().all(-1)
    names = list(activations)
    if not finite.all():
        position, layer, row = (int(n) for n in (~finite).nonzero()[0])
        raise InputError(
            f"question {prompts[row].id}, layer {layer}, {names[position]}: the model overflows in "
            f"{str(stored.dtype).removeprefix('torch.')}; set another dtype in params.yaml"
        )
    arrays = dict(zip(names, to_numpy(stored), strict=True))
    by_position = {}
    for name, array in arrays.items():
        if not name.startswith("token_"):
            by_position[name] = PositionActivations([*range(len(prompts))], array)
            continue
        number = int(name.removeprefix("token_"))
        rows = [
            n
            for n, prompt in enumerate(prompts)
            if len(continuations[n]) >= number and prompt.store_continuation_tokens
        ]
        if rows:
            by_position[name] = PositionActivations(rows, array[:, rows])
    return by_position


def to_numpy(activations: Tensor) -> np.ndarray:
    """As a numpy array; bfloat16, which numpy lacks, as its 16 bits."""
    bits = activations.dtype == torch.bfloat16
    return (activations.view(torch.uint16) if bits else activations).cpu().numpy()
