"""Log-odds of two answers under added vectors, as other libraries get them; run in their own
environment.

    python benchmarks/steering_peers.py steering-vectors FOLDER OUT --batch 16 --interventions 2

FOLDER holds a model, questions.json (token ids) and interventions.safetensors: `vectors` (n,
d_model), each added after block `layer`. OUT gets the log-odds (interventions, questions); printed
is JSON with the seconds. A vector is added at the prompt's last token and at those of the answer,
as in CAA; repeng can add it at every token only. Each library is called as its documentation shows,
its model run on padded batches of whole texts, sorted by length.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

Run = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""Token ids, attention mask and changed tokens (rows, tokens) -> logits."""


def caa(model, vector: torch.Tensor, layer: int) -> Run:
    """The loop of CAA (https://github.com/nrimsky/CAA): a hook on one block."""

    def run(ids, mask, changed):
        def hook(_module, _inputs, output):
            hidden = output if isinstance(output, torch.Tensor) else output[0]
            hidden = hidden + changed[..., None] * vector
            return hidden if isinstance(output, torch.Tensor) else (hidden, *output[1:])

        handle = model.model.layers[layer].register_forward_hook(hook)
        logits = model(ids, attention_mask=mask).logits
        handle.remove()
        return logits

    return run


def steering_vectors(model, vector: torch.Tensor, layer: int) -> Run:
    """https://github.com/steering-vectors/steering-vectors"""
    from steering_vectors import SteeringVector

    steering = SteeringVector({layer: vector})

    def run(ids, mask, changed):
        handle = steering.patch_activations(model, token_indices=changed.float())
        logits = model(ids, attention_mask=mask).logits
        handle.remove()
        return logits

    return run


def repeng(model, vector: torch.Tensor, layer: int) -> Run:
    """https://github.com/vgel/repeng"""
    from repeng import ControlModel

    control = ControlModel(model, [layer])
    control.set_raw_control({layer: vector})

    def run(ids, mask, _changed):
        positions = torch.arange(ids.shape[1]).expand_as(ids)  # it finds padding by them
        return control(ids, attention_mask=mask, position_ids=positions).logits

    return run


PEERS = {"CAA loop": caa, "steering-vectors": steering_vectors, "repeng": repeng}


def answer_logprobs(run: Run, texts: list[tuple[list[int], int]], batch: int) -> torch.Tensor:
    """(texts,): log-probability of the last tokens of each text, as many as it says."""
    found = torch.empty(len(texts))
    by_length = sorted(range(len(texts)), key=lambda n: len(texts[n][0]))
    for start in range(0, len(texts), batch):
        rows = by_length[start : start + batch]
        width = max(len(texts[n][0]) for n in rows)
        ids = torch.zeros(len(rows), width, dtype=torch.long)
        mask, changed = torch.zeros_like(ids), torch.zeros_like(ids)
        for row, n in enumerate(rows):
            tokens, said = texts[n]
            ids[row, : len(tokens)] = torch.tensor(tokens)
            mask[row, : len(tokens)] = 1
            changed[row, len(tokens) - said - 1 : len(tokens)] = 1
        logits = run(ids, mask, changed)
        for row, n in enumerate(rows):
            tokens, said = texts[n]
            places = torch.arange(len(tokens) - said - 1, len(tokens) - 1)
            logprobs = logits[row, places].float().log_softmax(-1)
            found[n] = logprobs[torch.arange(said), torch.tensor(tokens[-said:])].sum()
    return found


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--interventions", type=int, default=2)
    given = parser.parse_args()
    asked = json.loads((given.folder / "questions.json").read_text())
    stored = load_file(given.folder / "interventions.safetensors")
    layer = int(stored["layer"])
    texts = [
        (prompt + answer, len(answer))
        for prompt, answers in zip(asked["prompts"], asked["answers"], strict=True)
        for answer in answers
    ]
    model = AutoModelForCausalLM.from_pretrained(given.folder, torch_dtype=torch.float32).eval()

    def run(number: int, some: list) -> torch.Tensor:
        steered = PEERS[given.peer](model, stored["vectors"][number], layer)
        found = answer_logprobs(steered, some, given.batch)
        if given.peer == "repeng":
            model.model.layers[layer] = model.model.layers[layer].block
        return found

    run(0, texts[: 2 * given.batch])  # what a first call sets up is not counted
    start = time.perf_counter()
    logprobs = torch.stack([run(n, texts) for n in range(given.interventions)])
    seconds = time.perf_counter() - start
    odds = logprobs[:, 0::2] - logprobs[:, 1::2]
    save_file({"log_odds": odds.contiguous()}, given.out)
    print(json.dumps({"seconds": seconds, "interventions": given.interventions}))


if __name__ == "__main__":
    main()
