"""Exports a vector of the study for other tools, with a model card.

    python stages/export_vectors.py \\
        vectors/extracted/one_cause/opinion_pairs/mean_difference.safetensors \\
        opinions.gguf --to gguf

Writes float32 numbers as they are, to a GGUF control vector (llama.cpp, repeng, EasySteer; it has
no place for layer 0) or to safetensors (`layer_00`, ...), and beside it NAME.README.md: where the
vector was read, how it was made, how well it predicts and what its nulls give, from the tables of
the study.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from sycophancy_steering.exchange.exporting import card_file, export_vectors
from sycophancy_steering.exchange.layer_numbers import layers_in_words
from sycophancy_steering.foundation.command_line import command
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.report.vector_card import vector_card
from sycophancy_steering.schemas.paths import MODELS
from sycophancy_steering.storage.vector_files import has_vector, read_vectors


@command(
    __doc__,
    vectors="vectors/extracted/MODEL/SET/VARIANT.safetensors",
    out="the file to write",
    to="gguf or safetensors",
    architecture="the model's type, such as llama, which repeng asks for; without it, as its "
    "config.json says",
)
def main(vectors: str, out: str, *, to: str, architecture: str = "") -> None:
    source, target = Path(vectors), Path(out)
    values, metadata = read_vectors(source)
    layers = np.flatnonzero(has_vector(values)).tolist()
    model = str(metadata.get("model", source.parent.parent.name))
    if source.resolve() == target.resolve():
        raise InputError(f"{out}: the file that is exported; expected another one to write")
    card = vector_card(
        f"{source.parent.name}/{source.stem}", model, layers, values.shape[1], metadata
    )
    kind = architecture or model_type(model)
    lines = export_vectors({layer: values[layer] for layer in layers}, to, target, kind, card)
    print(f"{target}: {layers_in_words(layers)}, width {values.shape[1]}; about it: ", end="")
    print(card_file(target))
    for line in lines:
        print(line)


def model_type(model: str) -> str:
    """What data/models/MODEL/config.json calls the architecture, or `unknown`."""
    try:
        config = json.loads((MODELS / model / "config.json").read_text(encoding="utf-8"))
        return str(config["model_type"])
    except (OSError, ValueError, KeyError, TypeError):
        return "unknown"


if __name__ == "__main__":
    main()
