"""`variants` of params.yaml: a grid of vectors, each entry with lists standing for all products."""

from __future__ import annotations

from itertools import product
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from sycophancy_steering.config.section import SECTION, Integer, OneOrMore, Text

Position = Literal["answer", "prompt", "continuation", "continuation_mean"]
"""Where activations are read to make a vector. `answer`: contrast pairs, at the last token of a
forced answer. The others: the model's own labelled answers, at the end of the prompt, at the end of
the answer, or averaged over it."""
Normalisation = Literal["none", "unit", "standard", "robust"]
"""`unit`: each activation has length 1. `standard`: each coordinate has variance 1. `robust`:
coordinates far larger than the others are left out."""
Compared = Literal["all", "within_items"]
"""Which answers are compared. `within_items`: only those about the same item, in wordings to which
the model gave in and others in which it held, so that what differs between items cancels."""
PairCount = Annotated[Integer, Field(ge=2)] | Literal["all"]


@dataclass(frozen=True, config=SECTION)
class Variant:
    """How a vector is made from a prompt set: one vector a layer."""

    method: Text
    """A method of vectors/methods.py."""
    position: Position
    """Where activations are read."""
    n_pairs: PairCount = "all"
    """How many contrast pairs, answers of each class, or items, where answers are compared within
    them, are sampled from the set."""
    seed: Integer = 0
    """Seed of the sample, and of methods that use random numbers."""
    normalisation: Normalisation = "none"
    """What is done to activations before the method."""
    compared: Compared = "all"
    """Which of the model's own answers are compared."""

    @property
    def name(self) -> str:
        """The method and every setting that is not the default: `pca-16-seed1-unit`."""
        parts = [self.method if self.position == "answer" else f"{self.method}_{self.position}"]
        parts += [str(self.n_pairs)] if self.n_pairs != "all" else []
        parts += [f"seed{self.seed}"] if self.seed else []
        parts += [self.normalisation] if self.normalisation != "none" else []
        parts += [self.compared] if self.compared != "all" else []
        return "-".join(parts)


@dataclass(frozen=True, config=SECTION)
class VariantGrid:
    """An entry of `variants`: every combination of its values is a variant."""

    method: OneOrMore[Text]
    """Methods of vectors/methods.py."""
    position: OneOrMore[Position]
    """Where activations are read."""
    n_pairs: OneOrMore[PairCount] = Field(default_factory=lambda: ["all"])
    """How many contrast pairs, or answers of each class, are sampled from the set."""
    seed: OneOrMore[Integer] = Field(default_factory=lambda: [0])
    """Seed of the sample, and of methods that use random numbers."""
    normalisation: OneOrMore[Normalisation] = Field(default_factory=lambda: ["none"])
    """What is done to activations before the method."""
    compared: OneOrMore[Compared] = Field(default_factory=lambda: ["all"])
    """Which of the model's own answers are compared: all, or those about the same item."""

    def variants(self) -> list[Variant]:
        """All combinations, the last field varying fastest."""
        values = (
            self.method,
            self.position,
            self.n_pairs,
            self.seed,
            self.normalisation,
            self.compared,
        )
        return [Variant(*combination) for combination in product(*values)]
