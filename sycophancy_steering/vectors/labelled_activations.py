"""One model's labelled answers to a prompt set: contrasts of activations, layer by layer."""

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
from sycophancy_steering.foundation.arrays import Floats, Names
from sycophancy_steering.storage.activation_shards import (
    Origin,
    ShardLayer,
    read_ids,
    read_origin,
    shard_layers,
)
from sycophancy_steering.storage.label_files import read_labels
from sycophancy_steering.vectors.contrast import (
    AnswerGroup,
    Contrast,
    MethodNotApplicable,
    normalised,
)
from sycophancy_steering.vectors.matched_items import MatchedItems, match_items
from sycophancy_steering.vectors.natural_answers import check_classes
from sycophancy_steering.vectors.principal_component import first_component_weights

Rows = NDArray[np.integer]
LABEL_COLUMNS = ["id", "source", "family", "item", "matching", "form", "answered_letter", "label"]
CACHE_BYTES = 4 * 2**20
"""Of one layer's activations in memory; larger ones are read again on every pass."""


@dataclass
class LabelledActivations:
    """The answers of one model to one prompt set, with labels and activations."""

    folder: Path
    """Of the activations."""
    origin: Origin
    labels: NDArray[np.floating]
    """(n,) 1 for a sycophantic answer, 0 for another, NaN without a label."""
    items: Names
    """(n,)"""
    matching: Names
    """(n,) the letter of the sycophantic answer, "" where the question shows none."""
    not_matching: Names
    """(n,) the letter of the first other answer, or ""."""
    answered: Names
    """(n,) the letter of the model's own answer, or ""."""
    families: Names
    """(n,)"""
    sources: Names
    """(n,)"""
    has_options: bool = True
    """Whether answers were forced; chats without options have none."""
    _layer: int = -1
    """The layer that the caches below belong to."""
    _blocks: dict[str, list[NDArray[np.float32]]] = field(default_factory=dict)
    """By position."""
    _streams: dict[tuple[str, bytes], ArrayStream] = field(default_factory=dict)
    """By position and rows."""
    _shard_layers: dict[tuple[int, str], list[ShardLayer]] = field(default_factory=dict)
    """By layer and position."""
    _pair_weights: tuple[tuple[Variant, bytes], Floats] | None = None
    """The last ones; they are the same for all layers."""

    def selected_rows(self, variant: Variant) -> tuple[Rows, Rows]:
        """The sorted rows of sycophantic and of other answers that `variant` samples.

        The same rows twice for contrast pairs, which are answered both ways. Raises
        MethodNotApplicable where a class has fewer than two answers, too few items have answers of
        both, or there are too few for the sample.
        """
        rng = np.random.default_rng(variant.seed)
        if variant.position == "answer":
            self._check_options()
            rows = _subsample(np.arange(len(self.items)), variant, rng)
            return rows, rows
        classes = [np.flatnonzero(self.labels == label) for label in (1, 0)]
        check_classes(*map(len, classes))
        if variant.compared == "within_items":
            matched = match_items(self.items, classes[0], classes[1])
            sampled = _subsample(np.arange(len(matched)), variant, rng)
            return matched.select(sampled).rows
        sycophantic, other = (_subsample(rows, variant, rng) for rows in classes)
        return sycophantic, other

    def class_sizes(self, variant: Variant) -> tuple[int, int]:
        """How many sycophantic and other answers `variant` makes a vector from. Raises
        MethodNotApplicable."""
        sycophantic, other = self.selected_rows(variant)
        return len(sycophantic), len(other)

    def contrast(
        self, variant: Variant, layer: int, rows: tuple[Rows, Rows] | None = None
    ) -> Contrast:
        """The two groups of activations at `layer` that `variant` makes a vector from.

        `rows` replaces the rows of sycophantic and other answers that the variant samples. Raises
        MethodNotApplicable.
        """
        one, two = (np.sort(group) for group in rows or self.selected_rows(variant))
        rng = np.random.default_rng([variant.seed, layer])
        if variant.position == "answer":
            self._check_options()
            return Contrast(
                self._group(layer, "matching", one, self.matching),
                self._group(layer, "not_matching", two, self.not_matching),
                paired=True,
                rng=rng,
                pair_weights=partial(self._first_component, variant, rows=one),
            )
        if variant.compared == "within_items":
            matched = match_items(self.items, one, two, min_items=1)
            sycophantic, other = self._item_means(layer, variant.position, matched)
            return Contrast(sycophantic, other, paired=True, rng=rng)
        sycophantic, other = (
            self._group(layer, variant.position, group, self.answered) for group in (one, two)
        )
        return Contrast(sycophantic, other, paired=False, rng=rng)

    def _check_options(self) -> None:
        if not self.has_options:
            raise MethodNotApplicable("chats without options have no answers to force")

    def _item_means(
        self, layer: int, position: str, matched: MatchedItems
    ) -> tuple[AnswerGroup, AnswerGroup]:
        """The means of each item's sycophantic and of its other answers, a row an item."""
        activations = self.stream(layer, position)
        no_letters = np.full(len(matched), "")  # an item's answers may have several
        sycophantic, other = (
            ArrayStream.from_array(activations.weighted_sums(weights))
            for weights in matched.weights(len(self.items))
        )
        return (
            AnswerGroup(sycophantic, matched.names, no_letters),
            AnswerGroup(other, matched.names, no_letters),
        )

    def _group(self, layer: int, position: str, rows: Rows, letters: Names) -> AnswerGroup:
        return AnswerGroup(self.stream(layer, position, rows), self.items[rows], letters[rows])

    def stream(self, layer: int, position: str, rows: Rows | None = None) -> ArrayStream:
        """(n, d_model) activations of all answers, or of the sorted `rows`.

        Streams of one layer are shared until another layer is asked for.
        """
        self._switch_layer(layer)
        if rows is not None and np.array_equal(rows, np.arange(len(self.items))):
            rows = None
        key = position, b"" if rows is None else rows.tobytes()
        if key not in self._streams:
            stream = ArrayStream(len(self.items), partial(self._read, layer, position))
            self._streams[key] = stream if rows is None else stream.select_rows(rows)
        return self._streams[key]

    def _switch_layer(self, layer: int) -> None:
        if layer != self._layer:
            self._layer, self._blocks, self._streams = layer, {}, {}

    def _read(self, layer: int, position: str) -> Iterator[Floats]:
        """All activations, from memory if they fit there."""
        self._switch_layer(layer)
        size = len(self.items) * self.origin.d_model * 4
        cached = sum(block.nbytes for blocks in self._blocks.values() for block in blocks)
        if position not in self._blocks and cached + size <= CACHE_BYTES:
            parts = self._parts(layer, position)
            self._blocks[position] = [part.activations() for part in parts]
        if position in self._blocks:
            yield from (block.astype(float) for block in self._blocks[position])
        else:
            parts = self._parts(layer, position)
            yield from (part.activations().astype(float) for part in parts)

    def _parts(self, layer: int, position: str) -> list[ShardLayer]:
        if (layer, position) not in self._shard_layers:
            self._shard_layers[layer, position] = shard_layers(self.folder, layer, position)
        return self._shard_layers[layer, position]

    def _first_component(self, variant: Variant, rows: Rows) -> Floats:
        """(n_pairs,) `first_component_weights` of the pairs' differences at all layers."""
        key = variant, rows.tobytes()
        if self._pair_weights is None or self._pair_weights[0] != key:
            contrasts = (
                self.contrast(variant, layer, (rows, rows)) for layer in range(self.origin.n_layers)
            )
            differences = [
                normalised(contrast, variant.normalisation)[0].differences for contrast in contrasts
            ]
            self._pair_weights = key, first_component_weights(differences)
        return self._pair_weights[1]


