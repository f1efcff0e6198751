"""Exact conversion of half-precision numbers to float32, faster than numpy's `astype`.

`benchmarks/reading.py` prints both times. numpy has no bfloat16 at all.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BLOCK_SIZE = 1 << 18
"""Numbers that stay in the processor's cache."""


def to_float32(numbers: NDArray[np.generic], dtype: str) -> NDArray[np.float32]:
    """`numbers` (rows, width) of `dtype` (bfloat16 held as uint16) in float32."""
    if dtype == "bfloat16":  # the upper half of a float32
        result = np.empty(numbers.shape, np.float32)
        np.left_shift(numbers, 16, out=result.view(np.uint32), dtype=np.uint32)
        return result
    if dtype != "float16":
        return numbers.astype(np.float32, copy=False)
    result = np.empty(numbers.shape, np.float32)
    n_rows = max(1, BLOCK_SIZE // max(1, numbers.shape[1]))
    for start in range(0, len(numbers), n_rows):
        _convert(numbers[start : start + n_rows], result[start : start + n_rows])
    return result


def _convert(halves: NDArray[np.generic], result: NDArray[np.float32]) -> None:
    """Shifts exponent and fraction to their places in a float32, then corrects the exponent.

    The biases of the exponents differ by 112; the signed shift carries the sign along.
    """
    if ((halves.view(np.uint16) & 0x7C00) == 0x7C00).any():  # infinity or NaN
        result[:] = halves
        return
    bits = result.view(np.int32)
    np.left_shift(halves.view(np.int16), 13, out=bits, dtype=np.int32)
    bits &= np.int32(-0x70002000)  # 0x8FFFE000: sign, five bits of exponent, ten of fraction
    result *= np.float32(2.0**112)
