"""What the preset `original_study` takes on one GPU: memory, disk and time.

    python benchmarks/recipe.py

Computed from the models' shapes, not measured: parameters are counted on torch's meta device, time
is the larger of arithmetic (40% of the GPU's peak) and of reading the weights once for each step.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from transformers import AutoModelForCausalLM, LlamaConfig, MistralConfig, PretrainedConfig

SHAPES: dict[str, PretrainedConfig] = {
    "Zephyr-7B": MistralConfig(
        vocab_size=32000,
        hidden_size=4096,
        intermediate_size=14336,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=8,
    ),
    "LLaMA-7B": LlamaConfig(
        vocab_size=32000,
        hidden_size=4096,
        intermediate_size=11008,
        num_hidden_layers=32,
        num_attention_heads=32,
    ),
}
QUESTIONS, TOKENS = 3400, 250
"""Questions of the preset, and tokens of a long prompt (the NLP survey's mean is 172)."""
STEPS = 16 + 2 + 1 + 12
"""Small passes after the prompt: the continuation, two forced answers, the continuation's states,
other wordings of two answers."""
POSITIONS = 5
EVALUATED, KEPT_TOKENS = 2400, 6
"""Of these, the states at so many tokens of the answer are kept too, at most."""
EFFICIENCY = 0.4


@dataclass(frozen=True)
class Gpu:
    name: str
    memory_gb: float
    tflops: float
    """Peak, 16 bits, dense."""
    bandwidth_gb_s: float
    batch: int


GPUS = [Gpu("24 GB (RTX 4090)", 24, 165, 1008, 16), Gpu("80 GB (A100)", 80, 312, 2039, 64)]


def main() -> None:
    print("| model | GPU | batch | weights | peak memory | states on disk | time |")
    print("|---|---|---|---|---|---|---|")
    for name, config in SHAPES.items():
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config)
        parameters = sum(each.numel() for each in model.parameters())
        layers, width = config.num_hidden_layers, config.hidden_size
        heads = config.num_key_value_heads or config.num_attention_heads
        per_token = 2 * 2 * layers * heads * (width // config.num_attention_heads)
        disk = 2 * (QUESTIONS * POSITIONS + EVALUATED * KEPT_TOKENS) * layers * width
        for gpu in GPUS:
            # Two caches (prompt; continuation) and, while one grows, its old copy of one layer;
            # activations of the widest multiplication.
            cache = 2 * gpu.batch * (TOKENS + STEPS) * per_token
            working = 2 * gpu.batch * TOKENS * (config.intermediate_size * 3 + width * 4)
            logits = 4 * gpu.batch * 16 * config.vocab_size * 2
            peak = 2 * parameters + cache + working + logits
            batches = QUESTIONS / gpu.batch
            prefill = 2 * parameters * TOKENS * gpu.batch / (EFFICIENCY * gpu.tflops * 1e12)
            step = 2 * parameters / (gpu.bandwidth_gb_s * 1e9)
            seconds = batches * (prefill + STEPS * step)
            fits = "" if peak < gpu.memory_gb * 1e9 else " (does not fit)"
            print(
                f"| {name} | {gpu.name} | {gpu.batch} | {2 * parameters / 1e9:.1f} GB "
                f"| {peak / 1e9:.1f} GB{fits} | {disk / 1e9:.1f} GB | {seconds / 60:.1f} min |"
            )


if __name__ == "__main__":
    main()
