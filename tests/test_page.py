"""The page: what is packed, escaped and said; a new section is a function and a template."""

from __future__ import annotations

import base64
import gzip
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from conftest import ROOT, run, run_stage

from sycophancy_steering.formatting.numbers import Interval, Range
from sycophancy_steering.page import packing
from sycophancy_steering.page.all_sections import QUESTIONS
from sycophancy_steering.page.colours import COLOURS, coloured
from sycophancy_steering.page.comparison import compared
from sycophancy_steering.page.differences import MOST_WORDS, marked
from sycophancy_steering.page.dots_svg import MARGIN, WIDTH, Scale, dot
from sycophancy_steering.page.first_screen import NO, UNCLEAR, YES, Row, sentence
from sycophancy_steering.page.lock import output_of, read_records
from sycophancy_steering.page.packing import pack
from sycophancy_steering.page.rendering import (
    content_hash,
    make_environment,
    page_json,
    render_page,
)
from sycophancy_steering.page.section import Question, Section
from sycophancy_steering.page.simpler import MARGIN as LOGIT_MARGIN
from sycophancy_steering.page.simpler import PROBE, WORDS, Simpler
from sycophancy_steering.page.study import Study
from sycophancy_steering.report.summary import read_settings
from sycophancy_steering.report.templates import Quotation, TableData

PAGE = ROOT / "sycophancy_steering/page"
HOSTILE = '<script>alert(1)</script> | "quoted" & \u202eright to left\u202c </script><!-- \u2028'


def unpacked(column: packing.PackedColumn, rows: int) -> list[str | None]:
    """The cells of a packed column as the browser shows them, by the words of packing.py."""
    stored = []
    for chunk in column.chunks:
        planes = np.frombuffer(gzip.decompress(base64.b64decode(chunk)), np.uint8)
        planes = planes.reshape(column.width, -1).astype(np.int64)
        stored += [*(planes << 8 * np.arange(column.width)[:, None]).sum(0)]
    assert len(stored) == rows
    values = [None if cell == 0 else int(cell) - 1 + column.lowest for cell in stored]
    if column.words is not None:
        return [None if value is None else column.words[value] for value in values]
    unit = 10**column.decimals
    return [None if value is None else f"{value / unit:.{column.decimals}f}" for value in values]


def test_packed_numbers_are_those_of_the_table_to_the_digits_shown(monkeypatch):
    monkeypatch.setattr(packing, "CHUNK", 700)
    random = np.random.default_rng(0)
    ties = np.array([0.0005, 0.0015, 0.0625, 0.6785, 0.1245, -0.0005, -0.6785, 2.5e-4, 1.0, 0.0])
    numbers = np.concatenate([random.uniform(-1, 1, 2000), ties, [np.nan]])
    table = pl.DataFrame({"auroc": numbers, "n": range(len(numbers))})
    auroc, n = pack(table, {"auroc": 3})
    expected = [None if x != x else f"{x:.3f}".replace("-0.000", "0.000") for x in numbers]
    assert unpacked(auroc, len(numbers)) == expected
    assert unpacked(n, len(numbers)) == [str(value) for value in range(len(numbers))]
    assert (auroc.width, n.width, len(auroc.chunks)) == (2, 2, 3)


def test_packed_words_keep_missing_and_hostile_ones():
    words = ["b", None, HOSTILE, "a", "b"]
    table = pl.DataFrame({"word": words, "yes": [True, False, None, True, True]})
    word, yes = pack(table, {})
    assert unpacked(word, 5) == words
    assert unpacked(yes, 5) == ["true", "false", None, "true", "true"]


def test_wide_numbers_take_four_bytes_and_an_empty_column_none_too_few():
    table = pl.DataFrame(
        {"n": [0, 10**6], "nothing": [None, None]}, schema_overrides={"nothing": pl.Float64}
    )
    n, nothing = pack(table, {})
    assert n.width == 4 and unpacked(n, 2) == ["0", "1000000"]
    assert unpacked(nothing, 2) == [None, None]


def test_packing_is_the_same_each_time():
    table = pl.DataFrame({"a": [0.5, 0.25] * 100})
    assert pack(table, {"a": 3}) == pack(table, {"a": 3})
    assert gzip.decompress(base64.b64decode(packing.pack_bytes(b"x" * 99))) == b"x" * 99
    assert base64.b64decode(packing.pack_bytes(b"x"))[4:8] == b"\0\0\0\0"  # no time of day


def test_json_cannot_end_its_script_element():
    text = str(page_json({"words": HOSTILE}))
    assert "<" not in text and ">" not in text
    assert json.loads(text)["words"] == HOSTILE


def test_cells_of_tables_are_escaped():
    template = make_environment().get_template("table.html.j2")
    table = TableData(["name", HOSTILE], [[HOSTILE, Quotation(HOSTILE)]])
    html = template.render(table=table, caption=HOSTILE)
    assert "<script" not in html and html.count("&lt;script&gt;") == 5
    assert '<th scope="row">' in html and html.count('<th scope="col">') == 2


