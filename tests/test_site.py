"""The README, docs/ and reports as a site: built without a warning, links checked."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT, run

PARTS = (
    *("Makefile", "pyproject.toml", "README.md", "CONTRIBUTING.md", "LICENSE", "CITATION.cff"),
    *("dvc.yaml", "params.yaml", "params.schema.json", "docs", "stages", "sycophancy_steering"),
    *(
        "tuning",
        "benchmarks",
        "presets",
        "tests",
        "reports",
        "data/grades",
        "data/public",
        "data/published",
        "data/examples",
    ),
)
BIG = shutil.ignore_patterns("__pycache__", "_build", "*.parquet", "*.jsonl", "cells", "scores")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the site is made of, with nothing for make to install."""
    folder = tmp_path_factory.mktemp("site")
    for part in PARTS:
        (folder / part).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, folder / part, ignore=BIG)
        else:
            shutil.copy(ROOT / part, folder / part)
    (folder / ".venv").mkdir()
    (folder / ".venv/installed").touch()
    return folder


def make_docs(repository: Path) -> subprocess.CompletedProcess[str]:
    return run(repository, "make", "docs")


def test_the_site_is_built_without_a_warning(repository):
    done = make_docs(repository)
    assert done.returncode == 0, done.stderr
    site = repository / "docs/_build"
    assert "README.html" in (site / "index.html").read_text()
    for page in ROOT.glob("docs/*.md"):
        assert (site / f"docs/{page.stem}.html").exists()
    for page in site.rglob("*.html"):  # it works from disk
        assert re.findall(r'(?:src|<link[^>]*href)="(?:https?:)?//[^"]*', page.read_text()) == []
    menu = (site / "README.html").read_text()
    for heading in ("Tutorial", "How to", "Reference", "Explanation", "Results"):
        assert f'<span class="caption-text">{heading}</span>' in menu

    page = repository / "docs/compare.md"
    page.write_text(page.read_text() + "\n[one](absent.md), [two](methods.md#no-such-heading)\n")
    done = make_docs(repository)
    assert done.returncode != 0
    assert "absent.md" in done.stderr and "no-such-heading" in done.stderr
