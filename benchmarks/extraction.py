"""How fast activations of contrast pairs are extracted, beside other libraries and the roofline.

    make bench            (or: python benchmarks/extraction.py --peers PYTHON [--rounds 3])

Makes a random-weight Llama of 71 million parameters and pairs in the shape of the NLP survey (172
tokens in the mean), of the political file (17 questions a persona, 91 of 130 tokens shared) and of
short questions (30 to 60 tokens, where overhead weighs most). One after another, each in its own
process and on the same pairs: this engine, a loop like CAA's, steering-vectors and repeng, in
rounds; the first 17 pairs are run once more before, and not timed. Checks that all vectors agree,
prints a table, and writes benchmarks/extraction.json. PYTHON is an interpreter that has the peers
(`make bench` installs it).
On a GPU, `--device cuda`: the shape of a 7B model in bfloat16, with model FLOP utilisation.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedTokenizerFast

from sycophancy_steering.config.activations import ActivationSettings
from sycophancy_steering.config.model import ModelSettings
from sycophancy_steering.engine.forward import extract_without_generating
from sycophancy_steering.engine.language_model import load_language_model
from sycophancy_steering.engine.prefix_tree import plan_batches
from sycophancy_steering.engine.prompt import Prompt
from sycophancy_steering.engine.token_budget import batch_tokens

ROOT = Path(__file__).parent.parent

WORK = ROOT / ".work/benchmark"
VOCABULARY = 32000
SHAPES = {
    "cpu": LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=512,
        intermediate_size=1376,
        num_hidden_layers=12,
        num_attention_heads=8,
    ),
    "cuda": LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=4096,
        intermediate_size=11008,
        num_hidden_layers=32,
        num_attention_heads=32,
    ),
}
PAIRS = {"cpu": 96, "cuda": 2048}
PERSONAS = {"cpu": 12, "cuda": 120}
SETS = ("pairs.json", "personas.json", "short.json")
WARM = 17
"""Pairs; `peers.py` has the same."""
ANSWERS = ("( A )", "( B )")


def make(folder: Path, device: str) -> None:
    """A model with random weights, a tokenizer with a token a word, and pairs of texts."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    config = SHAPES[device]
    dtype = torch.float32 if device == "cpu" else torch.bfloat16
    with torch.device(device):
        AutoModelForCausalLM.from_config(config, dtype=dtype).save_pretrained(folder)
    words = ["<end>", "(", ")", "A", "B", *(f"w{n}" for n in range(VOCABULARY - 5))]
    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate(words)}, "<end>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<end>", pad_token="<end>", padding_side="right"
    ).save_pretrained(folder)
    draw = np.random.default_rng(0)

    def text(mean: float, spread: float, least: int) -> list[str]:
        size = max(least, round(draw.normal(mean, spread)))
        return [f"w{n}" for n in draw.integers(0, VOCABULARY - 5, size)]

    survey = [text(172, 35, 90) for _ in range(PAIRS[device])]
    personas = [text(91, 20, 40) for _ in range(PERSONAS[device])]
    questions = [text(39, 12, 15) for _ in range(17)]
    shared = [persona + question for persona in personas for question in questions]
    short = [text(45, 8, 30) for _ in range(2 * PAIRS[device])]
    for name, prompts in zip(SETS, (survey, shared, short), strict=True):
        order = draw.permutation(len(prompts))
        pairs = [[" ".join([*prompts[n], end]) for end in ANSWERS] for n in order]
        (folder / name).write_text(json.dumps(pairs))


