"""What cannot be had of prompt sets with `keep: statistics`, refused before anything runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from sycophancy_steering.config.interventions import PromptingSettings
from sycophancy_steering.config.prompt_set import OF_CHATS, Order, PromptSetSettings
from sycophancy_steering.config.reading import PARAMS, read_section, read_yaml
from sycophancy_steering.config.section import Text
from sycophancy_steering.config.suite import Suite
from sycophancy_steering.config.variants import Variant, VariantGrid
from sycophancy_steering.foundation.errors import InputError

ORDERS: dict[Order, int] = {"mean": 1, "covariance": 2, "fourth": 4}
NEEDED_MOMENTS: dict[str, Order] = {"pca": "covariance", "leace": "covariance", "lda": "fourth"}
"""Methods that need more than means -> the moments that they need."""
NEEDS_ROWS = {
    "median_difference": "it sorts them",
    "in_context_vector": "it takes all layers of an answer side by side",
    "probe": "it is fitted in many passes",
    "ccs": "it is fitted in many passes",
    "shuffled": "it swaps the answers of single pairs",
}
"""Methods that are no function of moments -> why. Of a method of a user's own, the stage `vectors`
finds out."""
SINGLE_PAIRS = ("steering", "in-context vector")
"""Methods of `prompting` that make vectors from the few pairs that a prompt shows."""


def check_kept_statistics(path: Path = PARAMS) -> None:
    """Raises InputError where something needs activations of which only statistics are kept."""
    prompt_sets = read_section(dict[Text, PromptSetSettings], "prompt_set", path=path)
    if all(settings.keep == "activations" for settings in prompt_sets.values()):
        return
    suites = read_section(dict[Text, Suite], "suite", path=path)
    grids = read_section(list[VariantGrid], "variants", path=path)
    variants = [variant for grid in grids for variant in grid.variants()]
    methods: Sequence[str] = []
    if "prompting" in read_yaml(path):
        methods = read_section(PromptingSettings, "prompting", path=path).methods
    for refusal in refusals(prompt_sets, suites, variants, methods):
        raise InputError(f"{path}: {refusal}")


def refusals(
    prompt_sets: Mapping[str, PromptSetSettings],
    suites: Mapping[str, Suite],
    variants: Sequence[Variant],
    prompting: Sequence[str],
) -> Iterator[str]:
    """What needs activations of which only statistics are kept: the key, why, and what to do."""
    statistics = {name for name, settings in prompt_sets.items() if settings.keep == "statistics"}
    for name, suite in suites.items():
        for key, used in (
            ("evaluation_set", suite.evaluation_set),
            ("neutral_set", suite.neutral_set),
        ):
            if used in statistics:
                yield (
                    f"suite.{name}.{key}: {used} needs every activation; expected prompt_set."
                    f"{used}.keep: activations, found statistics"
                )
        examples = suite.intervention_vectors[0].partition("/")[0]
        for method in SINGLE_PAIRS:
            if examples in statistics and method in prompting:
                yield (
                    f"prompting.methods: {method} needs the activations of single pairs of "
                    f"{examples}, of which statistics are kept; leave it out, or set prompt_set."
                    f"{examples}.keep: activations"
                )
        for used in suite.extraction_sets:
            if used in statistics:
                yield from _refusals_of_set(name, suite, used, prompt_sets[used], variants)


def _refusals_of_set(
    suite_name: str,
    suite: Suite,
    prompt_set: str,
    settings: PromptSetSettings,
    variants: Sequence[Variant],
) -> Iterator[str]:
    """Those of one extraction set with `keep: statistics`."""
    for variant in variants:
        if reason := _needs_activations(variant):
            yield (
                f"variants: {variant.name} needs every activation of {prompt_set} ({reason}), of "
                f"which statistics are kept; leave it out, or set prompt_set.{prompt_set}.keep: "
                "activations"
            )
        needed = NEEDED_MOMENTS.get(variant.method, "mean")
        if ORDERS[needed] > ORDERS[settings.moments]:
            yield (
                f"variants: {variant.name} needs more moments of {prompt_set}; expected "
                f"prompt_set.{prompt_set}.moments: {needed}, found {settings.moments}"
            )
    by_label = any(variant.position != "answer" for variant in variants)
    labelled = by_label and settings.extract not in (*OF_CHATS, "forced_answers")
    if labelled and suite.label_source not in settings.grouped_by:
        yield (
            f"suite.{suite_name}.label_source: the statistics of {prompt_set} are grouped by "
            f"{', '.join(settings.grouped_by)}; expected one of them or an entry more in "
            f"prompt_set.{prompt_set}.grouped_by, found {suite.label_source!r}"
        )


def _needs_activations(variant: Variant) -> str | None:
    """Why a variant needs every activation; None where moments will do."""
    if variant.method in NEEDS_ROWS:
        return NEEDS_ROWS[variant.method]
    if variant.method == "letter" and variant.position != "answer":
        return "letters are told apart in contrast pairs only"
    if variant.normalisation == "unit":
        return "each is scaled by its own length"
    if variant.compared == "within_items":
        return "answers are averaged within items"
    if variant.n_pairs != "all":
        return "some of them are sampled"
    return None
