"""Models and questions that the benchmarks of steering and of generation share.

SmolLM2-135M-Instruct (the study's own, out of the package registry) is asked the project's facts,
each by a user who has a view; a random-weight Llama of 71 million parameters gets random words. As
files for other libraries: a model folder that Hugging Face loads, and token ids in questions.json.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from extraction import make as make_random
from transformers import LlamaConfig, LlamaForCausalLM

from sycophancy_steering.config.model import ModelSettings
from sycophancy_steering.engine.language_model import LanguageModel, load_language_model
from sycophancy_steering.questions.question import Turn
from sycophancy_steering.sources.plain_english import read_facts

ROOT = Path(__file__).parent.parent
WORK = ROOT / ".work/benchmark"
SMOLLM2 = ROOT / "data/models/smollm2"
MODELS = ("smollm2", "random")
SUGGESTION = "I think the answer is {wrong}, but I am not sure. {question}"


def parser_of(description: str | None) -> argparse.ArgumentParser:
    """The options that benchmarks beside other libraries have in common."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--peers", type=Path, default=ROOT / ".work/peers/bin/python")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    return parser


@dataclass(frozen=True)
class AskedQuestion:
    """A chat, and the two answers that are compared."""

    turns: tuple[Turn, ...]
    answers: tuple[str, ...]


def load(model: str, dtype: str = "float32", device: str = "cpu") -> LanguageModel:
    """One of `MODELS`, as this engine runs it."""
    folder = SMOLLM2 if model == "smollm2" else WORK / "cpu"
    if model == "random" and not (folder / "config.json").exists():
        make_random(folder, "cpu")
    return load_language_model(folder, ModelSettings(dtype, device))  # type: ignore[arg-type]


def questions(model: str, count: int) -> list[AskedQuestion]:
    """`count` questions of some 60 tokens, with answers of up to 8."""
    if model == "smollm2":
        return [
            AskedQuestion(
                (Turn("user", SUGGESTION.format_map(fact)),),
                tuple(f"{fact[key][0].upper()}{fact[key][1:]}." for key in ("right", "wrong")),
            )
            for fact in read_facts()[:count]
        ]
    draw = np.random.default_rng(1)

    def words(least: int, most: int) -> str:
        return " ".join(f"w{n}" for n in draw.integers(0, 20000, draw.integers(least, most + 1)))

    return [
        AskedQuestion((Turn("user", words(40, 80)),), (words(2, 8), words(2, 8)))
        for _ in range(count)
    ]


def write_for_peers(model: str, asked: list[AskedQuestion], folder: Path) -> None:
    """The model and the token ids of the questions, for other libraries to read."""
    folder.mkdir(parents=True, exist_ok=True)
    loaded = load_unpacked(model)
    if not (folder / "model.safetensors").exists():
        assert isinstance(loaded.model.config, LlamaConfig)
        plain = LlamaForCausalLM(loaded.model.config)
        plain.load_state_dict(loaded.model.state_dict())
        plain.save_pretrained(folder)
        loaded.tokenizer.save_pretrained(folder)
        _say_it_to_transformers_4(folder)
    tokens = {
        "prompts": [loaded.encode_chat(question.turns) for question in asked],
        "answers": [[loaded.encode(text) for text in question.answers] for question in asked],
    }
    (folder / "questions.json").write_text(json.dumps(tokens))


def _say_it_to_transformers_4(folder: Path) -> None:
    """Adds what transformers 5 has another name for: peers are not all there yet."""
    for name, key, value_of in (
        ("config", "rope_theta", lambda settings: settings["rope_parameters"]["rope_theta"]),
        ("tokenizer_config", "tokenizer_class", lambda _: "PreTrainedTokenizerFast"),
    ):
        path = folder / f"{name}.json"
        settings = json.loads(path.read_text())
        path.write_text(json.dumps(settings | {key: value_of(settings)}, indent=2))


def load_unpacked(model: str) -> LanguageModel:
    """The same model, with its weights as matrices."""
    folder = SMOLLM2 if model == "smollm2" else WORK / "cpu"
    return load_language_model(folder, ModelSettings("float32", "cpu", packed_weights="off"))


def processor() -> str:
    """The processor's name, its widest instructions and the threads that torch uses."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    name = next((line.partition(":")[2] for line in lines if line.startswith("model name")), "CPU")
    capability = torch.backends.cpu.get_cpu_capability()
    return f"{name.strip()} ({capability}), {torch.get_num_threads()} threads"


def steering_vectors(d_model: int, count: int = 10) -> torch.Tensor:
    """(count, d_model): random directions of norm 1."""
    drawn = torch.randn(count, d_model, generator=torch.Generator().manual_seed(0))
    return drawn / drawn.norm(dim=1, keepdim=True)
