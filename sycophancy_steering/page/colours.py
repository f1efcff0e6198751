"""One order and one colour for each series, on the whole page.

The colours are those of Okabe and Ito (https://jfly.uni-koeln.de/color/), which colour-blind
readers can distinguish; all have a contrast of 3 to 1 or more on both backgrounds of the page
(assets/page.css), where lighter ones are darkened a little.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sycophancy_steering.formatting.methods import METHODS

BLUE, VERMILLION, GREEN, PURPLE, ORANGE = "#2a7fc0", "#d55e00", "#009e73", "#b8649a", "#b57a00"
COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE)
MOST_SERIES = len(COLOURS)
"""More lines in one panel are not told apart."""


def method_order(method: str) -> int:
    """Where a method stands; those that nobody ordered stand last."""
    return METHODS.index(method) if method in METHODS else len(METHODS)


def coloured(series: Sequence[str], present: Iterable[str] | None = None) -> dict[str, str]:
    """A colour for each series: that of its place, whether or not those before it are `present`."""
    assert len(series) <= MOST_SERIES
    shown = {*series} if present is None else {*present}
    colours = zip(series, COLOURS, strict=False)
    return {name: colour for name, colour in colours if name in shown}
