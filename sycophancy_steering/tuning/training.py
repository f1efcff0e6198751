"""Trains adapters with peft and trl, so that a run that was killed is gone on with.

What is left of a run while it lasts (`checkpoint-N`, of Hugging Face's trainer) holds the state of
its optimiser in torch's own format, read back with `weights_only`; what is kept of it is an adapter
in safetensors.
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
from sycophancy_steering.engine.language_model import LanguageModel, load_model_and_tokenizer, takes_system_turn
from sycophancy_steering.tuning.training_runs import Example, TrainingRun

RUN_FILE = "run.json"
"""In an adapter's folder: what it was trained on, and how its loss went."""
TRAINER_STATE = "trainer_state.json"
"""What the trainer writes last into a checkpoint."""
Progress = tqdm  # type: ignore[type-arg]


class TokenisedDPOTrainer(DPOTrainer):
    """trl's, of examples that are tokens already: those that the study reads everywhere else."""

    def _prepare_dataset(self, dataset: Any, *_: Any, **__: Any) -> Any:
        return dataset


@dataclass
class ProgressCallback(TrainerCallback):
    """Shows how far all runs are."""

    bar: Progress

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.bar.update(1)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if logs and "loss" in logs:
            self.bar.set_postfix_str(f"loss {float(logs['loss']):.2f}")


def train(
    run: TrainingRun,
    examples: Sequence[Example],
    folder: Path,
    placement: ModelSettings,
    settings: TuningSettings,
    working: Path,
    bar: Progress,
) -> int:
    """Trains the model in `folder` on `examples` and leaves its adapter in `working`/adapter.

    Whatever `working` holds of the run is gone on with: as it would have gone, bit for bit, on the
    same machine. Returns the steps that were done before.
    """
    # Attention that only reads has no gradient, so it is Hugging Face's own here.
    attention = "sdpa" if placement.attention in ("auto", "blocked") else placement.attention
    model, tokenizer, revision = load_model_and_tokenizer(folder, replace(placement, attention=attention))
    as_read = LanguageModel(model, tokenizer, revision, takes_system_turn(tokenizer))
    written = [_tokens(example, as_read) for example in examples]
    lora = LoraConfig(
        r=settings.lora_rank,
        lora_alpha=2 * settings.lora_rank,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    given: dict[str, Any] = {
        "output_dir": str(working),
        "max_steps": settings.steps,
        "per_device_train_batch_size": min(settings.batch_size, len(examples)),
        "learning_rate": settings.learning_rate,
        "seed": run.seed,
        "data_seed": run.seed,
        "save_steps": settings.checkpoint_every,
        "save_total_limit": 1,
        "logging_steps": 1,
        "report_to": [],
        "disable_tqdm": True,  # the bar is one for all runs
        "use_cpu": placement.device == "cpu",
        "bf16": False,  # in the dtype that the model is held in
        "gradient_checkpointing": False,
        "max_length": None,
    }
    set_seed(run.seed)
    watched = ProgressCallback(bar)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
        warnings.filterwarnings("ignore", message=".*pin_memory.*")
        if run.method == "dpo":
            rows = [{"prompt_ids": p, "chosen_ids": c, "rejected_ids": r} for p, c, r in written]
            dpo = DPOConfig(**given, beta=settings.dpo_beta, precompute_ref_log_probs=True)
            with redirect_stderr(StringIO()):  # bars of its own, terminal or not
                trainer: Any = TokenisedDPOTrainer(
                    model=model,
                    args=dpo,
                    train_dataset=Dataset.from_list(rows),
                    processing_class=tokenizer,
                    peft_config=lora,
                    callbacks=[watched],
                )
        else:
            rows = [{"input_ids": p + c, "labels": [-100] * len(p) + c} for p, c, _ in written]
            trainer = SFTTrainer(
                model=model,
                args=SFTConfig(**given),
                train_dataset=Dataset.from_list(rows),
                processing_class=tokenizer,
                peft_config=lora,
                callbacks=[watched],
            )
        trainer.remove_callback(PrinterCallback)
        begun = last_complete_checkpoint(working)
        done = int(begun.name.rpartition("-")[2]) if begun else 0
        bar.update(done)
        if done < settings.steps:
            trainer.train(resume_from_checkpoint=str(begun) if begun else None)
            begun = last_complete_checkpoint(working)
    assert begun is not None, "the trainer leaves a checkpoint at its end"
    _save_adapter(begun, run, working / "adapter")
    return done


def _tokens(example: Example, as_read: LanguageModel) -> tuple[list[int], list[int], list[int]]:
    """Prompt, chosen and rejected answer, as they are read in the rest of the study."""
    answers = (as_read.encode(text) for text in (example.chosen, example.rejected))
    chosen, rejected = answers
    return as_read.encode_chat(example.turns), chosen, rejected


def last_complete_checkpoint(working: Path) -> Path | None:
    """The last checkpoint that was written to its end; one that was not is removed."""
    while found := get_last_checkpoint(str(working)) if working.is_dir() else None:
        try:
            json.loads((Path(found) / TRAINER_STATE).read_text())
            return Path(found)
        except (OSError, json.JSONDecodeError):
            shutil.rmtree(found)
    return None


def _save_adapter(checkpoint: Path, run: TrainingRun, folder: Path) -> None:
    """The adapter as peft reads it, the same bytes each time, and what it was trained on."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copy(checkpoint / "adapter_model.safetensors", folder)
    about = json.loads((checkpoint / "adapter_config.json").read_text())
    about["target_modules"] = sorted(about["target_modules"])  # a set, in any order
    text = json.dumps(about, indent=2, sort_keys=True)
    (folder / "adapter_config.json").write_text(text + "\n")
    history = json.loads((checkpoint / TRAINER_STATE).read_text())["log_history"]
    losses = [round(each["loss"], 5) for each in history if "loss" in each]
    (folder / RUN_FILE).write_text(json.dumps(asdict(run) | {"losses": losses}) + "\n")


def n_threads() -> int:
    """How many share a product: results differ in the last bits with it."""
    return torch.get_num_threads()
