"""A model in a notebook, and its activations on some questions."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sycophancy_steering.activations.prompts import to_prompt
from sycophancy_steering.config.activations import ActivationSettings
from sycophancy_steering.config.model import ModelSettings
from sycophancy_steering.engine.forward import extract_batch
from sycophancy_steering.engine.language_model import LanguageModel, load_language_model
from sycophancy_steering.engine.prefix_tree import plan_batches
from sycophancy_steering.engine.token_budget import batch_tokens
from sycophancy_steering.engine.weights_location import SOURCE_FILE
from sycophancy_steering.foundation.arrays import Floats, Labels
from sycophancy_steering.notebook.questions import Questions

POSITIONS = ("prompt", "continuation", "continuation_mean", "matching", "not_matching")


@dataclass(frozen=True)
class Activations:
    """The residual stream of a model on some questions, and how the model answered them."""

    questions: Questions
    by_position: dict[str, NDArray[np.float32]]
    """(layers, n, d_model) at each of `POSITIONS`."""
    margins: Floats
    """(n,) log-probability of the sycophantic answer minus that of the likeliest other one."""

    @property
    def labels(self) -> Labels:
        """(n,) 1 where the sycophantic answer is the likelier one, else 0."""
        return (self.margins > 0).astype(int)

    @property
    def items(self) -> NDArray[np.str_]:
        """(n,)"""
        return np.array(self.questions.items)


@dataclass(frozen=True)
class Model:
    """A causal language model of Hugging Face's."""

    language_model: LanguageModel
    settings: ActivationSettings

    @classmethod
    def load(
        cls,
        name: str | Path,
        revision: str = "",
        dtype: Literal["float32", "float16", "bfloat16"] = "float32",
        device: str = "cpu",
        max_new_tokens: int = 16,
    ) -> Model:
        """The model in the folder `name`, or the hub's model of that name at `revision`, its full
        commit hash. Raises InputError for a model that cannot be loaded or whose architecture is
        unknown."""
        model_settings = ModelSettings(dtype=dtype, device=device)
        settings = ActivationSettings(max_new_tokens=max_new_tokens, stop_at="answer")
        if Path(name).is_dir():
            return cls(load_language_model(Path(name), model_settings), settings)
        with tempfile.TemporaryDirectory() as folder:
            pointer = {"name": str(name), "revision": revision}
            (Path(folder) / SOURCE_FILE).write_text(json.dumps(pointer), encoding="utf-8")
            return cls(load_language_model(Path(folder), model_settings), settings)

    def extract(self, questions: Questions) -> Activations:
        """Runs the model over `questions`: every layer, at every one of `POSITIONS`."""
        prompts = [to_prompt(self.language_model, row) for row in questions.rows]
        tokens = [prompt.token_ids for prompt in prompts]
        budget = batch_tokens(self.language_model, self.settings)
        arrays: dict[str, NDArray[np.float32]] = {}
        margins = np.empty(len(prompts))
        for batch in plan_batches(tokens, budget):
            extracted = extract_batch(
                self.language_model, [prompts[n] for n in batch], self.settings
            )
            for position in POSITIONS:
                values = _float32(extracted.activations[position].activations)
                shape = len(values), len(prompts), values.shape[2]
                arrays.setdefault(position, np.empty(shape, np.float32))[:, batch] = values
            for n, output in zip(batch, extracted.outputs, strict=True):
                margins[n] = _margin(
                    output.answer_logprobs or [], prompts[n].answer_positions["matching"]
                )
        return Activations(questions, arrays, margins)


def _float32(activations: np.ndarray) -> NDArray[np.float32]:
    if activations.dtype == np.uint16:  # bfloat16: the upper half of a float32
        return (activations.astype(np.uint32) << 16).view(np.float32)
    return activations.astype(np.float32)


def _margin(logprobs: list[float], matching: int) -> float:
    others = [value for n, value in enumerate(logprobs) if n != matching]
    return logprobs[matching] - max(others)
