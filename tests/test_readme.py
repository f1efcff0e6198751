"""The README shows what the commands beside it print, and every link leads somewhere."""

from __future__ import annotations

import re

import pytest
from conftest import ROOT

PAGES = ["README.md", "CONTRIBUTING.md", *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md"))]


def test_what_the_readme_shows_of_the_summary_stands_there():
    text = (ROOT / "README.md").read_text()
    shown = text[text.index("## What the study says") : text.index("## Your own model")]
    summary = set((ROOT / "reports/summary.md").read_text().splitlines())
    results = [line for line in shown.splitlines() if line.startswith(("| ", "- **"))]
    assert len(results) >= 7
    assert [line for line in results if line not in summary] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_a_page_links_to_is_there(page):
    text = (ROOT / page).read_text()
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text)
    files = [link for link in links if "://" not in link]
    assert [link for link in files if not ((ROOT / page).parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_stage_and_benchmark_that_a_page_names_is_there(page):
    named = re.findall(r"\b((?:stages|benchmarks)/\w+\.py)\b", (ROOT / page).read_text())
    assert [name for name in named if not (ROOT / name).exists()] == []
