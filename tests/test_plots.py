"""`dvc plots` draws the study offline, with this project's templates."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import polars as pl
import pytest
import vl_convert
from conftest import ROOT, git, run, run_stage

from sycophancy_steering.figures.style import METHOD_STYLES
from sycophancy_steering.schemas.figures import PLOTTED_ATLAS, PLOTTED_LAYERS

TITLES = {
    "atlas": "Atlas: every vector at the layer selected for it",
    "layers": "How well vectors predict, by layer",
}


@pytest.fixture
def plotted(study_with_answers: Path) -> Path:
    """A study whose figures are up to date and committed, with the offline template written."""
    done = run_stage(study_with_answers, "figures")
    assert done.returncode == 0, done.stderr
    git(study_with_answers, "add", "--all")
    git(study_with_answers, "commit", "--quiet", "--message=figures")
    done = run(study_with_answers, "python", "-m", "sycophancy_steering.figures.offline_plots")
    assert done.returncode == 0, done.stderr
    return study_with_answers


def written_page(folder: Path, *command: str) -> str:
    """The HTML that a `dvc plots` command writes."""
    shutil.rmtree(folder / "dvc_plots", ignore_errors=True)
    done = run(folder, "dvc", "plots", *command)
    assert done.returncode == 0, done.stderr
    return (folder / "dvc_plots/index.html").read_text(encoding="utf-8")


def specs(page: str) -> dict[str, dict]:
    """The Vega-Lite specifications of a page, by title."""
    found = (json.loads(line) for line in re.findall(r"var spec = (\{.*\});", page))
    return {spec["title"]["text"]: spec for spec in found}


def outside(page: str) -> list[str]:
    """What a browser would load from another host."""
    loaded = re.findall(r"""<(?:script|link|img|iframe)[^>]*(?:src|href)=["']?([^"'> ]+)""", page)
    return [address for address in loaded if re.match(r"(https?:)?//", address)]


def test_what_would_be_loaded_from_outside_is_seen():
    page = '<script src="https://a.b/c"></script><img src="static/x.png"><link href=//d.e/f>'
    assert outside(page) == ["https://a.b/c", "//d.e/f"]


def test_plots_are_shown_offline_with_our_templates(plotted):
    page = written_page(plotted, "show")
    assert outside(page) == []
    assert "vegaEmbed" in page and "window.vegaEmbed=" in page
    shown = specs(page)
    assert {*TITLES.values()} <= {*shown}
    for name, table in (("atlas", PLOTTED_ATLAS), ("layers", PLOTTED_LAYERS)):
        spec = shown[TITLES[name]]
        values = pl.DataFrame(spec["data"]["values"])
        expected = table.read()
        assert len(values) == len(expected) > 0
        assert values["auroc"].cast(pl.Float64).to_list() == expected["auroc"].to_list()
        assert vl_convert.vegalite_to_svg(spec).count("<path") > len(expected) / 4
    pictures = re.findall(r'<img src="(static/[^"]+)"', page)
    assert len(pictures) == len(list((plotted / "reports/plots").glob("*.png"))) > 10
    assert all((plotted / "dvc_plots" / picture).is_file() for picture in pictures)


def test_a_difference_of_two_revisions_is_drawn_offline(plotted):
    table = PLOTTED_ATLAS.read().with_columns(pl.lit(0.25).alias("auroc"))
    PLOTTED_ATLAS.write(table)
    page = written_page(plotted, "diff", "HEAD", "--targets", str(PLOTTED_ATLAS.path()))
    assert outside(page) == []
    spec = specs(page)[TITLES["atlas"]]
    by_revision = pl.DataFrame(spec["data"]["values"]).group_by("rev").len()
    assert dict(by_revision.iter_rows()) == {"HEAD": len(table), "workspace": len(table)}
    svg = vl_convert.vegalite_to_svg(spec)
    assert "HEAD" in svg and "workspace" in svg


@pytest.mark.parametrize("name", TITLES)
def test_templates_have_the_colours_of_all_figures(name):
    text = (ROOT / f".dvc/plots/{name}.json").read_text()
    domain = json.dumps([*METHOD_STYLES])
    colours = json.dumps([style.colour for style in METHOD_STYLES.values()])
    compact = json.dumps(json.loads(text))
    assert f'"domain": {domain}, "range": {colours}' in compact


def test_outside_a_repository_the_template_is_not_written(study):
    (study / ".dvc").rename(study / "elsewhere")
    done = run(study, "python", "-m", "sycophancy_steering.figures.offline_plots")
    assert done.returncode == 1
    assert done.stderr.startswith("error: .dvc: not found")
    assert not (study / ".dvc").exists()
