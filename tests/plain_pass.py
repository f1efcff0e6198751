"""A plain Hugging Face pass over one sequence, without a cache: slow, and plainly right."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from sycophancy_steering.engine.language_model import LanguageModel
from sycophancy_steering.questions.question import Row


@torch.inference_mode()
def hidden_states(language_model: LanguageModel, ids: list[int]) -> np.ndarray:
    """(layers + 1, tokens, d_model), as Hugging Face gives them."""
    out = language_model.model(torch.tensor([ids]), use_cache=False, output_hidden_states=True)
    return torch.stack([layer[0] for layer in out.hidden_states]).float().numpy()


@torch.inference_mode()
def logprobs(language_model: LanguageModel, ids: list[int]) -> torch.Tensor:
    """(tokens, vocabulary) of what comes after each token."""
    out = language_model.model(torch.tensor([ids]), use_cache=False)
    return out.logits[0].float().log_softmax(-1)


def logprob_of(language_model: LanguageModel, prompt: list[int], answer: list[int]) -> float:
    """Log-probability of all tokens of `answer` after `prompt`."""
    each = logprobs(language_model, prompt + answer)
    start = len(prompt) - 1
    return sum(float(each[start + k, token]) for k, token in enumerate(answer))


def continuation_of(
    language_model: LanguageModel, prompt: list[int], most: int, row: Row
) -> list[int]:
    """The likeliest token again and again, each from a whole new pass, until there is an answer."""
    said: list[int] = []
    for _ in range(most):
        token = int(logprobs(language_model, prompt + said)[-1].argmax())
        if token == 0 and said:
            break
        said.append(token)
        text = language_model.decode(said)
        if token == 0 or any(f"({c[0]})" in text for c in row.choices if row.form == "letters"):
            break
    return said


def final_norm(model: nn.Module) -> nn.Module:
    """The norm between the last block and the head."""
    return next(
        module
        for name, module in model.named_modules()
        if name.endswith(("model.norm", "ln_f", "final_layer_norm")) and ".layers." not in name
    )
