"""The page in a browser: what it draws, filters and links to, and that it asks nothing of anyone.

Needs Debian's `chromium`. The test of accessibility also needs axe-core in .work/axe-core;
`.ci/run` fetches both.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import ROOT, run_stage

playwright_api = pytest.importorskip("playwright.sync_api", reason="no playwright installed")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
AXE = ROOT / ".work/axe-core/package/axe.min.js"
HOSTILE = '<script>hacked=1</script><img src=x onerror="hacked=1"> | *a* \u202eabc\u202c </table>'
LONG = f"{HOSTILE} " + "word " * 20000
"""100 KB."""
STATUS = "#atlas-table .status"

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium installed")


@pytest.fixture(scope="module")
def page_file(finished_study, tmp_path_factory) -> Path:
    """The page on a study whose questions and responses are hostile."""
    folder = tmp_path_factory.mktemp("hostile") / "study"
    shutil.copytree(finished_study, folder, symlinks=True)
    texts = folder / "reports/interventions/tiny/texts.csv"
    table = pl.read_csv(texts).with_columns(
        minus=pl.lit(LONG), baseline=pl.lit(HOSTILE), plus=pl.lit(f"{HOSTILE} more")
    )
    replace(texts, lambda path: table.write_csv(path))
    prompts = folder / "data/prompts/held_out.parquet"
    rows = pq.read_table(prompts)
    changed = rows.to_pylist()
    for row in changed:
        row["messages"][-1]["content"] = HOSTILE
    hostile = pa.Table.from_pylist(changed, schema=rows.schema)
    replace(prompts, lambda path: pq.write_table(hostile, path))
    done = run_stage(folder, "page")
    assert done.returncode == 0, done.stderr
    return folder / "reports/index.html"


def replace(path: Path, write) -> None:
    """Writes anew what may be a read-only link into DVC's cache."""
    path.unlink()
    write(path)


@pytest.fixture(scope="module")
def browser() -> Iterator:
    with playwright_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Visit:
    """A page that is open, and all that went wrong or out while it was."""

    def __init__(self, browser, file: Path, address: str = "", **settings):
        self.context = browser.new_context(
            **{"viewport": {"width": 1280, "height": 800}} | settings
        )
        self.page = self.context.new_page()
        self.messages: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.messages.append(message.text))
        self.page.on("pageerror", lambda error: self.messages.append(str(error)))
        self.page.on("dialog", lambda dialog: self.messages.append(dialog.message))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(f"{file.as_uri()}{address}")

    def draw_all(self) -> None:
        """Opens what folds, draws all figures, and unpacks the atlas."""
        self.page.evaluate("document.querySelectorAll('details').forEach((one) => one.open = true)")
        self.page.evaluate("drawAll()")
        self.page.locator("#atlas").scroll_into_view_if_needed()
        self.page.locator(STATUS, has_text="cells").wait_for()

    def count(self) -> int:
        return int(self.page.locator(STATUS).inner_text().split(" ")[0].replace(",", ""))

    def rows(self) -> list[list[str]]:
        """The cells of the atlas that are in the document."""
        script = (
            "[...document.querySelectorAll('.viewport tbody tr:not(.spacer)')]"
            ".map((row) => [...row.cells].map((cell) => cell.textContent))"
        )
        return self.page.evaluate(script)


@pytest.fixture
def visit(browser, page_file) -> Iterator:
    visits = []

    def open_page(address: str = "", **settings) -> Visit:
        visits.append(Visit(browser, page_file, address, **settings))
        return visits[-1]

    yield open_page
    for one in visits:
        one.context.close()


@pytest.fixture
def atlas(page_file) -> pl.DataFrame:
    return pl.read_parquet(page_file.parent / "atlas.parquet")


def test_everything_is_drawn_without_a_message_or_a_request(visit, page_file):
    one = visit()
    one.draw_all()
    charts = one.page.locator(".chart")
    assert charts.count() > 7
    assert one.page.locator(".chart[data-drawn] svg").count() == charts.count()
    assert one.messages == []
    assert one.requests == [page_file.as_uri()]


