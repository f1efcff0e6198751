"""What the preset `original_study` takes on one GPU: memory, disk and time.

    python benchmarks/recipe.py

Computed from the models' shapes, not measured: parameters are counted on torch's meta device, time
is the larger of arithmetic (40% of the GPU's peak) and of reading the weights once for each step.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from transformers import AutoModelForCausalLM, LlamaConfig, MistralConfig, PretrainedConfig

from sycophancy_steering.engine.forward_pass import GPU_PASS_TOKENS
from sycophancy_steering.engine.token_budget import GPU_BATCH_TOKENS

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
STEPS = 16 + 2 + 12
"""Small passes after the prompt: the continuation, two forced answers, other wordings of two."""
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


GPUS = [Gpu("24 GB (RTX 4090)", 24, 165, 1008), Gpu("80 GB (A100)", 80, 312, 2039)]


def peak(config: PretrainedConfig, parameters: int, tokens: int) -> float:
    """Bytes, where so many tokens of prompts are in memory."""
    layers, width, rows = config.num_hidden_layers, config.hidden_size, tokens / TOKENS
    heads = config.num_key_value_heads or config.num_attention_heads
    per_token = 2 * 2 * layers * heads * (width // config.num_attention_heads)
    # Of the prompts, and of those that go on by themselves.
    cache = 2 * rows * (TOKENS + STEPS) * per_token
    at_once = min(tokens, GPU_PASS_TOKENS)
    working = 2 * at_once * (config.intermediate_size * 3 + width * 4)
    states = 2 * rows * (POSITIONS + KEPT_TOKENS) * layers * width
    logits = 4 * (rows + 1024) * config.vocab_size * 2
    return 2 * parameters + cache + working + states + logits


def main() -> None:
    print("| model | GPU | tokens at a time | weights | peak memory | states on disk | time |")
    print("|---|---|---|---|---|---|---|")
    for name, config in SHAPES.items():
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config)
        parameters = sum(each.numel() for each in model.parameters())
        layers, width = config.num_hidden_layers, config.hidden_size
        disk = 2 * (QUESTIONS * POSITIONS + EVALUATED * KEPT_TOKENS) * layers * width
        for gpu in GPUS:
            tokens = GPU_BATCH_TOKENS
            while peak(config, parameters, tokens) > gpu.memory_gb * 1e9:
                tokens //= 2  # as it does where memory runs out
            batches = QUESTIONS * TOKENS / tokens
            prefill = 2 * parameters * tokens / (EFFICIENCY * gpu.tflops * 1e12)
            step = 2 * parameters / (gpu.bandwidth_gb_s * 1e9)
            seconds = batches * (prefill + STEPS * step)
            print(
                f"| {name} | {gpu.name} | {tokens} | {2 * parameters / 1e9:.1f} GB "
                f"| {peak(config, parameters, tokens) / 1e9:.1f} GB | {disk / 1e9:.1f} GB "
                f"| {seconds / 60:.1f} min |"
            )


if __name__ == "__main__":
    main()
