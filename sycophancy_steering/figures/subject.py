"""Whom figures are about, and the families that they leave out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from sycophancy_steering.figures.drawn import listed
from sycophancy_steering.figures.style import Style, method_style
from sycophancy_steering.storage.cell_files import LEAST_ITEMS, families_with_few_items


@dataclass(frozen=True)
class Subject:
    """A model, its headline vector, and the families with too few answers to be drawn."""

    model: str
    headline: str
    """SET/VARIANT."""
    families: tuple[str, ...]
    """All that the model was asked, in the order of all figures."""
    few: frozenset[str]
    """Those in which fewer than LEAST_ITEMS items on `test` have the rarer kind of answer."""

    @property
    def prompt_set(self) -> str:
        """The extraction set of the headline vector."""
        return self.headline.partition("/")[0]

    @property
    def variant(self) -> str:
        """The variant of the headline vector."""
        return self.headline.partition("/")[2]

    @property
    def style(self) -> Style:
        """Of the headline vector."""
        return method_style(self.variant)

    def drawn(self, families: Iterable[str]) -> list[str]:
        """Those with answers enough, each once, in the order of all figures; others last."""
        names = sorted(dict.fromkeys(families), key=self._place)
        return [name for name in names if name not in self.few]

    def _place(self, family: str) -> int:
        return self.families.index(family) if family in self.families else len(self.families)

    def left_out(self, families: Iterable[str]) -> str:
        """A sentence that names those with too few answers; nothing where there are none."""
        few = sorted({*families} & self.few, key=self._place)
        if not few:
            return ""
        return (
            f"Not drawn: {listed(few)}, where fewer than {LEAST_ITEMS} items have the rarer kind "
            "of answer."
        )


def subject_of(model: str, headline: str, cells: pl.DataFrame) -> Subject:
    """The subject whose families are those of `cells`, as from `read_cells`."""
    families = cells["family"].unique(maintain_order=True)
    return Subject(model, headline, tuple(families), frozenset(families_with_few_items(cells)))