def test_hostile_text_is_text(visit):
    one = visit()
    one.draw_all()
    text = one.page.locator("#texts .texts").inner_text()
    assert HOSTILE in text
    assert len(one.page.locator("#texts td").nth(0).inner_text()) > 100_000
    assert HOSTILE in one.page.locator("#questions").inner_text()
    assert one.page.evaluate("typeof hacked") == "undefined"
    assert one.page.locator("img").count() == 0
    assert one.messages == []


def test_hostile_text_on_hovering_is_text(visit):
    one = visit()
    marks = one.page.locator("#questions .chart svg g.role-mark path")
    one.page.locator("#questions").scroll_into_view_if_needed()
    marks.first.wait_for()
    one.page.wait_for_timeout(500)  # a chart may be drawn twice while the page settles
    marks.first.hover(force=True)  # finds the mark again where the chart was drawn anew
    tooltip = one.page.locator("#vg-tooltip-element.visible")
    playwright_api.expect(tooltip).to_contain_text("<script>hacked=1</script>")
    assert tooltip.locator("img, script").count() == 0
    assert one.page.evaluate("typeof hacked") == "undefined"
    assert one.messages == []


def test_every_filter_leaves_the_cells_that_it_says(visit, atlas):
    one = visit()
    one.draw_all()
    assert one.count() == len(atlas)
    selects = one.page.locator("#atlas-table select")
    assert selects.count() == 12
    for n in range(selects.count()):
        select = selects.nth(n)
        name = str(select.get_attribute("name"))
        options = select.locator("option").evaluate_all("(all) => all.map((one) => one.value)")
        words = atlas[name].cast(pl.String)
        assert sorted(options[1:]) == sorted(words.unique().drop_nulls())
        for option in options[1:]:
            select.select_option(option)
            assert one.count() == (words == option).sum(), (name, option)
        select.select_option("")
    assert one.count() == len(atlas)


def test_sorted_numbers_are_those_of_the_table(visit, atlas):
    one = visit()
    one.draw_all()
    one.page.locator(".viewport thead button", has_text="AUROC").first.click()
    place = one.page.locator(".viewport thead th").all_inner_texts().index("AUROC")
    known = atlas.filter(pl.col("auroc").is_not_nan()).sort("auroc", descending=True)
    shown = [row[place] for row in one.rows()]
    assert len(shown) > 5
    assert shown == [f"{value:.3f}" for value in known["auroc"].head(len(shown))]
    one.page.locator(".viewport").evaluate("(view) => view.scrollTop = view.scrollHeight")
    one.page.wait_for_timeout(100)
    last = one.page.locator(".viewport tbody tr:not(.spacer)").last
    assert last.get_attribute("aria-rowindex") == str(len(atlas) + 1)


def test_a_link_opens_the_same_view(visit, atlas):
    one = visit()
    one.draw_all()
    one.page.locator("select[name=split]").select_option("test")
    one.page.locator("select[name=readout]").select_option("cosine")
    one.page.locator(".viewport thead button", has_text="layer").click()
    address = one.page.evaluate("location.hash")
    assert address == "#atlas?split=test&readout=cosine&sort=-layer"
    other = visit(address)
    other.page.locator(STATUS, has_text="cells").wait_for()
    assert (other.count(), other.rows()[:5]) == (one.count(), one.rows()[:5])
    assert other.page.locator("th[aria-sort=descending]").inner_text().startswith("layer")
    other.page.locator("button[type=reset]").click()
    everything = f"{len(atlas):,} of {len(atlas):,} cells"
    playwright_api.expect(other.page.locator(STATUS)).to_have_text(everything)
    assert other.messages == []


def test_a_stable_sort_of_wide_numbers_puts_missing_ones_last(visit):
    script = """() => {
      const n = 5000, cells = Uint32Array.from({length: n}, (_, k) => (k * 7919) % 997 * 300);
      const column = new Column({width: 4}, cells);
      const rows = Uint32Array.from({length: n}, (_, k) => k);
      const up = [...sortRows(rows, column, false)], down = [...sortRows(rows, column, true)];
      const wanted = [...rows].sort((a, b) => cells[a] - cells[b] || a - b);
      const present = wanted.filter((row) => cells[row]).reverse();
      const missing = wanted.filter((row) => !cells[row]);
      return [up.join() === wanted.join(), down.join() === [...present, ...missing].join(),
              missing.length > 0];
    }"""
    assert visit().page.evaluate(script) == [True, True, True]


