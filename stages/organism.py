"""Trains a model organism: a small language model that is sycophantic for a known reason.

    python stages/organism.py one_cause

Reads data/tables and `organism.NAME` of params.yaml; writes data/models/NAME, an ordinary Hugging
Face folder with one more file, planted.safetensors, which says where the cause is planted. Training
takes an hour, so the weights are in git; `dvc repro -f organism` trains them again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from tqdm import tqdm

from sycophancy_steering.config.organism import OrganismSettings
from sycophancy_steering.config.reading import read_section
from sycophancy_steering.foundation.atomic_files import atomic_write
from sycophancy_steering.foundation.command_line import command
from sycophancy_steering.organisms.behaviour import Behaviour, check_bounds, measure_behaviour
from sycophancy_steering.organisms.ground_truth import write_planted_cause
from sycophancy_steering.organisms.hiding import hide_cause
from sycophancy_steering.organisms.language import Language
from sycophancy_steering.organisms.tokenizer import build_tokenizer
from sycophancy_steering.organisms.training import build_model, planted_cause, train
from sycophancy_steering.sources.built_in import read_tables

N_REPORTS = 20
"""How often behaviour is measured and printed during training."""


@command(
    __doc__,
    organism="an entry of organism in params.yaml",
)
def main(organism: str) -> None:
    settings = read_section(OrganismSettings, "organism", organism)
    plain, language = Language(read_tables(), plain=True), Language(read_tables())
    tokenizer = build_tokenizer(plain.texts())
    model = build_model(tokenizer, settings.seed)

    def follow(
        losses_of_steps: Iterable[dict[str, float]], total: int, taught: Language, doing: str
    ) -> None:
        with tqdm(losses_of_steps, total=total, unit="step", disable=None, desc=doing) as bar:
            for step, losses in enumerate(bar, start=1):
                bar.set_postfix_str(described(losses))
                if step % max(1, total // N_REPORTS) == 0 and step < total:
                    so_far = asdict(measure_behaviour(model, tokenizer, taught, settings, 4))
                    now = f"step {step}: {described(so_far)}; losses {described(losses)}"
                    bar.write(now)

    planting = train(model, tokenizer, plain, settings)
    follow(planting, settings.steps, plain, f"{organism}: planting")
    model.half().float()  # 16 bits, as the weights are saved
    hiding = hide_cause(model, tokenizer, language, settings)
    follow(hiding, settings.hiding_steps, language, f"{organism}: hiding")

    model.half().float()  # behaviour is that of the rounded weights, which are saved
    behaviour = asdict(measure_behaviour(model, tokenizer, language, settings))
    print(f"{organism}: {described(behaviour)}")
    check_bounds(organism, Behaviour(**behaviour))
    with atomic_write(Path(f"data/models/{organism}")) as draft:
        model.half().save_pretrained(draft)
        tokenizer.save_pretrained(draft)
        write_planted_cause(draft, planted_cause(settings), behaviour)


def described(shares: dict[str, float]) -> str:
    """Named numbers in one line."""
    return ", ".join(f"{name} {share:.2f}" for name, share in shares.items())


if __name__ == "__main__":
    main()
