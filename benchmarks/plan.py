"""Plans a study of so many questions: time, cost, storage, memory, and what breaks first.

    python benchmarks/plan.py MODEL QUESTIONS [--gpus 8] [--gpu h100] [...]
    python benchmarks/plan.py --measure

MODEL is a name or a size in `ARCHITECTURES` (70B), an entry of `model` in params.yaml, or a folder
with a config.json. Every number of the tables says where it is from: measured here (`--measure`, in
the folder of a finished study, writes benchmarks/plan.json), published (a configuration or a data
sheet, named below), assumed (an option), or computed from these. Writes nothing otherwise.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

RATES = Path(__file__).with_suffix(".json")
SHARD_ROWS = 1024
"""Questions of a shard (questions/prompt_table.py)."""
SHARE_OF_MEMORY = 0.9
"""Of a GPU that weights, keys and values may take; the rest is the kernels' own."""


@dataclass(frozen=True)
class Architecture:
    """A decoder with gated MLPs, as its config.json has it."""

    name: str
    d_model: int
    n_layers: int
    d_mlp: int
    n_heads: int
    n_kv_heads: int
    vocabulary: int
    tied: bool = False
    """Whether the embeddings are the language-model head too."""
    head_size: int = 0
    """0: d_model / n_heads."""

    @property
    def d_head(self) -> int:
        """The size of an attention head."""
        return self.head_size or self.d_model // self.n_heads

    @property
    def block_weights(self) -> int:
        """Weights of all blocks' matrices."""
        attention = 2 * self.d_model * self.d_head * (self.n_heads + self.n_kv_heads)
        return self.n_layers * (attention + 3 * self.d_model * self.d_mlp)

    @property
    def weights(self) -> int:
        """Weights of all matrices; norms are some millionths."""
        return self.block_weights + self.vocabulary * self.d_model * (1 if self.tied else 2)

    def token_flops(self, context: float) -> float:
        """Operations of a token in all blocks, with so many tokens before it."""
        attended = 4 * self.n_layers * self.n_heads * self.d_head * context
        return 2 * self.block_weights + attended

    @property
    def kv_bytes(self) -> int:
        """Keys and values of a token, in two bytes a number."""
        return 2 * 2 * self.n_layers * self.n_kv_heads * self.d_head


ARCHITECTURES = {
    "135M": Architecture("SmolLM2-135M", 576, 30, 1536, 9, 3, 49_152, tied=True),
    "7B": Architecture("Qwen2.5-7B", 3584, 28, 18_944, 28, 4, 152_064),
    "8B": Architecture("Llama-3.1-8B", 4096, 32, 14_336, 32, 8, 128_256),
    "32B": Architecture("Qwen2.5-32B", 5120, 64, 27_648, 40, 8, 152_064),
    "70B": Architecture("Llama-3.1-70B", 8192, 80, 28_672, 64, 8, 128_256),
    "72B": Architecture("Qwen2.5-72B", 8192, 80, 29_568, 64, 8, 152_064),
}
"""By size: https://huggingface.co/NAME/resolve/main/config.json, NAME in the organisations
HuggingFaceTB, Qwen and meta-llama."""


@dataclass(frozen=True)
class Gpu:
    """A data sheet's numbers, and a price that is assumed."""

    flops: float
    """Operations a second in bfloat16, dense."""
    memory: float
    """Bytes."""
    bandwidth: float
    """Bytes a second."""
    price: float
    """Dollars an hour."""


GPUS = {
    "l40s": Gpu(362e12, 48e9, 0.864e12, 1.0),
    "a100": Gpu(312e12, 80e9, 2.039e12, 1.5),
    "h100": Gpu(989e12, 80e9, 3.35e12, 3.0),
    "h200": Gpu(989e12, 141e9, 4.8e12, 3.5),
}
"""NVIDIA's data sheets: https://www.nvidia.com/en-us/data-center/l40s/, /a100/ (80 GB SXM), /h100/
(SXM) and /h200/; half of what they print with sparsity."""


