"""How fast answers are had under 20 interventions, beside other libraries.

    python benchmarks/steering.py [--peers PYTHON] [--rounds 3] [--models smollm2 random]

200 questions of some 60 tokens, two answers in words each; 10 random vectors are added and
subtracted after the block in the middle, at the prompt's last token and the answer's (CAA's), or at
every token (repeng's). What is had is the log-odds of the two answers, and so the rate. One after
another, each in its own process: this engine; a loop like CAA's, one text at a time;
steering-vectors and repeng, on batches of 16. A peer runs 1 of the 20 interventions, which take all
the same time, and its answers are counted alone. Checks that all find the same log-odds, prints a
table, and writes benchmarks/steering.json. `make bench` installs the peers.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import numpy as np
import torch
from extraction import timed
from safetensors.torch import load_file, save_file
from workload import (
    ROOT,
    WORK,
    load,
    parser_of,
    processor,
    questions,
    steering_vectors,
    write_for_peers,
)

from sycophancy_steering.config.activations import ActivationSettings
from sycophancy_steering.engine.intervention import Intervention, add_vector
from sycophancy_steering.engine.workers import local_workers
from sycophancy_steering.interventions.intervened_forward import IntervenedForward

N_QUESTIONS, N_VECTORS, LENGTH = 200, 10, 4.0
N_PEER = 1
"""Interventions that a peer runs."""
PEERS = {
    "prompt_end_on": [("CAA loop", 1), ("steering-vectors", 16)],
    "every": [("repeng", 16)],
}
"""By where a vector is added: libraries and batch sizes."""
WARM = 16


def ours(model: str, where: str, out: Path) -> None:
    """This engine, in a process of its own; prints what `steering_peers.py` prints."""
    language_model = load(model)
    vectors = LENGTH * steering_vectors(language_model.d_model, N_VECTORS)
    layer = middle_layer(language_model.model.config.num_hidden_layers)
    interventions = [
        Intervention({layer: add_vector(sign * vector)}, where)  # type: ignore[arg-type]
        for vector in vectors
        for sign in (1, -1)
    ]
    workers = local_workers(language_model, ActivationSettings(max_new_tokens=1, stop_at="answer"))

    def run(count: int, some: list[Intervention]) -> np.ndarray:
        chats = [(question.turns, question.answers) for question in questions(model, count)]
        odds = np.empty((len(some), count), np.float32)
        for number, rows, logprobs in IntervenedForward(workers, chats).logprobs(some):
            odds[number, rows] = [one - two for one, two in logprobs]
        return odds

    run(WARM, interventions[:N_PEER])
    start = time.perf_counter()
    found = run(N_QUESTIONS, interventions)
    seconds = time.perf_counter() - start
    save_file({"log_odds": torch.from_numpy(found)}, out)
    print(json.dumps({"seconds": seconds, "interventions": len(interventions)}))


def middle_layer(depth: int) -> int:
    """The block in the middle."""
    return depth // 2 - 1


def write_interventions(model: str, folder: Path) -> None:
    """What peers add: the same vectors, each with both signs."""
    config = json.loads((folder / "config.json").read_text())
    vectors = LENGTH * steering_vectors(config["hidden_size"], N_VECTORS)
    both = torch.stack([sign * vector for vector in vectors for sign in (1, -1)])
    layer = torch.tensor(middle_layer(config["num_hidden_layers"]))
    save_file({"vectors": both, "layer": layer}, folder / "interventions.safetensors")


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--ours", nargs=3, help="(used by itself: model, where, out)")
    given = parser.parse_args()
    if given.ours:
        model, where, out = given.ours
        ours(model, where, Path(out))
        return
    written: dict[str, float] = {}
    print(f"{processor()}, median of {given.rounds} rounds\n")
    print("| model | added at | how | answers/s | of the fastest peer | largest difference |")
    print("|---|---|---|---|---|---|")
    for model in given.models:
        folder = WORK / f"peers_{model}"
        write_for_peers(model, questions(model, N_QUESTIONS), folder)
        write_interventions(model, folder)
        for where, peers in PEERS.items():
            ratio = compare(model, where, peers, folder, given)
            written[f"{model}_{where}_ratio"] = round(ratio, 2)
    path = ROOT / "benchmarks/steering.json"
    path.write_text(json.dumps(written, indent=2) + "\n")


def compare(
    model: str, where: str, peers: list[tuple[str, int]], folder: Path, given: argparse.Namespace
) -> float:
    """Prints the rows of one model and place; how many times as fast as the fastest peer."""
    commands = {"this engine": [sys.executable, __file__, "--ours", model, where]}
    for peer, batch in peers:
        script = str(ROOT / "benchmarks/steering_peers.py")
        commands[f"{peer}, batch {batch}"] = [str(given.peers), script, peer, str(folder)]
    found: dict[str, list[float]] = {name: [] for name in commands}
    odds = {}
    for number in range(given.rounds):
        for name, command in commands.items():
            out = WORK / f"steered-{model}-{where}-{name.replace(' ', '-')}.safetensors"
            extra = [] if name == "this engine" else ["--batch", name.rpartition(" ")[2]]
            extra += [] if name == "this engine" else ["--interventions", str(N_PEER)]
            done = timed([*command, str(out), *extra], out)
            found[name].append(done["interventions"] * N_QUESTIONS / done["seconds"])
            odds[name] = load_file(out)["log_odds"]
            print(f"round {number + 1}: {name}: {found[name][-1]:.1f} answers/s", file=sys.stderr)
    rates = {name: float(np.median(each)) for name, each in found.items()}
    fastest = max(rate for name, rate in rates.items() if name != "this engine")
    for name, rate in rates.items():
        difference = (odds[name] - odds["this engine"][: len(odds[name])]).abs().max()
        cells = [model, where, name, f"{rate:.1f}", f"{rate / fastest:.1f}x", f"{difference:.0e}"]
        print(f"| {' | '.join(cells)} |")
    return rates["this engine"] / fastest


if __name__ == "__main__":
    main()
