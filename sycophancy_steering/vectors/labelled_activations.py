"""What a model's answers to one prompt set offer for making vectors: contrasts, layer by layer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from sycophancy_steering.config.variants import Variant
from sycophancy_steering.foundation.array_stream import ArrayStream
from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.storage.activation_shards import (
    Origin,
    Page,
    pages_of,
    read_ids,
    read_origin,
)
from sycophancy_steering.storage.label_files import read_labels
from sycophancy_steering.vectors.contrast import (
    AnswerGroup,
    Contrast,
    MethodNotApplicable,
    Names,
    normalised,
)
from sycophancy_steering.vectors.principal_component import first_component_weights

Rows = NDArray[np.integer]
LABEL_COLUMNS = ["id", "source", "family", "item", "matching", "form", "said", "label"]
CACHE_BYTES = 4 * 2**20
"""Bytes of one layer's states that may be in memory; more are read again and again."""


@dataclass
class LabelledActivations:
    """The answers of one model to one prompt set."""

    folder: Path
    origin: Origin
    labels: NDArray[np.floating]
    """(n,) 1 for a sycophantic answer, 0 for another, NaN for one that cannot be told."""
    items: Names
    """(n,)"""
    matching: Names
    """(n,) the letter of the sycophantic answer, "" where the question shows none."""
    not_matching: Names
    """(n,) that of the first other answer."""
    answered: Names
    """(n,) that of the model's own answer, "" where there is none."""
    families: Names
    """(n,)"""
    sources: Names
    """(n,)"""
    _layer: int = -1
    """The one that what follows belongs to."""
    _blocks: dict[str, list[NDArray[np.float32]]] = field(default_factory=dict)
    _streams: dict[tuple[str, bytes], ArrayStream] = field(default_factory=dict)
    _pages: dict[tuple[int, str], list[Page]] = field(default_factory=dict)
    _component: tuple[tuple[Variant, bytes], Floats] | None = None
    """The last one: it is the same for all layers."""

    def selected_rows(self, variant: Variant) -> tuple[Rows, Rows]:
        """The rows of sycophantic and of other answers that `recipe` draws, in order.

        Contrast pairs are answered both ways, so both are the same. Raises Inapplicable where
        there are fewer than two of either.
        """
        draw = np.random.default_rng(variant.seed)
        if variant.position == "answer":
            drawn = _subsample(np.arange(len(self.items)), variant, draw)
            return drawn, drawn
        groups = [np.flatnonzero(self.labels == kind) for kind in (1, 0)]
        if min(map(len, groups)) < 2:
            raise MethodNotApplicable(
                f"{len(groups[0])} sycophantic and {len(groups[1])} other answers; expected at "
                "least 2 of each for a vector from naturally labelled answers"
            )
        one, two = (_subsample(group, variant, draw) for group in groups)
        return one, two

    def contrast(
        self, variant: Variant, layer: int, rows: tuple[Rows, Rows] | None = None
    ) -> Contrast:
        """The two groups of states at `layer` that `recipe` makes a vector from.

        Those of `rows`, where given, instead of the recipe's own.
        """
        one, two = (np.sort(each) for each in rows or self.selected_rows(variant))
        draw = np.random.default_rng([variant.seed, layer])
        if variant.position == "answer":
            return Contrast(
                self._group(layer, "matching", one, self.matching),
                self._group(layer, "not_matching", two, self.not_matching),
                paired=True,
                rng=draw,
                pair_weights=partial(self._first_component, variant, rows=one),
            )
        sycophantic, other = (
            self._group(layer, variant.position, rows, self.answered) for rows in (one, two)
        )
        return Contrast(sycophantic, other, paired=False, rng=draw)

    def _group(self, layer: int, position: str, rows: Rows, letters: Names) -> AnswerGroup:
        return AnswerGroup(self.stream(layer, position, rows), self.items[rows], letters[rows])

    def stream(self, layer: int, position: str, rows: Rows | None = None) -> ArrayStream:
        """(n, d_model): all, or those of `rows`, in their order.

        The same one until another layer is asked for, as many recipes want the same.
        """
        self._switch_layer(layer)
        if rows is not None and np.array_equal(rows, np.arange(len(self.items))):
            rows = None
        key = position, b"" if rows is None else rows.tobytes()
        if key not in self._streams:
            every = ArrayStream(len(self.items), partial(self._read, layer, position))
            self._streams[key] = every if rows is None else every.select_rows(rows)
        return self._streams[key]

    def _switch_layer(self, layer: int) -> None:
        if layer != self._layer:
            self._layer, self._blocks, self._streams = layer, {}, {}

    def _read(self, layer: int, position: str) -> Iterator[Floats]:
        """All states, from memory if they fit there."""
        self._switch_layer(layer)
        size = len(self.items) * self.origin.d_model * 4
        held = sum(block.nbytes for blocks in self._blocks.values() for block in blocks)
        if position not in self._blocks and held + size <= CACHE_BYTES:
            self._blocks[position] = [page.values() for page in self._shard_layers(layer, position)]
        if position in self._blocks:
            yield from (block.astype(float) for block in self._blocks[position])
        else:
            yield from (page.values().astype(float) for page in self._shard_layers(layer, position))

    def _shard_layers(self, layer: int, position: str) -> list[Page]:
        """Looked up once, as many recipes read the same."""
        if (layer, position) not in self._pages:
            self._pages[layer, position] = pages_of(self.folder, layer, position)
        return self._pages[layer, position]

    def _first_component(self, variant: Variant, rows: Rows) -> Floats:
        """(n,) `first_component` of the pairs' differences at all layers."""
        key = variant, rows.tobytes()
        if self._component is None or self._component[0] != key:
            contrasts = (
                self.contrast(variant, layer, (rows, rows)) for layer in range(self.origin.n_layers)
            )
            changed = [normalised(contrast, variant.normalisation)[0] for contrast in contrasts]
            self._component = key, first_component_weights([each.differences for each in changed])
        return self._component[1]


def _subsample(rows: Rows, variant: Variant, draw: np.random.Generator) -> Rows:
    """As many of `rows` as the recipe asks for, in their order."""
    if variant.n_pairs == "all":
        return rows
    if variant.n_pairs > len(rows):
        raise MethodNotApplicable(
            f"{len(rows)} pairs, or answers of one kind; expected {variant.n_pairs}"
        )
    return np.sort(draw.permutation(rows)[: variant.n_pairs])


def _interned(names: pl.Series) -> Names:
    """(n,) the same string for equal names, in memory once."""
    found, place = np.unique(names.to_numpy().astype(object), return_inverse=True)
    return found[place]


def read_labelled_activations(
    activations: Path, labels: Path, prompts: Path
) -> LabelledActivations:
    """InputError for files that are missing, unreadable, or not about the same questions."""
    origin = read_origin(activations)
    told = read_labels(labels, read_ids(activations), LABEL_COLUMNS)
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
    held = {name: _interned(rows[name]) for name in names}
    return LabelledActivations(
        activations,
        origin,
        labels=rows["label"].to_numpy(),
        items=held["item"],
        matching=held["matching"],
        not_matching=held["not_matching"],
        answered=held["said"],
        families=held["family"],
        sources=held["source"],
    )
