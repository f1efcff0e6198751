"""Writes the summary of the study, and its page.

    python stages/report.py

Reads the tables of reports/ and the index of skipped variants in vectors/; writes
reports/summary.md (what was found, on one screen), reports/models/MODEL.md (everything about a
model, with intervals and nulls beside every number), reports/index.html (all of it as one page that
opens anywhere), reports/behaviour.json (how often each model is sycophantic, and what the user's
words shift), and reports/published.json (published figures out of data/published, and ours beside
them).
"""

from __future__ import annotations

from collections.abc import Mapping

from sycophancy_steering.config.suite import Suite
from sycophancy_steering.foundation.atomic_files import atomic_write, write_json
from sycophancy_steering.foundation.command_line import command
from sycophancy_steering.page.all_sections import QUESTIONS
from sycophancy_steering.page.rendering import write_page
from sycophancy_steering.page.study import Study
from sycophancy_steering.report.behaviour import headline_behaviour
from sycophancy_steering.report.published import PUBLISHED, compare_published, published_json
from sycophancy_steering.report.summary import model_page, read_settings, summary
from sycophancy_steering.schemas.labels import BEHAVIOUR
from sycophancy_steering.schemas.paths import REPORTS


@command(__doc__)
def main() -> None:
    settings = read_settings()
    text = summary(settings)
    pages = {model: model_page(model, settings) for model in settings.suites}
    write_json(REPORTS / "behaviour.json", headline_behaviours(settings.suites))
    with atomic_write(REPORTS / "models") as draft:
        draft.mkdir()
        for model, page in pages.items():
            (draft / f"{model}.md").write_text(page, encoding="utf-8")
    with atomic_write(REPORTS / "summary.md") as draft:
        draft.write_text(text, encoding="utf-8")
    print(f"reports/summary.md: {len(text.splitlines())} lines on {', '.join(settings.suites)}")
    comparisons = compare_published(settings.suites, [*settings.organisms])
    write_json(PUBLISHED, published_json(comparisons))
    study = Study(settings, next(iter(settings.suites)))
    print(write_page(study, QUESTIONS, REPORTS / "index.html"))


def headline_behaviours(suites: Mapping[str, Suite]) -> dict[str, object]:
    """reports/behaviour.json: what each model does, by family."""
    return {
        model: headline_behaviour(BEHAVIOUR.read(model=model, prompt_set=suite.evaluation_set))
        for model, suite in suites.items()
    }


if __name__ == "__main__":
    main()