def test_differences_are_marked_word_by_word_and_escaped():
    assert marked("the cat sat down", "the cat sat") == "the cat sat<ins> down</ins>"
    assert marked("the cat", "the cat sat") == "the cat<del> sat</del>"
    assert marked("same words", "same words") == "same words"
    html = marked(f"kept the {HOSTILE}", "kept the original")
    assert "<script" not in html and html.startswith("kept the<del> original</del><ins> &lt;script")
    assert marked("", "gone") == "<del>gone</del>"


def test_a_single_common_word_does_not_break_a_difference():
    assert marked("a b of c d", "p q of r s") == "<del>p q of r s</del><ins>a b of c d</ins>"


def test_very_long_texts_are_shown_without_marks():
    text = "<b> " * (MOST_WORDS + 1)
    assert marked(text, "another") == text.replace("<", "&lt;").replace(">", "&gt;")


def test_a_dot_stays_in_its_picture():
    picture = dot(Interval(5.0, -9.0, 9.0), Scale(0.0, 1.0), null=Range(-3.0, 3.0), tick=0.5)
    places = [float(x) for x in re.findall(r'(?:x|x1|x2|cx)="([-0-9.]+)"', picture)]
    assert min(places) >= MARGIN and max(places) <= WIDTH - MARGIN
    assert "whisker" not in dot(Interval(0.5, float("nan"), float("nan")))


def test_a_series_keeps_its_colour_where_others_are_missing():
    assert coloured(["a", "b", "c"], ["c", "a"]) == {"a": COLOURS[0], "c": COLOURS[2]}


def simpler(**changed) -> Simpler:
    values = {
        "family": "f",
        "n": 50,
        "n_items": 20,
        "vector": Interval(0.8, 0.7, 0.9),
        "predictors": {WORDS: Interval(0.7, 0.6, 0.8), LOGIT_MARGIN: Interval(1.0, 0.9, 1.0)},
        "random": Range(0.3, 0.7),
        "added_to_words": Interval(0.1, 0.02, 0.2),
        "over_probe": Interval(0.1, -0.1, 0.3),
        "margin_is_label": True,
    }
    return Simpler(**values | changed)


def test_a_vector_is_better_only_if_its_gain_over_the_best_simpler_thing_is_shown():
    assert simpler().better and simpler().best[0] == WORDS
    assert not simpler(added_to_words=Interval(0.1, -0.02, 0.2)).better
    assert not simpler(vector=Interval(0.69, 0.6, 0.8)).better  # as good as a random direction
    probe = {PROBE: Interval(0.75, 0.6, 0.9)}
    assert not simpler(predictors=probe).better
    assert simpler(predictors=probe, over_probe=Interval(0.1, 0.01, 0.2)).better
    assert simpler(margin_is_label=False).best[0] == LOGIT_MARGIN
    assert simpler(predictors={}, margin_is_label=True).best[0] == "random directions"


@pytest.mark.parametrize(
    ("tones", "words"),
    [
        ((NO, NO, NO, NO, NO), "there is nothing to predict"),
        ((YES, NO, NO, NO, NO), "Nothing shows that its steering vector predicts this before"),
        ((YES, NO, YES, NO, NO), "(it does once it has answered), nor that the vector is a cause."),
        ((YES, YES, YES, YES, YES), "better than simpler things; adding the vector moves"),
        ((YES, YES, YES, NO, UNCLEAR), "nothing shows that it does so better than simpler things"),
    ],
)
def test_the_sentence_says_what_the_rows_say(tones, words):
    rows = [Row("?", "", tone, "Yes, on 2 of 3 kinds", {}) for tone in tones]
    assert words in sentence(rows)


def test_a_comparison_draws_what_changed_and_lists_the_rest():
    diff = {
        "reports/metrics/m.json": {
            "layer": {"old": 3, "new": 4, "diff": 1},
            "opinion_auroc": {"old": 0.5, "new": 0.75, "diff": 0.25},
            "new_auroc": {"old": None, "new": 0.75},
        }
    }
    section = compared("main", diff)
    assert section.finding == "3 metrics differ between main and this run."
    assert section.figure is not None
    assert section.figure.data.rows() == [("metrics/m.json: opinion_auroc", 0.5, 0.75)]
    assert section.tables[0].table.rows[0] == ["reports/metrics/m.json", "layer", 3, 4, 1.0]
    nothing = compared("main", {})
    assert nothing.figure is None and nothing.finding.startswith("No metric differs")


def luminance(colour: str) -> float:
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_text_and_series_have_contrast_in_light_and_dark():
    style = (PAGE / "assets/page.css").read_text()
    light, dark = (
        dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", block))
        for block in re.findall(r":root[^{]*\{(.*?)\}", style, re.DOTALL)[:2]
    )
    for scheme in (light, dark):
        for text in ("text", "muted", "link", "yes", "no", "unclear"):
            for back in ("back", "panel"):
                assert contrast(scheme[text], scheme[back]) >= 4.5, (text, back)
        assert all(contrast(scheme["text"], scheme[back]) >= 4.5 for back in ("added", "gone"))
        assert all(contrast(colour, scheme["back"]) >= 3 for colour in (*COLOURS, scheme["dot"]))


