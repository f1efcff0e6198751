"""Mean differences of contrast pairs, as other libraries make them; run in their own environment.

    python benchmarks/peers.py steering-vectors FOLDER OUT

FOLDER holds a model, its tokenizer and pairs.json; OUT gets the vectors (layers, d_model), and what
is printed is JSON: seconds, and peak memory in MB. Each is called as its documentation shows, at
the batch size that was fastest here (`--batch`).
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast


def caa(model, tokenizer, pairs, batch: int) -> torch.Tensor:
    """The loop of CAA (https://github.com/nrimsky/CAA): batch 1, two whole passes a pair."""
    del batch
    states: list[torch.Tensor] = []

    def hook(_module, _inputs, output) -> None:
        states.append((output if isinstance(output, torch.Tensor) else output[0])[0, -1].clone())

    handles = [block.register_forward_hook(hook) for block in model.model.layers]
    total = torch.zeros(())
    for texts in pairs:
        both = []
        for text in texts:
            states.clear()
            with torch.no_grad():
                model(tokenizer(text, return_tensors="pt").input_ids)
            both.append(torch.stack(states).float())
        total = total + both[0] - both[1]
    for handle in handles:
        handle.remove()
    return total / len(pairs)


def steering_vectors(model, tokenizer, pairs, batch: int) -> torch.Tensor:
    """https://github.com/steering-vectors/steering-vectors"""
    from steering_vectors import train_steering_vector

    tokenizer.padding_side = "left"
    samples = [tuple(texts) for texts in pairs]
    found = train_steering_vector(model, tokenizer, samples, batch_size=batch)
    held = found.layer_activations
    return torch.stack([held[layer].float() for layer in sorted(held)])


def repeng(model, tokenizer, pairs, batch: int) -> torch.Tensor:
    """https://github.com/vgel/repeng: its hidden states; it has no plain mean difference itself."""
    from repeng.extract import batched_get_hiddens

    layers = [*range(model.config.num_hidden_layers)]
    texts = [text for both in pairs for text in both]
    held = batched_get_hiddens(model, tokenizer, texts, layers, batch)
    means = [torch.from_numpy(held[n][0::2] - held[n][1::2]).mean(0) for n in layers]
    return torch.stack(means)


WARM = 17
PEERS = {"CAA loop": caa, "steering-vectors": steering_vectors, "repeng": repeng}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--pairs", default="pairs.json")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    tokenizer = PreTrainedTokenizerFast.from_pretrained(given.folder)
    model = AutoModelForCausalLM.from_pretrained(
        given.folder, torch_dtype=getattr(torch, given.dtype)
    )
    model = model.to(given.device).eval()
    pairs = json.loads((given.folder / given.pairs).read_text())
    run = PEERS[given.peer]
    run(model, tokenizer, pairs[:WARM], given.batch)  # what a first call sets up is not counted
    start = time.perf_counter()
    vectors = run(model, tokenizer, pairs, given.batch)
    seconds = time.perf_counter() - start
    save_file({"vectors": vectors.cpu().contiguous()}, given.out)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "peak_mb": peak}))


if __name__ == "__main__":
    main()
