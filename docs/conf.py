"""Sphinx: the README, docs/ and the reports as one site (`make docs`).

The repository is the source, so that a link between two pages works on GitHub as it does here.
The menu is docs/README.md.
"""

from __future__ import annotations

import re
from pathlib import Path

from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

ROOT = Path(__file__).parent.parent
project = "Do steering vectors predict sycophancy?"
author = "the project's maintainers"
extensions = ["myst_parser"]
root_doc = "README"
include_patterns = [
    "README.md",
    "CONTRIBUTING.md",
    "docs/*.md",
    "data/*/README.md",
    "presets/overlays/README.md",
    "reports/*.md",
    "reports/models/*.md",
]
exclude_patterns = ["docs/_build"]
suppress_warnings = ["toc.not_included"]  # pages that the menu leaves out are linked from others
myst_heading_anchors = 3
html_theme = "furo"
html_title = project
html_extra_path = ["index.html"]
html_copy_source = False
html_show_copyright = False


def menu() -> str:
    """The table of contents: the links of docs/README.md under its headings."""
    text = (ROOT / "docs/README.md").read_text(encoding="utf-8")
    parts = []
    for section in text.split("\n## ")[1:]:
        heading, _, rest = section.partition("\n")
        links = re.findall(r"^- \[(.+?)\]\((.+?)\.md\)", rest, re.MULTILINE)
        pages = [
            f"{title} </{(Path('/docs') / page).as_posix().lstrip('/')}>" for title, page in links
        ]
        pages = [page.replace("docs/../", "") for page in pages]
        parts.append(
            "\n".join(["```{toctree}", ":hidden:", f":caption: {heading}", "", *pages, "```"])
        )
    return "\n\n".join(parts)


def add_menu(_: Sphinx, page: str, source: list[str]) -> None:
    """Appends the table of contents to the first page."""
    if page == root_doc:
        source[0] += f"\n{menu()}\n"


def setup(app: Sphinx) -> None:
    """Registers the menu, and names of languages that are shown as plain text."""
    app.connect("source-read", add_menu)
    for language in ("mermaid", "usage"):
        app.add_lexer(language, TextLexer)
