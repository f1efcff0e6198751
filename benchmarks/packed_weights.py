"""How much faster extraction is with weights packed into oneDNN's layout (`packed_weights: auto`).

    python benchmarks/packed_weights.py [--rounds 5]

Extracts the first 16 contrast pairs of benchmarks/extraction.py (random-weight Llama of 71 million
parameters, float32, CPU) with packed and with plain weights in turn, and prints the medians and the
largest difference between activations.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

import numpy as np
from extraction import ANSWERS, WORK, json, make

from sycophancy_steering.config.activations import ActivationSettings
from sycophancy_steering.config.model import ModelSettings
from sycophancy_steering.engine.forward import extract_without_generating
from sycophancy_steering.engine.language_model import LanguageModel, load_language_model
from sycophancy_steering.engine.prefix_tree import plan_batches
from sycophancy_steering.engine.prompt import Prompt
from sycophancy_steering.engine.token_budget import batch_tokens

PAIRS = 16
SETTINGS = ActivationSettings(max_new_tokens=1, stop_at="answer")


def extract(language_model: LanguageModel, texts: list[str]) -> tuple[float, np.ndarray]:
    """Processor seconds, and the activations at the ends of the prompts."""
    answers = [language_model.encode(answer) for answer in ANSWERS]
    prompts = [
        Prompt(
            str(n), np.array(language_model.encode(text), dtype=np.int32), answers, {"matching": 0}
        )
        for n, text in enumerate(texts)
    ]
    start = time.process_time()
    activations = []
    budget = batch_tokens(language_model, SETTINGS)
    for batch in plan_batches([prompt.token_ids for prompt in prompts], budget):
        part = extract_without_generating(language_model, [prompts[n] for n in batch], SETTINGS)
        activations.append(part.activations["prompt"].activations)
    return time.process_time() - start, np.concatenate(activations, axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    folder = WORK / "cpu"
    make(folder, "cpu")
    pairs = json.loads((folder / "pairs.json").read_text())[:PAIRS]
    texts = [one.removesuffix(ANSWERS[0]) for one, _ in pairs]
    packed = ModelSettings("float32", "cpu")
    models = {
        "auto": load_language_model(folder, packed),
        "off": load_language_model(folder, replace(packed, packed_weights="off")),
    }
    seconds: dict[str, list[float]] = {setting: [] for setting in models}
    activations: dict[str, np.ndarray] = {}
    for model in models.values():
        extract(model, texts[:8])
    for _ in range(rounds):
        for setting, model in models.items():
            elapsed, activations[setting] = extract(model, texts)
            seconds[setting].append(elapsed)
    medians = {setting: float(np.median(times)) for setting, times in seconds.items()}
    print("| packed_weights | processor seconds | pairs/s |\n|---|---|---|")
    for setting, median in medians.items():
        print(f"| {setting} | {median:.2f} | {len(texts) / median:.1f} |")
    gain = float(np.median(np.divide(seconds["off"], seconds["auto"])))
    difference = float(np.abs(activations["auto"] - activations["off"]).max())
    print(f"speed-up {gain:.2f}x; largest difference of an activation {difference:.1e}")


if __name__ == "__main__":
    main()
