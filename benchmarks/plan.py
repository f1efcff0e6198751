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
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from plan_arithmetic import ARCHITECTURES, GPUS, Architecture, Machine, Plan, Workload, limits

RATES = Path(__file__).with_suffix(".json")


def number(value: float) -> str:
    """`3.2 M`: three digits and a prefix of thousands."""
    for size, word in ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= size:
            digits = ",.0f" if value >= 1000 * size else ".3g"
            return f"{value / size:{digits}}{word}"
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
    gpu_hours = plan.seconds * machine.n_gpus / 3600
    dollars = gpu_hours * machine.gpu.price
    yield f"{plan.model.name}, {questions:,.0f} questions, {machine.n_gpus} GPUs"
    yield (
        f"**{gpu_hours:,.0f} GPU hours, {duration(plan.seconds)}, {dollars:,.0f} dollars. "
        + (f"Breaks first: {broken[0].part}, at {number(broken[0].questions)} questions.**"
           if broken else "Nothing breaks.**")
    )  # fmt: skip
    working = 1 / plan.gpus_a_copy
    yield table(
        ["time and memory", "", "from"],
        [
            ["weights", number(plan.model.weights), "published"],
            [
                "tokens of a question, side by side",
                f"{work.prefilled_tokens:.0f}",
                "assumed, as smollm2",
            ],
            ["tokens generated", f"{work.generated_tokens:.0f}", "assumed, as smollm2"],
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
        ("statistics, 1 layer, 2 positions",
         plan.statistics_bytes / work.layers / work.positions * 2),
        (f"projections on {work.vectors} vectors", plan.projection_bytes * questions),
    ]  # fmt: skip
    yield table(
        ["kept, in float16", "bytes", "hashed by DVC in"],
        [[name, amount(size, "bytes"), duration(size / hashed)] for name, size in kept],
    )
    yield (
        "Statistics take less than activations from "
        f"{number(plan.equal_storage)} questions on, and are in memory while they are added up."
    )
    yield table(
        ["what breaks, first to last", "here", "limit", "breaks at, questions", "rate"],
        [
            [limit.part, amount(limit.of_question * questions, limit.unit),
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
    from transformers import AutoConfig

    pointer = Path("data/models") / name / "source.json"
    source = json.loads(pointer.read_text()) if pointer.exists() else {}
    folders = [
        folder for folder in (Path(name), pointer.parent) if (folder / "config.json").exists()
    ]
    if folders:
        config = AutoConfig.from_pretrained(folders[0])
    elif source.get("kind") == "hub":
        config = AutoConfig.from_pretrained(source["name"], revision=source["revision"])
    else:
        raise SystemExit(
            f"error: {name}: expected one of {', '.join(by_name)}, a folder with a config.json, or "
            "a model in data/models that has one"
        )
    text = config.get_text_config()
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
        gpu = replace(gpu, price=given.price)
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
    if not plan.copies:
        raise SystemExit(f"error: a copy of {model.name} takes {plan.gpus_a_copy} GPUs: --gpus")
    print("\n\n".join(report(plan)))


if __name__ == "__main__":
    main()
