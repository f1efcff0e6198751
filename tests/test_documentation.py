"""The README and docs/ say what reports, schema, dvc.yaml and scripts say, and lead somewhere."""

from __future__ import annotations

import csv
import json
import re
import sys
import tomllib
from datetime import date
from pathlib import Path

import networkx as nx
import pytest
from conftest import ROOT, run
from documented_commands import PAGES
from dvc.repo import Repo
from ruamel.yaml import YAML

from sycophancy_steering.documentation.blocks import filled
from sycophancy_steering.documentation.fill import COMMAND, main, outdated_pages
from sycophancy_steering.documentation.report_values import csv_table
from sycophancy_steering.documentation.short_verdict import found_sentence, share, short_verdict
from sycophancy_steering.documentation.stage_reference import read_script
from sycophancy_steering.foundation.errors import InputError

BY_HAND = {
    "minutes of `make study` on two cores, after timing",
    "minutes of `make tuning` on two cores",
}
"""What no file has: measured once, by the maintainers."""


def read(page: Path | str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def test_the_readme_fits_on_three_screens():
    text = read("README.md")
    assert len(text.splitlines()) <= 180
    assert len(text.encode()) <= 12_000


def test_the_caveat_stands_at_the_top_of_the_readme():
    assert "caveat" in read("README.md").splitlines()[2]


def test_every_block_is_up_to_date(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert [*outdated_pages()] == [], f"run `{COMMAND}`"


def test_what_is_written_by_hand_is_named_here():
    assert {
        name for page in PAGES for name in re.findall(r"<!-- by hand: (.+?) -->", read(page))
    } == BY_HAND


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    """A folder with a README of two blocks, and what they are filled from."""
    (tmp_path / "sycophancy_steering").symlink_to(ROOT / "sycophancy_steering")
    (tmp_path / "docs").mkdir()
    (tmp_path / "a.json").write_text(json.dumps({"x": {"y": 0.456}}))
    (tmp_path / "b.csv").write_text("model,auroc,auroc_low,auroc_high\nm,0.5,0.405,0.6\nn,1,1,1\n")
    (tmp_path / "README.md").write_text(
        "It is <!-- from: a.json x.y .0% -->9%<!-- end -->, took "
        "<!-- by hand: minutes -->7<!-- end -->.\n\n"
        '<!-- from: b.csv model=m model "auroc:AUROC, all" -->\nold\n<!-- end -->\n'
    )
    return tmp_path


def test_a_page_is_filled_by_a_command_and_checked_by_it(pages):
    command = COMMAND.split()
    check = run(pages, *command, "--check")
    assert check.returncode == 1
    assert check.stderr == f"error: out of date: README.md; run `{COMMAND}`\n"
    assert "9%" in (pages / "README.md").read_text()
    assert run(pages, *command).stdout == "filled: README.md\n"
    assert (pages / "README.md").read_text() == (
        "It is <!-- from: a.json x.y .0% -->46%<!-- end -->, took "
        "<!-- by hand: minutes -->7<!-- end -->.\n\n"
        '<!-- from: b.csv model=m model "auroc:AUROC, all" -->\n'
        "| model | AUROC, all |\n| --- | --- |\n| m | 0.50 [0.41, 0.60] |\n<!-- end -->\n"
    )
    check = run(pages, *command, "--check")
    assert (check.returncode, check.stdout) == (0, "every block is up to date\n")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a <!-- from: a.json x.z -->1<!-- end -->", "line 1: a.json: x.z: expected a value"),
        ("a <!-- from: a.json x.y d -->1<!-- end -->", "line 1: a.json: x.y: expected a value"),
        ("\na <!-- from: no.json x -->1<!-- end -->", "line 2: no.json: not found"),
        ("<!-- from: b.csv model=z model -->\n<!-- end -->", "b.csv: expected rows and columns"),
        ("<!-- from: b.csv modle -->\n<!-- end -->", "b.csv: modle: expected one of model, auroc"),
        ("<!-- from: what -->\n<!-- end -->", "expected verdict MODEL, stages"),
        ("a <!-- from: a.json x.y -->1", "expected <!-- end --> after the beginning"),
        ("a <!-- end -->", "expected <!-- end --> after the beginning"),
        ("<!-- from: a.json x.y -->1<!-- end -->", "expected a word before a block"),
        ("a <!-- from: b.csv model -->1<!-- end -->", "expected this block on lines of its own"),
    ],
)
def test_a_block_that_cannot_be_filled_is_one_line(pages, monkeypatch, capsys, text, said):
    (pages / "README.md").write_text(text)
    monkeypatch.chdir(pages)
    monkeypatch.setattr(sys, "argv", ["fill"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: README.md") and said in line
    assert (pages / "README.md").read_text() == text


def test_a_text_that_is_computed_may_hold_anything():
    text = "<!-- from: x -->\n<!-- end -->\n"
    assert filled(text, "p", lambda _: r"\1 | \g<0>") == text.replace(
        "-->\n<", "-->\n\\1 | \\g<0>\n<", 1
    )


def test_cells_of_a_table_cannot_break_it(tmp_path):
    (tmp_path / "t.csv").write_text('name,sure\n"a|b\nc",true\n,false\n')
    table = csv_table(tmp_path / "t.csv", ["name", "sure"])
    assert table.splitlines()[2:] == ["| a\\|b c | yes |", "| - | no |"]


def rows(path: str) -> list[dict[str, str]]:
    with open(ROOT / path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_verdict_says_what_the_tables_say(monkeypatch):
    monkeypatch.chdir(ROOT)
    params = YAML(typ="safe").load(ROOT / "params.yaml")
    suite = params["suite"]["plain_english"]
    behaviour = rows(f"reports/label_tables/smollm2/{suite['evaluation_set']}.behaviour.csv")
    moved = [row["family"] for row in behaviour if row["sycophantic"] == "true"]
    assert moved, "a model that nothing moves needs another test"
    aurocs = {
        row["family"]: row
        for row in rows("reports/analysis/smollm2/predictivity.csv")
        if row["vector"] == suite["headline"]
    }
    enough = {row["family"] for row in rows("reports/power/smollm2.csv")
              if row["planted"] == "as_labelled" and row["detectable_auroc"]}  # fmt: skip
    families = [family for family in moved if family in enough]
    text = short_verdict("smollm2")
    assert f"In {len(moved)} of {len(behaviour)} kinds of question" in text
    for column, words in (
        ("auroc_low", "Before it answers, in"),
        ("continuation_auroc_low", "after, in"),
    ):
        number = sum(float(aurocs[family][column]) > 0.5 for family in families)
        assert f"{words} **{number or 'none'} of {len(families)}**" in text
    table = [line.split(" | ") for line in text.splitlines() if line.startswith("| ")][2:]
    assert [cells[0].strip("| ") for cells in table] == moved
    for family, cells in zip(moved, table, strict=True):
        (row,) = [row for row in behaviour if row["family"] == family]
        assert float(cells[1].split()[0]) == pytest.approx(float(row["rate"]), abs=0.00501)
        if family in enough:
            numbers = [float(number) for number in re.findall(r"[\d.]+", cells[2])]
            expected = [float(aurocs[family][f"auroc{end}"]) for end in ("", "_low", "_high")]
            assert numbers == pytest.approx(expected, abs=0.00501)
        else:
            assert cells[2] == "too few answers to say"


def test_shares_and_effect_sizes_are_put_into_words():
    assert share([], {"a": 1, "b": 2}) == "**none of 2**"
    assert share(["a"], {"a": 1, "b": 2}) == "**1 of 2** (a)"
    assert found_sentence([]).startswith("No")
    assert "true AUROC of 0.76." in found_sentence([0.76])
    assert "0.70 to 0.80" in found_sentence([0.8, 0.7])


def test_the_diagram_is_dvcs_own_graph():
    text = read("README.md")
    drawn = nx.DiGraph()
    drawn.add_nodes_from(re.findall(r'^    (\w+)\["<b>\1</b>', text, re.MULTILINE))
    for line in re.findall(r"^    (\w[\w &]* --> .*)$", text, re.MULTILINE):
        writers, readers = (side.split(" & ") for side in line.split(" --> "))
        drawn.add_edges_from((writer, reader) for writer in writers for reader in readers)
    with Repo(str(ROOT)) as repo:
        graph = repo.index.graph.reverse()
        names = {stage: str(getattr(stage, "name", "")).partition("@")[0] for stage in graph}
        of_study = {stage for stage in graph if Path(stage.path) == ROOT / "dvc.yaml"}
        edges = {(names[a], names[b]) for a, b in graph.subgraph(of_study).edges}
        stages = {names[stage] for stage in of_study}
    expected = nx.transitive_closure(nx.DiGraph(edges))
    run_by_default = nx.transitive_closure(drawn).subgraph(stages)
    assert set(run_by_default.edges) == set(expected.edges)
    assert set(drawn) == {*YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]}


def test_the_reference_has_every_key_of_the_schema():
    text = read("docs/params.md")
    schema = json.loads(read("params.schema.json"))
    assert [line[3:] for line in text.splitlines() if line.startswith("## ")] == [
        *schema["properties"]
    ]
    keys = {key for part in schema["$defs"].values() for key in part.get("properties", {})}
    assert {key for key in keys - {"kind"} if f"| `{key}` | " not in text} == set()
    assert "| `kind` | `model`, `address` |" in text and "### kind: hub\n" in text
    assert "| `n_draws` | integer from 20 | " in text
    assert not re.search(r"\bNone\b|\$ref|\| +\|", text)


@pytest.mark.parametrize("script", sorted((ROOT / "stages").glob("*.py")), ids=lambda p: p.stem)
def test_the_reference_has_every_stage(script):
    done = run(ROOT, "python", f"stages/{script.name}", "--help")
    assert done.returncode == 0, done.stderr
    section = read("docs/stages.md").split(f"\n### {script.stem}\n")[1].split("\n##")[0]
    positional = re.findall(r"^  (\w+) ", done.stdout.partition("arguments:")[2], re.MULTILINE)
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == positional
    described = section.partition("| argument")[0]
    words = re.sub(r"```(usage)?", "", described).split()
    assert " ".join(words) in " ".join(done.stdout.split())


def test_a_script_without_usage_is_named(tmp_path):
    (tmp_path / "a.py").write_text('"""Does it."""\n')
    with pytest.raises(InputError, match=r"a.py: expected a docstring of a title"):
        read_script(tmp_path / "a.py")


LINKING = [*PAGES, *map(Path, ("CONTRIBUTING.md", "data/grades/README.md", "data/public/README.md",
                               "presets/overlays/README.md"))]  # fmt: skip


@pytest.mark.parametrize("page", LINKING, ids=str)
def test_every_file_that_a_page_links_to_is_there(page):
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", read(page))
    files = [link for link in links if "://" not in link]
    assert [link for link in files if not (ROOT / page.parent / link).exists()] == []


@pytest.mark.parametrize("page", LINKING, ids=str)
def test_every_script_that_a_page_names_is_there(page):
    named = re.findall(r"\b((?:stages|benchmarks|tests|presets)/\w+\.(?:py|yaml))\b", read(page))
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_documentations_first_page_leads_to_every_page():
    linked = {link for link in re.findall(r"\]\((\w+\.md)\)", read("docs/README.md"))}
    assert linked == {path.name for path in ROOT.glob("docs/*.md")} - {"README.md"}


def test_the_citation_is_of_this_version_and_licence():
    citation = YAML(typ="safe").load(ROOT / "CITATION.cff")
    project = tomllib.loads(read("pyproject.toml"))["project"]
    assert citation["version"] == project["version"]
    assert citation["license"] == project["license"] == "Apache-2.0"
    assert "Apache License" in read("LICENSE") and "Version 2.0" in read("LICENSE")
    assert citation["authors"] == [{"name": "the project's maintainers"}]
    assert {"cff-version", "message", "title", "type"} <= citation.keys()
    assert not isinstance(citation["version"], date)
