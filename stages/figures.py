"""Draws the figures of every model.

    python stages/figures.py

Reads the tables of reports/analysis, cells, comparison, interventions and scores, and `headline`
and `interventions.vectors` of params.yaml; writes reports/plots/MODEL_NAME.png. Titles, axes and
captions say what each shows; `docs/glossary.md` explains the terms.
"""

from __future__ import annotations

from sycophancy_steering.config.interventions import InterventionSettings
from sycophancy_steering.config.reading import read_name, read_names, read_section
from sycophancy_steering.figures.all_figures import save_figures
from sycophancy_steering.foundation.atomic_files import atomic_write
from sycophancy_steering.foundation.command_line import command
from sycophancy_steering.foundation.process_pool import run_jobs
from sycophancy_steering.schemas.paths import REPORTS


@command(__doc__)
def main() -> None:
    headline, models = read_name("headline"), read_names("models")
    steering_vector = read_section(InterventionSettings, "interventions").vectors[0]
    with atomic_write(REPORTS / "plots") as draft:
        draft.mkdir()
        jobs = [(model, headline, steering_vector, draft) for model in models]
        counts = run_jobs(save_figures, jobs)
    print(f"{REPORTS / 'plots'}: {sum(counts)} figures of {', '.join(models)}")


if __name__ == "__main__":
    main()
