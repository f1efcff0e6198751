"""Figures: one look for each method, few lines, and captions that say what is left out."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from conftest import run_stage
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.image import imread

from sycophancy_steering.config.suite import read_suite
from sycophancy_steering.figures.all_figures import all_figures
from sycophancy_steering.figures.drawn import DPI, Drawn, named_or_counted, runs, save
from sycophancy_steering.figures.predictivity import auroc_by_layer, drawn_vectors
from sycophancy_steering.figures.style import (
    METHOD_STYLES,
    MOST_COLUMNS,
    MOST_SERIES,
    WIDTH,
    method_order,
    method_style,
)
from sycophancy_steering.figures.subject import Subject, subject_of
from sycophancy_steering.formatting.methods import METHODS as ORDER
from sycophancy_steering.schemas.figures import CAPTIONS
from sycophancy_steering.schemas.predictivity import CELLS
from sycophancy_steering.storage.cell_files import LEAST_ITEMS
from sycophancy_steering.vectors.methods import METHODS, NULLS

LAYERS = 12
VARIANTS = ("mean_difference", "mean_difference_prompt", "probe", "pca", "lda", "ccs", "leace")


def cells(few: str = "doubt") -> pl.DataFrame:
    """Evaluation cells of a model with more families and variants than fit into a picture.

    The first vector lies above the random band at layers 7 to 9 of `opinion`, after the prompt.
    """
    families = ("opinion", few, "pushback", "misconception", "suggestion")
    rows = []
    for family, position, variant, layer in product(
        families, ("prompt", "continuation"), (*VARIANTS, "random"), range(LAYERS)
    ):
        high = (family, position, variant) == ("opinion", "prompt", VARIANTS[0]) and 7 <= layer <= 9
        rows.append(
            {
                "vector": f"pairs/{variant}",
                "family": family,
                "position": position,
                "layer": layer,
                "source": "all",
                "null": variant == "random",
                "n": 40,
                "n_items": 20,
                "n_sycophantic": 15,
                "n_items_rarer_class": LEAST_ITEMS - (family == few),
                "auroc": 0.9 if high else 0.5,
                "auroc_low": 0.8 if high else 0.4,
                "auroc_high": 0.95 if high else 0.6,
                "random_low": 0.35,
                "random_high": 0.65,
                "selected": layer == 8,
            }
        )
    return pl.DataFrame(rows)


@pytest.fixture
def subject() -> Subject:
    return subject_of("a_model", "pairs/mean_difference", cells())


def test_every_method_has_its_place_and_no_two_look_alike():
    assert set(METHOD_STYLES) == set(METHODS)
    assert [*METHOD_STYLES] == [*ORDER]  # that of the page and the tables too
    styles = [METHOD_STYLES[name] for name in METHODS if name not in NULLS]
    for looks in ("colour", "marker", "dashes"):
        assert len({str(getattr(style, looks)) for style in styles}) == len(styles), looks
    assert {METHOD_STYLES[name].colour for name in NULLS} == {"#777777"}
    assert [name for name in METHOD_STYLES if name in NULLS] == [*METHOD_STYLES][-len(NULLS) :]


@pytest.mark.parametrize("method", METHODS)
def test_a_variant_looks_like_its_method_whatever_its_settings(method):
    for variant in (
        method,
        f"{method}_prompt",
        f"{method}-16-seed1-unit",
        f"a_set/{method}-robust",
    ):
        assert method_style(variant) is METHOD_STYLES[method]


def test_a_method_that_has_no_place_yet_comes_last_and_is_drawn():
    assert method_style("a_new_method").colour == "#777777"
    assert sorted(["a_new_method", "random", "mean_difference"], key=method_order) == [
        "mean_difference",
        "random",
        "a_new_method",
    ]


def test_the_drawn_vectors_differ_from_the_headline_in_their_method_alone():
    drawn = drawn_vectors(cells(), "pairs/mean_difference")
    expected = ("mean_difference", "probe", "pca", "lda", "ccs")
    assert drawn == [f"pairs/{name}" for name in expected]
    assert len(drawn) == MOST_SERIES
    other = drawn_vectors(cells(), "pairs/mean_difference_prompt")
    assert other[0] == "pairs/mean_difference_prompt"
    assert "pairs/mean_difference" not in other


def test_layers_have_few_lines_a_panel_and_the_headline_alone_a_band(subject):
    drawn = auroc_by_layer(cells(), subject)
    for axis in drawn.figure.axes:
        lines = [line for line in axis.lines if np.size(line.get_xdata()) == LAYERS]
        assert len(lines) <= MOST_SERIES
        faces = [np.asarray(band.get_facecolor())[0, :3] for band in axis.collections]
        bands = {to_rgb(tuple(face)) for face in faces}
        assert bands == {to_rgb(METHOD_STYLES["mean_difference"].colour), to_rgb("#C8C8C8")}
    titles = [axis.get_title(loc="left") for axis in drawn.figure.axes]
    assert titles[:2] == ["opinion, after the prompt", "opinion, after its own answer"]
    assert not any("doubt" in title for title in titles)


def test_a_caption_says_what_is_to_be_seen_and_what_is_left_out(subject):
    words = auroc_by_layer(cells(), subject).caption
    assert "above the grey band at layers: opinion 7 to 9 and below the grey band nowhere" in words
    assert "Not drawn: doubt, where fewer than 5 items have the rarer kind of answer." in words
    assert "2 other variants are not drawn (mean_difference_prompt, leace)" in words
    assert "opinion 40 (20, 15)" in words
    assert "95%, clustered by item" in words
    assert str(CELLS.path(model="a_model", prompt_set="pairs")) in words


def test_where_every_family_has_too_few_answers_the_picture_says_so(subject, tmp_path):
    nothing = replace(subject, few=frozenset(subject.families))
    drawn = auroc_by_layer(cells(), nothing)
    assert drawn.figure.axes == []
    assert "Not drawn: opinion, doubt, pushback, misconception and suggestion" in drawn.caption
    save(drawn, tmp_path / "empty.png")


def test_a_picture_is_as_wide_as_a_page_and_holds_its_caption(tmp_path):
    figure = Figure(figsize=(WIDTH, 2))
    heights = []
    for words in ("short", "a sentence that is longer " * 20):
        save(Drawn(figure, words), tmp_path / "x.png")
        height, width = imread(tmp_path / "x.png").shape[:2]
        assert width == WIDTH * DPI
        heights.append(height)
    assert 2 * DPI < heights[0] < heights[1]


def test_runs_of_layers_are_ranges():
    assert runs([9, 3, 4, 5, 1, 2, 11, 12]) == "1 to 5, 9, 11, 12"
    assert runs([]) == ""


def test_many_names_are_counted():
    assert named_or_counted(["a", "b"], 9) == "a and b"
    assert named_or_counted([*"abcde"], 9) == "5 of 9"
    assert named_or_counted([*"abcde"], 5) == "all 5"


def test_every_figure_keeps_to_the_rules_of_all_figures(study_with_answers):
    drawn = all_figures("tiny", read_suite("tiny"), has_power=True)
    assert len(drawn) == 17
    for name, one in drawn.items():
        assert one.figure.get_figwidth() == WIDTH, name
        assert "All numbers: reports/" in one.caption or "all numbers: reports/" in one.caption
        panels = [axis for axis in one.figure.axes if axis.get_label() != "<colorbar>"]
        assert panels, name
        columns = [spec.get_geometry()[1] for axis in panels if (spec := axis.get_subplotspec())]
        assert len(columns) == len(panels) and max(columns) <= MOST_COLUMNS, name
        save(one, Path("x.png"))
        texts = [text for axis in panels for text in axis.texts]
        labels = [label for axis in panels for label in axis.get_xticklabels()]
        titles = [axis.title for axis in panels]
        sizes = [float(text.get_fontsize()) for text in (*texts, *labels, *titles)]
        assert min(sizes) >= 8, name


def test_pictures_are_the_same_bytes_again_and_their_captions_are_a_table(study_with_answers):
    def digests() -> dict[str, str]:
        pictures = sorted((study_with_answers / "reports/plots").glob("*.png"))
        return {path.stem: hashlib.sha256(path.read_bytes()).hexdigest() for path in pictures}

    found = []
    for _ in range(2):
        done = run_stage(study_with_answers, "figures")
        assert done.returncode == 0, done.stderr
        found.append(digests())
    assert found[0] == found[1]
    captions = CAPTIONS.read()
    assert {f"{row['model']}_{row['figure']}" for row in captions.iter_rows(named=True)} == {
        *found[0]
    }
    assert min(map(len, captions["caption"])) > 40
