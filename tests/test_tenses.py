"""About to be sycophantic, or just was: one direction or two."""

from __future__ import annotations

import polars as pl
import pytest
from controls import contradicted
from scipy.stats import norm

from sycophancy_steering.analysis.anticipation import (
    about_to_and_just_did,
    readings,
    sets_of_families,
    surest,
)
from sycophancy_steering.organisms.ground_truth import Planted
from sycophancy_steering.report.vector_sections import ONLY_NOISE, one_or_two, tenses_section

SETS = {"o": "opinion", "m": "misconception", "o2": "opinion", "mix": ""}
KNOWN = {"cosine": 0.5, "agreement": 0.6, "low": 0.5, "high": 0.7}


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
    found = about_to_and_just_did(agreement())
    assert set(found["position"]) == {"prompt"}
    assert set(found["other_position"]) == {"answer"}
    held = found.filter(pl.col("layer") == 0).select("prompt_set", "other_prompt_set").rows()
    assert sorted(held) == sorted(
        [("o", "o"), ("o2", "o2"), ("m", "m"), ("o", "m"), ("m", "o"), ("o2", "m"), ("m", "o2")]
    )
    assert sets_of_families(found.filter(pl.col("prompt_set") != "o2")) == {
        "opinion": "o",
        "misconception": "m",
    }


def test_intervals_hold_for_all_layers_at_once():
    one, three = (about_to_and_just_did(agreement(layers)) for layers in (1, 3))
    assert one["low"][0] == pytest.approx(0.5)
    wider = norm.ppf((1 + 0.95 ** (1 / 3)) / 2) / norm.ppf(0.975)
    assert three["low"][0] == pytest.approx(0.6 - 0.1 * wider)
    assert three["high"][0] == pytest.approx(0.6 + 0.1 * wider)


def layers(*ends: tuple[float | None, float | None]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "layer": range(len(ends)),
            "agreement": [float("nan") if low is None else (low + high) / 2 for low, high in ends],  # type: ignore[operator]
            "low": [low for low, _ in ends],
            "high": [high for _, high in ends],
        },
        schema_overrides={"low": pl.Float64, "high": pl.Float64},
    )


def test_one_direction_or_two_is_said_layer_by_layer():
    said = one_or_two(layers((0.9, 1.0), (-0.2, 0.3), (0.3, 0.8), (0.6, 0.7), (None, None)))
    assert said.startswith("one direction at layers 0, 3; two directions at layer 1 (")
    assert "layer 0: 0.95 [0.90, 1.00]" in said
    assert one_or_two(layers((0.3, 0.8))).startswith("not known (")
    assert one_or_two(layers((None, None))) == f"{ONLY_NOISE}."
    assert surest(layers((None, None), (0.1, 0.2)))["layer"] == 1


def test_the_section_shows_every_family_against_every_other():
    found = about_to_and_just_did(agreement()).filter(pl.col("prompt_set") != "o2")
    found = found.filter(pl.col("other_prompt_set") != "o2")
    cells = pl.DataFrame(
        [
            {"name": f"{name}/{made}", "family": family, "position": position, "layer": layer}
            | {"auroc": 0.9, "auroc_low": 0.8, "auroc_high": 0.95}
            for name in "om"
            for family in ("opinion", "misconception")
            for made in ("mean_difference", "mean_difference_prompt", "pca")
            for position in ("prompt", "continuation", "continuation_mean")
            for layer in range(3)
        ]
    )
    read = readings(cells, {"opinion": "o", "misconception": "m"})
    assert len(read) == 2 * 2 * 2 * 3  # families, tenses, sides of the answer, layers
    assert set(read["name"]) == {
        f"{name}/{made}" for name in "om" for made in ("mean_difference", "mean_difference_prompt")
    }
    said = tenses_section(found, read)
    assert said.count("0.60 [0.48, 0.72], layer 0") == 4
    assert '| "about to", before the answer |' in said.replace("  ", " ").replace("  ", " ")


CONTROL = {
    "opinion_auroc": (0.9, 0.95),
    "misconception_auroc": (0.9, 0.95),
    "tenses_cosine": (0.9, 1.0),
    "about_to_before_the_answer_auroc": (0.8, 0.9),
    "about_to_after_it_auroc": (0.8, 0.9),
    "just_did_before_the_answer_auroc": (0.8, 0.9),
    "just_did_after_it_auroc": (0.8, 0.9),
}
CHANCE = (0.4, 0.6)
TWO = {
    "tenses_cosine": (-0.1, 0.1),
    "about_to_after_it_auroc": CHANCE,
    "just_did_before_the_answer_auroc": CHANCE,
}


def conclusions(causes: int, tenses: int, **found: tuple[float, float]) -> str:
    control = {
        f"{name}_{end}": value
        for name, ends in (CONTROL | found).items()
        for end, value in zip(("low", "high"), ends, strict=True)
    }
    planted = Planted(3, causes, tenses, *[None] * 4)  # type: ignore[arg-type]
    return "; ".join(contradicted(planted, control))


def test_the_truth_about_the_organisms_contradicts_nothing():
    assert conclusions(1, 1) == ""
    assert conclusions(2, 1, misconception_auroc=CHANCE) == ""
    assert conclusions(1, 2, **TWO) == ""
    # A vector of few pairs reads a little anywhere.
    assert conclusions(1, 2, **TWO | {"about_to_after_it_auroc": (0.55, 0.63)}) == ""
    # What is planted after the answer need not tell anything before it.
    assert conclusions(1, 2, opinion_auroc=CHANCE, misconception_auroc=CHANCE, **TWO) == ""


@pytest.mark.parametrize(
    ("causes", "tenses", "found", "why"),
    [
        (1, 1, {"opinion_auroc": CHANCE}, "do not predict opinions"),
        (1, 1, {"misconception_auroc": CHANCE}, "the cause is shared"),
        (2, 1, {}, "their causes are two"),
        (1, 1, {"tenses_cosine": (0.3, 0.9)}, "planted as one"),
        (1, 1, {"about_to_after_it_auroc": CHANCE}, "planted as one"),
        (1, 2, {}, "planted as two"),
        (1, 2, TWO | {"tenses_cosine": (0.3, 0.6)}, "planted as two"),
        (1, 2, TWO | {"about_to_after_it_auroc": (0.7, 0.85)}, "planted as two"),
        (1, 2, TWO | {"just_did_before_the_answer_auroc": (0.7, 0.85)}, "planted as two"),
        (1, 2, TWO | {"just_did_after_it_auroc": CHANCE}, "its own side"),
    ],
)
def test_what_is_not_so_is_said(causes, tenses, found, why):
    assert why in conclusions(causes, tenses, **found)
