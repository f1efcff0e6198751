"""A plain model and the models fine-tuned from it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sycophancy_steering.config.model import ModelSettings
from sycophancy_steering.engine.language_model import LanguageModel, load_language_model
from sycophancy_steering.schemas.paths import MODELS
from sycophancy_steering.tuning.training_runs import TrainingRun

ADAPTERS = Path("data/adapters")


@dataclass(frozen=True)
class TrainedModels:
    """A model, and the adapters that were trained for it."""

    model: str
    settings: ModelSettings

    @property
    def adapters(self) -> Path:
        """The folder of the adapters."""
        return ADAPTERS / self.model

    def plain(self) -> LanguageModel:
        """Loads the plain model."""
        return load_language_model(MODELS / self.model, self.settings)

    def trained(self, run: TrainingRun) -> LanguageModel:
        """Loads the model of a run, adapter merged. The base model is loaded anew each time, since
        an adapter cannot be subtracted exactly."""
        return load_language_model(MODELS / self.model, self.settings, self.adapters / run.name)
