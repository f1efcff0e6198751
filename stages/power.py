"""Plants directions of known size in a model's activations, to see which the study would find.

    python stages/power.py [smollm2]

For one model or each of `models` in params.yaml that is no organism (whose cause is known anyway):
reads data/activations/MODEL, data/labels/MODEL and the headline vector; writes
reports/power/MODEL.csv (how often a direction of each size is found) and reports/power.json (the
smallest size that is, and how near the vector comes to what was planted). No model is run.
"""

from __future__ import annotations

from sycophancy_steering.config.power import PowerSettings
from sycophancy_steering.config.reading import read_names, read_section
from sycophancy_steering.config.suite import read_models, read_suite
from sycophancy_steering.foundation.atomic_files import write_json
from sycophancy_steering.foundation.command_line import command
from sycophancy_steering.foundation.process_pool import run_jobs
from sycophancy_steering.power.power_tables import headline_power, write_power
from sycophancy_steering.power.study_questions import ModelQuestions
from sycophancy_steering.schemas.paths import REPORTS
from sycophancy_steering.schemas.power import POWER


@command(__doc__, model="an entry of models in params.yaml; without it, all that are no organisms")
def main(model: str = "") -> None:
    organisms = read_names("organisms", empty=True)
    models = [model] if model else [name for name in read_models() if name not in organisms]
    settings = read_section(PowerSettings, "power")
    for name in models:
        for left_out in ModelQuestions(name, read_suite(name)).sets_with_statistics:
            print(
                f"{name}: of the activations of {left_out} statistics are kept: power leaves it out"
            )
    POWER.path(model="any").parent.mkdir(parents=True, exist_ok=True)
    are_cached = run_jobs(write_power, [(name, read_suite(name), settings) for name in models])
    for name, is_cached in zip(models, are_cached, strict=True):
        print(f"{name}: power{', taken from a cache' if is_cached else ''}")
    if not model:
        numbers = {name: headline_power(POWER.read(model=name)) for name in models}
        write_json(REPORTS / "power.json", dict(numbers))


if __name__ == "__main__":
    main()
