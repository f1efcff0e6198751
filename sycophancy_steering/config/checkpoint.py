"""`checkpoint` of params.yaml: models that are not trained here."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from sycophancy_steering.config.section import SECTION, Integer, Text


@dataclass(frozen=True, config=SECTION)
class HubCheckpoint:
    """A model of the Hugging Face hub."""

    kind: Literal["hub"]
    name: Text
    """Such as `HuggingFaceH4/zephyr-7b-beta`."""
    revision: Annotated[Text, Field(pattern="^[0-9a-f]{40}$")]
    """The full 40-digit commit hash, so that the weights stay the same."""


@dataclass(frozen=True, config=SECTION)
class FolderCheckpoint:
    """A model folder, as `save_pretrained` writes it."""

    kind: Literal["folder"]
    name: Text
    """The path of the folder."""


@dataclass(frozen=True, config=SECTION)
class RandomCheckpoint:
    """An untrained Llama, as a null."""

    kind: Literal["random"]
    seed: Integer = 0
    """The seed of the weights."""


Checkpoint = Annotated[
    HubCheckpoint | FolderCheckpoint | RandomCheckpoint, Field(discriminator="kind")
]
