"""Half precision to float32: every bit pattern."""

from __future__ import annotations

import numpy as np

from sycophancy_steering.storage.half_precision import BLOCK_SIZE, to_float32

EVERY = np.arange(1 << 16, dtype=np.uint16).reshape(64, 1024)


def test_every_float16_is_converted_as_numpy_does():
    halves = EVERY.view(np.float16)
    np.testing.assert_array_equal(to_float32(halves, "float16"), halves.astype(np.float32))
    finite = np.where(np.isfinite(halves), halves, np.float16(0))
    assert to_float32(finite, "float16").tobytes() == finite.astype(np.float32).tobytes()


def test_blocks_of_a_long_array_keep_their_places():
    draw = np.random.default_rng(0)
    halves = draw.standard_normal((3 * BLOCK_SIZE // 1024 + 5, 1024)).astype(np.float16)
    halves[-1, -1] = np.inf
    np.testing.assert_array_equal(to_float32(halves, "float16"), halves.astype(np.float32))


def test_every_bfloat16_is_the_upper_half_of_a_float32():
    found = to_float32(EVERY, "bfloat16")
    assert found.tobytes() == (EVERY.astype(np.uint32) << 16).tobytes()
