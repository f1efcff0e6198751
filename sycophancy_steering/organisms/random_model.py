"""An untrained model of a real architecture: the null that a whole study can be run on."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from sycophancy_steering.organisms.tokenizer import END, PAD, build_tokenizer
from sycophancy_steering.sources.built_in import TABLES


def save_random_llama(folder: Path, seed: int) -> None:
    """Saves a Llama of 56 million random weights, with a byte-level BPE and a chat template."""
    tokenizer = build_tokenizer([path.read_text() for path in sorted(TABLES.glob("*.csv"))])
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=8192,
        hidden_size=512,
        intermediate_size=1408,
        num_hidden_layers=16,
        num_attention_heads=8,
        num_key_value_heads=4,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=END,
        pad_token_id=PAD,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
