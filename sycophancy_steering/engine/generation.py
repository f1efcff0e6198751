"""Greedy continuations, and the residual stream at their tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from sycophancy_steering.config.activations import ActivationSettings
from sycophancy_steering.engine.following_tokens import FollowingTokens, run_following
from sycophancy_steering.engine.forced_answers import ForcedAnswer
from sycophancy_steering.engine.forward_pass import capture_layers
from sycophancy_steering.engine.language_model import LanguageModel
from sycophancy_steering.engine.prefill import PrefilledPrompts
from sycophancy_steering.engine.prompt import Prompt


@dataclass(frozen=True)
class ContinuationSettings:
    """How long continuations are, and at which of their tokens activations are stored."""

    max_new_tokens: int
    stop_at: Literal["answer", "turn"] = "answer"
    """Where the prompt's `is_complete` says so, or where the model's `turn` ends."""
    continuation_tokens: list[int] = field(default_factory=list)
    """Counted from 1."""

    @classmethod
    def from_settings(cls, settings: ActivationSettings) -> ContinuationSettings:
        """Those of `activations` in params.yaml."""
        return cls(settings.max_new_tokens, settings.stop_at, settings.continuation_tokens)


class Continuations:
    """The greedy continuation of each prompt, and the residual stream at its tokens."""

    def __init__(
        self,
        language_model: LanguageModel,
        prompts: Sequence[Prompt],
        layers: Sequence[int],
        settings: ContinuationSettings,
    ):
        self.language_model = language_model
        self.prompts = prompts
        self.layers = layers
        self.settings = settings
        end_tokens = language_model.model.generation_config.eos_token_id
        self.end_tokens = set(end_tokens if isinstance(end_tokens, list) else [end_tokens])
        self.token_ids: list[list[int]] = [[] for _ in prompts]
        """Of each continuation; an empty turn holds its end-of-turn token."""
        shape = len(layers), len(prompts), language_model.d_model
        kind = {"dtype": language_model.model.dtype, "device": language_model.model.device}
        self.last = torch.zeros(shape, **kind)
        """(layers, rows, d_model), at the last token."""
        self.at_token = {n: torch.zeros(shape, **kind) for n in settings.continuation_tokens}
        """The same at single tokens; zeros where the continuation is shorter."""
        self._sum = torch.zeros(shape, dtype=torch.float32, device=kind["device"])
        self._unfinished = [*range(len(prompts))]

    @property
    def mean(self) -> Tensor:
        """(layers, rows, d_model), averaged over the continuation's tokens."""
        counts = torch.tensor([len(ids) for ids in self.token_ids], device=self._sum.device)
        return (self._sum / counts[None, :, None]).to(self.last.dtype)

    def accept_forced(self, answer: ForcedAnswer, answer_ids: Sequence[Sequence[int]]) -> None:
        """Takes over a forced answer (token ids by row) where greedy decoding gives the same.

        Its activations are known then, so nothing has to be run again.
        """
        most = self.settings.max_new_tokens
        for row in [*self._unfinished]:
            greedy, forced = answer.greedy_tokens[row], [*answer_ids[row]]
            agreed = 0
            while agreed < min(len(forced), most) and greedy[agreed] == forced[agreed]:
                agreed += 1
            for count in range(1, agreed + 1):
                turn_ends = self.settings.stop_at == "turn" and greedy[count] in self.end_tokens
                if turn_ends or count == most or self._is_complete(row, forced[:count]):
                    self._store(row, forced[:count], answer.activations[:, row, :count])
                    self._unfinished.remove(row)
                    break

    def _store(self, row: int, token_ids: list[int], activations: Tensor) -> None:
        """Stores a whole continuation, with its `activations` (layers, tokens, d_model)."""
        self.token_ids[row] = token_ids
        self.last[:, row] = activations[:, -1]
        self._sum[:, row] = activations.float().sum(1)
        for number, stored in self.at_token.items():
            if number <= len(token_ids):
                stored[:, row] = activations[:, number - 1]

    def generate(self, prefilled: PrefilledPrompts) -> None:
        """Generates the missing continuations, all rows at a time; finished rows are dropped."""
        if not self._unfinished:
            return
        rows, cached = [*self._unfinished], prefilled
        if len(rows) < len(self.prompts):
            cached = prefilled.select_rows(rows)
        logits = cached.logits
        for step in range(self.settings.max_new_tokens):
            greedy = dict(zip(rows, logits.argmax(-1).tolist(), strict=True))
            # An empty turn is represented by its end-of-turn token; others end before it.
            self._unfinished = [
                row for row in self._unfinished if step == 0 or greedy[row] not in self.end_tokens
            ]
            if not self._unfinished:
                return
            if len(self._unfinished) <= len(rows) // 2:
                cached = cached.select_rows([rows.index(row) for row in self._unfinished])
                rows = [*self._unfinished]
            for row in self._unfinished:
                self.token_ids[row].append(greedy[row])
            logits = self._step(cached, rows, [greedy[row] for row in rows], step)
            self._unfinished = [
                row
                for row in self._unfinished
                if step + 1 < self.settings.max_new_tokens
                and greedy[row] not in self.end_tokens
                and not self._is_complete(row, self.token_ids[row])
            ]

    def _step(
        self, cached: PrefilledPrompts, rows: Sequence[int], token_ids: Sequence[int], step: int
    ) -> Tensor:
        """Runs one token of each of `rows`, finished ones too; the logits of the next token."""
        device = cached.logits.device
        activations = self.last.new_empty(len(self.layers), len(rows), self.language_model.d_model)
        following = FollowingTokens(
            slice(0, len(rows)),
            step,
            torch.tensor(token_ids, device=device)[:, None],
            torch.ones(len(rows), step + 1, dtype=torch.long, device=device),
        )
        capture = capture_layers(self.layers, activations, slice(None), -1)
        hidden = run_following(self.language_model, cached, following, capture)
        assert hidden is not None
        unfinished = set(self._unfinished)
        indices = [n for n, row in enumerate(rows) if row in unfinished]
        targets = torch.tensor([rows[n] for n in indices], device=activations.device)
        new = activations[:, torch.tensor(indices, device=activations.device)]
        self.last[:, targets] = new
        self._sum[:, targets] += new.float()
        if step + 1 in self.at_token:
            self.at_token[step + 1][:, targets] = new
        return self.language_model.logits(hidden[:, -1])

    def _is_complete(self, row: int, token_ids: Sequence[int]) -> bool:
        if self.settings.stop_at == "turn":
            return False
        return self.prompts[row].is_complete(self.language_model.decode([*token_ids]))
