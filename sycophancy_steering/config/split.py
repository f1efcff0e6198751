"""`split` of params.yaml: shares of items, and of personas, in each split."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from sycophancy_steering.config.section import SECTION, Integer, Number

Share = Annotated[Number, Field(gt=0, lt=1)]


@dataclass(frozen=True, config=SECTION)
class SplitShares:
    """The share of items, and of personas, that each split gets; together 1."""

    extract: Share
    """Vectors are made from this split."""
    select: Share
    """Layers and methods are chosen on this split."""
    test: Share
    """Numbers are reported on this split."""
    seed: Integer
    """Seed of the random assignment to splits."""

    @model_validator(mode="after")
    def _sum(self) -> SplitShares:
        total = self.extract + self.select + self.test
        if not math.isclose(total, 1, abs_tol=1e-9):
            raise ValueError(
                f"expected shares of extract, select and test that add up to 1, found {total:g}"
            )
        return self
