"""Trains LoRA adapters with peft and trl; killed runs resume from their last checkpoint.

A checkpoint (`checkpoint-N`, of Hugging Face's trainer) holds the state of the optimiser in torch's
format, read back with `weights_only`; of a finished run only the adapter is left, in safetensors.
"""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Sequence
from contextlib import redirect_stderr
from dataclasses import asdict, dataclass, replace
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig
from tqdm import tqdm
from transformers import PrinterCallback, TrainerCallback, set_seed
from transformers.trainer_utils import get_last_checkpoint
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.dpo_trainer import DPOTrainer
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from sycophancy_steering.config.model import ModelSettings
from sycophancy_steering.config.tuning import TuningSettings
from sycophancy_steering.engine.language_model import (
    LanguageModel,
    load_model_and_tokenizer,
    takes_system_turn,
)
from sycophancy_steering.tuning.training_runs import Example, TrainingRun

RUN_FILE = "run.json"
"""In an adapter's folder: the run, and its losses."""
TRAINER_STATE = "trainer_state.json"
"""The last file that the trainer writes into a checkpoint."""
Progress = tqdm  # type: ignore[type-arg]


@dataclass(frozen=True)
class Trainable:
    """A model to fine-tune, and how."""

    folder: Path
    model: ModelSettings
    settings: TuningSettings


class TokenisedDPOTrainer(DPOTrainer):
    """trl's trainer for examples that are token ids already."""

    def _prepare_dataset(self, dataset: Any, *_: Any, **__: Any) -> Any:
        return dataset


@dataclass
class ProgressCallback(TrainerCallback):
    """Shows the steps of all runs in one progress bar."""

    bar: Progress

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Counts a step."""
        self.bar.update(1)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """Shows the loss."""
        if logs and "loss" in logs:
            self.bar.set_postfix_str(f"loss {float(logs['loss']):.2f}")


def train(
    run: TrainingRun,
    examples: Sequence[Example],
    trainable: Trainable,
    working: Path,
    bar: Progress,
) -> int:
    """Trains a run and writes its adapter to `working`/adapter.

    A run that was killed resumes from its last checkpoint in `working`, and ends with the same bits
    on the same machine. Returns the number of steps that were already done.
    """
    steps = trainable.settings.steps
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
        warnings.filterwarnings("ignore", message=".*pin_memory.*")
        # The embeddings are never trained, so that no config is needed to know their size.
        warnings.filterwarnings("ignore", message="Could not find a config file")
        trainer = _trainer(run, examples, trainable, working)
        trainer.add_callback(ProgressCallback(bar))
        trainer.remove_callback(PrinterCallback)
        checkpoint = last_complete_checkpoint(working)
        done = int(checkpoint.name.rpartition("-")[2]) if checkpoint else 0
        bar.update(done)
        if done < steps:
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
            checkpoint = last_complete_checkpoint(working)
    assert checkpoint is not None, "the trainer writes a checkpoint at its end"
    _save_adapter(checkpoint, run, working / "adapter")
    return done


def _trainer(
    run: TrainingRun, examples: Sequence[Example], trainable: Trainable, working: Path
) -> Any:
    """The trainer of a run, with a freshly loaded model."""
    settings, model_settings = trainable.settings, trainable.model
    # Blocked attention has no gradient.
    if model_settings.attention in ("auto", "blocked"):
        model_settings = replace(model_settings, attention="sdpa")
    model, tokenizer, revision = load_model_and_tokenizer(trainable.folder, model_settings)
    language_model = LanguageModel(model, tokenizer, revision, takes_system_turn(tokenizer))
    tokenised = [_token_ids(example, language_model) for example in examples]
    lora = LoraConfig(
        r=settings.lora_rank,
        lora_alpha=2 * settings.lora_rank,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    arguments = _training_arguments(run, len(examples), trainable, working)
    set_seed(run.seed)  # of the adapter's first weights too
    if run.method == "dpo":
        rows = [
            {"prompt_ids": prompt, "chosen_ids": chosen, "rejected_ids": rejected}
            for prompt, chosen, rejected in tokenised
        ]
        config = DPOConfig(**arguments, beta=settings.dpo_beta, precompute_ref_log_probs=True)
        with redirect_stderr(StringIO()):  # it shows progress bars even without a terminal
            return TokenisedDPOTrainer(
                model=model,
                args=config,
                train_dataset=Dataset.from_list(rows),
                processing_class=tokenizer,
                peft_config=lora,
            )
    rows = [
        {"input_ids": prompt + chosen, "labels": [-100] * len(prompt) + chosen}
        for prompt, chosen, _ in tokenised
    ]
    return SFTTrainer(
        model=model,
        args=SFTConfig(**arguments),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        peft_config=lora,
    )


def _training_arguments(
    run: TrainingRun, n_examples: int, trainable: Trainable, working: Path
) -> dict[str, Any]:
    """Arguments that both trainers share."""
    settings = trainable.settings
    return {
        "output_dir": str(working),
        "max_steps": settings.steps,
        "per_device_train_batch_size": min(settings.batch_size, n_examples),
        "learning_rate": settings.learning_rate,
        "seed": run.seed,
        "data_seed": run.seed,
        "save_steps": settings.checkpoint_every,
        "save_total_limit": 1,
        "logging_steps": 1,
        "report_to": [],
        "disable_tqdm": True,  # one bar shows all runs
        "use_cpu": trainable.model.device == "cpu",
        "bf16": False,  # no mixed precision: the model's own dtype
        "gradient_checkpointing": False,
        "max_length": None,
    }


def _token_ids(
    example: Example, language_model: LanguageModel
) -> tuple[list[int], list[int], list[int]]:
    """Prompt, chosen and rejected answer, tokenised as everywhere in the study."""
    prompt = language_model.encode_chat(example.turns)
    return prompt, language_model.encode(example.chosen), language_model.encode(example.rejected)


def last_complete_checkpoint(working: Path) -> Path | None:
    """The last checkpoint that was written completely; removes incomplete ones."""
    while newest := get_last_checkpoint(str(working)) if working.is_dir() else None:
        try:
            json.loads((Path(newest) / TRAINER_STATE).read_text())
            return Path(newest)
        except (OSError, json.JSONDecodeError):
            shutil.rmtree(newest)
    return None


def _save_adapter(checkpoint: Path, run: TrainingRun, folder: Path) -> None:
    """Writes the adapter for peft, with the same bytes each time, and `RUN_FILE`."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copy(checkpoint / "adapter_model.safetensors", folder)
    config = json.loads((checkpoint / "adapter_config.json").read_text())
    config["target_modules"] = sorted(config["target_modules"])  # a set: its order is random
    text = json.dumps(config, indent=2, sort_keys=True)
    (folder / "adapter_config.json").write_text(text + "\n")
    history = json.loads((checkpoint / TRAINER_STATE).read_text())["log_history"]
    losses = [round(entry["loss"], 5) for entry in history if "loss" in entry]
    (folder / RUN_FILE).write_text(json.dumps(asdict(run) | {"losses": losses}) + "\n")


def n_threads() -> int:
    """Threads that share a matrix product: the last bits of results depend on it."""
    return torch.get_num_threads()
