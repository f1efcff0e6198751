"""Questions that a model is asked again and again, each time with something else done to it.

What is done at a prompt's last token, or after it, leaves all before it as it was: that is run once
for a batch, and then, for each intervention, the last token and the answers alone, from the lowest
layer on at which something is done.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
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


class IntervenedForward:
    """Questions with the answers that may follow, and a model to ask."""

    def __init__(self, language_model: LanguageModel, asked: Sequence[ChatAnswers], budget: int):
        """`budget` tokens of prompts are in memory at a time."""
        self.model = language_model
        self._answers = [[language_model.encode(text) for text in texts] for _, texts in asked]
        self._prompts = [
            np.array(language_model.encode_chat(turns), np.int32) for turns, _ in asked
        ]
        self._batches = plan_batches(self._prompts, budget)

    @property
    def fits_context(self) -> bool:
        """Whether every question with every answer fits into the model's context."""
        most = getattr(self.model.model.config.get_text_config(), "max_position_embeddings", None)
        both = zip(self._prompts, self._answers, strict=True)
        return most is None or max(len(p) + max(map(len, a)) for p, a in both) <= most

    @torch.inference_mode()
    def logprobs(
        self, interventions: Sequence[Intervention]
    ) -> Iterator[tuple[int, list[int], list[list[float]]]]:
        """The number of an intervention, the places of some of the questions, and the
        log-probabilities of each one's answers; until there is one of each."""
        for n, places, _, logprobs in self.activations_and_logprobs(interventions, ()):
            yield n, places, logprobs

    @torch.inference_mode()
    def activations_and_logprobs(
        self, interventions: Sequence[Intervention], layers: Sequence[int]
    ) -> Iterator[tuple[int, list[int], NDArray[np.float32], list[list[float]]]]:
        """What `states` and `logprobs` tell, of one pass over the prompts."""
        for batch in self._batches:
            answers = [self._answers[n] for n in batch]
            room = longest_answer(answers)
            for n, model, ready in self._under_each(batch, interventions, room, layers):
                states = ready.activations.float().cpu().numpy()
                yield n, batch, states, answer_logprobs(model, ready, answers)

    @torch.inference_mode()
    def activations(
        self, interventions: Sequence[Intervention], layers: Sequence[int]
    ) -> Iterator[tuple[int, list[int], NDArray[np.float32]]]:
        """The number of an intervention, the places of some of the questions, and their states
        (layers, places, d_model) at the prompts' last tokens, as they are left."""
        for batch in self._batches:
            for n, _, ready in self._under_each(batch, interventions, 1, layers):
                yield n, batch, ready.activations.float().cpu().numpy()

    @torch.inference_mode()
    def continuations(
        self, rows: Sequence[Row], interventions: Sequence[Intervention], most: int
    ) -> list[list[str]]:
        """What the model answers under each intervention to the questions, which are those of
        `rows`, in at most `most` tokens, up to where an answer is complete."""
        found = [[""] * len(self._prompts) for _ in interventions]
        for batch in self._batches:
            for n, model, ready in self._under_each(batch, interventions, most, alike=False):
                prompts = [
                    Prompt(
                        rows[k].id,
                        self._prompts[k],
                        is_complete=partial(answer_is_complete, rows[k]),
                    )
                    for k in batch
                ]
                spoken = Continuations(model, prompts, (), ContinuationSettings(most))
                spoken.generate(ready)
                for place, ids in zip(batch, spoken.token_ids, strict=True):
                    found[n][place] = model.decode(ids)
        return found

    def _under_each(
        self,
        batch: Sequence[int],
        interventions: Sequence[Intervention],
        room: int,
        layers: Sequence[int] = (),
        alike: bool = True,
    ) -> Iterator[tuple[int, LanguageModel, PrefilledPrompts]]:
        """The prompts of a batch under each of `interventions`: its number, the model so changed,
        and the prompts, ready for `room` tokens and good until the next is asked for. What follows
        them is `alike` under each, if it is not of the model's own."""
        prompts = [self._prompts[n] for n in batch]
        ends = torch.tensor([[int(prompt[-1])] for prompt in prompts])
        as_it_is: PrefilledPrompts | None = None
        touched = [each.where == "every" and bool(each.changes) for each in interventions]
        lowest = [min(each.changes, default=-1) for each in interventions]
        beneath: LowerLayersCache | None = None
        # Those that touch every token last, as they write over what the others begin with; before
        # them by their lowest layers, so that what is known beneath one alone is in memory.
        for n in sorted(range(len(interventions)), key=lambda n: (touched[n], lowest[n])):
            model = replace(self.model, intervention=interventions[n])
            if alike and not touched[n] and 0 <= lowest[n] <= min(layers, default=lowest[n]):
                if beneath is None or beneath.layer != lowest[n]:
                    beneath = LowerLayersCache(lowest[n])
                model = replace(model, lower_layers=beneath.rewind())
            if touched[n]:
                begun = prefill(model, prompts, room, layers)
            else:
                begun = as_it_is = as_it_is or prefill(self.model, prompts, room, layers)
            # In every case the ends are run once more: so doing nothing differs in no bit.
            yield n, model, rerun_last_tokens(model, begun, ends, layers)


def rerun_last_tokens(
    language_model: LanguageModel,
    prefilled: PrefilledPrompts,
    ends: Tensor,
    layers: Sequence[int] = (),
) -> PrefilledPrompts:
    """`prefilled` with the last token of each prompt, `ends` (rows, 1), run once more in its place:
    with what the model's intervention does there."""
    done = language_model.intervention
    at_end = Intervention({} if done.where == "answer" else done.changes)
    device, count = prefilled.lengths.device, len(ends)
    states = prefilled.activations.new_empty(len(layers), count, language_model.d_model)
    hidden = run_following(
        replace(language_model, intervention=at_end),
        prefilled,
        FollowingTokens(
            slice(0, count),
            -1,
            ends.to(device),
            torch.ones(count, 0, dtype=torch.long, device=device),
        ),
        capture_layers(layers, states, slice(0, count), -1),
    )
    assert hidden is not None
    return replace(prefilled, logits=language_model.logits(hidden[:, -1]), activations=states)


def log_odds(row: Row, logprobs: Sequence[float]) -> float:
    """Of the sycophantic answer against the likeliest other one."""
    place = [letter for letter, _ in row.choices].index(row.matching)
    return logprobs[place] - max([*logprobs[:place], *logprobs[place + 1 :]])
