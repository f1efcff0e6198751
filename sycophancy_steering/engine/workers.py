"""Work on a model, done in this process or by several that each hold the model.

Work is cut into tasks by whoever knows what can be run together. Their results do not depend on who
does them, nor in which order, so that all engines give the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from sycophancy_steering.config.activations import ActivationSettings
from sycophancy_steering.config.model import ModelSettings
from sycophancy_steering.engine.language_model import LanguageModel, load_language_model
from sycophancy_steering.engine.token_budget import TokenBudget, batch_tokens


@dataclass(frozen=True)
class HeldModel:
    """A model in this process, and how many tokens it takes at a time."""

    language_model: LanguageModel
    budget: TokenBudget


Work = Callable[..., Iterator[Any]]
"""`work(held_model, *arguments)` yields results; a function of a module, as it may be sent away."""


@dataclass(frozen=True)
class Task:
    """A part of some work that one process does."""

    arguments: tuple[Any, ...]
    questions: Sequence[str] = ()
    """Ids, to name where it fails."""
    about: Any = None
    """What its results are about, for whoever asked; it is not sent to a worker."""


class Workers(Protocol):
    """One process or several that hold the same model."""

    @property
    def language_model(self) -> LanguageModel:
        """Its tokenizer and configuration; the weights may be elsewhere."""
        ...

    @property
    def n_workers(self) -> int:
        """How many tasks are done at a time."""
        ...

    @property
    def batch_tokens(self) -> int:
        """Prompt tokens that a worker has in memory at a time."""
        ...

    def run(self, work: Work, tasks: Iterable[Task]) -> Iterator[tuple[Task, Any]]:
        """Yields a task and a result of it, as results arrive.

        Tasks are taken from the iterable when there is someone to do them.
        """
        ...


class LocalWorkers:
    """This process, which does one task after the other."""

    n_workers = 1

    def __init__(self, language_model: LanguageModel, batch_tokens: int):
        self.language_model = language_model
        self._model = HeldModel(language_model, TokenBudget(language_model, batch_tokens))

    @property
    def batch_tokens(self) -> int:
        """Prompt tokens in memory at a time; fewer after memory has run out."""
        return self._model.budget.tokens

    def run(self, work: Work, tasks: Iterable[Task]) -> Iterator[tuple[Task, Any]]:
        """Yields each result before the next is computed."""
        for task in tasks:
            for result in work(self._model, *task.arguments):
                yield task, result


def local_workers(language_model: LanguageModel, settings: ActivationSettings) -> LocalWorkers:
    """This process with a loaded model, and as many tokens at a time as the settings say."""
    return LocalWorkers(language_model, batch_tokens(language_model, settings))


def hold_model(
    folder: Path, model_settings: ModelSettings, settings: ActivationSettings
) -> HeldModel:
    """Loads the model in `folder`. Raises InputError."""
    language_model = load_language_model(folder, model_settings)
    return HeldModel(
        language_model, TokenBudget(language_model, batch_tokens(language_model, settings))
    )
