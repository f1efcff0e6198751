"""A model without its weights: what a process needs that leaves the passes to others."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

from sycophancy_steering.engine.gguf_model import parsed_once
from sycophancy_steering.engine.language_model import LanguageModel, takes_system_turn
from sycophancy_steering.engine.weights_location import locate_weights


def load_outline(folder: Path) -> LanguageModel:
    """The tokenizer, configuration and revision of the model in `folder`, with weights on the
    device `meta`, which have shapes and no values. Raises InputError."""
    logging.set_verbosity_error()
    weights = locate_weights(folder)
    with TemporaryDirectory() as empty, parsed_once():
        name, options = weights.name, {}
        if weights.kind == "gguf":
            (Path(empty) / "model.gguf").symlink_to(weights.path.resolve())
            name, options = empty, {"gguf_file": "model.gguf"}
        elif weights.kind == "hub":
            options = {"revision": weights.revision}
        tokenizer = AutoTokenizer.from_pretrained(name, **options)
        config = AutoConfig.from_pretrained(name, **options)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    return LanguageModel(
        model=model.eval(),
        tokenizer=tokenizer,
        revision=weights.short_revision,
        system_turn=takes_system_turn(tokenizer),
    )