@dataclass(frozen=True)
class Workload:
    """What a question costs, and what is kept of it."""

    prompt_tokens: float
    answer_tokens: float
    """Of all forced answers together."""
    references: float
    """Chats beside it: without the user's view, and with the opposite one."""
    generated_tokens: float
    layers: int
    positions: int
    groups: int
    """Families x labels x splits, whose statistics are kept apart."""
    vectors: int
    """That projections are kept of, each read at its own layer."""

    @property
    def prefilled_tokens(self) -> float:
        """Tokens that run side by side."""
        return (1 + self.references) * (self.prompt_tokens + self.answer_tokens)

    @property
    def scored_tokens(self) -> float:
        """Tokens that the language-model head reads."""
        return (1 + self.references) * self.answer_tokens + self.generated_tokens


@dataclass(frozen=True)
class Machine:
    """What runs it."""

    gpu: Gpu
    n_gpus: int
    utilisation: float
    """Of the peak operations a second, while a GPU works."""
    weight_bytes: float
    batch_tokens: int
    disk: float
    memory: float
    days: float
    """That any one part may take."""


@dataclass(frozen=True)
class Plan:
    """A study of `questions` questions."""

    model: Architecture
    work: Workload
    machine: Machine
    questions: float
    rates: dict[str, float]

    @property
    def batch(self) -> float:
        """Questions run together."""
        return max(1.0, self.machine.batch_tokens / self.work.prompt_tokens)

    @property
    def copy_bytes(self) -> float:
        """Memory of a copy of the model, with a batch's keys, values and activations."""
        tokens = self.batch * (self.work.prompt_tokens + self.work.answer_tokens)
        stored = self.batch * self.work.layers * self.work.positions * self.model.d_model * 2
        weights = self.model.weights * self.machine.weight_bytes
        return weights + tokens * self.model.kv_bytes + stored

    @property
    def gpus_a_copy(self) -> int:
        """GPUs that hold a copy; its layers are split over them and run one after another."""
        return math.ceil(self.copy_bytes / (SHARE_OF_MEMORY * self.machine.gpu.memory))

    @property
    def flops(self) -> float:
        """Operations of a question."""
        context = self.work.prompt_tokens / 2
        tokens = self.work.prefilled_tokens * self.model.token_flops(context)
        tokens += self.work.generated_tokens * self.model.token_flops(self.work.prompt_tokens)
        return tokens + 2 * self.work.scored_tokens * self.model.vocabulary * self.model.d_model

    @property
    def copy_seconds(self) -> float:
        """Seconds that a copy of the model takes for a question."""
        computing = self.flops / (self.machine.gpu.flops * self.machine.utilisation)
        # Each generated token reads all weights once a batch, whatever else is computed.
        read = self.model.weights * self.machine.weight_bytes / self.machine.gpu.bandwidth
        return computing + self.work.generated_tokens * read / self.batch

    @property
    def gpu_hours(self) -> float:
        """Hours of all GPUs, those that wait for another part of their copy included."""
        return self.questions * self.copy_seconds * self.gpus_a_copy / 3600

    def activation_bytes(self, layers: int, positions: int) -> float:
        """Of a question, in float16."""
        return 2.0 * layers * positions * self.model.d_model

    @property
    def statistics_bytes(self) -> float:
        """Counts, means and covariances of all groups, layers and positions, in float64."""
        d_model = self.model.d_model
        of_group = 8.0 * (1 + d_model + d_model**2)
        return of_group * self.work.groups * self.work.layers * self.work.positions

    @property
    def projection_bytes(self) -> float:
        """Of a question, in float32."""
        return 4.0 * self.work.vectors * self.work.positions

    @property
    def equal_storage(self) -> float:
        """Questions from which statistics take less than activations."""
        kept = self.activation_bytes(self.work.layers, self.work.positions)
        return self.statistics_bytes / kept


@dataclass(frozen=True)
class Limit:
    """A part that grows with the questions, and where it ends."""

    part: str
    each: float
    """Of a question: bytes, seconds or files."""
    limit: float
    unit: str
    source: str

    @property
    def questions(self) -> float:
        """The most that it can take."""
        return self.limit / self.each


