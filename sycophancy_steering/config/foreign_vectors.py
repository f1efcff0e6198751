"""`foreign_vectors` of params.yaml: vectors from elsewhere, evaluated beside the study's."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator
from pydantic.dataclasses import dataclass

from sycophancy_steering.config.section import (
    SECTION,
    Count,
    Number,
    OneOrMore,
    SomeDistinct,
    Switch,
    Text,
)

Numbering = Literal["hidden_states", "blocks_from_0", "blocks_from_1"]
"""How layers are counted. `hidden_states`: as in Hugging Face, 0 being the embeddings;
`blocks_from_0`: outputs of decoder blocks, as here; `blocks_from_1`: the same, from 1."""
UNKNOWN = "unknown"
FOREIGN = "foreign"
"""The set that a model's vectors from elsewhere form, beside those of its extraction sets."""


def _file_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", name):
        raise ValueError(
            f"expected a name of letters, digits, '.', '_' and '-', such as caa; found {name!r}"
        )
    return name


def _not_zero(value: float) -> float:
    if value == 0:
        raise ValueError("expected a number other than 0")
    return value


VectorName = Annotated[Text, AfterValidator(_file_name)]


@dataclass(frozen=True, config=SECTION)
class ForeignVectorSettings:
    """Vectors in files of other tools, and what these do not say."""

    files: OneOrMore[Text]
    """A file, a folder, or files of a layer each: PyTorch, GGUF, safetensors or numpy. Those below
    `vectors/foreign` are watched by DVC."""
    model: Text
    """The model whose activations they are read in: an entry of `models`."""
    numbering: Numbering | None = None
    """How the files count layers; without it, as their format does."""
    layers: SomeDistinct[Count] | None = None
    """The layers of the vectors, in their order, where names do not say; counted as `numbering`
    says."""
    scale: Annotated[Number, AfterValidator(_not_zero)] = 1.0
    """What the vectors are multiplied by."""
    negate: Switch = False
    """Whether they point away from sycophancy, and are turned around."""
    sign: Text = UNKNOWN
    """Which way the files' vectors point, as their source says it; only recorded."""
    revision: Text = UNKNOWN
    """The revision of the model that they were made from; only recorded."""
    site: Text = UNKNOWN
    """Where in a layer they were read, such as `block output`; only recorded."""
    position: Text = UNKNOWN
    """The tokens that they were read at; only recorded."""


ForeignVectorSection = dict[VectorName, ForeignVectorSettings]
