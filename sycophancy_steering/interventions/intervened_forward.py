"""Forward passes of the same questions under many interventions.

An intervention at a prompt's last token, or after it, leaves everything before that token
unchanged. So a batch of prompts is run once without an intervention; then, for each intervention,
only the last token and the answers are run, from the lowest changed layer on. Under interventions
at every token the prompts are run again, from that layer on too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sycophancy_steering.activations.prompts import answer_is_complete
from sycophancy_steering.activations.reference_logprobs import ChatAnswers
from sycophancy_steering.engine.following_tokens import FollowingTokens, run_following
from sycophancy_steering.engine.forced_answers import answer_logprobs, longest_answer
from sycophancy_steering.engine.forward_pass import capture_layers
from sycophancy_steering.engine.generation import Continuations, ContinuationSettings
from sycophancy_steering.engine.intervention import Intervention
from sycophancy_steering.engine.language_model import LanguageModel
from sycophancy_steering.engine.lower_layers import LowerLayersCache
from sycophancy_steering.engine.prefill import PrefilledPrompts, prefill
from sycophancy_steering.engine.prefix_tree import plan_batches
from sycophancy_steering.engine.prompt import Prompt
from sycophancy_steering.questions.question import Row


@dataclass(frozen=True)
class _Passes:
    """What the passes over one batch of prompts are for."""

    interventions: Sequence[Intervention]
    n_following: int
    """Tokens that will be run after each prompt, at most."""
    layers: Sequence[int] = ()
    """Layers whose activations at the last token are captured."""
    same_following_tokens: bool = True
    """Whether the same tokens follow the prompts under every intervention."""


class IntervenedForward:
    """Chats with their possible answers, run through a model under interventions.

    Results come batch by batch: the index of an intervention, the indices of the chats of a batch,
    and what was computed for these. Every intervention is combined with every chat once.
    """

    def __init__(self, language_model: LanguageModel, chats: Sequence[ChatAnswers], budget: int):
        """`budget` is the number of prompt tokens in memory at a time."""
        self.model = language_model
        self._answers = [[language_model.encode(text) for text in texts] for _, texts in chats]
        self._prompts = [
            np.array(language_model.encode_chat(turns), np.int32) for turns, _ in chats
        ]
        # Prompts with answers of one length are neighbours: a slice, which is run without copying.
        self._batches = [
            sorted(batch, key=lambda n: (-max(map(len, self._answers[n])), n))
            for batch in plan_batches(self._prompts, budget)
        ]

    @property
    def fits_context(self) -> bool:
        """Whether every chat with every answer fits into the model's context."""
        config = self.model.model.config.get_text_config()
        limit = getattr(config, "max_position_embeddings", None)
        chats = zip(self._prompts, self._answers, strict=True)
        longest = max(len(prompt) + max(map(len, answers)) for prompt, answers in chats)
        return limit is None or longest <= limit

    @torch.inference_mode()
    def logprobs(
        self, interventions: Sequence[Intervention]
    ) -> Iterator[tuple[int, list[int], list[list[float]]]]:
        """Yields the log-probability of each answer of each chat."""
        for number, chats, _, logprobs in self.activations_and_logprobs(interventions, ()):
            yield number, chats, logprobs

    @torch.inference_mode()
    def activations_and_logprobs(
        self, interventions: Sequence[Intervention], layers: Sequence[int]
    ) -> Iterator[tuple[int, list[int], NDArray[np.float32], list[list[float]]]]:
        """Yields what `activations` and `logprobs` yield, from one pass over the prompts."""
        for batch in self._batches:
            answers = [self._answers[chat] for chat in batch]
            passes = _Passes(interventions, longest_answer(answers), layers)
            for number, model, prefilled in self._prefilled(batch, passes):
                activations = prefilled.activations.float().cpu().numpy()
                yield number, batch, activations, answer_logprobs(model, prefilled, answers)

    @torch.inference_mode()
    def activations(
        self, interventions: Sequence[Intervention], layers: Sequence[int]
    ) -> Iterator[tuple[int, list[int], NDArray[np.float32]]]:
        """Yields the activations (layers, chats, d_model) at the prompts' last tokens, after the
        intervention."""
        for batch in self._batches:
            passes = _Passes(interventions, 1, layers)
            for number, _, prefilled in self._prefilled(batch, passes):
                yield number, batch, prefilled.activations.float().cpu().numpy()

    @torch.inference_mode()
    def continuations(
        self, rows: Sequence[Row], interventions: Sequence[Intervention], max_new_tokens: int
    ) -> list[list[str]]:
        """The model's own answers under each intervention to the questions `rows`, one for each
        chat; each ends where its answer is complete."""
        texts = [[""] * len(self._prompts) for _ in interventions]
        settings = ContinuationSettings(max_new_tokens)
        passes = _Passes(interventions, max_new_tokens, same_following_tokens=False)
        for batch in self._batches:
            prompts = [
                Prompt(
                    rows[chat].id,
                    self._prompts[chat],
                    is_complete=partial(answer_is_complete, rows[chat]),
                )
                for chat in batch
            ]
            for number, model, prefilled in self._prefilled(batch, passes):
                continuations = Continuations(model, prompts, (), settings)
                continuations.generate(prefilled)
                for chat, ids in zip(batch, continuations.token_ids, strict=True):
                    texts[number][chat] = model.decode(ids)
        return texts

    def _prefilled(
        self, batch: Sequence[int], passes: _Passes
    ) -> Iterator[tuple[int, LanguageModel, PrefilledPrompts]]:
        """Yields the index of an intervention, the model under it, and the batch's prompts, which
        are valid until the next is yielded."""
        prompts = [self._prompts[chat] for chat in batch]
        last_tokens = torch.tensor([[int(prompt[-1])] for prompt in prompts])
        unchanged: PrefilledPrompts | None = None
        changes_prompts = [
            intervention.where == "every" and bool(intervention.changes)
            for intervention in passes.interventions
        ]
        lowest = [min(intervention.changes, default=-1) for intervention in passes.interventions]
        lower_layers: LowerLayersCache | None = None
        held_for: tuple[bool, int] | None = None
        # Interventions on every token go last, as they overwrite the shared keys and values. Both
        # kinds are sorted by lowest layer, so that one cache of lower layers is held at a time.
        order = [*zip(changes_prompts, lowest, strict=True)]
        for n in sorted(range(len(order)), key=order.__getitem__):
            model = replace(self.model, intervention=passes.interventions[n])
            reusable = 0 <= lowest[n] <= min(passes.layers, default=lowest[n])
            if passes.same_following_tokens and reusable:
                if lower_layers is None or held_for != order[n]:
                    lower_layers, held_for = LowerLayersCache(lowest[n]), order[n]
                model = replace(model, lower_layers=lower_layers.rewind())
            if changes_prompts[n]:
                prefilled = prefill(model, prompts, passes.n_following, passes.layers)
            else:
                if unchanged is None:
                    unchanged = prefill(self.model, prompts, passes.n_following, passes.layers)
                prefilled = unchanged
            # Rerun without an intervention too, so that adding nothing changes no bit.
            yield n, model, rerun_last_tokens(model, prefilled, last_tokens, passes.layers)


