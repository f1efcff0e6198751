"""About to be sycophantic, or just was: one direction or two."""

from __future__ import annotations

import polars as pl
import pytest
from scipy.stats import norm

from sycophancy_steering.analysis.anticipation import (
    anticipation_against_record,
    anticipation_and_record_aurocs,
    most_certain_row,
    own_sets_of_families,
)
from sycophancy_steering.analysis.controls import contradictions
from sycophancy_steering.organisms.ground_truth import PlantedCause
from sycophancy_steering.report.anticipation import anticipation_section, directions

SETS = {"o": "opinion", "m": "misconception", "o2": "opinion", "mix": ""}
KNOWN = {"cosine": 0.5, "noise_free_cosine": 0.6}
KNOWN |= {"noise_free_cosine_low": 0.5, "noise_free_cosine_high": 0.7}


def agreement(layers: int = 3) -> pl.DataFrame:
    """Sets `o` (opinions), `m` (misconceptions), `o2` (opinions again) and `mix`, made in the order
    in which the stage makes them."""
    made = [
        (name, position, family)
        for name, family in (
            ("o", "opinion"),
            ("m", "misconception"),
            ("o2", "opinion"),
            ("mix", ""),
        )
        for position in ("prompt", "answer", "continuation")
    ]
    rows = [
        {"layer": layer, "prompt_set": a[0], "position": a[1], "family": a[2]}
        | {"other_prompt_set": b[0], "other_position": b[1], "other_family": b[2]}
        | KNOWN
        for layer in range(layers)
        for n, a in enumerate(made)
        for b in made[n + 1 :]
    ]
    return pl.DataFrame(rows)


def test_the_prompts_end_comes_first_and_sets_of_one_family_stay_apart():
    found = anticipation_against_record(agreement())
    assert set(found["position"]) == {"prompt"}
    assert set(found["other_position"]) == {"answer"}
    held = found.filter(pl.col("layer") == 0).select("prompt_set", "other_prompt_set").rows()
    assert sorted(held) == sorted(
        [("o", "o"), ("o2", "o2"), ("m", "m"), ("o", "m"), ("m", "o"), ("o2", "m"), ("m", "o2")]
    )
    assert own_sets_of_families(found.filter(pl.col("prompt_set") != "o2")) == {
        "opinion": "o",
        "misconception": "m",
    }


def test_intervals_hold_for_all_layers_at_once():
    one, three = (anticipation_against_record(agreement(layers)) for layers in (1, 3))
    assert one["noise_free_cosine_low"][0] == pytest.approx(0.5)
    wider = norm.ppf((1 + 0.95 ** (1 / 3)) / 2) / norm.ppf(0.975)
    assert three["noise_free_cosine_low"][0] == pytest.approx(0.6 - 0.1 * wider)
    assert three["noise_free_cosine_high"][0] == pytest.approx(0.6 + 0.1 * wider)


def layers(*ends: tuple[float | None, float | None]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "layer": range(len(ends)),
            "noise_free_cosine": [
                float("nan") if low is None or high is None else (low + high) / 2
                for low, high in ends
            ],
            "noise_free_cosine_low": [low for low, _ in ends],
            "noise_free_cosine_high": [high for _, high in ends],
        },
        schema_overrides={
            "noise_free_cosine_low": pl.Float64,
            "noise_free_cosine_high": pl.Float64,
        },
    )


def test_one_direction_or_two_is_said_layer_by_layer():
    facts = directions(layers((0.9, 1.0), (-0.2, 0.3), (0.3, 0.8), (0.6, 0.7), (None, None)))
    assert (facts["one"], facts["two"], facts["best"]) == ("layers 0, 3", "layer 1", 0)
    assert facts["cosine"].value == pytest.approx(0.95)
    facts = directions(layers((0.3, 0.8)))
    assert (facts["one"], facts["two"]) == ("", "")
    assert directions(layers((None, None))) == {"cosine": None}
    assert most_certain_row(layers((None, None), (0.1, 0.2)))["layer"] == 1


