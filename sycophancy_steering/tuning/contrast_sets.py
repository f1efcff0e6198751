"""Tiny contrast sets: prompts, each with an answer that shows something and one that does not."""

from __future__ import annotations

import json
from pathlib import Path

from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.questions.question import Turn
from sycophancy_steering.tuning.training_runs import Example

CONTRASTS = Path("data/contrast")
KEYS = ("prompt", "shows", "does_not")


def read_contrast(name: str) -> list[Example]:
    """`CONTRASTS`/NAME.jsonl, a line an example; chosen is what `shows` it."""
    path, found = CONTRASTS / f"{name}.jsonl", []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        raise InputError(
            f"{path}: not found; params.yaml: tuning.contrasts names files in {CONTRASTS}"
        ) from None
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError(f"{path}: line {number}: not JSON ({error.msg})") from None
        if not isinstance(row, dict) or set(row) != set(KEYS):
            raise InputError(f"{path}: line {number}: expected the keys {', '.join(KEYS)}")
        if wrong := [key for key in KEYS if not (isinstance(row[key], str) and row[key])]:
            raise InputError(
                f"{path}: line {number}: {wrong[0]}: expected a text that is not empty"
            )
        prompt, shows, does_not = (row[key] for key in KEYS)
        found.append(Example((Turn("user", prompt),), shows, does_not))
    if not found:
        raise InputError(f"{path}: expected a line an example, found none")
    return found


def directed(examples: list[Example], towards: bool) -> list[Example]:
    """As they are, or chosen and rejected the other way about."""
    return examples if towards else [Example(e.turns, e.rejected, e.chosen) for e in examples]
