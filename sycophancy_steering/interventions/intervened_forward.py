"""Forward passes of the same questions under many interventions, handed to workers.

Results come batch by batch: the index of an intervention, the indices of the chats of a batch, and
what was computed for these. Every intervention is combined with every chat once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sycophancy_steering.activations.reference_logprobs import ChatAnswers
from sycophancy_steering.engine.intervention import Intervention
from sycophancy_steering.engine.prefix_tree import plan_batches
from sycophancy_steering.engine.workers import Task, Work, Workers
from sycophancy_steering.interventions.intervened_batch import (
    ChatBatch,
    activations_under,
    answers_under,
    continuations_under,
)
from sycophancy_steering.questions.question import Row


class IntervenedForward:
    """Chats with their possible answers, run through a model under interventions."""

    def __init__(self, workers: Workers, chats: Sequence[ChatAnswers]):
        self.workers = workers
        self.model = workers.language_model
        self._answers = [[self.model.encode(text) for text in texts] for _, texts in chats]
        self._prompts = [np.array(self.model.encode_chat(turns), np.int32) for turns, _ in chats]
        # Prompts with answers of one length are neighbours: a slice, which is run without copying.
        self._batches = [
            sorted(batch, key=lambda n: (-max(map(len, self._answers[n])), n))
            for batch in plan_batches(self._prompts, workers.batch_tokens)
        ]

    @property
    def fits_context(self) -> bool:
        """Whether every chat with every answer fits into the model's context."""
        config = self.model.model.config.get_text_config()
        limit = getattr(config, "max_position_embeddings", None)
        chats = zip(self._prompts, self._answers, strict=True)
        longest = max(len(prompt) + max(map(len, answers)) for prompt, answers in chats)
        return limit is None or longest <= limit

    def logprobs(
        self, interventions: Sequence[Intervention]
    ) -> Iterator[tuple[int, list[int], list[list[float]]]]:
        """Yields the log-probability of each answer of each chat."""
        for number, chats, _, logprobs in self.activations_and_logprobs(interventions, ()):
            yield number, chats, logprobs

    def activations_and_logprobs(
        self, interventions: Sequence[Intervention], layers: Sequence[int]
    ) -> Iterator[tuple[int, list[int], NDArray[np.float32], list[list[float]]]]:
        """Yields what `activations` and `logprobs` yield, from one pass over the prompts."""
        for number, batch, (activations, logprobs) in self._run(
            answers_under, interventions, [*layers]
        ):
            yield number, batch, activations, logprobs

    def activations(
        self, interventions: Sequence[Intervention], layers: Sequence[int]
    ) -> Iterator[tuple[int, list[int], NDArray[np.float32]]]:
        """Yields the activations (layers, chats, d_model) at the prompts' last tokens, after the
        intervention."""
        yield from self._run(activations_under, interventions, [*layers])

    def continuations(
        self, rows: Sequence[Row], interventions: Sequence[Intervention], max_new_tokens: int
    ) -> list[list[str]]:
        """The model's own answers under each intervention to the questions `rows`, one for each
        chat; each ends where its answer is complete."""
        texts = [[""] * len(self._prompts) for _ in interventions]
        of_batches = self._run(continuations_under, interventions, max_new_tokens, rows)
        for number, batch, of_batch in of_batches:
            for chat, text in zip(batch, of_batch, strict=True):
                texts[number][chat] = text
        return texts

    def _run(
        self,
        work: Work,
        interventions: Sequence[Intervention],
        argument: Any,
        rows: Sequence[Row] = (),
    ) -> Iterator[tuple[int, list[int], Any]]:
        """`work` of every batch; where there are fewer batches than workers, they share the
        interventions of one."""
        n_parts = -(-self.workers.n_workers // len(self._batches))
        numbers = np.array_split(np.arange(len(interventions)), min(n_parts, len(interventions)))
        tasks = [
            Task(
                (self._batch(batch, rows), [interventions[n] for n in part], argument),
                [rows[n].id for n in batch] if rows else (),
                about=(part.tolist(), batch),
            )
            for batch in self._batches
            for part in numbers
        ]
        for task, (number, result) in self.workers.run(work, tasks):
            part, batch = task.about
            yield part[number], batch, result

    def _batch(self, chats: Sequence[int], rows: Sequence[Row]) -> ChatBatch:
        return ChatBatch(
            [self._prompts[n] for n in chats],
            [self._answers[n] for n in chats],
            [rows[n] for n in chats] if rows else (),
        )


def log_odds(row: Row, logprobs: Sequence[float]) -> float:
    """Log-odds of the sycophantic answer against the most likely other one."""
    matching = [letter for letter, _ in row.choices].index(row.matching)
    return logprobs[matching] - max([*logprobs[:matching], *logprobs[matching + 1 :]])
