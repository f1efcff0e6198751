"""What a model's answers to one prompt set offer for making vectors: contrasts, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from lib.activation_shards import Origin, read_origin, read_states
from lib.contrast import Contrast, Floats, Group, Inapplicable, Names, normalised
from lib.label_files import read_labels
from lib.recipes import Recipe

Rows = NDArray[np.integer]


@dataclass
class Material:
    """The answers of one model to one prompt set."""

    activations: Path
    origin: Origin
    labels: NDArray[np.floating]
    """(n,) 1 for a sycophantic answer, 0 for another, NaN for one that cannot be told."""
    items: Names
    """(n,)"""
    matching: Names
    """(n,) the letter of the sycophantic answer, "" where the question shows none."""
    not_matching: Names
    """(n,) that of the first other answer."""
    said: Names
    """(n,) that of the model's own answer, "" where there is none."""
    families: Names
    """(n,)"""
    sources: Names
    """(n,)"""
    _at: tuple[int, dict[str, Floats]] = (-1, {})
    _all_layers: dict[tuple[Recipe, bytes], Floats] = field(default_factory=dict)

    def rows(self, recipe: Recipe) -> tuple[Rows, Rows]:
        """The rows of sycophantic and of other answers that `recipe` draws, in order.

        Contrast pairs are answered both ways, so both are the same. Raises Inapplicable where
        there are fewer than two of either.
        """
        draw = np.random.default_rng(recipe.seed)
        if recipe.position == "answer":
            drawn = _drawn(np.arange(len(self.items)), recipe, draw)
            return drawn, drawn
        groups = [np.flatnonzero(self.labels == kind) for kind in (1, 0)]
        if min(map(len, groups)) < 2:
            raise Inapplicable(
                f"{len(groups[0])} sycophantic and {len(groups[1])} other answers; expected at "
                "least 2 of each for a vector from naturally labelled answers"
            )
        one, two = (_drawn(group, recipe, draw) for group in groups)
        return one, two

    def contrast(
        self, recipe: Recipe, layer: int, rows: tuple[Rows, Rows] | None = None
    ) -> Contrast:
        """The two groups of states at `layer` that `recipe` makes a vector from.

        Those of `rows`, where given, instead of the recipe's own.
        """
        one, two = rows or self.rows(recipe)
        draw = np.random.default_rng([recipe.seed, layer])
        if recipe.position == "answer":
            return Contrast(
                self._group(layer, "matching", one, self.matching),
                self._group(layer, "not_matching", two, self.not_matching),
                paired=True,
                draw=draw,
                all_layers=partial(self._products, recipe, rows=one),
            )
        sycophantic, other = (
            self._group(layer, recipe.position, rows, self.said) for rows in (one, two)
        )
        return Contrast(sycophantic, other, paired=False, draw=draw)

    def _group(self, layer: int, position: str, rows: Rows, letters: Names) -> Group:
        return Group(self.states(layer, position)[rows], self.items[rows], letters[rows])

    def states(self, layer: int, position: str) -> Floats:
        """(n, d_model); kept until another layer is asked for, as many recipes want the same."""
        if self._at[0] != layer:
            self._at = layer, {}
        kept = self._at[1]
        if position not in kept:
            kept[position] = read_states(self.activations, layer, position).values.astype(float)
        return kept[position]

    def _products(self, recipe: Recipe, rows: Rows) -> Floats:
        """(n, n) inner products of the pairs' differences, summed over layers."""
        key = recipe, rows.tobytes()
        if key not in self._all_layers:
            total, at = np.zeros((len(rows), len(rows))), self._at
            for layer in range(self.origin.layers):
                contrast = self.contrast(recipe, layer, (rows, rows))
                changed, _ = normalised(contrast, recipe.normalisation)
                total += changed.differences @ changed.differences.T
            self._all_layers, self._at = {key: total}, at  # the last one: it is large
        return self._all_layers[key]


def _drawn(rows: Rows, recipe: Recipe, draw: np.random.Generator) -> Rows:
    """As many of `rows` as the recipe asks for, in their order."""
    if recipe.pairs == "all":
        return rows
    if recipe.pairs > len(rows):
        raise Inapplicable(f"{len(rows)} pairs, or answers of one kind; expected {recipe.pairs}")
    return np.sort(draw.permutation(rows)[: recipe.pairs])


def read_material(activations: Path, labelled: Path, prompts: Path) -> Material:
    """Refusal for files that are missing, unreadable, or not about the same questions."""
    origin = read_origin(activations)
    told = read_labels(labelled, read_states(activations, 0, "prompt").ids)
    asked = pl.read_parquet(prompts, columns=["id", "not_matching"])
    shown = pl.col("form") == "letters"
    rows = told.join(asked, on="id", how="left", maintain_order="left").select(
        pl.col("label").cast(pl.Float64).fill_null(np.nan),
        "item",
        "family",
        "source",
        *(
            pl.when(shown).then(letter).otherwise(pl.lit("")).fill_null("").alias(name)
            for name, letter in (
                ("matching", pl.col("matching")),
                ("not_matching", pl.col("not_matching").list.first()),
                ("said", pl.col("said")),
            )
        ),
    )
    names = ("item", "matching", "not_matching", "said", "family", "source")
    held: dict[str, Names] = {name: rows[name].to_numpy().astype(str) for name in names}
    return Material(
        activations,
        origin,
        labels=rows["label"].to_numpy(),
        items=held["item"],
        matching=held["matching"],
        not_matching=held["not_matching"],
        said=held["said"],
        families=held["family"],
        sources=held["source"],
    )
