"""Agreement of directions, and how much of the rest is noise."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import run_stage
from safetensors.numpy import save

from sycophancy_steering.foundation.array_stream import ArrayStream
from sycophancy_steering.statistics.vector_agreement import (
    cosine,
    cosine_interval,
    disattenuated,
    principal_angles,
    reliability,
)
from sycophancy_steering.storage.vector_files import write_vectors


def test_cosines_are_those_of_the_definition():
    draw = np.random.default_rng(0)
    one, two = draw.normal(size=(2, 4, 7))
    expected = [
        a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in zip(one, two, strict=True)
    ]
    np.testing.assert_allclose(cosine(one, two), expected, atol=1e-12)
    assert np.isnan(cosine(one[0], np.zeros(7)))


def test_the_mahalanobis_cosine_is_the_correlation_of_projections():
    draw = np.random.default_rng(1)
    states = draw.normal(size=(300, 7)) @ draw.normal(size=(7, 7)) + 3
    one, two = draw.normal(size=(2, 4, 7))
    expected = [np.corrcoef(states @ a, states @ b)[0, 1] for a, b in zip(one, two, strict=True)]
    np.testing.assert_allclose(
        cosine(one, two, ArrayStream.from_array(states).covariance), expected, atol=1e-12
    )


def test_principal_angles_of_spaces_that_share_a_line():
    one = np.array([[1.0, 0, 0], [0, 1, 0]])
    two = np.array([[2.0, 0, 0], [0, 1, 1]])
    np.testing.assert_allclose(principal_angles(one, two), [0, 45], atol=1e-5)


def pairs(draw: np.random.Generator, signal: np.ndarray, n: int) -> np.ndarray:
    """Differences of `n` pairs, much noisier than what they share."""
    return signal + draw.normal(size=(n, len(signal))) * 3


def test_vectors_that_differ_by_noise_alone_have_a_disattenuated_cosine_of_one():
    draw = np.random.default_rng(2)
    signal = draw.normal(size=40) * 0.5
    raw, fixed = [], []
    for _ in range(60):
        one, two = pairs(draw, signal, 60), pairs(draw, signal, 60)
        halves = [
            np.array(
                [
                    [each[part].mean(0) for part in np.array_split(draw.permutation(60), 2)]
                    for _ in range(10)
                ]
            )
            for each in (one, two)
        ]
        raw.append(float(cosine(one.mean(0), two.mean(0))))
        fixed.append(
            float(disattenuated(np.array(raw[-1]), *(reliability(each) for each in halves)))
        )
    assert np.mean(raw) < 0.75
    assert np.mean(fixed) == pytest.approx(1, abs=0.03)


def test_reliability_rises_with_the_number_of_pairs_and_is_the_cosine_of_new_vectors():
    draw = np.random.default_rng(3)
    signal = draw.normal(size=40) * 0.5
    found = []
    for n in (16, 64, 256):
        halves = np.array(
            [
                [pairs(draw, signal, n // 2).mean(0), pairs(draw, signal, n // 2).mean(0)]
                for _ in range(200)
            ]
        )
        again = [cosine(*(pairs(draw, signal, n).mean(0) for _ in range(2))) for _ in range(200)]
        found.append(float(reliability(halves)))
        assert found[-1] == pytest.approx(np.mean(again), abs=0.04)
    assert found == sorted(found)


@pytest.mark.parametrize("size", [0.3, 0.6, 1.2])
def test_intervals_of_cosines_cover(size):
    draw, held, studies = np.random.default_rng(4), 0, 1000
    one, two = draw.normal(size=(2, 40)) * size
    two = 0.6 * one + 0.8 * two

    def study() -> tuple[np.ndarray, np.ndarray]:
        return pairs(draw, one, 80), pairs(draw, two, 80)

    truth = np.mean([cosine(*(each.mean(0) for each in study())) for _ in range(4000)])
    for _ in range(studies):
        both = study()
        weights = [draw.multinomial(80, np.full(80, 1 / 80), 100) / 80 for _ in both]
        again = (w @ each for w, each in zip(weights, both, strict=True))
        low, high = cosine_interval(*(each.mean(0) for each in both), *again)
        held += bool(low <= truth <= high)
    assert 0.93 <= held / studies <= 0.97, held / studies


def test_files_are_compared_layer_by_layer_with_intervals_where_activations_are_here(study):
    folder = study / "vectors/extracted/tiny/pairs"
    names = ("mean_difference", "random")
    words = [f"vectors/extracted/tiny/pairs/{name}.safetensors" for name in names]
    done = run_stage(study, "compare", *words)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split()[:4] == ["|", "layer", "|", "cosine"]
    assert len([line for line in lines if line.startswith("| ")]) == 1 + 3
    assert "[" in lines[2]
    alone = run_stage(study, "compare", words[0], words[0])
    assert alone.stdout.splitlines()[2].split("|")[2].startswith(" 1.00 ")
    write_vectors(folder / "foreign.safetensors", np.ones((3, 32), np.float32), {})
    done = run_stage(study, "compare", words[0], "vectors/extracted/tiny/pairs/foreign.safetensors")
    assert "the activations it was made from are not here" in done.stdout
    write_vectors(folder / "narrow.safetensors", np.ones((3, 5), np.float32), {})
    done = run_stage(study, "compare", words[0], "vectors/extracted/tiny/pairs/narrow.safetensors")
    assert done.returncode == 1
    assert "expected the same width" in done.stderr
    path = folder / "narrow.safetensors"
    path.write_bytes(save({f"layer_{n:02d}": np.full(32, n - 1.0, np.float32) for n in range(3)}))
    for words_refused in ([words[0], str(path)], ["vectors/extracted/tiny/pairs"] * 2):
        done = run_stage(study, "compare", *words_refused)
        assert done.returncode == 1
        assert "narrow.safetensors: layer 1: the vector is zero" in done.stderr
        assert len(done.stderr.splitlines()) == 1
    write_vectors(path, np.ones((3, 5), np.float32), {})
    done = run_stage(study, "compare", "vectors/extracted/tiny/pairs", "vectors/extracted/tiny")
    assert "vectors of several shapes" in done.stderr
    done = run_stage(study, "compare", "vectors/extracted/tiny", "vectors/extracted/tiny")
    assert "vectors/extracted/tiny: no vectors" in done.stderr
