"""How many prompt tokens are run at a time, and what happens where that was too many."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import torch

from sycophancy_steering.config.activations import ActivationSettings
from sycophancy_steering.engine.language_model import LanguageModel
from sycophancy_steering.engine.prompt import TokenIds
from sycophancy_steering.foundation.memory import return_free_memory

BATCH_TOKENS = {"cpu": 8192}
"""By kind of device; `GPU_BATCH_TOKENS` for others."""
GPU_BATCH_TOKENS = 32768

Result = TypeVar("Result")


def batch_tokens(language_model: LanguageModel, settings: ActivationSettings) -> int:
    """Prompt tokens in memory at a time, padding included."""
    if settings.batch_tokens != "auto":
        return settings.batch_tokens
    return BATCH_TOKENS.get(language_model.model.device.type, GPU_BATCH_TOKENS)


class TokenBudget:
    """A number of tokens per batch that shrinks where memory runs out."""

    def __init__(self, language_model: LanguageModel, tokens: int):
        self.language_model = language_model
        self.tokens = tokens

    def in_parts(
        self,
        prompts: Sequence[TokenIds],
        compute: Callable[[slice], Result],
        rows: slice | None = None,
    ) -> Iterator[tuple[slice, Result]]:
        """`compute` of all `rows` of the prompts, or of halves of them where memory runs out: the
        rows of each part, and what was computed."""
        rows = rows or slice(0, len(prompts))
        result = self._attempt(prompts[rows], lambda: compute(rows))
        if result is not None:
            yield rows, result
            return
        middle = (rows.start + rows.stop) // 2
        yield from self.in_parts(prompts, compute, slice(rows.start, middle))
        yield from self.in_parts(prompts, compute, slice(middle, rows.stop))

    def _attempt(self, prompts: Sequence[TokenIds], compute: Callable[[], Result]) -> Result | None:
        """The result of `compute`; None where the batch has to be run in two halves.

        Where memory runs out, the budget becomes half the size of this batch.
        """
        size = len(prompts) * max(map(len, prompts))
        if len(prompts) > 1 and size > self.tokens:
            return None
        try:
            result = compute()
        except (torch.OutOfMemoryError, RuntimeError) as error:
            if len(prompts) == 1 or not _is_out_of_memory(error):
                raise
        else:
            return_free_memory()
            return result
        self.tokens = max(1, size // 2)
        self.language_model.buffers.clear()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        print(f"out of memory: batches of {self.tokens} tokens from here on", file=sys.stderr)
        return None


def _is_out_of_memory(error: Exception) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
