"""How far the batched pass is from a plain Hugging Face pass, for every known architecture.

    python benchmarks/architectures.py

Prints, for small random-weight models, the largest absolute difference of a state (of every block
but the last, whose output a plain pass does not show) at the last token of 50 prompts, beside the
states' root mean square; float32 and bfloat16, what prompts begin with run once or every time.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).parent.parent
sys.path += [str(ROOT / "stages"), str(ROOT / "tests")]

from plain_pass import hidden_states  # noqa: E402
from tiny_models import CONFIGS, drawn_rows, tiny  # noqa: E402

from sycophancy_steering.engine.forward import ReadingSettings, read_batch  # noqa: E402


def largest_difference(name: str, dtype: torch.dtype, share: bool) -> tuple[float, float]:
    """The largest absolute difference, and the root mean square of the states."""
    language_model, asked = tiny(name, dtype), drawn_rows(50, random.Random(0))
    prompts = [language_model.write(row.messages) for row in asked]
    tokens = [np.array(ids, dtype=np.int32) for ids in prompts]
    settings = ReadingSettings(max_new_tokens=1, stop="turn", share_beginnings=share)
    ours = read_batch(language_model, asked, tokens, settings).states["prompt"].states[:-1]
    if dtype == torch.bfloat16:
        ours = (ours.astype(np.uint32) << 16).view(np.float32)
    theirs = np.stack([hidden_states(language_model, ids)[1:-1, -1] for ids in prompts], axis=1)
    return float(np.abs(ours - theirs).max()), float(np.sqrt(np.square(theirs).mean()))


def main() -> None:
    print("| architecture | states, rms | float32, shared | again | bfloat16, shared | again |")
    print("|---|---|---|---|---|---|")
    for name in CONFIGS:
        cells = []
        size = 0.0
        for dtype in (torch.float32, torch.bfloat16):
            for share in (True, False):
                difference, size = largest_difference(name, dtype, share)
                cells.append(f"{difference:.1e}")
        print(f"| {name} | {size:.2g} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
