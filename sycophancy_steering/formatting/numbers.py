"""How numbers are written, in figures and reports alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sycophancy_steering.schemas.table import estimate

MISSING = "-"
"""Stands for what cannot be estimated."""


@dataclass(frozen=True)
class Interval:
    """A number with its 95% interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Range:
    """A range without a centre, such as the central 95% of random directions."""

    low: float
    high: float


def interval_of(row: Mapping[str, Any], name: str) -> Interval | None:
    """The estimate NAME of a table's row; None where it is missing or undefined."""
    value, low, high = (row[column] for column in estimate(name))
    return None if _undefined(value) else Interval(value, low, high)


def range_of(row: Mapping[str, Any], name: str) -> Range | None:
    """NAME_low and NAME_high of a table's row; None where they are missing or undefined."""
    _, low, high = (row.get(column) for column in estimate(name))
    return None if low is None or high is None or _undefined(low) else Range(low, high)


def interval_text(interval: Interval | None, decimals: int = 2) -> str:
    """`0.83 [0.78, 0.87]`; a bound that is undefined is a dash."""
    if interval is None or _undefined(interval.value):
        return MISSING
    value, low, high = (
        number_text(number, decimals) for number in (interval.value, interval.low, interval.high)
    )
    return f"{value} [{low}, {high}]"


def range_text(between: Range | None, decimals: int = 2) -> str:
    """`0.11 to 0.85`."""
    if between is None:
        return MISSING
    return f"{number_text(between.low, decimals)} to {number_text(between.high, decimals)}"


def number_text(number: float | None, decimals: int = 2) -> str:
    """`0.83`, and never `-0.00`."""
    if number is None or _undefined(number):
        return MISSING
    return f"{round(number, decimals) + 0.0:.{decimals}f}"


def share_text(share: float | None, decimals: int = 0) -> str:
    """`83%`."""
    return MISSING if share is None or _undefined(share) else f"{share:.{decimals}%}"


def p_text(p: float | None) -> str:
    """`0.005`."""
    return number_text(p, 3)


def _undefined(number: float | None) -> bool:
    return number is None or number != number
