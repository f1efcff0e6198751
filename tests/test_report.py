"""Reports: how numbers and words from data are written, and templates that fit their sections."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import get_args

import polars as pl
import pytest
from jinja2 import UndefinedError
from test_glossary import columns as all_columns

from sycophancy_steering.config.interventions import TokenPositions
from sycophancy_steering.formatting.numbers import (
    Interval,
    Range,
    interval_of,
    interval_text,
    number_text,
    p_text,
    range_of,
    range_text,
    share_text,
)
from sycophancy_steering.report.labels import labels_section
from sycophancy_steering.report.predictivity import verdict
from sycophancy_steering.report.steering import WHERE
from sycophancy_steering.report.templates import (
    Quotation,
    Section,
    TableData,
    markdown_table,
    render,
    render_all,
)
from sycophancy_steering.report.training import _verdict
from sycophancy_steering.schemas.table import estimate

REPORT = Path(__file__).parent.parent / "sycophancy_steering/report"
NAN = float("nan")


def test_numbers_are_written_with_their_interval():
    assert interval_text(Interval(0.917, 0.8954, 0.93152)) == "0.92 [0.90, 0.93]"
    assert interval_text(Interval(-0.001, -0.204, 0.204)) == "0.00 [-0.20, 0.20]"
    assert interval_text(Interval(0.5, NAN, NAN)) == "0.50 [-, -]"
    assert interval_text(Interval(NAN, NAN, NAN)) == interval_text(None) == "-"
    assert range_text(Range(-0.001, 0.853)) == "0.00 to 0.85"
    assert number_text(NAN) == number_text(None) == share_text(None) == range_text(None) == "-"
    assert (p_text(0.0046), share_text(0.126), share_text(0.0126, 1)) == ("0.005", "13%", "1.3%")


def test_an_estimate_is_read_from_its_three_columns():
    row = dict.fromkeys(estimate("auroc"), 0.5) | {"random_low": 0.1, "random_high": 0.9}
    assert interval_of(row, "auroc") == Interval(0.5, 0.5, 0.5)
    assert range_of(row, "random") == Range(0.1, 0.9)
    assert interval_of(dict.fromkeys(estimate("auroc"), NAN), "auroc") is None
    assert range_of({}, "random") is None


def test_what_a_model_wrote_is_not_markup_in_a_report():
    written = "<script>x</script> | **bold** [a](b)\n\n# title `code`"
    table = markdown_table(TableData(["text"], [[Quotation(written)], [Quotation(None)]]))
    assert (
        r"| &lt;script&gt;x&lt;/script&gt; \| \*\*bold\*\* \[a\](b) / \# title \`code\` |" in table
    )
    assert len(table.splitlines()) == 4


def test_names_from_data_cannot_break_a_table():
    table = markdown_table(TableData(["a|b"], [["c\nd `e` <f>"]]))
    header, _, row = table.splitlines()
    assert r"a\|b" in header
    assert r"c d \`e\` &lt;f&gt;" in row


def test_cells_are_written_by_their_type():
    cells = [3, 0.5, None, (Interval(0.5, 0.4, 0.6), Range(0, 1), "own set")]
    row = markdown_table(TableData(list("abcd"), [cells])).splitlines()[-1]
    assert [cell.strip() for cell in row.strip("|").split("|")] == [
        "3",
        "0.50",
        "-",
        "0.50 [0.40, 0.60]; 0.00 to 1.00; own set",
    ]


def test_a_template_that_names_an_unknown_fact_fails():
    with pytest.raises(UndefinedError):
        render(Section("variance", {}))


def test_sections_without_content_leave_no_gap():
    text = render_all([Section("title", {}), None, Section("training_title", {})])
    assert text.count("\n\n") == 1 and text.endswith("?\n")


def test_every_template_belongs_to_a_section():
    used = {
        node.args[0].value
        for path in REPORT.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "Section"
        and isinstance(node.args[0], ast.Constant)
    }
    assert used == {path.name.removesuffix(".md.j2") for path in REPORT.glob("templates/*")}


def test_every_position_of_an_intervention_has_words():
    assert get_args(TokenPositions) == tuple(WHERE)


@pytest.mark.parametrize(
    ("auroc", "words"),
    [
        ((0.6, 0.4, 0.7), "not predicted (the interval contains 0.5)"),
        ((0.6, 0.55, 0.7), "predicted, but no better than by random directions"),
        ((0.9, 0.85, 0.95), "predicted"),
        ((0.1, 0.05, 0.15), "predicted with the opposite sign"),
    ],
)
def test_a_verdict_needs_an_interval_beyond_chance(auroc, words):
    row = dict(zip(estimate("auroc"), auroc, strict=True)) | {"random_low": 0.2, "random_high": 0.8}
    assert verdict(row) == words


@pytest.mark.parametrize(
    ("difference", "words"),
    [
        ((0.2, 0.1, 0.3), "changes more"),
        ((-0.2, -0.3, -0.1), "changes fewer"),
        ((0.2, -0.1, 0.4), "does not differ significantly from steering"),
    ],
)
def test_training_beats_steering_only_beyond_its_interval(difference, words):
    row = dict(zip(estimate("changed_share_difference"), difference, strict=True))
    assert _verdict(row)["words"] == words


def test_a_letter_that_explains_the_labels_is_named():
    rows = {"family": ["f", "g"], "by": ["letter answered", "item"], "auroc": [0.99, None]}
    confounds = pl.DataFrame(rows | {"explained_variance": [0.9, None]})
    text = render(labels_section(confounds, pl.DataFrame()))
    assert "variance explained by letter answered 90%; AUROC of letter answered 0.99." in text
    assert "**The letter answered explains the label**" in text
    assert "**g**" not in text
    assert "Agreement" not in text


def test_sections_and_figures_read_columns_of_the_contracts():
    # Of family and source; of anticipation and record; of charts.
    derived = {"name", "variant", "panel"}
    folders = (REPORT, REPORT.parent / "figures", REPORT.parent / "page")
    modules = [path for folder in folders for path in folder.glob("*.py")]
    calls = [
        node
        for path in modules
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("pl.col", "interval_of", "range_of")
    ]
    names = {str(call.args[-1].value) for call in calls if isinstance(call.args[-1], ast.Constant)}
    assert len(names) > 25
    bare = {name.removesuffix("_low").removesuffix("_high") for name in names}
    assert {name.removeprefix("other_") for name in bare} - all_columns() - derived == set()