def rerun_last_tokens(
    language_model: LanguageModel,
    prefilled: PrefilledPrompts,
    last_tokens: Tensor,
    layers: Sequence[int] = (),
) -> PrefilledPrompts:
    """`prefilled` with each prompt's last token, `last_tokens` (rows, 1), replaced by a run under
    the model's intervention."""
    intervention = language_model.intervention
    at_prompt_end = Intervention({} if intervention.where == "answer" else intervention.changes)
    device, n_rows = prefilled.lengths.device, len(last_tokens)
    activations = prefilled.activations.new_empty(len(layers), n_rows, language_model.d_model)
    hidden = run_following(
        replace(language_model, intervention=at_prompt_end),
        prefilled,
        FollowingTokens(
            slice(0, n_rows),
            -1,
            last_tokens.to(device),
            torch.ones(n_rows, 0, dtype=torch.long, device=device),
        ),
        capture_layers(layers, activations, slice(0, n_rows), -1),
    )
    assert hidden is not None
    logits = language_model.logits(hidden[:, -1])
    return replace(prefilled, logits=logits, activations=activations)


def log_odds(row: Row, logprobs: Sequence[float]) -> float:
    """Log-odds of the sycophantic answer against the most likely other one."""
    matching = [letter for letter, _ in row.choices].index(row.matching)
    return logprobs[matching] - max([*logprobs[:matching], *logprobs[matching + 1 :]])
