"""A plain model and the models fine-tuned from it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sycophancy_steering.config.activations import ActivationSettings
from sycophancy_steering.config.model import ModelSettings
from sycophancy_steering.engine.language_model import load_language_model
from sycophancy_steering.engine.workers import LocalWorkers, local_workers
from sycophancy_steering.schemas.paths import MODELS
from sycophancy_steering.tuning.training_runs import TrainingRun

ADAPTERS = Path("data/adapters")


@dataclass(frozen=True)
class TrainedModels:
    """A model, and the adapters that were trained for it."""

    model: str
    settings: ModelSettings
    activations: ActivationSettings

    @property
    def adapters(self) -> Path:
        """The folder of the adapters."""
        return ADAPTERS / self.model

    def plain(self) -> LocalWorkers:
        """Loads the plain model."""
        return self._load(None)

    def trained(self, run: TrainingRun) -> LocalWorkers:
        """Loads the model of a run, adapter merged. The base model is loaded anew each time, since
        an adapter cannot be subtracted exactly."""
        return self._load(self.adapters / run.name)

    def _load(self, adapter: Path | None) -> LocalWorkers:
        language_model = load_language_model(MODELS / self.model, self.settings, adapter)
        return local_workers(language_model, self.activations)
