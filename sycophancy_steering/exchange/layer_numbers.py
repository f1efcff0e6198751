"""The number of a layer out of the name of a tensor or a file."""

from __future__ import annotations

import re
from collections.abc import Sequence

AFTER_WORD = re.compile(
    r"(?:^|[^a-z])(?:layers?|blocks?|blk|hidden_states|direction|h|l)[ _.\-=\[]*(\d+)",
    re.IGNORECASE,
)
"""A number that follows a word for a layer."""
MAX_LAYER = 10_000


def layer_numbers(names: Sequence[str]) -> list[int] | None:
    """The layer of each of `names`, or None where they do not say.

    The number after a word for a layer, where every name has exactly one; else the one number that
    differs from name to name. `vec_layer_13_Llama-2-7b-chat-hf` is of layer 13.
    """
    after_word = [AFTER_WORD.findall(name) for name in names]
    if all(len(numbers) == 1 for numbers in after_word):
        return _small([numbers[0] for numbers in after_word])
    numbers = [re.findall(r"\d+", name) for name in names]
    if len({re.sub(r"\d+", "#", name) for name in names}) != 1:
        return None
    columns = list(zip(*numbers, strict=True))
    varying = [column for column in columns if len(set(column)) > 1]
    if len(names) == 1 and len(columns) == 1:
        varying = columns
    return _small(varying[0]) if len(varying) == 1 else None


def _small(numbers: Sequence[str]) -> list[int] | None:
    """The numbers, unless one is no layer's: int() of many digits takes long, and is refused."""
    if any(len(number) > len(str(MAX_LAYER)) for number in numbers):
        return None
    values = [int(number) for number in numbers]
    return values if max(values, default=0) <= MAX_LAYER else None


def ranges(layers: Sequence[int]) -> str:
    """Layers in words: `0 to 2 and 5`."""
    runs: list[list[int]] = []
    for layer in sorted(layers):
        if runs and runs[-1][-1] == layer - 1:
            runs[-1].append(layer)
        else:
            runs.append([layer])
    words = [
        f"{run[0]} to {run[-1]}" if len(run) > 2 else " and ".join(map(str, run)) for run in runs
    ]
    flat = [word for part in words for word in part.split(" and ")]
    return flat[0] if len(flat) == 1 else f"{', '.join(flat[:-1])} and {flat[-1]}"


def layers_in_words(layers: Sequence[int]) -> str:
    """`layer 5`, or `layers 0 to 2 and 5`."""
    return f"layer{'s' if len(layers) != 1 else ''} {ranges(layers)}"
