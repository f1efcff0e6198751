"""Cells, scores and sign flips of all vectors of an extraction set: the tables of predictivity."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from sycophancy_steering.analysis.answer_scores import answer_scores
from sycophancy_steering.analysis.cached_evaluation import (
    PredictivityOptions,
    evaluate_missing,
    evaluate_vectors_cached,
    random_ranges_cached,
)
from sycophancy_steering.analysis.evaluation_set import EvaluationSet
from sycophancy_steering.analysis.layer_selection import (
    generalisation,
    mark_selected,
    select_layers,
)
from sycophancy_steering.analysis.readouts import READ_POSITIONS
from sycophancy_steering.config.foreign_vectors import FOREIGN
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.foundation.process_pool import run_jobs
from sycophancy_steering.schemas.paths import PROMPTS, VECTORS
from sycophancy_steering.schemas.predictivity import (
    CELLS,
    CROSS_MODEL_CELLS,
    CROSS_MODEL_SCORES,
    CROSS_MODEL_SIGN_FLIPS,
    SCORES,
    SIGN_FLIPS,
    VECTOR,
)
from sycophancy_steering.storage.result_cache import digest
from sycophancy_steering.storage.vector_files import Vectors, read_all_vectors, vector_paths

VECTORS_PER_JOB = 32
"""Of one set; more are evaluated by several processes."""
QUESTION_COLUMNS = ["id", "source", "family", "item", "persona"]
"""What decides how far the numbers of an evaluation generalise."""


def write_all_predictivity(
    jobs: Sequence[tuple[EvaluationSet, str, str]], options: PredictivityOptions
) -> list[tuple[int, int]]:
    """`write_predictivity` for each of `jobs`: an evaluation set, the model that made the vectors,
    and the prompt set that they were made from. Returns the numbers of vectors, and of those that
    were not in the cache."""
    # Vectors of all sets share these: two processes would compute them twice.
    evaluations = {evaluation.model: evaluation for evaluation, _, _ in jobs}
    run_jobs(
        random_ranges_cached,
        [(evaluation, name) for evaluation in evaluations.values() for name in READ_POSITIONS],
    )
    parts = [
        (number, (*job, names, options))
        for number, job in enumerate(jobs)
        for names in _parts(VECTORS / job[1] / job[2])
    ]
    n_new = [0] * len(jobs)
    counts = run_jobs(evaluate_part, [part for _, part in parts])
    for (number, _), count in zip(parts, counts, strict=True):
        n_new[number] += count
    written = run_jobs(write_predictivity, [(*job, options) for job in jobs])
    return [(count, new + n) for (count, new), n in zip(written, n_new, strict=True)]


def _parts(folder: Path) -> list[list[str]]:
    """The vectors of a set that is too large for one process, by name; nothing of other sets, for
    which it would only start processes once more."""
    names = [path.stem for path in vector_paths(folder)]
    if len(names) <= VECTORS_PER_JOB:
        return []
    return [names[n : n + VECTORS_PER_JOB] for n in range(0, len(names), VECTORS_PER_JOB)]


def evaluate_part(
    evaluation: EvaluationSet,
    vectors_from: str,
    prompt_set: str,
    names: Sequence[str],
    options: PredictivityOptions,
) -> int:
    """Evaluates the vectors `names` of a set into the cache; how many of them were not there."""
    vectors, keys, _ = _vectors_of(evaluation, vectors_from, prompt_set)
    of_part = {name: vectors[name] for name in names}
    return evaluate_missing(of_part, {name: keys[name] for name in names}, evaluation, options)


def _vectors_of(
    evaluation: EvaluationSet, vectors_from: str, prompt_set: str
) -> tuple[dict[str, Vectors], dict[str, str], pl.DataFrame]:
    """The vectors of a set, the keys of their content, and how they were made."""
    folder = VECTORS / vectors_from / prompt_set
    vectors, provenance = read_all_vectors(folder, evaluation.origin)
    return vectors, {name: digest([folder / f"{name}.safetensors"]) for name in vectors}, provenance


def write_predictivity(
    evaluation: EvaluationSet, vectors_from: str, prompt_set: str, options: PredictivityOptions
) -> tuple[int, int]:
    """Evaluates the vectors that the model `vectors_from` made from `prompt_set`.

    Writes CELLS, SCORES and SIGN_FLIPS, or the cross-model tables where the model is another.
    Returns the numbers of vectors, and of those that were not in the cache. Raises InputError where
    the extraction and the evaluation set share questions, a vector does not fit the model, or
    `select` has no family with answers of both classes.
    """
    families, kinds = _families_and_generalisation(prompt_set, evaluation)
    vectors, keys, provenance = _vectors_of(evaluation, vectors_from, prompt_set)
    evaluated = evaluate_vectors_cached(vectors, keys, evaluation, options)
    layers = select_layers(evaluated.cells, families)
    if not len(layers):
        raise InputError(
            f"{evaluation.labels_path}: no family has answers of both classes on `select`; "
            "expected some, to select the layer by: label more answers, or draw more questions"
        )
    provenance = _provenance_columns(provenance)
    cells = mark_selected(
        evaluated.cells.join(provenance, on="vector", how="left", maintain_order="left"), layers
    ).with_columns(
        pl.lit(evaluation.model).alias("model"),
        pl.lit(prompt_set).alias("prompt_set"),
        pl.lit(evaluation.name).alias("evaluation_set"),
        pl.col("family").replace_strict(kinds).alias("generalisation"),
    )
    sign_flips = evaluated.sign_flips.join(
        provenance.select("vector", "null"), on="vector", maintain_order="left"
    )
    scores = answer_scores(layers, vectors, evaluation)
    names = {"model": evaluation.model, "prompt_set": prompt_set}
    if vectors_from == evaluation.model:
        CELLS.write(cells, **names)
        SIGN_FLIPS.write(sign_flips, **names)
        SCORES.write_parts(scores, **names)
    else:
        names["vectors_from"] = vectors_from
        CROSS_MODEL_CELLS.write(cells, **names)
        CROSS_MODEL_SIGN_FLIPS.write(sign_flips, **names)
        CROSS_MODEL_SCORES.write_parts(scores, **names)
    return len(vectors), evaluated.n_new


def _families_and_generalisation(
    prompt_set: str, evaluation: EvaluationSet
) -> tuple[list[str], dict[str, str]]:
    """The families that vectors were made from, and what the numbers of each family evaluated
    generalise to; of vectors from elsewhere neither is known."""
    if prompt_set == FOREIGN:
        return [], dict.fromkeys(evaluation.labels["family"].unique(), "unknown")
    extraction = pl.read_parquet(PROMPTS / f"{prompt_set}.parquet", columns=QUESTION_COLUMNS)
    kinds = generalisation(extraction, evaluation.labels)
    return extraction["family"].unique().to_list(), kinds


def remove_tables_of_other_sets(model: str, vectors_from: str, sets: Sequence[str]) -> None:
    """Removes what an earlier study says of vectors from elsewhere, where there are none now."""
    if FOREIGN in sets or vectors_from != model:
        return
    for table in (CELLS, SIGN_FLIPS, SCORES):
        table.path(model=model, prompt_set=FOREIGN).unlink(missing_ok=True)


def _provenance_columns(provenance: pl.DataFrame) -> pl.DataFrame:
    """`vector` and the columns `VECTOR`; null where a foreign file does not say how it was made."""
    provenance = provenance.rename(
        {"name": "vector", "position": "extraction_position"}, strict=False
    )
    missing = [name for name in VECTOR if name not in provenance.columns]
    return provenance.with_columns(
        pl.lit(None, dtype=VECTOR[name]).alias(name) for name in missing
    ).select("vector", *VECTOR)