@pytest.fixture
def in_study(finished_study, monkeypatch) -> Study:
    monkeypatch.chdir(finished_study)
    settings = read_settings()
    return Study(settings, next(iter(settings.suites)))


def test_a_new_section_is_one_function_and_one_template(in_study, tmp_path):
    def letters(study: Study) -> Section:
        share = study.behaviour["rate"].max()
        return Section(f"At most {share:.2f} <b>of all</b>.", ["reports/extra.csv"])

    (tmp_path / "letters.html.j2").write_text('{% extends "section.html.j2" %}')
    questions = [Question("letters", "How about letters?", letters)]
    html = render_page(in_study, questions, [tmp_path])
    assert '<section id="letters"' in html and "How about letters?" in html
    assert "&lt;b&gt;of all&lt;/b&gt;" in html
    assert '<a href="#letters">How about letters?</a>' in html


def test_every_question_has_a_template_and_every_template_is_used():
    shared = {"page", "first_screen", "section", "table", "comparison"}
    templates = {path.name.removesuffix(".html.j2") for path in (PAGE / "templates").iterdir()}
    assert templates == {question.id for question in QUESTIONS} | shared


def test_the_same_study_gives_the_same_bytes(finished_study, study):
    before = (finished_study / "reports/index.html").read_bytes()
    done = run_stage(study, "page")
    assert done.returncode == 0, done.stderr
    assert (study / "reports/index.html").read_bytes() == before


def test_the_page_allows_its_own_scripts_and_nothing_else(finished_study):
    html = (finished_study / "reports/index.html").read_text()
    policy = html.split('Content-Security-Policy" content="')[1].split('"')[0].replace("&#39;", "'")
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    script = html.split("<script>")[1].split("</script>")[0]
    style = html.split("<style>")[1].split("</style>")[0]
    packed = html.split('id="charting-library">')[1].split("</script>")[0]
    library = gzip.decompress(base64.b64decode(packed)).decode()
    assert all(content_hash(content) in policy for content in (script, style, library))
    assert not re.search(r'(?:src|href)="(?!#)', html)
    assert " style=" not in html and " onclick=" not in html


def test_every_link_leads_somewhere_on_the_page(finished_study):
    html = (finished_study / "reports/index.html").read_text()
    targets = {*re.findall(r' id="([^"]+)"', html)}
    links = {*re.findall(r' href="#([^"]+)"', html)}
    assert len(links) > 15 and links <= targets


def test_numbers_of_the_first_screen_are_those_of_the_summary(finished_study):
    html = (finished_study / "reports/index.html").read_text()
    summary = (finished_study / "reports/summary.md").read_text()
    first = html.split('<nav id="sections"')[0]
    numbers = re.findall(r'class="number">([^<]*)<', first)
    assert numbers and all(number.removesuffix(" log-odds") in summary for number in numbers)


def test_every_source_of_a_section_exists_and_is_recorded(in_study):
    records = read_records()
    sources = {
        source
        for question in QUESTIONS
        for section in [question.answer(in_study)]
        if section
        for source in section.sources
    }
    assert len(sources) > 15
    for source in sources - {"dvc.lock"}:
        assert Path(source).exists(), source
        in_git = run(Path.cwd(), "git", "ls-files", "--error-unmatch", source).returncode == 0
        assert output_of(source, records) or in_git, source


def test_the_records_are_those_before_the_page(in_study):
    names = {record.name for record in read_records()}
    assert {"prompts", "activations", "labels", "vectors", "analysis"} <= names
    assert names & {"page", "report", "figures"} == set()
    prompts = next(record for record in read_records() if record.name == "prompts")
    assert prompts.outputs[0].path == "data/prompts" and len(prompts.outputs[0].md5) > 30
    assert "stages/prompts.py" in prompts.code and "split" in prompts.params["params.yaml"]


def test_a_study_that_dvc_did_not_run_says_so(in_study, tmp_path, monkeypatch):
    assert read_records(tmp_path / "dvc.lock") == []


def test_a_revision_that_does_not_exist_is_one_line(study):
    done = run_stage(study, "page", "no-such-branch")
    assert done.returncode == 1
    assert done.stderr.startswith("error: dvc metrics diff no-such-branch: ")
    assert len(done.stderr.splitlines()) == 1
    assert not (study / "reports/comparison.html").exists()


def test_a_comparison_is_a_page_of_its_own(study):
    behaviour = study / "reports/behaviour.json"
    metrics = study / "reports/metrics/tiny.json"
    values = json.loads(metrics.read_text())
    metrics.write_text(json.dumps(values | {"layer": values["layer"] + 1}))
    assert behaviour.exists()
    done = run_stage(study, "page", "main")
    assert done.returncode == 0, done.stderr
    html = (study / "reports/comparison.html").read_text()
    assert "1 metrics differ between main and this run." in html


def test_the_stage_imports_no_torch_and_no_plotting():
    code = (
        "import sys; sys.path.insert(0, 'stages'); import page; "
        "print({'torch', 'transformers', 'matplotlib', 'vl_convert'} & {*sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
