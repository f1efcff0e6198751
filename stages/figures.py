"""Draws the figures of every model.

    python stages/figures.py

Reads the tables of reports/analysis, cells, comparison, interventions, power and scores, and the
suites of params.yaml; writes reports/plots/MODEL_NAME.png, and in reports/plots_data their captions
and what `dvc plots show` draws. `docs/glossary.md` explains the terms.
"""

from __future__ import annotations

from sycophancy_steering.config.reading import read_names
from sycophancy_steering.config.suite import read_models, read_suite
from sycophancy_steering.figures.all_figures import save_figures
from sycophancy_steering.figures.plotted_tables import write_plotted_tables
from sycophancy_steering.foundation.atomic_files import atomic_write
from sycophancy_steering.foundation.command_line import command
from sycophancy_steering.foundation.process_pool import run_jobs
from sycophancy_steering.schemas.paths import REPORTS


@command(__doc__)
def main() -> None:
    models, organisms = read_models(), read_names("organisms", empty=True)
    suites = {model: read_suite(model) for model in models}
    with atomic_write(REPORTS / "plots") as draft:
        draft.mkdir()
        jobs = [(model, suite, model not in organisms, draft) for model, suite in suites.items()]
        captions = run_jobs(save_figures, jobs)
    write_plotted_tables(captions, suites)
    n_figures = sum(map(len, captions))
    print(f"{REPORTS / 'plots'}: {n_figures} figures of {', '.join(models)}")


if __name__ == "__main__":
    main()