def limits(plan: Plan) -> list[Limit]:
    """All of them, the first to break first."""
    machine, rates = plan.machine, plan.rates
    seconds = machine.days * 86_400
    kept = plan.activation_bytes(plan.work.layers, plan.work.positions)
    found = [
        Limit("disk for activations", kept, machine.disk, "bytes", "computed"),
        Limit("DVC hashes activations", kept / rates["hash_bytes_s"], seconds, "s", "measured"),
        Limit("activations written", kept / rates["write_bytes_s"], seconds, "s", "measured"),
        Limit("GPUs", plan.copy_seconds * plan.gpus_a_copy / machine.n_gpus, seconds, "s",
              "computed"),
        Limit("driver: keys in memory", rates["question_bytes"], machine.memory, "bytes",
              "measured"),
        Limit("driver: batches planned", 1 / rates["planned_s"], seconds, "s", "measured"),
        Limit("labels of answers", 1 / rates["labelled_s"], seconds, "s", "measured"),
        Limit("analysis of all layers", plan.work.layers / rates["row_layers_s"], seconds, "s",
              "measured"),
        Limit("shards in a folder", 1 / SHARD_ROWS, 100_000, "files", "assumed"),
    ]  # fmt: skip
    return sorted(found, key=lambda limit: limit.questions)


def number(value: float) -> str:
    """`3.2 M`: three digits and a word of thousands."""
    for size, word in ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= size:
            return (
                f"{value / size:.3g}{word}" if value / size < 1000 else f"{value / size:,.0f}{word}"
            )
    return f"{value:.3g}"


