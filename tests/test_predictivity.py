"""The predictivity table: cells against a slow computation, honest layer choice, no leakage."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from sycophancy_steering.analysis.layer_selection import generalisation, select_layers
from sycophancy_steering.analysis.predictivity import EvaluationOptions, evaluate_vectors
from sycophancy_steering.analysis.readouts import READ_POSITIONS, read_out
from sycophancy_steering.foundation.array_stream import ArrayStream
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.statistics.calibration import fit_slope


def answers(n: int = 240, sources: int = 1) -> pl.DataFrame:
    """Labelled answers of two families and two splits, a tenth of them invalid."""
    draw = np.random.default_rng(0)
    label = [None if draw.random() < 0.1 else int(draw.random() < 0.5) for _ in range(n)]
    return pl.DataFrame(
        {
            "id": [f"q{k}" for k in range(n)],
            "source": [f"source {k % sources}" for k in range(n)],
            "family": ["opinion" if k % 4 < 2 else "misconception" for k in range(n)],
            "item": [f"item {k % 30}" for k in range(n)],
            "persona": "",
            "split": ["select" if k % 2 else "test" for k in range(n)],
            "matching": draw.choice(["A", "B"], n),
            "form": "letters",
            "prompt_tokens": draw.integers(10, 20, n),
            "margin": draw.normal(size=n),
            "label": pl.Series(label, dtype=pl.Int8),
        }
    )


def states_of(responses: pl.DataFrame, layers: int = 3, width: int = 6) -> np.ndarray:
    """(layers, positions, n, width): only layer 1, coordinate 0 knows the label."""
    draw = np.random.default_rng(1)
    states = draw.normal(size=(layers, 2, len(responses), width))
    states[1, :, :, 0] += 2 * responses["label"].fill_null(0).to_numpy()
    return states


def table_of(responses: pl.DataFrame, vectors: np.ndarray, states: np.ndarray) -> pl.DataFrame:
    places = {"prompt": 0, "continuation": 1, "continuation_mean": 1}
    given = {"v": vectors}
    return evaluate_vectors(
        given,
        lambda layer, p: ArrayStream.from_array(states[layer, places[p]]),
        responses,
        EvaluationOptions(),
    )


def layers_of(table: pl.DataFrame, families: list[str]) -> dict[str, int]:
    chosen = select_layers(table, families)
    return dict(zip(chosen["position"], chosen["layer"], strict=True))


def test_projection_and_cosine_are_what_they_are_called():
    draw = np.random.default_rng(0)
    states, vectors = draw.normal(size=(7, 5)), draw.normal(size=(3, 5))
    projection, cosine = read_out(ArrayStream.from_array(states), vectors)
    for k, vector in enumerate(vectors):
        for n, state in enumerate(states):
            along = state @ vector / np.linalg.norm(vector)
            assert projection[k, n] == pytest.approx(along)
            assert cosine[k, n] == pytest.approx(along / np.linalg.norm(state))


def test_cosine_is_no_cosine_of_signs():
    # The original study normalised along the wrong axis, which leaves the signs of the elements.
    state, vector = np.array([[3.0, 0.1]]), np.array([[3.0, -0.1]])
    assert read_out(ArrayStream.from_array(state), vector)[1, 0, 0] > 0.99


def test_each_cell_equals_a_slow_computation():
    responses = answers()
    states = states_of(responses)
    vectors = np.random.default_rng(2).normal(size=(3, 6))
    table = table_of(responses, vectors, states)
    assert len(table) == 3 * 3 * 3 * 4 * 2
    for row in table.iter_rows(named=True):
        member = (
            (responses["family"] == row["family"])
            & (responses["split"] == row["split"])
            & responses["label"].is_not_null()
        ).to_numpy()
        held = responses.filter(member)
        at = states[row["layer"], 0 if row["position"] == "prompt" else 1][member]
        score = at @ vectors[row["extraction_layer"]]
        if row["readout"] == "cosine":
            score = score / np.linalg.norm(at, axis=1)
        labels = held["label"].to_numpy()
        assert row["auroc"] == pytest.approx(roc_auc_score(labels, score), abs=1e-12)
        assert row["n"] == len(held)
        assert row["n_sycophantic"] == labels.sum()
        everyone = responses.filter(
            (pl.col("family") == row["family"]) & (pl.col("split") == row["split"])
        )
        assert row["invalid_share"] == pytest.approx(everyone["label"].null_count() / len(everyone))
        letter = roc_auc_score(labels, (held["matching"] == "A").to_numpy())
        assert row["letter_auroc"] == pytest.approx(letter)
        assert row["length_auroc"] == pytest.approx(roc_auc_score(labels, held["prompt_tokens"]))
        assert row["margin_auroc"] == pytest.approx(roc_auc_score(labels, held["margin"]))
        assert row["random_low"] < 0.5 < row["random_high"]


def test_the_memory_that_is_allowed_makes_no_difference():
    responses = answers(4000)
    states, draw = states_of(responses), np.random.default_rng(2)
    vectors = {name: draw.normal(size=(3, 6)) for name in "abcd"}
    small, large = (
        evaluate_vectors(
            vectors,
            lambda n, _: ArrayStream.from_array(states[n, 0]),
            responses,
            EvaluationOptions(memory_mb=memory),
        )
        for memory in (1, 512)
    )
    keys = ["vector", "extraction_layer", "layer", "position", "family", "split", "readout"]
    assert small.sort(keys).equals(large.sort(keys))


def test_probabilities_are_fitted_on_select_and_tried_on_test():
    responses = answers()
    states = states_of(responses)
    vectors = np.tile(np.eye(6)[0], (3, 1))
    table = table_of(responses, vectors, states)
    assert table.filter(pl.col("split") == "select")["brier"].is_nan().all()
    row = table.filter(
        pl.col("layer") == 1,
        pl.col("extraction_layer") == 1,
        pl.col("position") == "prompt",
        pl.col("family") == "opinion",
        pl.col("split") == "test",
        pl.col("readout") == "projection",
    ).row(0, named=True)
    known = responses.with_row_index().filter(
        (pl.col("family") == "opinion") & pl.col("label").is_not_null()
    )
    parts = {}
    for split in ("select", "test"):
        held = known.filter(pl.col("split") == split)
        parts[split] = states[1, 0][held["index"].to_numpy(), 0], held["label"].to_numpy()
    likely = fit_slope(*parts["select"]).probabilities(parts["test"][0])
    assert row["brier"] == pytest.approx(brier_score_loss(parts["test"][1], likely), abs=1e-12)
    assert row["auprc"] == pytest.approx(average_precision_score(*parts["test"][::-1]), abs=1e-12)


def test_a_label_that_the_letter_explains_is_shown_to_be_so():
    responses = answers().with_columns((pl.col("matching") == "A").cast(pl.Int8).alias("label"))
    table = table_of(responses, np.ones((3, 6)), states_of(responses))
    assert (table["letter_auroc"] == 1).all()


def test_letters_that_are_not_shown_give_nothing_away():
    responses = answers().with_columns(
        (pl.col("matching") == "A").cast(pl.Int8).alias("label"), pl.lit("free").alias("form")
    )
    table = table_of(responses, np.ones((3, 6)), states_of(responses))
    assert (table["letter_auroc"] == 0.5).all()


def test_sources_of_one_family_are_told_apart_and_pooled():
    responses = answers(sources=3)
    table = table_of(responses, np.ones((3, 6)), states_of(responses))
    cells = table.filter((pl.col("family") == "opinion") & (pl.col("split") == "test"))
    assert set(cells["source"]) == {"all", "source 0", "source 1", "source 2"}
    one = cells.unique("source")
    parts = one.filter(pl.col("source") != "all")["n"].sum()
    assert parts == one.filter(pl.col("source") == "all")["n"][0]


def test_the_layer_is_chosen_on_select_and_never_sees_test():
    responses = answers()
    states = states_of(responses)
    test = (responses["split"] == "test").to_numpy()
    known = responses["label"].fill_null(0).to_numpy()
    states[2, :, test, 0] += 50 * known[test][:, None]  # a layer that is perfect on test alone
    vectors = np.tile(np.eye(6)[0], (3, 1))
    table = table_of(responses, vectors, states)
    assert layers_of(table, ["opinion"]) == dict.fromkeys(READ_POSITIONS, 1)


def test_an_undefined_auroc_is_never_chosen():
    responses = answers().with_columns(pl.lit(1).cast(pl.Int8).alias("label"))
    table = table_of(responses, np.ones((3, 6)), states_of(responses))
    assert table["auroc"].is_nan().all()
    assert layers_of(table, ["opinion"]) == {}


def asked(**columns) -> pl.DataFrame:
    rows = {"id": ["x"], "source": ["s"], "family": ["opinion"], "item": ["i"], "persona": ["p"]}
    return pl.DataFrame(rows | {key: [value] for key, value in columns.items()})


def test_overlap_between_extraction_and_evaluation_is_an_error():
    with pytest.raises(InputError, match=r"share 1 questions, such as x \(s: i, p\)"):
        generalisation(asked(), asked())
    with pytest.raises(InputError, match="share 1 questions, such as y"):
        generalisation(asked(id="y"), asked())


def test_each_family_is_said_to_generalise_as_it_does():
    other = {"id": "y", "persona": "q"}
    assert generalisation(asked(), asked(**other)) == {"opinion": "same items, new personas"}
    assert generalisation(asked(), asked(**other, item="j")) == {"opinion": "new items"}
    assert generalisation(asked(), asked(**other, source="t")) == {"opinion": "another source"}
    assert generalisation(asked(), asked(**other, family="f")) == {"f": "another family"}
