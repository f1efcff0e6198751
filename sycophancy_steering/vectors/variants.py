"""`variants` of params.yaml: a grid of ways of making a vector, spelled out one by one."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Literal, get_args

from sycophancy_steering.config.reading import PARAMS, accepted, read_value
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.vectors.contrast import Normalisation
from sycophancy_steering.vectors.methods import METHODS, PAIRS_ONLY

Position = Literal["answer", "prompt", "continuation", "continuation_mean"]


@dataclass(frozen=True)
class Recipe:
    """How one vector a layer is made from a prompt set."""

    method: str
    """A name in `METHODS`."""
    position: Position
    """`answer`: contrast pairs, at the last token of a forced answer. The others: naturally
    labelled answers, at the end of the prompt, of the model's own answer, or on average over it."""
    pairs: int | Literal["all"] = "all"
    """How many contrast pairs, or answers of each kind, are drawn from the set."""
    seed: int = 0
    normalisation: Normalisation = "none"

    @property
    def name(self) -> str:
        """The method, and whatever is not the usual: `pca`, `pca_prompt`, `pca-16-seed1-unit`."""
        parts = [self.method if self.position == "answer" else f"{self.method}_{self.position}"]
        parts += [str(self.pairs)] if self.pairs != "all" else []
        parts += [f"seed{self.seed}"] if self.seed else []
        parts += [self.normalisation] if self.normalisation != "none" else []
        return "-".join(parts)


def read_recipes() -> dict[str, Recipe]:
    """Every recipe by its name. Each entry of `variants` may give lists, and means all products."""
    entries = read_value("variants")
    if not isinstance(entries, list) or not entries:
        raise InputError(f"{PARAMS}: variants: expected a list of recipes, found {entries!r}")
    found: dict[str, Recipe] = {}
    for n, entry in enumerate(entries):
        place = f"{PARAMS}: variants[{n}]"
        if not isinstance(entry, dict):
            raise InputError(f"{place}: expected method and position, found {entry!r}")
        lists = {key: each if isinstance(each, list) else [each] for key, each in entry.items()}
        for values in product(*lists.values()):
            recipe = accepted(Recipe, dict(zip(lists, values, strict=True)), place)
            _check(recipe, place)
            if recipe.name in found:
                raise InputError(f"{place}: {recipe.name} a second time; expected each recipe once")
            found[recipe.name] = recipe
    return found


def _check(recipe: Recipe, place: str) -> None:
    if recipe.method not in METHODS:
        raise InputError(
            f"{place}.method: {recipe.method!r} is no method; expected one of {', '.join(METHODS)}"
        )
    if recipe.method in PAIRS_ONLY and recipe.position != "answer":
        others = ", ".join(each for each in get_args(Position) if each != "answer")
        raise InputError(
            f"{place}.position: {recipe.method} needs contrast pairs; expected answer, not {others}"
        )
    if recipe.pairs != "all" and recipe.pairs < 2:
        raise InputError(f"{place}.pairs: expected at least 2, found {recipe.pairs}")
