"""Makes steering vectors, one a layer, from a model's activations on a prompt set in many ways.

    python stages/vectors.py one_cause [opinion_pairs]

Reads data/activations/MODEL/SET, data/labels/MODEL/SET.parquet, data/prompts/SET.parquet and
`variants` of params.yaml; writes vectors/MODEL/SET for each of `extraction_sets`, or for the set
given: a safetensors file a variant, and in recipes.json the variants that the answers do not allow,
with the reason. Vectors made before from the same activations come from .work.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
from tqdm import tqdm

from sycophancy_steering.config.reading import read_names
from sycophancy_steering.config.variants import Variant
from sycophancy_steering.foundation.atomic_files import atomic_write, write_json
from sycophancy_steering.foundation.command_line import command
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.storage.result_cache import cache_path, code_and_libraries, digest
from sycophancy_steering.storage.vector_files import VARIANTS_FILE, write_vectors
from sycophancy_steering.vectors.contrast import MethodNotApplicable
from sycophancy_steering.vectors.labelled_activations import (
    LabelledActivations,
    read_labelled_activations,
)
from sycophancy_steering.vectors.methods import NULLS, steering_vector
from sycophancy_steering.vectors.variants import read_variants


@command(
    __doc__,
    model="an entry of model in params.yaml",
    prompt_set="an entry of prompt_set to make vectors from; without it, all of extraction_sets",
)
def main(model: str, prompt_set: str = "") -> None:
    for name in [prompt_set] if prompt_set else read_names("extraction_sets"):
        make_vectors(model, name)


def make_vectors(model: str, prompt_set: str) -> None:
    """Makes the vectors of one prompt set, those that are not cached, and writes all of them."""
    wanted = read_variants()
    activations = Path(f"data/activations/{model}/{prompt_set}")
    labels = Path(f"data/labels/{model}/{prompt_set}.parquet")
    prompts = Path(f"data/prompts/{prompt_set}.parquet")
    given = read_labelled_activations(activations, labels, prompts)

    here = digest(
        [
            activations,
            labels,
            prompts,
            *code_and_libraries(
                "vectors.methods", "vectors.labelled_activations", "vectors.variants"
            ),
        ]
    )
    pieces = {
        name: cache_path("vectors", digest([here, repr(recipe)]), ".safetensors")
        for name, recipe in wanted.items()
    }
    missing = {name: wanted[name] for name, piece in pieces.items() if not piece.exists()}
    new, left_out = made(given, missing)
    if len(left_out) == len(wanted):
        raise InputError(
            f"{activations}: no recipe can be followed: {next(iter(left_out.values()))}"
        )
    for name, vectors in new.items():
        groups = given.selected_rows(wanted[name])
        about = {
            "variant": asdict(wanted[name]),
            "null": wanted[name].method in NULLS,
            "prompt_set": prompt_set,
            "prompt_set_sha256": hashlib.sha256(prompts.read_bytes()).hexdigest(),
            "model": given.origin.model,
            "revision": given.origin.revision,
            "n_sycophantic": len(groups[0]),
            "n_other": len(groups[1]),
        }
        with atomic_write(pieces[name]) as draft:
            write_vectors(draft, vectors, about)
    target = Path(f"vectors/{model}/{prompt_set}")
    kept = [name for name in wanted if name not in left_out]
    with atomic_write(target) as draft:
        draft.mkdir()
        for name in kept:
            (draft / f"{name}.safetensors").write_bytes(pieces[name].read_bytes())
        write_json(draft / VARIANTS_FILE, {"made": kept, "left_out": left_out})
    print(f"{target}: {len(kept)} recipes of {given.origin.n_layers} layers, {len(new)} new")
    for name, reason in left_out.items():
        print(f"  {name} left out: {reason}")


def made(
    given: LabelledActivations, wanted: Mapping[str, Variant]
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Vectors (layers, d_model) of each recipe; and why others cannot be made of these answers."""
    found: dict[str, list[np.ndarray]] = {name: [] for name in wanted}
    left_out: dict[str, str] = {}
    layers = range(given.origin.n_layers) if wanted else ()
    for layer in tqdm(layers, unit="layer", disable=None, desc="vectors"):
        for name in found.keys() - left_out.keys():
            recipe = wanted[name]
            try:
                at = given.contrast(recipe, layer)
                found[name].append(steering_vector(recipe.method, at, recipe.normalisation))
            except MethodNotApplicable as reason:
                left_out[name] = str(reason)
    vectors = {name: np.stack(found[name]) for name in wanted if name not in left_out}
    return vectors, {name: left_out[name] for name in wanted if name in left_out}


if __name__ == "__main__":
    main()
