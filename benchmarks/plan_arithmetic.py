"""The arithmetic of benchmarks/plan.py: what a study of so many questions takes."""

from __future__ import annotations

import math
from dataclasses import dataclass

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
    "smollm2": Architecture("SmolLM2-135M", 576, 30, 1536, 9, 3, 49_152, tied=True),
    "7B": Architecture("Qwen2.5-7B", 3584, 28, 18_944, 28, 4, 152_064),
    "8B": Architecture("Llama-3.1-8B", 4096, 32, 14_336, 32, 8, 128_256),
    "32B": Architecture("Qwen2.5-32B", 5120, 64, 27_648, 40, 8, 152_064),
    "70B": Architecture("Llama-3.1-70B", 8192, 80, 28_672, 64, 8, 128_256),
    "72B": Architecture("Qwen2.5-72B", 8192, 80, 29_568, 64, 8, 152_064),
}
"""By size, or entry of params.yaml: https://huggingface.co/NAME/resolve/main/config.json, in the
organisations HuggingFaceTB, Qwen and meta-llama."""


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
    def copies(self) -> int:
        """Copies of the model that the GPUs hold; 0 where one does not fit."""
        return self.machine.n_gpus // self.gpus_a_copy

    @property
    def seconds(self) -> float:
        """In all, with all copies at work."""
        return self.questions * self.copy_seconds / self.copies

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
    of_question: float
    """Bytes, seconds or files."""
    limit: float
    unit: str
    source: str

    @property
    def questions(self) -> float:
        """The most that it can take."""
        return self.limit / self.of_question


def limits(plan: Plan) -> list[Limit]:
    """All of them, the first to break first."""
    machine, rates = plan.machine, plan.rates
    seconds = machine.days * 86_400
    kept = plan.activation_bytes(plan.work.layers, plan.work.positions)
    parts = [
        Limit("disk for activations", kept, machine.disk, "bytes", "computed"),
        Limit("DVC hashes activations", kept / rates["hash_bytes_s"], seconds, "s", "measured"),
        Limit("activations written", kept / rates["write_bytes_s"], seconds, "s", "measured"),
        Limit("GPUs", plan.copy_seconds / plan.copies, seconds, "s", "computed"),
        Limit("driver: keys in memory", rates["question_bytes"], machine.memory, "bytes",
              "measured"),
        Limit("driver: batches planned", 1 / rates["planned_s"], seconds, "s", "measured"),
        Limit("labels of answers", 1 / rates["labelled_s"], seconds, "s", "measured"),
        Limit("analysis of all layers", plan.work.layers / rates["row_layers_s"], seconds, "s",
              "measured"),
        Limit("shards in a folder", 1 / SHARD_ROWS, 100_000, "files", "assumed"),
    ]  # fmt: skip
    return sorted(parts, key=lambda limit: limit.questions)
