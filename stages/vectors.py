"""Makes steering vectors, one a layer, from models' activations on prompt sets in many ways.

    python stages/vectors.py [one_cause [opinion_pairs]]

For one model or each of `models` in params.yaml, and one prompt set or each extraction set of its
suite: reads data/activations/MODEL/SET, data/labels/MODEL/SET.parquet, data/prompts/SET.parquet and
`variants` of params.yaml; writes vectors/extracted/MODEL/SET: a safetensors file a variant, and in
variants.json the variants that the answers do not allow, with the reason. Vectors made before from
the same activations come from .work. Vectors from elsewhere (vectors/foreign, and `foreign_vectors`
of params.yaml) become the set `foreign` of their model.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sycophancy_steering.config.foreign_vectors import ForeignVectorSection
from sycophancy_steering.config.kept_statistics import check_kept_statistics
from sycophancy_steering.config.reading import read_section
from sycophancy_steering.config.suite import read_models, read_suite
from sycophancy_steering.config.variants import Variant
from sycophancy_steering.exchange.foreign_set import (
    of_other_models,
    outside_of_dvc,
    write_foreign_set,
)
from sycophancy_steering.foundation.atomic_files import atomic_write
from sycophancy_steering.foundation.command_line import command
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.foundation.process_pool import run_jobs
from sycophancy_steering.schemas.paths import ACTIVATIONS, LABELS, PROMPTS, VECTORS
from sycophancy_steering.storage.activation_shards import read_origin
from sycophancy_steering.storage.activation_statistics import keeps_statistics
from sycophancy_steering.storage.result_cache import cache_path, code_and_libraries, digest
from sycophancy_steering.storage.vector_files import (
    VariantIndex,
    write_variant_index,
    write_vectors,
)
from sycophancy_steering.vectors.extraction import extract_vectors
from sycophancy_steering.vectors.labelled_activations import (
    LabelledActivations,
    read_labelled_activations,
)
from sycophancy_steering.vectors.labelled_statistics import (
    LabelledStatistics,
    read_labelled_statistics,
)
from sycophancy_steering.vectors.methods import NULLS
from sycophancy_steering.vectors.variants import read_variants


@command(
    __doc__,
    model="an entry of model in params.yaml; without it, all of models",
    prompt_set="an entry of prompt_set to make vectors from; without it, all of the suite",
)
def main(model: str = "", prompt_set: str = "") -> None:
    check_kept_statistics()
    models = [model] if model else read_models()
    jobs = [
        (name, made_from)
        for name in models
        for made_from in ([prompt_set] if prompt_set else read_suite(name).extraction_sets)
    ]
    for lines in run_jobs(make_vectors, jobs):
        print(*lines, sep="\n")
    if prompt_set:
        return
    entries = read_section(ForeignVectorSection, "foreign_vectors")
    for name in models:
        folder = ACTIVATIONS / name / read_suite(name).extraction_sets[0]
        for line in write_foreign_set(name, read_origin(folder), entries):
            print(line)
    for warning in (*of_other_models(read_models()), *outside_of_dvc(entries)):
        print(warning)


def make_vectors(model: str, prompt_set: str) -> list[str]:
    """Makes the vectors of one prompt set, those that are not cached, and writes all of them;
    returns what was done, in words."""
    variants = read_variants()
    activations = ACTIVATIONS / model / prompt_set
    labels = LABELS / model / f"{prompt_set}.parquet"
    prompts = PROMPTS / f"{prompt_set}.parquet"
    answers: LabelledActivations | LabelledStatistics
    if keeps_statistics(activations):
        answers = read_labelled_statistics(activations, labels)
    else:
        answers = read_labelled_activations(activations, labels, prompts)

    code = code_and_libraries("vectors.extraction", ignored=("config",))
    inputs = digest([activations, labels, prompts, *code])
    cached = {
        name: cache_path("vectors", digest([inputs, repr(variant)]), ".safetensors")
        for name, variant in variants.items()
    }
    missing = {name: variants[name] for name, path in cached.items() if not path.exists()}
    extracted = extract_vectors(answers, missing)
    reasons = extracted.not_applicable
    if len(reasons) == len(variants):
        reason = next(iter(reasons.values()))
        raise InputError(f"{activations}: no variant can be made from these answers: {reason}")
    for name, vectors in extracted.vectors.items():
        with atomic_write(cached[name]) as draft:
            write_vectors(draft, vectors, provenance(answers, variants[name], prompt_set, prompts))

    made = [name for name in variants if name not in reasons]
    target = VECTORS / model / prompt_set
    with atomic_write(target) as draft:
        draft.mkdir()
        for name in made:
            (draft / f"{name}.safetensors").write_bytes(cached[name].read_bytes())
        write_variant_index(draft, VariantIndex(made, reasons))
    n_new = len(extracted.vectors)
    return [
        f"{target}: {len(made)} variants of {answers.origin.n_layers} layers, {n_new} new",
        *(f"  {name} is not applicable: {reason}" for name, reason in reasons.items()),
    ]


def provenance(
    answers: LabelledActivations | LabelledStatistics,
    variant: Variant,
    prompt_set: str,
    prompts: Path,
) -> dict[str, Any]:
    """How a variant's vectors were made (`schemas.vectors.VectorMetadata`)."""
    n_sycophantic, n_other = answers.class_sizes(variant)
    return {
        "variant": asdict(variant),
        "null": variant.method in NULLS,
        "prompt_set": prompt_set,
        "prompt_set_sha256": hashlib.sha256(prompts.read_bytes()).hexdigest(),
        "model": answers.origin.model,
        "revision": answers.origin.revision,
        "n_sycophantic": n_sycophantic,
        "n_other": n_other,
    }


if __name__ == "__main__":
    main()
