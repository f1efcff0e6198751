"""Vectors of this project as files that other tools load, with a model card beside them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from sycophancy_steering.exchange.gguf_files import write_gguf
from sycophancy_steering.foundation.atomic_files import atomic_write
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.schemas.activations import layer_column

FORMATS = ("gguf", "safetensors")


def card_file(out: Path) -> Path:
    """Where the model card of an exported file lies."""
    return out.with_name(f"{out.stem}.README.md")


def export_vectors(
    layers: Mapping[int, np.ndarray], to: str, out: Path, model_type: str, card: str
) -> list[str]:
    """Writes float32 vectors (d_model,) by layer to `out`, and `card` beside it.

    `to` is one of `FORMATS`; `model_type` is as Hugging Face calls the architecture, which repeng
    asks for. Returns what was left out, in lines. Raises InputError for another format, or where
    nothing is left.
    """
    if to not in FORMATS:
        raise InputError(f"--to: expected one of {', '.join(FORMATS)}, found {to!r}")
    left_out = []
    if to == "gguf" and 0 in layers:
        layers = {layer: vector for layer, vector in layers.items() if layer}
        left_out.append(
            "left out: layer 0, for which a control vector has no place; as safetensors it is kept"
        )
    if not layers:
        raise InputError(f"{out}: no layer to write; a control vector has no place for layer 0")
    with atomic_write(out) as draft:
        if to == "gguf":
            write_gguf(draft, layers, model_type)
        else:
            tensors = {
                layer_column(layer): np.ascontiguousarray(vector, np.float32)
                for layer, vector in sorted(layers.items())
            }
            draft.write_bytes(save(tensors))
    with atomic_write(card_file(out)) as draft:
        draft.write_text(card, encoding="utf-8")
    return left_out
