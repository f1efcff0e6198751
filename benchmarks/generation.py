"""How fast 64 tokens are generated after each of 64 prompts, beside other engines.

    python benchmarks/generation.py [--peers PYTHON] [--rounds 3] [--models smollm2 random]

Greedy, 64 tokens whatever they are (no row ends early), prompts of some 60 tokens. One after
another, each in its own process: this engine; `model.generate` of Hugging Face on left-padded
batches of 16 and 64; CTranslate2 (https://github.com/OpenNMT/CTranslate2), an inference engine
for CPUs, in float32 and int8. Then the same with `ends`: a row stops at its end-of-turn token, if
that comes first. Checks how many texts are the same, prints a table, and writes
benchmarks/generation.json. `make bench` installs CTranslate2.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import numpy as np
import torch
from extraction import timed
from transformers import AutoModelForCausalLM
from workload import ROOT, WORK, load, parser_of, processor, questions, write_for_peers

from sycophancy_steering.engine.generated_texts import generated_tokens

N_PROMPTS, N_TOKENS = 64, 64
BATCHES = (16, 64)
WARM = 4


def ours(model: str, _batch: int, ends: bool, n_prompts: int) -> list[list[int]]:
    """This engine, all prompts at once."""
    language_model = LOADED.setdefault(model, load(model))
    end = language_model.model.generation_config.eos_token_id
    try:
        if not ends:
            language_model.model.generation_config.eos_token_id = []
        return generated_tokens(language_model, prompts(model, n_prompts), N_TOKENS)
    finally:
        language_model.model.generation_config.eos_token_id = end


def hugging_face(model: str, batch: int, ends: bool, n_prompts: int) -> list[list[int]]:
    """`model.generate`."""
    if model not in LOADED:
        LOADED[model] = AutoModelForCausalLM.from_pretrained(WORK / f"peers_{model}").eval()
    return generate_in_batches(LOADED[model], prompts(model, n_prompts), batch, N_TOKENS, ends)


def generate_in_batches(
    loaded: Any, ids: list[np.ndarray], batch: int, n_tokens: int, ends: bool
) -> list[list[int]]:
    """The texts of `model.generate` as its documentation shows it for batches, sorted by length."""
    end = loaded.generation_config.eos_token_id
    texts: list[list[int]] = [[] for _ in ids]
    order = sorted(range(len(ids)), key=lambda n: len(ids[n]))
    for start in range(0, len(ids), batch):
        rows = order[start : start + batch]
        width = max(len(ids[n]) for n in rows)
        padded = torch.zeros(len(rows), width, dtype=torch.long)
        mask = torch.zeros_like(padded)
        for row, n in enumerate(rows):
            padded[row, width - len(ids[n]) :] = torch.from_numpy(ids[n])
            mask[row, width - len(ids[n]) :] = 1
        said = loaded.generate(
            input_ids=padded,
            attention_mask=mask,
            max_new_tokens=n_tokens,
            min_new_tokens=0 if ends else n_tokens,
            do_sample=False,
            pad_token_id=0,
        )
        for row, n in enumerate(rows):
            texts[n] = (
                until(end, said[row, width:].tolist()) if ends else said[row, width:].tolist()
            )
    return texts


def until(end: int, tokens: list[int]) -> list[int]:
    """The tokens before the end of the turn."""
    return tokens[: tokens.index(end)] if end in tokens else tokens


def prompts(model: str, count: int) -> list[np.ndarray]:
    """Token ids of the first `count` questions."""
    asked = json.loads((WORK / f"peers_{model}/questions.json").read_text())["prompts"]
    return [np.array(ids, np.int32) for ids in asked[:count]]


LOADED: dict[str, Any] = {}
HERE = {"this engine": ours, "transformers": hugging_face}


def run_here(engine: str, model: str, batch: int, ends: bool, out: Path) -> None:
    """One of `HERE`, in a process of its own; prints JSON with the seconds."""
    with torch.inference_mode():
        HERE[engine](model, batch, ends, WARM)
        start = time.perf_counter()
        texts = HERE[engine](model, batch, ends, N_PROMPTS)
        seconds = time.perf_counter() - start
    out.write_text(json.dumps(texts))
    print(json.dumps({"seconds": seconds}))


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--here", nargs=5, help="(used by itself: engine, model, batch, ends, out)")
    given = parser.parse_args()
    if given.here:
        engine, model, batch, ends, out = given.here
        run_here(engine, model, int(batch), ends == "ends", Path(out))
        return
    written: dict[str, float] = {}
    print(f"{processor()}, median of {given.rounds} rounds\n")
    print("| model | rows | how | tokens/s | of the fastest of transformers | same texts |")
    print("|---|---|---|---|---|---|")
    for model in given.models:
        write_for_peers(model, questions(model, N_PROMPTS), WORK / f"peers_{model}")
        for ends in ("64 tokens", "ends"):
            ratio = compare(model, ends, given)
            written[f"{model}_{ends.replace(' ', '_')}_ratio"] = round(ratio, 2)
    path = ROOT / "benchmarks/generation.json"
    path.write_text(json.dumps(written, indent=2) + "\n")


def compare(model: str, ends: str, given: argparse.Namespace) -> float:
    """Prints the rows of one model; how many times as fast as `generate` on its better batches."""
    here = [sys.executable, __file__, "--here"]
    there = [str(given.peers), str(ROOT / "benchmarks/generation_peer.py")]
    folder = str(WORK / f"peers_{model}")
    commands = {"this engine": [*here, "this engine", model, "0", ends]}
    for batch in BATCHES:
        name = f"transformers, batch {batch}"
        commands[name] = [*here, "transformers", model, str(batch), ends]
    for kind in ("float32", "int8"):
        commands[f"CTranslate2, {kind}"] = [
            *there,
            folder,
            kind,
            str(N_PROMPTS),
            str(N_TOKENS),
            ends,
        ]
    rates: dict[str, list[float]] = {name: [] for name in commands}
    texts = {}
    for number in range(given.rounds):
        for name, command in commands.items():
            out = WORK / f"said-{model}-{ends}-{name}.json".replace(" ", "-")
            seconds = timed([*command, str(out)], out)["seconds"]
            texts[name] = json.loads(out.read_text())
            rates[name].append(sum(map(len, texts[name])) / seconds)
            print(f"round {number + 1}: {name}: {rates[name][-1]:.0f} tokens/s", file=sys.stderr)
    medians = {name: float(np.median(each)) for name, each in rates.items()}
    fastest = max(medians[name] for name in medians if name.startswith("transformers"))
    for name, rate in medians.items():
        pairs = zip(texts[name], texts["this engine"], strict=True)
        same = sum(one == other for one, other in pairs)
        print(
            f"| {model} | {ends} | {name} | {rate:.0f} | {rate / fastest:.2f}x "
            f"| {same} of {N_PROMPTS} |"
        )
    return medians["this engine"] / fastest


if __name__ == "__main__":
    main()
