"""A model's own continuation, the likeliest token again and again, and the states along it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import torch
from torch import Tensor

from sycophancy_steering.engine.forced_answers import Said
from sycophancy_steering.engine.language_model import LanguageModel
from sycophancy_steering.engine.prefill import Prefilled, followed, keep_layers
from sycophancy_steering.questions.answer_parsing import find_answer
from sycophancy_steering.questions.question import Row


class Continuations:
    """What the model said after each prompt, and the residual stream where it did."""

    def __init__(
        self,
        language_model: LanguageModel,
        rows: Sequence[Row],
        layers: Sequence[int],
        tokens: Sequence[int],
        most: int,
        stop: Literal["answer", "turn"],
    ):
        """`most` tokens at most, up to where an `answer` is complete or the model's `turn` ends;
        `tokens` are those whose states are wanted by themselves."""
        self.model = language_model
        self.rows = rows
        self.most = most
        self.stop = stop
        ends = language_model.model.generation_config.eos_token_id
        self.ends = set(ends if isinstance(ends, list) else [ends])
        self.said: list[list[int]] = [[] for _ in rows]
        """Token ids; an empty turn holds its end-of-turn token."""
        shape = len(layers), len(rows), language_model.width
        of = {"dtype": language_model.model.dtype, "device": language_model.model.device}
        self.layers = layers
        self.last = torch.zeros(shape, **of)
        """(layers, rows, d_model), at the last token."""
        self.at = {number: torch.zeros(shape, **of) for number in tokens}
        """The same at these tokens, zeros where less was said."""
        self._sum = torch.zeros(shape, dtype=torch.float32, device=of["device"])
        self._going = [*range(len(rows))]

    @property
    def mean(self) -> Tensor:
        """(layers, rows, d_model), on average over the tokens."""
        counts = torch.tensor([len(each) for each in self.said], device=self._sum.device)
        return (self._sum / counts[None, :, None]).to(self.last.dtype)

    def take(self, answer: Said, ids: Sequence[Sequence[int]]) -> None:
        """Takes over forced answers `ids` that are just what the model would have said.

        Their states are known, so that nothing has to be run again.
        """
        for row in [*self._going]:
            best, given = answer.likeliest[row], [*ids[row]]
            agreed = 0
            while agreed < min(len(given), self.most) and best[agreed] == given[agreed]:
                agreed += 1
            for count in range(1, agreed + 1):
                ended = self.stop == "turn" and best[count] in self.ends
                if ended or count == self.most or self._complete(row, given[:count]):
                    self._keep(row, given[:count], answer.states[:, row, :count])
                    self._going.remove(row)
                    break

    def _keep(self, row: int, said: list[int], states: Tensor) -> None:
        """`states` (layers, tokens, d_model)"""
        self.said[row] = said
        self.last[:, row] = states[:, -1]
        self._sum[:, row] = states.float().sum(1)
        for number, kept in self.at.items():
            if number <= len(said):
                kept[:, row] = states[:, number - 1]

    def run(self, prefilled: Prefilled) -> None:
        """Lets the model say what is still missing, all rows at a time, the finished ones leave."""
        if not self._going:
            return
        held, cached = [*self._going], prefilled.only(self._going)
        following = cached.logits
        for step in range(self.most):
            chosen = dict(zip(held, following.argmax(-1).tolist(), strict=True))
            # An empty turn is read at its end-of-turn token; else a turn has ended before it.
            self._going = [row for row in self._going if step == 0 or chosen[row] not in self.ends]
            if not self._going:
                return
            if len(self._going) <= len(held) // 2:
                cached = cached.only([held.index(row) for row in self._going])
                held = [*self._going]
            for row in self._going:
                self.said[row].append(chosen[row])
            following = self._step(cached, held, [chosen[row] for row in held], step)
            self._going = [
                row
                for row in self._going
                if step + 1 < self.most
                and chosen[row] not in self.ends
                and not self._complete(row, self.said[row])
            ]

    def _step(
        self, cached: Prefilled, held: Sequence[int], chosen: Sequence[int], step: int
    ) -> Tensor:
        """Runs one more token of the rows `held`, some of them finished; what comes next."""
        device = cached.logits.device
        states = self.last.new_empty(len(self.layers), len(held), self.model.width)
        hidden = followed(
            self.model,
            cached,
            slice(0, len(held)),
            step,
            torch.tensor(chosen, device=device)[:, None],
            torch.ones(len(held), step + 1, dtype=torch.long, device=device),
            keep_layers(self.layers, states, slice(None), -1),
        )
        assert hidden is not None
        going = [place for place, row in enumerate(held) if row in set(self._going)]
        rows = torch.tensor([held[place] for place in going], device=states.device)
        new = states[:, torch.tensor(going, device=states.device)]
        self.last[:, rows] = new
        self._sum[:, rows] += new.float()
        if step + 1 in self.at:
            self.at[step + 1][:, rows] = new
        return self.model.logits(hidden[:, -1])

    def _complete(self, row: int, said: Iterable[int]) -> bool:
        """Whether the answer is complete: a bracket closed, a text whole, not just an "A"."""
        if self.stop == "turn":
            return False
        asked, text = self.rows[row], self.model.decode([*said])
        found = find_answer(text, list(asked.choices), asked.form)
        return found is not None and (asked.form == "free" or text[found.end - 1] == ")")
