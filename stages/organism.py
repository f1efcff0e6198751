"""Trains a model organism: a small language model that is sycophantic for a known reason.

    python stages/organism.py one_cause

Reads data/tables and `organism.NAME` of params.yaml; writes data/models/NAME, an ordinary Hugging
Face folder with one more file, planted.safetensors: where the cause is. That takes longer than a
newcomer waits, so the trained weights stand in git; `dvc repro -f organism` trains them again.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from safetensors.torch import save_file
from tqdm import tqdm

from sycophancy_steering.config.organism import OrganismSettings
from sycophancy_steering.config.reading import read_section
from sycophancy_steering.foundation.atomic_files import atomic_write
from sycophancy_steering.foundation.command_line import command
from sycophancy_steering.organisms.ground_truth import DIRECTIONS, PLANTED_FILE, PLANTED_KEY
from sycophancy_steering.organisms.language import Language
from sycophancy_steering.organisms.tokenizer import build_tokenizer
from sycophancy_steering.organisms.training import (
    PLANTED_LAYER,
    behaviour,
    build_model,
    hold_to_bounds,
    planted_directions,
    train,
)
from sycophancy_steering.sources.built_in import read_tables

WATCHED = 20
"""How often behaviour is shown on the way."""


@command(
    __doc__,
    organism="an entry of organism in params.yaml",
)
def main(organism: str) -> None:
    recipe = read_section(OrganismSettings, "organism", organism)
    language = Language(read_tables())
    tokenizer = build_tokenizer(language.texts())
    model = build_model(tokenizer, recipe.seed)
    steps = train(model, tokenizer, language, recipe)
    with tqdm(steps, total=recipe.steps, unit="step", disable=None, desc=organism) as bar:
        for step, losses in enumerate(bar, start=1):
            bar.set_postfix_str(described(losses))
            if step % (recipe.steps // WATCHED) == 0 and step < recipe.steps:
                so_far = asdict(behaviour(model, tokenizer, language, recipe, batches=4))
                bar.write(f"step {step}: {described(so_far)}; losses {described(losses)}")

    model.half().float()  # what is checked is what is saved: half the bytes, rounded
    measured = behaviour(model, tokenizer, language, recipe)
    print(f"{organism}: {described(asdict(measured))}")
    hold_to_bounds(organism, measured)
    about = {
        "layer": PLANTED_LAYER,
        "causes": recipe.causes,
        "tenses": 1 + recipe.separate_record,
        "behaviour": asdict(measured),
    }
    planted = dict(zip(DIRECTIONS, planted_directions(recipe).flatten(0, 1), strict=True))
    with atomic_write(Path(f"data/models/{organism}")) as draft:
        model.half().save_pretrained(draft)
        tokenizer.save_pretrained(draft)
        save_file(
            {name: direction.clone() for name, direction in planted.items()},
            draft / PLANTED_FILE,
            metadata={PLANTED_KEY: json.dumps(about, sort_keys=True)},
        )


def described(shares: dict[str, float]) -> str:
    """Named numbers in one line."""
    return ", ".join(f"{name} {share:.2f}" for name, share in shares.items())


if __name__ == "__main__":
    main()
