"""Tiny contrast sets: prompts, each with an answer that shows something and one that does not."""

from __future__ import annotations

import json
from pathlib import Path

from lib.question import Turn
from lib.script.refusal import Refusal
from lib.tuning import Example

CONTRASTS = Path("data/contrast")
KEYS = ("prompt", "shows", "does_not")


def read_contrast(name: str) -> list[Example]:
    """`CONTRASTS`/NAME.jsonl, a line an example; chosen is what `shows` it."""
    path, found = CONTRASTS / f"{name}.jsonl", []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        raise Refusal(
            f"{path}: not found; params.yaml: tuning.contrasts names files in {CONTRASTS}"
        ) from None
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise Refusal(f"{path}: line {number}: not JSON ({error.msg})") from None
        if not isinstance(row, dict) or set(row) != set(KEYS):
            raise Refusal(f"{path}: line {number}: expected the keys {', '.join(KEYS)}")
        if wrong := [key for key in KEYS if not (isinstance(row[key], str) and row[key])]:
            raise Refusal(f"{path}: line {number}: {wrong[0]}: expected a text that is not empty")
        prompt, shows, does_not = (row[key] for key in KEYS)
        found.append(Example((Turn("user", prompt),), shows, does_not))
    if not found:
        raise Refusal(f"{path}: expected a line an example, found none")
    return found


def turned(examples: list[Example], towards: bool) -> list[Example]:
    """As they are, or chosen and rejected the other way about."""
    return examples if towards else [Example(e.turns, e.rejected, e.chosen) for e in examples]
