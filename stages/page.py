"""Writes the study as one page that opens anywhere, without the rest of the report.

    python stages/page.py [REVISION]

Reads the tables of reports/, prompts, labels, and what dvc.lock records of the stages before;
writes reports/index.html, as the stage `report` does. With a REVISION (a branch or commit), the
page begins with what `dvc metrics diff REVISION` says, drawn, and is reports/comparison.html.
"""

from __future__ import annotations

from sycophancy_steering.foundation.command_line import command
from sycophancy_steering.page.all_sections import QUESTIONS
from sycophancy_steering.page.comparison import comparison_question
from sycophancy_steering.page.rendering import write_page
from sycophancy_steering.page.study import Study
from sycophancy_steering.report.summary import read_settings
from sycophancy_steering.schemas.paths import REPORTS


@command(__doc__, revision="compare with this git revision")
def main(revision: str = "") -> None:
    settings = read_settings()
    study = Study(settings, next(iter(settings.suites)))
    questions = [comparison_question(revision), *QUESTIONS] if revision else QUESTIONS
    path = REPORTS / ("comparison.html" if revision else "index.html")
    print(write_page(study, questions, path))


if __name__ == "__main__":
    main()
