"""Caches the output of a layer for forward passes that differ only above it.

The same prompts under many interventions, all of them above one layer, give the same activations up
to that layer: these are computed once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import Tensor, nn

BlockOutput = Tensor | tuple[Tensor, ...]
"""Some architectures' blocks return more than the activations."""


class LowerLayersCache:
    """Outputs of one block, in a sequence of passes, before any intervention on them.

    The first round of passes fills the cache. Later rounds have to consist of the same passes in
    the same order; they replay the outputs, run only the blocks above `layer`, and give the same
    results bit for bit. Keys and values of the blocks below stay as the first round left them and
    are not read.
    """

    def __init__(self, layer: int):
        self.layer = layer
        self._outputs: list[BlockOutput] = []
        self._passes = 0

    def rewind(self) -> LowerLayersCache:
        """This cache, set back to the first pass of a round."""
        self._passes = 0
        return self

    def next_output(self) -> BlockOutput | None:
        """The output to replay in the pass that starts now; None in the first round."""
        self._passes += 1
        cached = self._passes <= len(self._outputs)
        return self._outputs[self._passes - 1] if cached else None

    def append(self, output: BlockOutput) -> None:
        """Stores the output of a pass of the first round."""
        self._outputs.append(output)


@contextmanager
def replayed_output(output: BlockOutput | None, blocks: Sequence[nn.Module]) -> Iterator[None]:
    """Within the context, all `blocks` return `output` and compute nothing."""
    # accelerate wraps `forward` on the instance where a model lies on several GPUs.
    wrapped = [block.__dict__.get("forward") for block in blocks]
    for block in blocks:
        block.forward = lambda *_, **__: output
    try:
        yield
    finally:
        for block, forward in zip(blocks, wrapped, strict=True):
            if forward is None:
                del block.forward
            else:
                block.forward = forward