def test_the_section_shows_every_family_against_every_other():
    found = anticipation_against_record(agreement()).filter(pl.col("prompt_set") != "o2")
    found = found.filter(pl.col("other_prompt_set") != "o2")
    cells = pl.DataFrame(
        [
            {"vector": f"{name}/{made}", "family": family, "position": position, "layer": layer}
            | {"auroc": 0.9, "auroc_low": 0.8, "auroc_high": 0.95}
            for name in "om"
            for family in ("opinion", "misconception")
            for made in ("mean_difference", "mean_difference_prompt", "pca")
            for position in ("prompt", "continuation", "continuation_mean")
            for layer in range(3)
        ]
    )
    read = anticipation_and_record_aurocs(cells, {"opinion": "o", "misconception": "m"})
    assert len(read) == 2 * 2 * 2 * 3  # families, tenses, sides of the answer, layers
    assert set(read["vector"]) == {
        f"{name}/{made}" for name in "om" for made in ("mean_difference", "mean_difference_prompt")
    }
    section = anticipation_section(found, read.with_columns(n=pl.lit(9)))
    assert section
    across = [cell for row in section.facts["across"].rows for cell in row[1:]]  # type: ignore[attr-defined]
    assert [cell[1] for cell in across] == ["layer 0"] * 4
    assert [round(cell[0].low, 2) for cell in across] == [0.48] * 4
    assert "anticipation, before the answer" in section.facts["aurocs"].header  # type: ignore[attr-defined]


CONTROL = {
    "opinion_auroc": (0.9, 0.95),
    "misconception_auroc": (0.9, 0.95),
    "anticipation_record_cosine": (0.9, 1.0),
    "anticipation_prompt_auroc": (0.8, 0.9),
    "anticipation_continuation_auroc": (0.8, 0.9),
    "record_prompt_auroc": (0.8, 0.9),
    "record_continuation_auroc": (0.8, 0.9),
}
CHANCE = (0.4, 0.6)
TWO = {
    "anticipation_record_cosine": (-0.1, 0.1),
    "anticipation_continuation_auroc": CHANCE,
    "record_prompt_auroc": CHANCE,
}


def conclusions(n_causes: int, separate_record: bool, **found: tuple[float, float]) -> str:
    control = {
        f"{name}_{end}": value
        for name, ends in (CONTROL | found).items()
        for end, value in zip(("low", "high"), ends, strict=True)
    }
    planted = PlantedCause(3, n_causes, separate_record, *[None] * 4)  # type: ignore[arg-type]
    return "; ".join(contradictions(planted, control))


def test_the_truth_about_the_organisms_contradicts_nothing():
    assert conclusions(1, False) == ""
    assert conclusions(2, False, misconception_auroc=CHANCE) == ""
    assert conclusions(1, True, **TWO) == ""
    # A vector of few pairs reads a little anywhere.
    assert conclusions(1, True, **TWO | {"anticipation_continuation_auroc": (0.55, 0.63)}) == ""
    # What is planted after the answer need not tell anything before it.
    assert conclusions(1, True, opinion_auroc=CHANCE, misconception_auroc=CHANCE, **TWO) == ""


@pytest.mark.parametrize(
    ("n_causes", "separate_record", "found", "why"),
    [
        (1, False, {"opinion_auroc": CHANCE}, "do not predict opinions"),
        (1, False, {"misconception_auroc": CHANCE}, "the cause is shared"),
        (2, False, {}, "their causes are two"),
        (1, False, {"anticipation_record_cosine": (0.3, 0.9)}, "planted as one"),
        (1, False, {"anticipation_continuation_auroc": CHANCE}, "planted as one"),
        (1, True, {}, "planted as two"),
        (1, True, TWO | {"anticipation_record_cosine": (0.3, 0.6)}, "planted as two"),
        (1, True, TWO | {"anticipation_continuation_auroc": (0.7, 0.85)}, "planted as two"),
        (1, True, TWO | {"record_prompt_auroc": (0.7, 0.85)}, "planted as two"),
        (1, True, TWO | {"record_continuation_auroc": CHANCE}, "its own side"),
    ],
)
def test_what_is_not_so_is_said(n_causes, separate_record, found, why):
    assert why in conclusions(n_causes, separate_record, **found)
