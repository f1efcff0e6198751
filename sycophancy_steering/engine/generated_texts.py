"""What a model says after a prompt, as text."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from sycophancy_steering.engine.generation import Continuations, ContinuationSettings
from sycophancy_steering.engine.language_model import LanguageModel
from sycophancy_steering.engine.prefill import prefill
from sycophancy_steering.engine.prompt import Prompt, TokenIds


def generated_texts(
    language_model: LanguageModel, prompts: Sequence[TokenIds], max_new_tokens: int
) -> list[str]:
    """The greedy turn of the model after each prompt, cut off after `max_new_tokens`."""
    texts = generated_tokens(language_model, prompts, max_new_tokens)
    return [language_model.decode(token_ids).strip() for token_ids in texts]


@torch.inference_mode()
def generated_tokens(
    language_model: LanguageModel, prompts: Sequence[TokenIds], max_new_tokens: int
) -> list[list[int]]:
    """The token ids of that turn."""
    prefilled = prefill(language_model, prompts, max_new_tokens)
    continuations = Continuations(
        language_model,
        [Prompt("", token_ids) for token_ids in prompts],
        (),
        ContinuationSettings(max_new_tokens, "turn"),
    )
    continuations.generate(prefilled)
    return continuations.token_ids