def ours(folder: Path, out: Path, pairs: str, dtype: str, device: str) -> None:
    """This engine, in a process of its own; prints what `peers.py` prints, and the roofline."""
    language_model = load_language_model(folder, ModelSettings(dtype, device))  # type: ignore[arg-type]
    texts = json.loads((folder / pairs).read_text())
    settings = ActivationSettings(max_new_tokens=1, stop_at="answer")
    budget = batch_tokens(language_model, settings)
    depth = language_model.model.config.num_hidden_layers

    def run(some: list[list[str]]) -> torch.Tensor:
        answers = [language_model.encode(answer) for answer in ANSWERS]
        prompts = [
            Prompt(
                str(n),
                np.array(language_model.encode(one.removesuffix(ANSWERS[0])), dtype=np.int32),
                answers,
                {"matching": 0, "not_matching": 1},
            )
            for n, (one, _) in enumerate(some)
        ]
        total = np.zeros((depth, language_model.d_model))
        for batch in plan_batches([prompt.token_ids for prompt in prompts], budget):
            part = [prompts[n] for n in batch]
            positions = extract_without_generating(language_model, part, settings).activations
            one, two = (positions[name].activations for name in ("matching", "not_matching"))
            if dtype == "bfloat16":
                one, two = ((each.astype(np.uint32) << 16).view(np.float32) for each in (one, two))
            total += (one - two).sum(1)
        return torch.from_numpy(total / len(some)).float()

    run(texts[:WARM])
    # The roofline and the engine in turn, so that both see the same processor.
    roofs = [roofline(folder, dtype, device)]
    start = time.perf_counter()
    vectors = run(texts)
    seconds = time.perf_counter() - start
    roofs.append(roofline(folder, dtype, device))
    save_file({"vectors": vectors.contiguous()}, out)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "peak_mb": peak, "roof": max(roofs)}))


def roofline(folder: Path, dtype: str, device: str) -> float:
    """FLOP/s of `torch.nn.functional.linear`, at whichever number of tokens and size is fastest:
    the model's own matrices one after another, and one large square."""
    config = LlamaConfig.from_pretrained(folder)
    kind = {"dtype": getattr(torch, dtype), "device": device}
    width, inner = config.hidden_size, config.intermediate_size
    shapes = [(width, width)] * 4 + [(inner, width), (inner, width), (width, inner)]
    stack = [torch.randn(shape, **kind) for shape in shapes * (12 if device == "cpu" else 2)]
    square = [torch.randn(2048 if device == "cpu" else 8192, 0, **kind)]
    square = [torch.randn(len(square[0]), len(square[0]), **kind)]
    best = 0.0
    for weights in (stack, square):
        for tokens in (512, 1024, 2048) if device == "cpu" else (4096, 16384):
            inputs = {w.shape[1]: torch.randn(tokens, w.shape[1], **kind) for w in weights}
            work = sum(2 * tokens * w.numel() for w in weights)
            for _ in range(3):
                _wait(device)
                start = time.perf_counter()
                with torch.inference_mode():
                    for weight in weights:
                        torch.nn.functional.linear(inputs[weight.shape[1]], weight)
                _wait(device)
                best = max(best, work / (time.perf_counter() - start))
    return best


