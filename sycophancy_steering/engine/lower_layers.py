"""What passes leave after a layer, for passes that differ above it alone.

A model that is asked the same again and again, each time with something else done to it from one
layer on, does the same up to that layer every time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import Tensor, nn

Output = Tensor | tuple[Tensor, ...]
"""Of a block: some give more than the states."""


class Beneath:
    """What the block of `layer` gave in each pass of a first round, before anything was done to it.

    Later rounds, which have to be of the same passes in the same order, begin with that: they run
    the blocks above `layer` and differ in no bit. Keys and values of the blocks that are left out
    stay as they were, and nobody looks at them.
    """

    def __init__(self, layer: int):
        self.layer = layer
        self._outputs: list[Output] = []
        self._passes = 0

    def next_round(self) -> Beneath:
        """The same, before the first pass."""
        self._passes = 0
        return self

    def next_pass(self) -> Output | None:
        """What is known of the pass that begins now: nothing, in the first round."""
        self._passes += 1
        known = self._passes <= len(self._outputs)
        return self._outputs[self._passes - 1] if known else None

    def keep(self, output: Output) -> None:
        """Of a pass of the first round."""
        self._outputs.append(output)


@contextmanager
def giving(output: Output | None, blocks: Sequence[nn.Module]) -> Iterator[None]:
    """Within the context all `blocks` give `output` and run nothing."""
    before = [block.__dict__.get("forward") for block in blocks]  # accelerate's, over several GPUs
    for block in blocks:
        block.forward = lambda *_, **__: output
    try:
        yield
    finally:
        for block, forward in zip(blocks, before, strict=True):
            if forward is None:
                del block.forward
            else:
                block.forward = forward
