"""How fast 64 tokens are generated after each of 64 prompts, beside other engines.

    python benchmarks/generation.py [--peers PYTHON] [--rounds 3] [--models smollm2 random]

Greedy, 64 tokens whatever they are (no row ends early), prompts of some 60 tokens. One after
another, each in its own process: this engine, and `model.generate` of Hugging Face on left-padded
batches of 16 and 64, both in float32 and in bfloat16; CTranslate2
(https://github.com/OpenNMT/CTranslate2), an inference engine for CPUs, in float32 and int8. Then
the same with `ends`: a row stops at its end-of-turn token, if that comes first. Checks how many
texts are the same, prints a table, and writes benchmarks/generation.json. `make bench` installs
CTranslate2.
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
PEER_KINDS = ("float32", "int8")
"""Of CTranslate2's weights; compared with transformers in float32."""
WARM = 4


def ours(model: str, dtype: str, _batch: int, ends: bool, n_prompts: int) -> list[list[int]]:
    """This engine, all prompts at once."""
    if model not in LOADED:
        LOADED[model] = load(model, dtype)
    language_model = LOADED[model]
    end = language_model.model.generation_config.eos_token_id
    try:
        if not ends:
            language_model.model.generation_config.eos_token_id = []
        return generated_tokens(language_model, prompts(model, n_prompts), N_TOKENS)
    finally:
        language_model.model.generation_config.eos_token_id = end


def hugging_face(model: str, dtype: str, batch: int, ends: bool, n_prompts: int) -> list[list[int]]:
    """`model.generate`."""
    if model not in LOADED:
        folder, kind = WORK / f"peers_{model}", getattr(torch, dtype)
        LOADED[model] = AutoModelForCausalLM.from_pretrained(folder, dtype=kind).eval()
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


def run_here(engine: str, model: str, dtype: str, batch: int, ends: bool, out: Path) -> None:
    """One of `HERE`, in a process of its own; prints JSON with the seconds."""
    with torch.inference_mode():
        HERE[engine](model, dtype, batch, ends, WARM)
        start = time.perf_counter()
        texts = HERE[engine](model, dtype, batch, ends, N_PROMPTS)
        seconds = time.perf_counter() - start
    out.write_text(json.dumps(texts))
    print(json.dumps({"seconds": seconds}))


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument(
        "--here", nargs=6, help="(used by itself: engine, model, dtype, batch, ends, out)"
    )
    given = parser.parse_args()
    if given.here:
        engine, model, dtype, batch, ends, out = given.here
        run_here(engine, model, dtype, int(batch), ends == "ends", Path(out))
        return
    written: dict[str, float] = {}
    print(f"{processor()}, median of {given.rounds} rounds\n")
    print("| model | rows | how | dtype | tokens/s | of transformers' fastest | same texts |")
    print("|---|---|---|---|---|---|---|")
    for model in given.models:
        write_for_peers(model, questions(model, N_PROMPTS), WORK / f"peers_{model}")
        for ends in ("64 tokens", "ends"):
            for dtype, ratio in compare(model, ends, given).items():
                name = f"{model}_{ends.replace(' ', '_')}"
                written[f"{name}_ratio" + f"_{dtype}" * (dtype != "float32")] = round(ratio, 2)
    path = ROOT / "benchmarks/generation.json"
    path.write_text(json.dumps(written, indent=2) + "\n")


def compare(model: str, ends: str, given: argparse.Namespace) -> dict[str, float]:
    """Prints the rows of one model; by dtype, how many times as fast as `generate` on its better
    batches in that dtype."""
    here = [sys.executable, __file__, "--here"]
    there = [str(given.peers), str(ROOT / "benchmarks/generation_peer.py")]
    commands: dict[tuple[str, str], list[str]] = {}
    for dtype in ("float32", "bfloat16"):
        commands["this engine", dtype] = [*here, "this engine", model, dtype, "0", ends]
        for batch in BATCHES:
            command = [*here, "transformers", model, dtype, str(batch), ends]
            commands[f"transformers, batch {batch}", dtype] = command
    sizes = [str(N_PROMPTS), str(N_TOKENS), ends]
    for kind in PEER_KINDS:
        commands["CTranslate2", kind] = [*there, str(WORK / f"peers_{model}"), kind, *sizes]
    rates: dict[tuple[str, str], list[float]] = {way: [] for way in commands}
    texts = {}
    for number in range(given.rounds):
        for way, command in commands.items():
            out = WORK / f"said-{model}-{ends}-{'-'.join(way)}.json".replace(" ", "-")
            seconds = timed([*command, str(out)], out)["seconds"]
            texts[way] = json.loads(out.read_text())
            rates[way].append(sum(map(len, texts[way])) / seconds)
            now = f"round {number + 1}: {', '.join(way)}: {rates[way][-1]:.0f} tokens/s"
            print(now, file=sys.stderr)
    medians = {way: float(np.median(each)) for way, each in rates.items()}
    fastest = {
        dtype: max(
            rate
            for (name, kind), rate in medians.items()
            if kind == dtype and name.startswith("transformers")
        )
        for dtype in ("float32", "bfloat16")
    }
    for way, rate in medians.items():
        pairs = zip(texts[way], texts["this engine", "float32"], strict=True)
        same = sum(one == other for one, other in pairs)
        ratio = f"{rate / fastest.get(way[1], fastest['float32']):.2f}x"
        cells = [model, ends, *way, f"{rate:.0f}", ratio, f"{same} of {N_PROMPTS}"]
        print(f"| {' | '.join(cells)} |")
    return {dtype: medians["this engine", dtype] / each for dtype, each in fastest.items()}


if __name__ == "__main__":
    main()
