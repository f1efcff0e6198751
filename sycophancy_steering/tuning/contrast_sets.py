"""Tiny contrast sets: prompts, each with an answer that shows a behaviour and one that does not."""

from __future__ import annotations

import json
from pathlib import Path

from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.questions.question import Turn
from sycophancy_steering.tuning.training_runs import Example

CONTRASTS = Path("data/contrast")
KEYS = ("prompt", "shows", "does_not")


def read_contrast(name: str) -> list[Example]:
    """The examples of data/contrast/NAME.jsonl; `chosen` is the answer that shows the behaviour.

    Raises InputError that names the file, the line and the key.
    """
    path = CONTRASTS / f"{name}.jsonl"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        raise InputError(
            f"{path}: not found; params.yaml: tuning.contrast_sets names files in {CONTRASTS}"
        ) from None
    examples = [_read_line(line, f"{path}: line {n}") for n, line in enumerate(lines, start=1)]
    if not examples:
        raise InputError(f"{path}: expected an example on each line, found none")
    return examples


def _read_line(line: str, place: str) -> Example:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise InputError(f"{place}: not JSON ({error.msg})") from None
    if not isinstance(row, dict) or set(row) != set(KEYS):
        raise InputError(f"{place}: expected the keys {', '.join(KEYS)}")
    for key in KEYS:
        if not (isinstance(row[key], str) and row[key]):
            raise InputError(f"{place}: {key}: expected a text that is not empty")
    return Example((Turn("user", row["prompt"]),), row["shows"], row["does_not"])


def directed(examples: list[Example], towards: bool) -> list[Example]:
    """The examples towards the behaviour, or away from it: with chosen and rejected swapped."""
    if towards:
        return examples
    return [Example(turns, rejected, chosen) for turns, chosen, rejected in examples]