def test_every_link_shows_where_it_leads(visit):
    one = visit()
    links = one.page.locator('a[href^="#"]').evaluate_all(
        "(all) => [...new Set(all.map((one) => one.getAttribute('href')))]"
    )
    assert len(links) > 15
    for link in links:
        one.page.evaluate("(link) => { location.hash = link }", link)
        target = one.page.locator(f'[id="{link[1:]}"]')
        assert target.is_visible(), link
        playwright_api.expect(target).to_be_in_viewport()
    assert one.messages == []


def test_the_keyboard_reaches_and_opens_everything(visit):
    one = visit()
    one.page.keyboard.press("Tab")
    focused = "document.activeElement"
    assert one.page.evaluate(f"{focused}.textContent") == "Skip to the sections"
    one.page.keyboard.press("Enter")
    one.page.keyboard.press("Tab")
    assert one.page.evaluate(f"{focused}.getAttribute('href')") == "#behaviour"
    summary = one.page.locator("#behaviour details.data summary")
    summary.focus()
    assert summary.evaluate("(one) => getComputedStyle(one).outlineStyle") == "solid"
    one.page.keyboard.press("Enter")
    table = one.page.locator("#behaviour details.data table")
    table.wait_for()
    assert table.locator("caption").count() == 1
    assert table.locator("th[scope=col]").count() > 3 and table.locator("th[scope=row]").count() > 1


@pytest.mark.parametrize("width", [400, 1600])
def test_nothing_is_wider_than_the_window(visit, width):
    one = visit(viewport={"width": width, "height": 900})
    one.draw_all()
    assert one.page.evaluate("document.documentElement.scrollWidth") <= width
    assert one.messages == []


def test_figures_follow_the_colour_scheme(visit):
    one = visit()
    label = one.page.locator("#behaviour .chart svg text").first
    label.wait_for()
    light = label.get_attribute("fill")
    one.page.emulate_media(color_scheme="dark")
    playwright_api.expect(label).not_to_have_attribute("fill", str(light))
    assert one.messages == []


def test_all_figures_are_drawn_before_printing(visit):
    one = visit()
    one.page.pdf()
    shown = ".chart:visible"
    assert one.page.locator(shown).count() > 7
    assert one.page.locator(f"{shown}[data-drawn]").count() == one.page.locator(shown).count()


def test_a_dark_page_prints_as_a_light_one(visit):
    one, light = visit(color_scheme="dark"), visit()
    labels = [page.locator("#behaviour .chart svg text").first for page in (one.page, light.page)]
    for label in labels:
        label.wait_for()
    assert labels[0].get_attribute("fill") != labels[1].get_attribute("fill")
    one.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    playwright_api.expect(labels[0]).to_have_attribute("fill", str(labels[1].get_attribute("fill")))
    one.page.evaluate("dispatchEvent(new Event('afterprint'))")
    playwright_api.expect(labels[0]).not_to_have_attribute(
        "fill", str(labels[1].get_attribute("fill"))
    )


def test_headings_are_in_order(visit):
    levels = (
        visit()
        .page.locator("h1, h2, h3, h4")
        .evaluate_all("(all) => all.map((one) => Number(one.tagName[1]))")
    )
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(later <= earlier + 1 for earlier, later in pairwise(levels))


@pytest.mark.skipif(not AXE.exists(), reason="no axe-core in .work/axe-core")
@pytest.mark.parametrize(
    "settings", [{}, {"color_scheme": "dark"}, {"viewport": {"width": 400, "height": 900}}]
)
def test_axe_finds_nothing_serious(visit, settings):
    one = visit(**settings)
    one.draw_all()
    one.page.evaluate(AXE.read_text(encoding="utf-8"))
    result = one.page.evaluate("axe.run({ resultTypes: ['violations'] })")["violations"]
    serious = {
        violation["id"]: violation["nodes"][0]["html"]
        for violation in result
        if violation["impact"] in ("serious", "critical")
    }
    assert serious == {}
