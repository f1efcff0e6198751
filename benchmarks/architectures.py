"""How far batched extraction is from a plain Hugging Face pass, for every known architecture.

    python benchmarks/architectures.py

Prints, for small random-weight models, the largest absolute difference between activations (of
every block but the last, whose output a plain pass does not return) at the last token of 50
prompts, beside their root mean square; in float32 and bfloat16, with shared prefixes and without.
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

from sycophancy_steering.activations.prompts import to_prompt  # noqa: E402
from sycophancy_steering.config.activations import ActivationSettings  # noqa: E402
from sycophancy_steering.engine.forward import extract_batch  # noqa: E402


def largest_difference(name: str, dtype: torch.dtype, share: bool) -> tuple[float, float]:
    """The largest absolute difference, and the root mean square of the activations."""
    language_model, asked = tiny(name, dtype), drawn_rows(50, random.Random(0))
    prompts = [to_prompt(language_model, row) for row in asked]
    settings = ActivationSettings(max_new_tokens=1, stop_at="turn", share_prefixes=share)
    at_prompts = extract_batch(language_model, prompts, settings).activations["prompt"]
    ours = at_prompts.activations[:-1]
    if dtype == torch.bfloat16:
        ours = (ours.astype(np.uint32) << 16).view(np.float32)
    plain = [hidden_states(language_model, prompt.token_ids.tolist()) for prompt in prompts]
    theirs = np.stack([states[1:-1, -1] for states in plain], axis=1)
    return float(np.abs(ours - theirs).max()), float(np.sqrt(np.square(theirs).mean()))


def main() -> None:
    print("| architecture | rms | float32, shared | not shared | bfloat16, shared | not shared |")
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
