"""The README shows what the commands beside it print."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_what_the_readme_shows_of_the_summary_stands_there():
    text = (ROOT / "README.md").read_text()
    shown = text[text.index("## The first minutes") : text.index("## Is it better than training?")]
    summary = set((ROOT / "reports/summary.md").read_text().splitlines())
    results = [line for line in shown.splitlines() if line.startswith(("| ", "- **", "**"))]
    assert len(results) > 40
    assert [line for line in results if line not in summary] == []


def test_what_the_readme_shows_of_training_stands_in_its_page():
    text = (ROOT / "README.md").read_text()
    shown = text[text.index("## Is it better than training?") : text.index("## Change something")]
    page = set((ROOT / "reports/tuning.md").read_text().splitlines())
    results = [line for line in shown.splitlines() if line.startswith(("| ", "- **", "**"))]
    assert len(results) > 15
    assert [line for line in results if line not in page] == []


def test_every_picture_and_file_that_the_readme_links_to_is_there():
    text = (ROOT / "README.md").read_text()
    links = [part.split(")")[0] for part in text.split("](")[1:]]
    files = [link for link in links if "://" not in link]
    assert len(files) > 5
    assert [link for link in files if not (ROOT / link).exists()] == []
