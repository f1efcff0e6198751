"""All analyses of the models that start from their evaluated vectors: each computes and writes its
tables, in a process of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from sycophancy_steering.analysis.model_study import ModelStudy
from sycophancy_steering.config.foreign_vectors import FOREIGN
from sycophancy_steering.config.predictivity import SampleEfficiencySettings
from sycophancy_steering.config.variants import Variant
from sycophancy_steering.foundation.process_pool import run_jobs
from sycophancy_steering.schemas import analysis as tables
from sycophancy_steering.schemas.predictivity import SHUFFLED_PAIRS
from sycophancy_steering.storage.cell_files import evaluated_sets
from sycophancy_steering.vectors.methods import NULLS


@dataclass(frozen=True)
class AnalysisOptions:
    """What params.yaml says about the analyses."""

    variants: Sequence[Variant]
    n_shuffles: int
    """Of the pairs of every extraction set."""
    sample_efficiency: SampleEfficiencySettings
    continuation_tokens: Sequence[int]
    """The tokens of the continuation whose activations are stored."""


def write_analyses(
    studies: Sequence[ModelStudy], options: AnalysisOptions
) -> dict[str, dict[str, str]]:
    """Writes the tables of all analyses of every model.

    Returns, by model, the vectors that consistency left out, each with the reason. Raises
    InputError where an input is missing.
    """
    jobs = [
        (name, replace(study, suite=replace(study.suite, extraction_sets=sets)), options)
        for name in ANALYSES
        for study in studies
        for sets in (
            [[prompt_set] for prompt_set in study.suite.extraction_sets]
            if name == "shuffled_pairs"
            else [study.suite.extraction_sets]
        )
    ]
    left_out: dict[str, dict[str, str]] = {study.model: {} for study in studies}
    for (_, study, _), part in zip(jobs, run_jobs(_write_analysis, jobs), strict=True):
        left_out[study.model] |= part
    return left_out


def _write_analysis(name: str, study: ModelStudy, options: AnalysisOptions) -> dict[str, str]:
    return ANALYSES[name](study, options) or {}


def _sample_efficiency(study: ModelStudy, options: AnalysisOptions) -> None:
    from sycophancy_steering.analysis.sample_efficiency import sample_efficiency_table

    table = sample_efficiency_table(study, options.variants, options.sample_efficiency)
    tables.SAMPLE_EFFICIENCY.write(table, model=study.model)


def _shuffled_pairs(study: ModelStudy, options: AnalysisOptions) -> None:
    from sycophancy_steering.analysis.shuffled_pairs import shuffled_pairs_tables

    n_vectors = sum(variant.method not in NULLS for variant in options.variants)
    n_vectors += sum(prompt_set == FOREIGN for prompt_set, _ in study.vectors)  # selected among too
    for name, table in shuffled_pairs_tables(study, options.n_shuffles, n_vectors).items():
        SHUFFLED_PAIRS.write(table, model=study.model, prompt_set=name)


def _tokens(study: ModelStudy, options: AnalysisOptions) -> None:
    from sycophancy_steering.analysis.token_by_token import tokens_table

    tables.TOKENS.write(tokens_table(study, options.continuation_tokens), model=study.model)


def _incremental_validity(study: ModelStudy, _: AnalysisOptions) -> None:
    from sycophancy_steering.analysis.incremental_validity import incremental_validity_table

    tables.INCREMENTAL_VALIDITY.write(incremental_validity_table(study), model=study.model)


def _consistency(study: ModelStudy, options: AnalysisOptions) -> dict[str, str]:
    from sycophancy_steering.analysis.consistency_tables import consistency_tables

    consistency = consistency_tables(study, options.sample_efficiency.n_pairs)
    tables.AGREEMENT.write(consistency.agreement, model=study.model)
    tables.VARIANCE.write(consistency.variance, model=study.model)
    tables.RELIABILITY.write(consistency.reliability, model=study.model)
    return consistency.left_out


def _transfer(study: ModelStudy, _: AnalysisOptions) -> None:
    from sycophancy_steering.analysis.transfer import transfer_tables

    transfer, from_cosines = transfer_tables(study)
    tables.TRANSFER.write(transfer, model=study.model)
    tables.TRANSFER_FROM_COSINES.write(from_cosines, model=study.model)


def _large_dimensions(study: ModelStudy, options: AnalysisOptions) -> None:
    from sycophancy_steering.analysis.large_dimensions import large_dimensions_table

    table = large_dimensions_table(study, options.variants)
    tables.LARGE_DIMENSIONS.write(table, model=study.model)


def _predictivity(study: ModelStudy, _: AnalysisOptions) -> None:
    from sycophancy_steering.analysis.headline_metrics import predictivity_table

    sets = evaluated_sets(study.model, study.suite.extraction_sets)
    table = predictivity_table(study.model, sets)
    tables.PREDICTIVITY.write(table, model=study.model)


def _monitor(study: ModelStudy, _: AnalysisOptions) -> None:
    from sycophancy_steering.analysis.monitor import monitor_table

    if study.suite.neutral_set:
        tables.MONITOR.write(monitor_table(study), model=study.model)


ANALYSES: dict[str, Callable[[ModelStudy, AnalysisOptions], dict[str, str] | None]] = {
    "sample_efficiency": _sample_efficiency,
    "shuffled_pairs": _shuffled_pairs,
    "tokens": _tokens,
    "incremental_validity": _incremental_validity,
    "consistency": _consistency,
    "transfer": _transfer,
    "monitor": _monitor,
    "large_dimensions": _large_dimensions,
    "predictivity": _predictivity,
}
"""The longest first; modules are imported by the process that needs them."""
