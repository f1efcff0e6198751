"""The variants of params.yaml: every vector that is made from an extraction set."""

from __future__ import annotations

from typing import get_args

from sycophancy_steering.config.reading import PARAMS, read_section
from sycophancy_steering.config.variants import Position, Variant, VariantGrid
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.vectors.methods import METHODS, PAIRS_ONLY


def read_variants() -> dict[str, Variant]:
    """Every variant of `variants` by its name. Raises InputError for one that is listed twice, or
    whose method is unknown or needs contrast pairs."""
    grids = read_section(list[VariantGrid], "variants")
    if not grids:
        raise InputError(f"{PARAMS}: variants: expected at least one entry, found none")
    variants: dict[str, Variant] = {}
    for n, grid in enumerate(grids):
        place = f"{PARAMS}: variants[{n}]"
        for variant in grid.variants():
            _check_method(variant, place)
            if variant.name in variants:
                raise InputError(f"{place}: {variant.name} a second time; expected each once")
            variants[variant.name] = variant
    return variants


def _check_method(variant: Variant, place: str) -> None:
    if variant.method not in METHODS:
        raise InputError(
            f"{place}.method: unknown method {variant.method!r}; expected one of "
            f"{', '.join(METHODS)}"
        )
    if variant.method in PAIRS_ONLY and variant.position != "answer":
        others = ", ".join(position for position in get_args(Position) if position != "answer")
        raise InputError(
            f"{place}.position: {variant.method} needs contrast pairs; expected answer, not "
            f"{others}"
        )
    if variant.compared == "within_items" and variant.position == "answer":
        raise InputError(
            f"{place}.compared: within_items is for the model's own answers, as contrast pairs are "
            "of one question anyway; expected all, or another position than answer"
        )
