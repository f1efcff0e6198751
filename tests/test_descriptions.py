"""Vectors from descriptions of the trait: how they are asked, labelled and made."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from conftest import run_stage

from sycophancy_steering.config.split import SplitShares
from sycophancy_steering.questions.answer_labels import by_description
from sycophancy_steering.questions.question import Row
from sycophancy_steering.questions.splits import sample
from sycophancy_steering.sources.descriptions import descriptions
from sycophancy_steering.sources.plain_english import read_rows
from sycophancy_steering.storage.activation_shards import read_ids, stream_activations
from sycophancy_steering.storage.vector_files import read_variant_index, read_vectors

SHARES = SplitShares(extract=0.4, select=0.25, test=0.35, seed=0)


def asked(limit: int = 96) -> list[Row]:
    return sample(descriptions(), SHARES, ["extract"], limit, 4).rows


def test_both_descriptions_of_a_pair_are_as_long():
    pairs = read_rows("descriptions")
    assert len(pairs) >= 5 and len({pair["sycophantic"] for pair in pairs}) == len(pairs)
    for pair in pairs:
        lengths = len(pair["sycophantic"]), len(pair["honest"])
        assert max(lengths) <= 1.15 * min(lengths)


def test_views_are_of_topics_that_no_other_table_has():
    views = read_rows("views")
    assert len({view["topic"] for view in views}) == len(views) >= 50
    assert len({view["text"] for view in views}) == len(views)
    claims = {row["topic"] for row in read_rows("claims")}
    assert not claims & {view["topic"] for view in views}
    assert all(view["text"].endswith("?") for view in views)


def test_every_view_is_asked_under_two_pairs_and_every_pair_is_used():
    rows = asked()
    sides = {
        pair[side]: (n, side)
        for n, pair in enumerate(read_rows("descriptions"))
        for side in ("sycophantic", "honest")
    }
    assert len(rows) == 96 and {row.split for row in rows} == {"extract"}
    by_item: dict[str, list[tuple[int, str]]] = {}
    for row in rows:
        system, user = row.messages
        assert (system.role, user.role, row.choices) == ("system", "user", ())
        pair, side = sides[system.content]
        assert row.cause == (side == "sycophantic")
        by_item.setdefault(row.item, []).append((pair, side))
    for used in by_item.values():
        assert len(used) == 4 and len({*used}) == 4 and len({pair for pair, _ in used}) == 2
    counts = Counter(pair for used in by_item.values() for pair, _ in used)
    assert len(counts) == len(read_rows("descriptions"))


def test_the_label_is_the_description_and_only_of_chats_without_options():
    assert by_description({"choices": [], "cause": 1.0}) == 1
    assert by_description({"choices": [], "cause": 0.0}) == 0
    assert by_description({"choices": [], "cause": None}) is None
    assert by_description({"choices": [{"letter": "A", "text": "x"}], "cause": 1.0}) is None


@pytest.fixture
def described_study(study: Path) -> Path:
    """The small study with a set of descriptions, and vectors from its responses."""
    params = study / "params.yaml"
    text = params.read_text()
    for old, new in [
        ("small: [pairs, held_out]", "small: [pairs, held_out, described]"),
        ("extraction_sets: [pairs]", "extraction_sets: [pairs, described]"),
        (
            "position: answer}]",
            "position: answer}, {method: [mean_difference], position: [continuation_mean, prompt], "
            "compared: [all, within_items]}, {method: mean_difference, position: answer, "
            "normalisation: robust}]",
        ),
        (
            "  held_out: {sources",
            "  described: {sources: {descriptions: 16}, splits: [extract], extract: chats, "
            "questions_per_item: 4}\n  held_out: {sources",
        ),
    ]:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    params.write_text(text)
    return study


def test_a_study_with_descriptions_runs_from_end_to_end(described_study):
    for words in (
        ["prompts"],
        ["activations", "tiny"],
        ["labels"],
        ["vectors", "tiny"],
        ["predictivity"],
        ["analysis"],
        ["figures"],
        ["report"],
        ["page"],
    ):
        done = run_stage(described_study, *words)
        assert done.returncode == 0, done.stderr
    labels = pl.read_parquet(described_study / "data/labels/tiny/described.parquet")
    assert labels["label"].value_counts().sort("label").rows() == [(0, 8), (1, 8)]
    assert set(labels["label_source"]) == {"description"}
    pairs = pl.read_parquet(described_study / "data/labels/tiny/pairs.parquet")
    assert pairs["description"].is_null().all() and set(pairs["label_source"]) == {"logprob"}

    folder = described_study / "data/activations/tiny/described"
    responses = stream_activations(folder, 1, "continuation_mean").to_array()
    order = {id: n for n, id in enumerate(read_ids(folder))}
    rows = {
        label: [order[id] for id in labels.filter(pl.col("label") == label)["id"]]
        for label in (0, 1)
    }
    expected = responses[rows[1]].mean(0) - responses[rows[0]].mean(0)
    vectors = described_study / "vectors/extracted/tiny/described"
    found, _ = read_vectors(vectors / "mean_difference_continuation_mean.safetensors")
    np.testing.assert_allclose(found[1], expected, rtol=1e-4, atol=1e-6)
    # As every item has two responses of each kind, comparing within items changes nothing.
    within, _ = read_vectors(vectors / "mean_difference_continuation_mean-within_items.safetensors")
    np.testing.assert_allclose(found, within, rtol=1e-3, atol=1e-6)

    reasons = read_variant_index(vectors).not_applicable
    assert {*reasons} == {"mean_difference", "random", "mean_difference-robust"}
    assert {*reasons.values()} == {"chats without options have no answers to force"}
    summary = (described_study / "reports/models/tiny.md").read_text()
    assert "described/mean\\_difference" in summary or "described/mean_difference" in summary
    shuffled = pl.read_parquet(described_study / "reports/shuffled_pairs/tiny/described.parquet")
    assert shuffled["auroc"].is_not_null().any()
    assert (described_study / "reports/analysis/tiny/large_dimensions.csv").exists()