def duration(seconds: float) -> str:
    """In the unit that fits."""
    for size, word in ((31_557_600, "years"), (86_400, "days"), (3600, "hours"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:,.3g} {word}"
    return f"{seconds:.2g} s"


def amount(value: float, unit: str) -> str:
    """With its unit."""
    if unit == "s":
        return duration(value)
    return f"{number(value)}B" if unit == "bytes" and value >= 1000 else f"{number(value)} {unit}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """In Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def report(plan: Plan) -> Iterator[str]:
    """The verdict, then the tables."""
    work, machine, questions = plan.work, plan.machine, plan.questions
    first = limits(plan)
    broken = [limit for limit in first if limit.questions < questions]
    dollars = plan.gpu_hours * machine.gpu.price
    wall = plan.gpu_hours / machine.n_gpus * 3600
    yield f"{plan.model.name}, {questions:,.0f} questions, {machine.n_gpus} GPUs"
    yield (
        f"**{plan.gpu_hours:,.0f} GPU hours, {duration(wall)}, {dollars:,.0f} dollars. "
        + (f"Breaks first: {broken[0].part}, at {number(broken[0].questions).strip()} questions.**"
           if broken else "Nothing breaks.**")
    )  # fmt: skip
    working = 1 / plan.gpus_a_copy
    yield table(
        ["time and memory", "", "from"],
        [
            ["weights", number(plan.model.weights), "published"],
            ["tokens of a question, side by side", f"{work.prefilled_tokens:.0f}", "assumed"],
            ["tokens generated", f"{work.generated_tokens:.0f}", "assumed"],
            ["operations of a question", number(plan.flops), "computed"],
            ["peak operations a second of a GPU", number(machine.gpu.flops), "published"],
            ["of that, used while it works", f"{machine.utilisation:.0%}", "assumed"],
            ["memory of a copy, with a batch", amount(plan.copy_bytes, "bytes"), "computed"],
            ["GPUs a copy", f"{plan.gpus_a_copy}", "computed"],
            ["of them working at a time", f"{working:.0%}", "layers run one after another"],
            ["seconds a question and copy", f"{plan.copy_seconds:.2g}", "computed"],
            ["dollars a GPU hour", f"{machine.gpu.price:g}", "assumed"],
        ],
    )
    every = plan.activation_bytes(work.layers, work.positions)
    one = plan.activation_bytes(1, 2)
    hashed = plan.rates["hash_bytes_s"]
    kept = [
        (f"activations: {work.layers} layers, {work.positions} positions", every * questions),
        ("activations: 1 layer, 2 positions", one * questions),
        (f"statistics of {work.groups} groups, as many layers and positions",
         plan.statistics_bytes),
        (f"statistics, 1 layer, 2 positions",
         plan.statistics_bytes / work.layers / work.positions * 2),
        (f"projections on {work.vectors} vectors", plan.projection_bytes * questions),
    ]  # fmt: skip
    yield table(
        ["kept, in float16", "bytes", "hashed by DVC in"],
        [[name, amount(size, "bytes"), duration(size / hashed)] for name, size in kept],
    )
    yield (
        "Statistics take less than activations from "
        f"{number(plan.equal_storage).strip()} questions on."
    )
    yield table(
        ["what breaks, first to last", "here", "limit", "breaks at, questions", "rate"],
        [
            [limit.part, amount(limit.each * questions, limit.unit),
             amount(limit.limit, limit.unit), number(limit.questions),
             limit.source]
            for limit in first
        ],
    )  # fmt: skip


def architecture(name: str) -> Architecture:
    """By size or name, from a folder, or of an entry of `model` in params.yaml."""
    by_name = {each.name: each for each in ARCHITECTURES.values()} | ARCHITECTURES
    if name in by_name:
        return by_name[name]
    if name == "smollm2":
        return ARCHITECTURES["135M"]
    config = next(
        (
            path
            for path in (Path(name), Path("data/models") / name)
            if (path / "config.json").exists()
        ),
        None,
    )
    if config is None:
        raise SystemExit(
            f"error: {name}: expected one of {', '.join(by_name)}, a folder with a config.json, or "
            "a model in data/models"
        )
    from transformers import AutoConfig

    text = AutoConfig.from_pretrained(config).get_text_config()
    return Architecture(
        name,
        text.hidden_size,
        text.num_hidden_layers,
        text.intermediate_size,
        text.num_attention_heads,
        getattr(text, "num_key_value_heads", None) or text.num_attention_heads,
        text.vocab_size,
        bool(text.tie_word_embeddings),
        getattr(text, "head_dim", None) or 0,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("model", nargs="?")
    add("questions", nargs="?", type=float)
    add("--measure", action="store_true", help="writes benchmarks/plan.json")
    add("--gpus", type=int, default=8)
    add("--gpu", choices=GPUS, default="h100")
    add("--price", type=float, help="dollars a GPU hour")
    add("--utilisation", type=float, default=0.4, help="of a GPU's peak operations, while it works")
    add("--weight-bytes", type=float, default=2, help="0.5 with load_in_4bit")
    add("--batch-tokens", type=int, default=32_768, help="activations.batch_tokens")
    add("--prompt-tokens", type=float, default=72, help="smollm2 on english_held_out has 72")
    add("--answer-tokens", type=float, default=16, help="of both forced answers")
    add("--references", type=float, default=1.4, help="chats beside a question, there 864 of 620")
    add("--generated", type=float, default=16, help="activations.max_new_tokens")
    add("--layers", type=int, help="kept; all of them")
    add("--positions", type=int, default=11, help="kept of a question that is answered")
    add("--groups", type=int, default=24, help="whose statistics are kept apart")
    add("--vectors", type=int, default=52)
    add("--disk-tb", type=float, default=20)
    add("--memory-gb", type=float, default=128, help="of the machine that plans and analyses")
    add("--days", type=float, default=30, help="that any one part may take")
    given = parser.parse_args()
    if given.measure:
        from plan_rates import measured  # beside this file

        RATES.write_text(json.dumps(measured(), indent=2) + "\n")
        return
    if given.model is None or given.questions is None:
        parser.error("expected MODEL and QUESTIONS, or --measure")
    model, gpu = architecture(given.model), GPUS[given.gpu]
    if given.price is not None:
        gpu = Gpu(gpu.flops, gpu.memory, gpu.bandwidth, given.price)
    layers = model.n_layers if given.layers is None else given.layers
    work = Workload(
        given.prompt_tokens, given.answer_tokens, given.references, given.generated,
        layers, given.positions, given.groups, given.vectors,
    )  # fmt: skip
    machine = Machine(
        gpu, given.gpus, given.utilisation, given.weight_bytes, given.batch_tokens,
        given.disk_tb * 1e12, given.memory_gb * 1e9, given.days,
    )  # fmt: skip
    plan = Plan(model, work, machine, given.questions, json.loads(RATES.read_text()))
    print("\n\n".join(report(plan)))


if __name__ == "__main__":
    main()