def _wait(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize()


def needed(folder: Path, pairs: str, least: bool = False) -> float:
    """FLOPs of the states of all pairs: every token of every prompt once, and of both its answers,
    through every block. With `least`, without the last block's MLP at tokens that nobody asks for,
    which this engine does not run."""
    config = LlamaConfig.from_pretrained(folder)
    width, depth = config.hidden_size, config.num_hidden_layers
    mlp = 2 * 3 * width * config.intermediate_size
    per_token = depth * (2 * 4 * width**2 + mlp)
    total = 0.0
    said = len(ANSWERS[0].split())
    for one, _ in json.loads((folder / pairs).read_text()):
        tokens = len(one.split()) - said
        seen = tokens**2 / 2 + 2 * (said * tokens + said**2 / 2)
        nobody_asks = tokens - 1 + 2 * (said - 1)
        total += per_token * (tokens + 2 * said) + 4 * width * depth * seen
        total -= mlp * nobody_asks if least else 0
    return total


def timed(command: list[str], out: Path) -> dict[str, float]:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
    assert out.exists()
    return json.loads(done.stdout.strip().splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", type=Path, default=ROOT / ".work/peers/bin/python")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--ours", nargs=3, help="(used by itself: pairs, dtype, out)")
    given = parser.parse_args()
    folder = WORK / given.device
    if given.ours:
        pairs, dtype, out = given.ours
        ours(folder, Path(out), pairs, dtype, given.device)
        return
    make(folder, given.device)
    main_dtype = "float32" if given.device == "cpu" else "bfloat16"
    ways: dict[tuple[str, str, str], list[str]] = {}
    for pairs in SETS:
        dtypes = (main_dtype, "bfloat16") if pairs == "pairs.json" else (main_dtype,)
        for dtype in dict.fromkeys(dtypes):
            out = str(WORK / f"ours-{pairs}-{dtype}.safetensors")
            base = [sys.executable, __file__, "--device", given.device]
            ways["this engine", pairs, dtype] = [*base, "--ours", pairs, dtype, out]
        for peer, sizes in (("CAA loop", [1]), ("steering-vectors", [1, 16]), ("repeng", [32])):
            for size in sizes:
                name = peer if len(sizes) == 1 else f"{peer}, batch {size}"
                out = str(WORK / f"{name}-{pairs}.safetensors")
                command = [str(given.peers), str(ROOT / "benchmarks/peers.py"), peer, str(folder)]
                command += [out, "--pairs", pairs, "--batch", str(size), "--dtype", main_dtype]
                ways[name, pairs, main_dtype] = [*command, "--device", given.device]
    found: dict[tuple[str, str, str], list[dict[str, float]]] = {way: [] for way in ways}
    for number in range(given.rounds):
        for way, command in ways.items():
            out = command[-1] if "--ours" in command else command[4]
            found[way].append(timed(command, Path(out)))
            print(
                f"round {number + 1}: {', '.join(way)}: {found[way][-1]['seconds']:.1f} s",
                file=sys.stderr,
            )
    report(folder, ways, found, main_dtype)


def report(folder: Path, ways: dict, found: dict, main_dtype: str) -> None:
    """Prints the table and writes extraction.json."""
    seconds = {way: float(np.median([each["seconds"] for each in found[way]])) for way in ways}
    count = {name: len(json.loads((folder / name).read_text())) for name in SETS}
    vectors = {
        way: load_file(command[-1] if "--ours" in command else command[4])["vectors"].double()
        for way, command in ways.items()
    }
    rate = {way: count[way[1]] / each for way, each in seconds.items()}
    peers = [way for way in ways if way[0] != "this engine"]
    fastest = {pairs: max(rate[way] for way in peers if way[1] == pairs) for pairs in count}
    cosines = {}
    print(
        "| pairs | how | dtype | pairs/s | of the fastest peer | of the roofline | peak memory | "
        "least cosine with CAA's |"
    )
    print("|---|---|---|---|---|---|---|---|")
    shares, run_shares = {}, {}
    for way in ways:
        truth = vectors["CAA loop", way[1], main_dtype]
        # repeng's activations of the last layer have the final norm applied.
        layers = slice(-1) if way[0] == "repeng" else slice(None)
        each = torch.cosine_similarity(vectors[way], truth, dim=-1)
        cosines[way] = float(each[layers].min())
        roof = ""
        if "roof" in found[way][0]:
            speed = float(np.median([1 / run["seconds"] / run["roof"] for run in found[way]]))
            shares[way] = needed(folder, way[1]) * speed
            run_shares[way] = needed(folder, way[1], least=True) * speed
            roof = f"{shares[way]:.0%} ({run_shares[way]:.0%} without what is not run)"
        peak = max(run["peak_mb"] for run in found[way])
        print(
            f"| {way[1].removesuffix('.json')} | {way[0]} | {way[2]} | {rate[way]:.1f} | "
            f"{rate[way] / fastest[way[1]]:.2f}x | {roof} | {peak:.0f} MB | {cosines[way]:.6f} |"
        )
    mine = "this engine", "pairs.json", main_dtype
    exact = [way for way in ways if way[2] == main_dtype]
    written = {
        "float32_ratio" if main_dtype == "float32" else "ratio": rate[mine] / fastest["pairs.json"],
        "roofline_share": shares[mine],
        "roofline_share_run": run_shares[mine],
        "persona_ratio": rate["this engine", "personas.json", main_dtype]
        / fastest["personas.json"],
        "short_ratio": rate["this engine", "short.json", main_dtype] / fastest["short.json"],
        "min_cosine": min(cosines[way] for way in exact),
        "peak_memory_mb": max(run["peak_mb"] for run in found[mine]),
    }
    if main_dtype == "float32":
        half = rate["this engine", "pairs.json", "bfloat16"]
        written["bfloat16_ratio"] = half / fastest["pairs.json"]
    path = ROOT / "benchmarks" / f"extraction{'' if main_dtype == 'float32' else '_gpu'}.json"
    path.write_text(json.dumps({k: round(v, 5) for k, v in written.items()}, indent=2) + "\n")


if __name__ == "__main__":
    main()
