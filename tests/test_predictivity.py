"""The predictivity table: cells against a slow computation, honest layer choice, no leakage."""

from __future__ import annotations

import shutil

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from scipy.stats import spearmanr
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from sycophancy_steering.analysis import predictivity_tables
from sycophancy_steering.analysis.cached_evaluation import PredictivityOptions
from sycophancy_steering.analysis.cells import evaluation_cells
from sycophancy_steering.analysis.evaluation_set import EvaluationSet
from sycophancy_steering.analysis.layer_selection import generalisation, select_layers
from sycophancy_steering.analysis.predictivity import (
    EvaluationOptions,
    SignFlips,
    evaluate_vectors,
    random_direction_ranges,
)
from sycophancy_steering.analysis.readouts import READ_POSITIONS, read_out
from sycophancy_steering.config.predictivity import ScoringSettings, SelectionSettings
from sycophancy_steering.config.reading import read_section
from sycophancy_steering.config.suite import read_suite
from sycophancy_steering.foundation.array_stream import ArrayStream
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.schemas.table import estimate
from sycophancy_steering.statistics.calibration import fit_slope
from sycophancy_steering.statistics.sign_flips import SignFlipTest, random_signs

PLACES = {"prompt": 0, "continuation": 1, "continuation_mean": 1}


def answers(n: int = 240, sources: int = 1, templates: int = 3) -> pl.DataFrame:
    """Labelled answers of two families and two splits, a tenth of them invalid.

    A tenth of them do not count, and of another tenth the shift is not known.
    """
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
            "template": [f"template {k % 7 % templates}" for k in range(n)],
            "shift": [None if k % 10 == 7 else float(draw.normal()) for k in range(n)],
            "counts": [k % 10 != 3 for k in range(n)],
        }
    )


def states_of(responses: pl.DataFrame, layers: int = 3, width: int = 6) -> np.ndarray:
    """(layers, positions, n, width): only layer 1, coordinate 0 knows the label."""
    draw = np.random.default_rng(1)
    states = draw.normal(size=(layers, 2, len(responses), width))
    states[1, :, :, 0] += 2 * responses["label"].fill_null(0).to_numpy()
    return states


