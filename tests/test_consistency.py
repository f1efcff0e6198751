"""What makes vectors differ, and how many pairs settle them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from synthetic_answers import synthetic_answers

from sycophancy_steering.analysis.consistency import (
    agreement_table,
    mean_differences,
    reliability_table,
    sampling_variances,
    variance_table,
)
from sycophancy_steering.analysis.cross_item_products import (
    group_items,
    jackknife_interval,
    mean_difference_by_item,
    noise_free_cosines,
)
from sycophancy_steering.report.vectors import (
    ONLY_NOISE,
    reliability_section,
    variance_section,
)
from sycophancy_steering.statistics.vector_agreement import cosine
from sycophancy_steering.vectors.labelled_activations import LabelledActivations

WIDTH = 30
ITEMS, EACH = 40, 4


def pairs(
    folder: Path,
    truth: np.ndarray,
    seed: int = 0,
    item: float = 0.0,
    question: float = 0.0,
    letter: np.ndarray | None = None,
    sources: tuple[np.ndarray, ...] = (),
    named: str = "i",
) -> LabelledActivations:
    """Pairs whose difference is `truth`, noise of so much a coordinate, and what differs by letter
    (added for A, taken off for B) and by source."""
    draw = np.random.default_rng(seed)
    n = ITEMS * EACH
    items = np.repeat([f"{named}{k}" for k in range(ITEMS)], EACH)
    noise = np.repeat(draw.normal(size=(ITEMS, WIDTH)), EACH, axis=0) * item
    noise += draw.normal(size=(n, WIDTH)) * question
    letters = None if letter is None else np.array(["A", "B"])[np.arange(n) % 2]
    matching = truth + noise
    if letter is not None:
        matching = matching + np.where(letters == "A", 1, -1)[:, None] * letter
    which = np.arange(n) // 2 % max(len(sources), 1)
    if sources:
        matching = matching + np.array(sources)[which]
    states = {"matching": matching, "not_matching": np.zeros_like(matching)}
    names = [f"s{k}" for k in which] if sources else None
    return synthetic_answers(folder, states, items, letters, sources=names)


def study(**material: LabelledActivations):
    """Directions, angles and the table of variances of a study of one layer."""
    of = group_items({str(item): "f" for given in material.values() for item in given.items})
    made, left_out = mean_differences(material, 0, of)
    cosines = noise_free_cosines([each.direction for each in made], of)
    return made, cosines, of, left_out


def sources(table: pl.DataFrame) -> dict[tuple[str | None, str], dict]:
    return {(row["prompt_set"], row["component"]): row for row in table.iter_rows(named=True)}


def test_noise_is_told_apart_into_items_questions_and_the_draw_of_half(tmp_path):
    """Mean of many studies against the truth, and intervals that cover it."""
    truth = np.eye(WIDTH)[0] * 2
    item, question = 0.6, 1.0
    dimensions = WIDTH - 1  # what lies along the vector does not turn it
    expected = np.array(
        [
            item**2 * dimensions / ITEMS / 4,
            question**2 * dimensions / (ITEMS * EACH) / 4,
            (item**2 + question**2) * dimensions / (ITEMS * EACH) / 4,
        ]
    )
    found, held = [], np.zeros(3)
    for seed in range(1000):
        given = pairs(tmp_path / str(seed), truth, seed, item, question)
        of = group_items({str(each): "f" for each in given.items})
        values = sampling_variances(mean_difference_by_item(given, "answer", 0, of), of)
        area = jackknife_interval(values, ITEMS)
        found.append(area.value)
        held += (area.low <= expected) & (expected <= area.high)
    np.testing.assert_allclose(np.mean(found, axis=0), expected, rtol=0.03)
    assert ((held >= 930) & (held <= 970)).all(), held


def test_another_half_of_the_questions_turns_a_vector_by_as_much_as_said(tmp_path):
    given = pairs(tmp_path, np.eye(WIDTH)[0] * 2, item=0.3, question=1.0, letter=np.eye(WIDTH)[1])
    of = group_items({str(each): "f" for each in given.items})
    said = sampling_variances(mean_difference_by_item(given, "answer", 0, of), of)[2, 0]
    differences = given.stream(0, "matching").to_array()
    along = differences.mean(0) / np.linalg.norm(differences.mean(0))
    draw, apart = np.random.default_rng(0), []
    for _ in range(4000):
        half = draw.permutation(len(differences))[: len(differences) // 2]
        off = differences[half].mean(0) - differences.mean(0)
        apart.append(((off - (off @ along) * along) ** 2).sum())
    assert said == pytest.approx(np.mean(apart) / 4, rel=0.08)


def test_what_is_chosen_is_compared_without_noise(tmp_path):
    one, aside, letter = np.eye(WIDTH)[:3]
    near = (one + aside) / np.sqrt(2)
    made, cosines, of, left_out = study(
        a=pairs(tmp_path / "a", one, 0, 0.2, 0.5),
        b=pairs(tmp_path / "b", near, 1, 0.2, 0.5, named="o"),
        c=pairs(tmp_path / "c", one, 2, 0.2, 0.5, letter=letter * 2, named="p"),
        d=pairs(tmp_path / "d", one, 3, 0.2, 0.5, sources=(aside, -aside), named="q"),
    )
    assert set(left_out) == {f"{name}, {p}" for name in "abcd" for p in WHERE}
    table = sources(variance_table(made, cosines, of))
    true_cosines = [0.5**0.5, 1, 1, 0.5**0.5, 0.5**0.5, 1]
    for key, truth in (
        ((None, "prompt set"), 1 - np.mean(true_cosines)),
        (("c", "letter"), 1 + 3 / 5),  # one and twice its letter, against one less twice its letter
        (("d", "template"), 1.0),  # (1, 1) against (1, -1)
    ):
        row = table[key]
        assert row["variance"] == pytest.approx(truth, abs=0.03)
        assert row["variance_low"] <= truth <= row["variance_high"]
    assert table[None, "prompt set"]["n_compared"] == 6
    assert (("c", "template") in table, ("a", "letter") in table) == (False, False)
    agreement = agreement_table(made, cosines, len(of.groups))
    assert len(agreement) == 6
    row = agreement.row(1, named=True)  # a and c, the same but for noise
    assert row["cosine"] < 0.97
    assert row["noise_free_cosine"] == pytest.approx(1, abs=0.02)


WHERE = ("prompt", "continuation", "continuation_mean")


def test_natural_positions_are_compared_where_the_model_gave_both_answers(tmp_path):
    held = 0
    for seed in range(60):
        draw = np.random.default_rng(seed)
        n = ITEMS * EACH
        labels = draw.integers(0, 2, n).astype(float)
        names = ("matching", "not_matching", *WHERE)
        states = {name: draw.normal(size=(n, WIDTH)) for name in names}
        states["matching"][:, 0] += 2
        states["prompt"][:, 0] += 4 * labels
        states["continuation"][:, 1] += 4 * labels
        states["continuation_mean"][:, 1] += 4 * labels
        items = np.repeat([f"i{k}" for k in range(ITEMS)], EACH)
        given = synthetic_answers(tmp_path / str(seed), states, items, labels=labels)
        made, cosines, of, left_out = study(a=given)
        assert left_out == {}
        row = sources(variance_table(made, cosines, of))["a", "position"]
        assert row["n_compared"] == 6
        held += (
            row["variance_low"] <= 4 / 6 <= row["variance_high"]
        )  # of six pairs, four are orthogonal
        assert row["variance_high"] - row["variance_low"] < 0.3
    assert held >= 55


def test_a_set_of_noise_has_no_variance_but_is_named(tmp_path):
    made, cosines, of, _ = study(
        lost=pairs(tmp_path / "a", np.zeros(WIDTH), 0, 0.0, 1.0),
        known=pairs(tmp_path / "b", np.eye(WIDTH)[0], 1, 0.1, 0.1, named="o"),
    )
    table = variance_table(made, cosines, of)
    rows = sources(table)
    for name in ("item", "question", "seed"):
        assert rows["lost", name]["n_compared"] == 0
        assert np.isnan(rows["lost", name]["variance"])
        assert rows["known", name]["n_compared"] == 1
    assert rows[None, "prompt set"]["n_compared"] == 0
    section = variance_section(table.with_columns(layer=pl.lit(0)), 0)
    assert section
    rows = section.facts["variance"].rows  # type: ignore[attr-defined]
    (line,) = [row for row in rows if row[0] == "other items"]
    assert ONLY_NOISE in line
    assert any(hasattr(cell, "low") for cell in line)  # the other set's


def test_reliability_rises_with_the_pairs_and_is_the_cosine_of_new_vectors(tmp_path):
    truth = np.eye(WIDTH)[0]
    found = reliability_table(pairs(tmp_path / "a", truth, 0, 0.2, 1.5), 0, [4, 16, 64, 200])
    assert found["n_pairs"].to_list() == [4, 16, 64]  # half of 160 questions is 80
    assert found["cosine"].to_list() == sorted(found["cosine"])
    again = []
    for seed in range(200):
        one, two = (
            pairs(tmp_path / f"{seed}-{k}", truth, 1000 + 2 * seed + k, 0.2, 1.5)
            .stream(0, "matching")
            .to_array()
            for k in range(2)
        )
        rows = np.random.default_rng(seed).permutation(160)[:16]
        again.append(float(cosine(one[rows].mean(0), two[rows].mean(0))))
    assert found["cosine"][1] == pytest.approx(np.mean(again), abs=0.06)
    section = reliability_section(found.with_columns(layer=pl.lit(0), prompt_set=pl.lit("a")), 0)
    assert section
    rows = section.facts["reliability"].rows  # type: ignore[attr-defined]
    assert [row[0] for row in rows] == [4, 16, 64]
