"""How soon the page of a finished study is painted, with its own atlas and with a very long one.

    python benchmarks/page.py [ROWS]

Writes the page of the study in the working folder to .work/page, then again with an atlas of ROWS
rows (two million unless said otherwise), opens both in Debian's chromium, and prints the size of
the file, how long writing took, the first paint (PerformancePaintTiming), how long the atlas took
to unpack once reached, and how long a sort and a filter of it took.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl
from playwright.sync_api import Browser, sync_playwright

from sycophancy_steering.page import atlas as atlas_section
from sycophancy_steering.page.all_sections import QUESTIONS
from sycophancy_steering.page.rendering import charting_library, render_page
from sycophancy_steering.page.section import Question
from sycophancy_steering.page.study import Study
from sycophancy_steering.report.summary import read_settings
from sycophancy_steering.schemas.predictivity import ATLAS

FOLDER = Path(".work/page")
ROWS = 2_000_000
TIMINGS = """async () => {
  const paint = performance.getEntriesByType("paint").find((one) => one.name === "first-paint");
  const timed = async (act) => {
    const start = performance.now();
    await act();
    return performance.now() - start;
  };
  const root = document.getElementById("atlas-table");
  const unpack = await timed(() => startAtlas(root));
  const buttons = [...root.querySelectorAll("thead button")];
  const button = buttons.find((one) => one.textContent === "AUROC");
  const sort = await timed(() => button.click());
  const select = root.querySelector("select[name=split]");
  select.value = "test";
  const filter = await timed(() => select.dispatchEvent(new Event("change", { bubbles: true })));
  return { first_paint: paint.startTime, unpack, sort, filter };
}"""


def write_page(path: Path, questions: Sequence[Question]) -> float:
    """Writes the page; the seconds that it took."""
    settings = read_settings()
    charting_library.cache_clear()
    start = time.perf_counter()
    html = render_page(Study(settings, next(iter(settings.suites))), questions)
    path.write_text(html, encoding="utf-8")
    return time.perf_counter() - start


def with_rows(rows: int) -> list[Question]:
    """The questions, with an atlas whose cells repeat until there are so many."""
    cells = ATLAS.read()
    long = pl.concat([cells] * -(-rows // len(cells))).head(rows)
    path = FOLDER / "atlas.parquet"
    long.write_parquet(path)
    atlas_section.ATLAS = replace(ATLAS, pattern=str(path))
    return [*QUESTIONS]


def measure(browser: Browser, path: Path) -> dict[str, float]:
    """Milliseconds."""
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.set_default_timeout(300_000)
    page.goto(path.resolve().as_uri())
    page.wait_for_timeout(3000)
    timings = page.evaluate(TIMINGS)
    page.close()
    return timings


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    FOLDER.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        for name, questions in (("study", lambda: QUESTIONS), ("long", lambda: with_rows(rows))):
            path = FOLDER / f"{name}.html"
            seconds = write_page(path, questions())
            result = {"megabytes": path.stat().st_size / 1e6, "seconds_to_write": seconds}
            timings = {f"{key}_ms": value for key, value in measure(browser, path).items()}
            rounded = {key: round(value, 1) for key, value in (result | timings).items()}
            print(name, json.dumps(rounded))
        browser.close()


if __name__ == "__main__":
    main()