def table_of(
    responses: pl.DataFrame, vectors: np.ndarray, states: np.ndarray, distance: int = 2
) -> pl.DataFrame:
    """Cells of one vector, read at all of its three layers unless `distance` says otherwise."""
    items = np.arange(responses["item"].n_unique())
    signs = random_signs(len(items), 99, 0)
    tests = SignFlips(SignFlipTest(items, signs), SignFlipTest(items, signs))
    return evaluate_vectors(
        {"v": vectors},
        lambda layer, position: ArrayStream.from_array(states[layer, PLACES[position]]),
        responses,
        EvaluationOptions(max_layer_distance=distance, sign_flips=tests),
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


def test_random_directions_read_nothing_that_is_not_there():
    responses = answers()
    states = states_of(responses)
    ranges = random_direction_ranges(
        lambda layer, position: ArrayStream.from_array(states[layer, PLACES[position]]),
        "prompt",
        evaluation_cells(responses),
        (3, 6),
        EvaluationOptions(),
    )
    assert len(ranges) == 3 * 4
    assert ((ranges["random_low"] < 0.5) & (ranges["random_high"] > 0.5)).all()


def test_ranks_and_strata_equal_a_slow_computation():
    responses = answers()
    states, vectors = states_of(responses), np.random.default_rng(2).normal(size=(3, 6))
    table = table_of(responses, vectors, states)
    for row in table.filter(pl.col("readout") == "projection").iter_rows(named=True):
        member = (responses["family"] == row["family"]) & (responses["split"] == row["split"])
        scores = states[row["layer"], PLACES[row["position"]]] @ vectors[row["extraction_layer"]]
        own = responses.with_columns(score=scores).filter(member)
        known = own.filter("counts", pl.col("shift").is_not_null())
        assert row["n_shifts"] == len(known)
        assert row["n_shift_items"] == known["item"].n_unique()
        expected = spearmanr(known["score"], known["shift"])[0]
        assert row["rank_correlation"] == pytest.approx(expected, abs=1e-12)
        assert row["rank_correlation_low"] < expected < row["rank_correlation_high"]
        for kind in ("item", "template"):
            right, pairs, mixed = pairs_in_order(own.drop_nulls("label"), kind)
            assert row[f"n_mixed_{kind}s"] == mixed
            assert row[f"within_{kind}_auroc"] == pytest.approx(right / pairs, abs=1e-12)


def pairs_in_order(labelled: pl.DataFrame, column: str) -> tuple[float, int, int]:
    """Of the pairs of unlike answers with one value of `column`: those in order, and all; and the
    number of values that have such pairs."""
    right, pairs, mixed = 0.0, 0, 0
    for _, stratum in labelled.group_by(column):
        high = stratum.filter(pl.col("label") == 1)["score"].to_list()
        low = stratum.filter(pl.col("label") == 0)["score"].to_list()
        right += sum((a > b) + (a == b) / 2 for a in high for b in low)
        pairs += len(high) * len(low)
        mixed += bool(high and low)
    return right, pairs, mixed


def test_what_cannot_be_compared_is_missing():
    responses = answers(templates=1).with_columns(
        item=pl.concat_str(pl.lit("item "), "id"), shift=pl.lit(None, dtype=pl.Float64)
    )
    table = table_of(responses, np.ones((3, 6)), states_of(responses))
    for name in ("within_item_auroc", "within_template_auroc", "rank_correlation"):
        assert table.select(pl.col(estimate(name)).is_null().all()).row(0) == (True,) * 3
    assert table["rank_correlation_p"].is_null().all()
    assert table["rank_statistic"].is_null().all()
    assert (table["n_mixed_items"] == 0).all() and (table["n_shifts"] == 0).all()
    assert table["auroc"].is_not_nan().all()


def test_a_shift_counts_where_the_answer_has_no_label():
    responses = answers().with_columns(pl.lit(None).cast(pl.Int8).alias("label"))
    table = table_of(responses, np.ones((3, 6)), states_of(responses))
    assert table["auroc"].is_nan().all()
    assert table["rank_correlation"].is_not_null().all()


def test_p_values_of_the_rank_correlation_are_those_of_sign_flips():
    responses = answers()
    states = states_of(responses)
    shift = responses["shift"].fill_null(0.0).to_numpy()
    states[2, :, :, 1] += 2 * shift  # known to layer 2 alone
    table = table_of(responses, np.tile(np.eye(6)[1], (3, 1)), states, distance=0).filter(
        pl.col("split") == "test", pl.col("readout") == "projection"
    )
    assert (table.filter(pl.col("layer") == 2)["rank_correlation_p"] == 0.01).all()  # 1 / 100
    assert (table.filter(pl.col("layer") != 2)["rank_correlation_p"] > 0.01).all()
    select = table_of(responses, np.ones((3, 6)), states).filter(pl.col("split") == "select")
    assert select["rank_correlation_p"].is_null().all()


@pytest.mark.parametrize(("distance", "n_pairs"), [(0, 3), (1, 7), (2, 9)])
def test_a_vector_is_read_near_the_layer_that_it_was_made_at(distance, n_pairs):
    responses = answers()
    states, vectors = states_of(responses), np.random.default_rng(2).normal(size=(3, 6))
    table = table_of(responses, vectors, states, distance)
    made_and_read = table.select("extraction_layer", "layer").unique()
    assert len(made_and_read) == n_pairs
    apart = (made_and_read["extraction_layer"] - made_and_read["layer"]).abs()
    assert apart.max() == distance
    keys = ["extraction_layer", "layer", "position", "family", "split", "readout"]
    every = table_of(responses, vectors, states).join(made_and_read, on=keys[:2], how="semi")
    assert table.sort(keys).equals(every.sort(keys))


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


def test_a_set_evaluated_in_parts_has_the_same_tables(study, monkeypatch):
    monkeypatch.chdir(study)
    names = [f"reports/{kind}/tiny/pairs.parquet" for kind in ("cells", "scores", "sign_flips")]
    whole = [pl.read_parquet(name) for name in names]
    shutil.rmtree(".work/cells")
    shutil.rmtree(".work/sign_flips")
    monkeypatch.setattr(predictivity_tables, "VECTORS_PER_JOB", 1)
    scoring = read_section(ScoringSettings, "scoring")
    options = PredictivityOptions(
        scoring.memory_mb,
        scoring.max_layer_distance,
        read_section(SelectionSettings, "selection").n_permutations,
    )
    evaluation = EvaluationSet("tiny", read_suite("tiny").evaluation_set)
    counts = predictivity_tables.write_all_predictivity([(evaluation, "tiny", "pairs")], options)
    n_vectors = whole[0]["vector"].n_unique()
    assert n_vectors > 1
    assert counts == [(n_vectors, n_vectors)]
    for name, table in zip(names, whole, strict=True):
        assert_frame_equal(pl.read_parquet(name), table)
