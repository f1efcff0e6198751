"""What could have been found: planted directions are found as the study would find them."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
import torch
from scipy.stats import binomtest
from sklearn.metrics import roc_auc_score
from test_report import REPORT
from tiny_models import rows, tiny

from sycophancy_steering.engine.intervention import NO_INTERVENTION, Intervention, add_vector
from sycophancy_steering.engine.workers import LocalWorkers
from sycophancy_steering.foundation.array_stream import ArrayStream
from sycophancy_steering.interventions.intervened_forward import IntervenedForward
from sycophancy_steering.power.detectable_auroc import detectable_auroc
from sycophancy_steering.power.detection import PlantedStudies, is_predicted
from sycophancy_steering.power.planted_questions import (
    Questions,
    random_half,
    shuffled_over_items,
)
from sycophancy_steering.power.planted_study import (
    Draws,
    StudyQuestions,
    mean_differences,
    planted_scores,
)
from sycophancy_steering.power.power_curve import power_curves, smallest_size
from sycophancy_steering.power.power_tables import headline_power
from sycophancy_steering.report.power import power_section
from sycophancy_steering.report.predictivity import verdict
from sycophancy_steering.report.templates import render
from sycophancy_steering.schemas.power import POWER
from sycophancy_steering.statistics.auroc import clustered_auroc
from sycophancy_steering.statistics.binomial import binomial_interval
from sycophancy_steering.statistics.estimates import Estimate
from sycophancy_steering.vectors.contrast import AnswerGroup, Contrast
from sycophancy_steering.vectors.methods import steering_vector

WIDTH, LAYER, N_LAYERS = 24, 1, 3


def simulated(labels: np.ndarray | None = None, n_items: int = 24) -> StudyQuestions:
    """Gaussian activations: 4 questions an item, which share half of their variance."""
    rng = np.random.default_rng(3)
    items = np.repeat(np.arange(n_items), 4).astype(str)
    scales = np.geomspace(3, 0.3, WIDTH)
    arrays = {
        (name, layer): scales
        * (
            rng.standard_normal((n_items, WIDTH)).repeat(4, 0)
            + rng.standard_normal((4 * n_items, WIDTH))
        )
        + 20 * rng.standard_normal(WIDTH)  # what all activations share
        for name in ("extract", "select", "test")
        for layer in range(N_LAYERS)
    }

    def part(name: str) -> Questions:
        return Questions("kind", name, np.arange(len(items)), items, labels)

    return StudyQuestions(
        [part("extract")],
        [part("select")],
        [part("test")],
        lambda name, layer: arrays[name, layer],
        N_LAYERS,
        WIDTH,
    )


@pytest.mark.parametrize(("successes", "trials"), [(0, 20), (3, 20), (20, 20), (86, 100)])
def test_the_binomial_interval_is_that_of_scipy(successes, trials):
    exact = binomtest(successes, trials).proportion_ci(0.95, method="exact")
    assert binomial_interval(successes, trials) == pytest.approx((exact.low, exact.high))


def test_half_of_the_questions_are_planted_and_each_as_often():
    rng = np.random.default_rng(0)
    planted = np.stack([random_half(9, rng) for _ in range(2000)])
    assert (planted.sum(1) == 4).all()
    assert planted.mean(0) == pytest.approx(4 / 9, abs=0.05)


def test_items_exchange_their_labels_whole():
    items = np.repeat(["a", "b", "c", "d"], 3)
    labels = np.array([1, 1, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0])
    rng = np.random.default_rng(0)
    planted = np.stack([shuffled_over_items(labels, items, rng) for _ in range(2000)])
    by_item = planted.reshape(len(planted), 4, 3).sum(2)
    assert (np.sort(by_item, axis=1) == [0, 0, 1, 3]).all()
    assert planted.mean(0) == pytest.approx(1 / 3, abs=0.05)


def test_planting_is_what_an_intervention_at_the_prompts_end_gives():
    model, vector = tiny("llama"), torch.randn(32, generator=torch.Generator().manual_seed(1)) * 2
    forward = IntervenedForward(
        LocalWorkers(model, 4096), [(row.messages, row.answers) for row in rows()]
    )
    interventions = [NO_INTERVENTION, Intervention({LAYER: add_vector(vector)}, "prompt_end")]
    activations = np.empty((2, 3, len(rows()), 32))
    for number, chats, layers in forward.activations(interventions, range(3)):
        activations[number][:, chats] = layers
    natural, changed = activations
    added = vector.double().numpy()
    assert changed[LAYER] == pytest.approx(natural[LAYER] + added, abs=1e-5)
    assert changed[0] == pytest.approx(natural[0], abs=1e-5)
    assert np.abs(changed[2] - natural[2]).max() > 0.1  # carried on to the layer above

    planted = np.array([[1, 0, 1, 1, 0]])
    read = np.random.default_rng(0).standard_normal((1, 32))
    scores = planted_scores(natural[LAYER], planted, read, added[None])
    really = np.where(planted[0][:, None] == 1, changed[LAYER], natural[LAYER])
    assert scores[0] == pytest.approx(really @ read[0] / np.linalg.norm(read), abs=1e-5)


def test_the_vector_is_the_one_that_the_study_makes_of_natural_answers():
    rng = np.random.default_rng(0)
    activations, planted = rng.standard_normal((9, 5)), np.array([[1, 0, 0, 1, 1, 0, 0, 0, 1]])
    groups = (
        AnswerGroup(ArrayStream.from_array(part), np.full(len(part), "a"), np.full(len(part), ""))
        for part in (activations[planted[0] == 1], activations[planted[0] == 0])
    )
    contrast = Contrast(*groups, paired=False, rng=rng)
    own = mean_differences(activations, planted)[0]
    assert own == pytest.approx(steering_vector("mean_difference", contrast, "none"), abs=1e-6)


@pytest.mark.parametrize(
    "ends", [(0.6, 0.4, 0.7), (0.6, 0.55, 0.7), (0.9, 0.85, 0.95), (0.1, 0, 1)]
)
@pytest.mark.parametrize("random", [(0.3, 0.7), (0.45, 0.55), (0.0, 1.0)])
def test_a_planted_direction_is_found_if_the_report_would_say_predicted(ends, random):
    names = ("auroc", "auroc_low", "auroc_high", "random_low", "random_high")
    row: dict[str, float] = dict(zip(names, (*ends, *random), strict=True))
    aurocs = np.repeat(np.array(random), 100)  # whose central 95% are these two
    estimate = Estimate(*(np.array(end) for end in ends))
    assert is_predicted(estimate, lambda: aurocs) == (verdict(row) == "predicted")


def test_what_is_found_is_what_plain_steps_find():
    """One study at a time, with scikit-learn, from activations with the direction added."""
    questions = simulated()
    draws = Draws.at_random(questions, 12, seed=5)
    size, spread = 0.15, questions.spread(LAYER)
    detections = PlantedStudies(questions, LAYER, draws).detections(size)
    for k in range(len(draws)):
        arrays = {}
        for name, planted in (
            ("extract", draws.extraction[k]),
            ("select", draws.select[0][k]),
            ("test", draws.test[0][k]),
        ):
            for layer in range(N_LAYERS):
                arrays[name, layer] = questions.activations(name, layer).copy()
            arrays[name, LAYER][planted == 1] += size * spread * draws.directions[k]
        vectors = [
            arrays["extract", layer][draws.extraction[k] == 1].mean(0)
            - arrays["extract", layer][draws.extraction[k] == 0].mean(0)
            for layer in range(N_LAYERS)
        ]
        select = [
            roc_auc_score(draws.select[0][k], arrays["select", layer] @ vectors[layer])
            for layer in range(N_LAYERS)
        ]
        best = int(np.argmax(select))
        planted = draws.test[0][k]
        scores = arrays["test", best] @ vectors[best]
        assert detections.readouts[0].aurocs[k] == pytest.approx(roc_auc_score(planted, scores))
        random = np.random.default_rng([0, best]).standard_normal((200, WIDTH))
        projections = random @ arrays["test", best].T
        pairs = projections[:, planted == 1, None] > projections[:, None, planted == 0]
        aurocs = pairs.mean((1, 2))
        estimate = clustered_auroc(scores, planted, questions.test[0].items)
        low, high = np.quantile(aurocs, [0.025, 0.975])
        predicted = estimate.low > 0.5 and not low <= estimate.value <= high
        assert detections.readouts[0].is_predicted[k] == predicted
        cosine = vectors[LAYER] @ draws.directions[k] / np.linalg.norm(vectors[LAYER])
        assert detections.cosines[k] == pytest.approx(cosine)
    assert len({*detections.readouts[0].is_predicted.tolist()}) == 2  # some are found, some not


def test_the_size_is_in_typical_distances_from_the_mean():
    activations = np.random.default_rng(0).standard_normal((5000, WIDTH)) * 3 + 100
    part = Questions("kind", "set", np.arange(5000), np.arange(5000).astype(str), None)
    questions = StudyQuestions([part], [part], [part], lambda *_: activations, 1, WIDTH)
    assert questions.spread(0) == pytest.approx(3 * np.sqrt(WIDTH), rel=0.01)


@pytest.mark.parametrize("way", ["half", "as_labelled"])
def test_nothing_is_hardly_ever_found_and_a_large_direction_always(way):
    labels = np.tile([1, 1, 0, 1, 0, 0, 0, 1], 12) if way == "as_labelled" else None
    questions = simulated(labels)
    studies = PlantedStudies(questions, LAYER, Draws.at_random(questions, 300, seed=1))
    nothing, large = studies.detections(0.0), studies.detections(0.8)
    # Of 300 studies, 5% is 15; more than 22 are found in 3% of such experiments.
    assert nothing.readouts[0].is_predicted.sum() <= 22
    assert np.abs(nothing.cosines.mean()) < 0.05
    assert large.readouts[0].is_predicted.mean() > 0.95
    assert large.cosines.min() > 0.85
    aurocs = [studies.detections(size).readouts[0].aurocs.mean() for size in (0.1, 0.3, 0.6)]
    assert sorted(aurocs) == aurocs


def test_the_smallest_size_is_found_in_new_studies_too():
    sizes, n_draws = [0.0, 0.1, 0.2, 0.3, 0.45, 0.7], 100
    curve = power_curves(simulated(), LAYER, sizes, n_draws)[0]
    by_part = {point.part: point for point in curve}
    assert [point.part for point in curve] == ["curve"] * len(sizes) + ["smallest", "twice"]
    assert 0.1 < by_part["smallest"].size < 0.7
    assert by_part["smallest"].n_found >= 0.8 * n_draws
    assert by_part["twice"].size == pytest.approx(2 * by_part["smallest"].size)
    again = power_curves(simulated(), LAYER, sizes, n_draws)[0]
    assert [point.n_found for point in again] == [point.n_found for point in curve]


def test_too_few_other_answers_find_nothing_whatever_the_size():
    labels = np.ones(96, int)
    labels[[0, 5]] = 0  # in two items
    curve = power_curves(simulated(labels), LAYER, [0.0, 0.5, 2.0], 20)[0]
    assert {point.part for point in curve} == {"curve"}
    assert [point.n_found for point in curve] == [0, 0, 0]
    labels[5] = 1
    assert not simulated(labels).is_possible


def test_the_smallest_size_is_where_the_lower_bound_reaches_the_power():
    assert smallest_size([0, 1, 2, 4], [2, 30, 60, 79], 100) is None
    assert smallest_size([0, 1, 2, 4], [2, 100, 100, 100], 100) == 1
    below, above = binomial_interval(60, 100)[0], binomial_interval(99, 100)[0]
    expected = 2 * 2 ** ((0.8 - below) / (above - below))
    assert smallest_size([0, 1, 2, 4], [2, 30, 60, 99], 100) == pytest.approx(expected)
    # Of a huge direction, random ones read as much: the study then says "no better".
    assert smallest_size([0, 1, 2, 4], [2, 30, 99, 40], 100) is not None


def test_the_detectable_auroc_is_found_in_simulated_studies():
    part = simulated().test[0]
    detectable = detectable_auroc(part, 200)
    assert detectable is not None
    # Of 96 independent answers, half of each class: one-sided at 2.5%, power 80 to 87%.
    error = np.sqrt(detectable * (1 - detectable) * 0.65 / 48 + 1e-9)  # Hanley and McNeil, roughly
    assert 2.5 < (detectable - 0.5) / error < 3.8
    few = np.ones(96, int)
    few[[0, 5]] = 0
    assert detectable_auroc(simulated(few).test[0], 50) is None


def test_the_table_of_a_study_and_what_the_report_says_of_it(finished_study, monkeypatch):
    monkeypatch.chdir(finished_study)
    power = POWER.read(model="tiny")
    assert {*power["planted"]} <= {"half", "as_labelled"}
    assert len(power.filter(pl.col("planted") == "half", pl.col("size") == 0)) == 2
    row = power.filter(pl.col("planted") == "half", pl.col("size") == 8).row(0, named=True)
    assert row["cosine"] > 0.95 and row["layer"] == 1
    assert row["n_extraction_planted"] == row["n_extraction"] // 2
    written = json.loads((finished_study / "reports/power.json").read_text())
    assert written == {"tiny": pytest.approx(headline_power(power), abs=1e-9)}
    section = power_section("tiny", power)
    assert section
    text = render(section)
    assert text in (finished_study / "reports/models/tiny.md").read_text()
    assert (REPORT / "templates/power.md.j2").exists()
