"""`model` of params.yaml: how each model is loaded."""

from __future__ import annotations

from typing import Literal

from pydantic.dataclasses import dataclass

from sycophancy_steering.config.section import SECTION, Switch, Text


@dataclass(frozen=True, config=SECTION)
class ModelSettings:
    """How a model is held in memory."""

    dtype: Literal["float32", "float16", "bfloat16"]
    """The type of the weights and activations."""
    device: Text
    """A device that torch knows, or `auto`: spread over all GPUs (needs accelerate)."""
    load_in_4bit: Switch = False
    """Weights in four bits (NF4), computing in `dtype` (needs bitsandbytes)."""
    attention: Literal["auto", "sdpa", "eager", "flash_attention_2", "blocked"] = "auto"
    """An implementation of Hugging Face's, or `blocked` (engine/blocked_attention.py). `auto` is
    `blocked` on a CPU, where it takes half the time, and `sdpa` elsewhere."""
    packed_weights: Literal["auto", "off"] = "auto"
    """Whether linear layers are packed into oneDNN's layout once (`auto`: on x86 CPUs), through
    private functions of torch; 1.13 times as fast in float32 (benchmarks/packed_weights.py)."""
