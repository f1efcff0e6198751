"""Small pictures of an estimate beside its null, drawn without any script: first screen."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from sycophancy_steering.formatting.numbers import Interval, Range

WIDTH, HEIGHT, MARGIN = 150, 16, 5


@dataclass(frozen=True)
class Scale:
    """The numbers at both ends of a picture."""

    low: float
    high: float

    def x(self, number: float) -> float:
        """Where a number stands; beyond an end, at that end."""
        share = (number - self.low) / ((self.high - self.low) or 1.0)
        return round(MARGIN + min(max(share, 0.0), 1.0) * (WIDTH - 2 * MARGIN), 1)


SHARES = Scale(0.0, 1.0)
"""Of rates and AUROCs."""


def covering(intervals: list[Interval | Range]) -> Scale:
    """A scale with 0 that all of these fit on, with room at its ends."""
    ends = [0.0, *(end for interval in intervals for end in (interval.low, interval.high))]
    room = 0.05 * ((max(ends) - min(ends)) or 1.0)
    return Scale(min(ends) - room, max(ends) + room)


def dot(
    estimate: Interval,
    scale: Scale = SHARES,
    null: Range | None = None,
    tick: float | None = None,
) -> Markup:
    """A dot with its whiskers, before the grey band of what chance gives and a tick.

    Screen readers skip it: the same numbers stand beside it.
    """
    middle = HEIGHT / 2
    parts = [
        f'<line class="axis" x1="{MARGIN}" x2="{WIDTH - MARGIN}" y1="{middle}" y2="{middle}"/>'
    ]
    if null:
        x = scale.x(null.low)
        width = max(round(scale.x(null.high) - x, 1), 1)
        parts.append(f'<rect class="null" x="{x}" y="3" width="{width}" height="{HEIGHT - 6}"/>')
    if tick is not None:
        x = scale.x(tick)
        parts.append(f'<line class="tick" x1="{x}" x2="{x}" y1="1" y2="{HEIGHT - 1}"/>')
    if estimate.low == estimate.low and estimate.high == estimate.high:
        ends = f'x1="{scale.x(estimate.low)}" x2="{scale.x(estimate.high)}"'
        parts.append(f'<line class="whisker" {ends} y1="{middle}" y2="{middle}"/>')
    parts.append(f'<circle class="dot" cx="{scale.x(estimate.value)}" cy="{middle}" r="4"/>')
    return Markup(
        f'<svg class="dots" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'aria-hidden="true" focusable="false">{"".join(parts)}</svg>'
    )