def _subsample(rows: Rows, variant: Variant, rng: np.random.Generator) -> Rows:
    """As many of `rows` as the variant asks for, sorted."""
    if variant.n_pairs == "all":
        return rows
    if variant.n_pairs > len(rows):
        raise MethodNotApplicable(
            f"{len(rows)} pairs, answers of one class or items; expected {variant.n_pairs}"
        )
    return np.sort(rng.permutation(rows)[: variant.n_pairs])


def _interned(names: pl.Series) -> Names:
    """(n,) with one string object for all equal names, to save memory."""
    unique, member = np.unique(names.to_numpy().astype(object), return_inverse=True)
    return unique[member]


def read_labelled_activations(
    activations: Path, labels: Path, prompts: Path
) -> LabelledActivations:
    """The answers in a folder of activations, with their labels and prompts.

    Raises InputError for files that are missing, unreadable, or not about the same questions.
    """
    origin = read_origin(activations)
    answers = read_labels(labels, read_ids(activations), LABEL_COLUMNS)
    options = pl.read_parquet(prompts, columns=["id", "not_matching"])
    has_letters = pl.col("form") == "letters"
    rows = answers.join(options, on="id", how="left", maintain_order="left").select(
        pl.col("label").cast(pl.Float64).fill_null(np.nan),
        "item",
        "family",
        "source",
        *(
            pl.when(has_letters).then(letter).otherwise(pl.lit("")).fill_null("").alias(name)
            for name, letter in (
                ("matching", pl.col("matching")),
                ("not_matching", pl.col("not_matching").list.first()),
                ("answered_letter", pl.col("answered_letter")),
            )
        ),
    )
    names = ("item", "matching", "not_matching", "answered_letter", "family", "source")
    columns = {name: _interned(rows[name]) for name in names}
    return LabelledActivations(
        activations,
        origin,
        labels=rows["label"].to_numpy(),
        items=columns["item"],
        matching=columns["matching"],
        not_matching=columns["not_matching"],
        answered=columns["answered_letter"],
        families=columns["family"],
        sources=columns["source"],
        has_options=options["not_matching"].list.len().max() != 0,
    )
