"""Packs a table for the browser: columns of small integers, compressed, as text.

A column of words becomes codes and a dictionary; a column of numbers becomes whole multiples of
10^-decimals. A cell is stored as `value - lowest + 1`, and 0 where it is missing, in as few bytes
as that takes: first the lowest byte of every cell, then the next (compressors like that). The
reader is assets/atlas.js.
"""

from __future__ import annotations

import base64
import gzip
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

CHUNK = 1 << 19
"""Rows that are packed together: the browser draws between two of them."""
LEVEL = 9


@dataclass(frozen=True)
class PackedColumn:
    """A column, and what the browser needs to read it."""

    name: str
    lowest: int
    """What the stored integer 1 stands for."""
    width: int
    """Bytes a cell."""
    decimals: int
    """Of numbers."""
    words: list[str] | None
    """Of words: what the codes stand for."""
    chunks: list[str]
    """Base64 of gzip, `CHUNK` rows each."""


def pack(table: pl.DataFrame, decimals: Mapping[str, int]) -> list[PackedColumn]:
    """The columns of `table`; floats keep as many decimals as `decimals` says."""
    return [_pack_column(table[name], decimals.get(name, 0)) for name in table.columns]


def whole_multiples(values: NDArray[np.float64], decimals: int) -> NDArray[np.int64]:
    """`values` in units of 10^-decimals, rounded as Python writes them; NaN becomes 0.

    Multiplying rounds once more than writing does, so what lies close to a tie is written.
    """
    scaled = np.nan_to_num(values) * 10.0**decimals
    whole = np.rint(scaled).astype(np.int64)
    for n in np.flatnonzero(np.abs(np.abs(scaled - np.trunc(scaled)) - 0.5) < 1e-6):
        whole[n] = round(float(f"{values[n]:.{decimals}f}") * 10**decimals)
    return whole


def _pack_column(column: pl.Series, decimals: int) -> PackedColumn:
    words = None
    if column.dtype in (pl.String, pl.Boolean):
        texts = column.cast(pl.String)
        words = texts.drop_nulls().unique().sort().to_list()
        codes = texts.cast(pl.Enum(words)).to_physical()
        missing, numbers = codes.is_null().to_numpy(), codes.fill_null(0).to_numpy()
    else:
        floats = column.cast(pl.Float64).fill_null(float("nan")).to_numpy()
        missing, numbers = np.isnan(floats), whole_multiples(floats, decimals)
    numbers = numbers.astype(np.int64)
    present = numbers[~missing]
    lowest = int(present.min()) if len(present) else 0
    stored = np.where(missing, 0, numbers - lowest + 1)
    highest = int(stored.max()) if len(stored) else 0
    width = next(width for width in (1, 2, 4) if highest < 1 << (8 * width))
    chunks = [
        _pack_chunk(stored[start : start + CHUNK], width) for start in range(0, len(stored), CHUNK)
    ]
    return PackedColumn(column.name, lowest, width, decimals, words, chunks)


def _pack_chunk(stored: NDArray[np.int64], width: int) -> str:
    planes = np.stack([(stored >> (8 * n)) & 255 for n in range(width)]).astype(np.uint8)
    return pack_bytes(planes.tobytes())


def pack_bytes(content: bytes) -> str:
    """Base64 of gzip, the same for the same bytes."""
    return base64.b64encode(gzip.compress(content, LEVEL, mtime=0)).decode("ascii")
