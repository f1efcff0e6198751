"""Tabulates what interventions did to each model, and checks the organisms against the truth.

    python stages/intervention_tables.py

Reads reports/steering, reports/prompting and reports/cells of `models` in params.yaml; writes
reports/interventions/MODEL: dose_response.csv, two_layers.csv, effects.csv and agreement.csv
(causal effect against predictivity), side_effects.csv, ablation.csv, generation.csv, texts.csv,
prompting.csv, and headline.csv on the first of the suite's vectors. Fails where steering a
model organism contradicts its planted cause.
"""

from __future__ import annotations

from sycophancy_steering.config.suite import read_models, read_suite
from sycophancy_steering.foundation.command_line import command
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.interventions.tables import contradictions_of, write_intervention_tables


@command(__doc__)
def main() -> None:
    contradictions: list[str] = []
    for model in read_models():
        headline = write_intervention_tables(model, read_suite(model))
        contradictions += contradictions_of(model, headline)
        for row in headline.iter_rows(named=True):
            print(
                f"{model}, {row['family']}: {row['baseline_rate_0']:.2f} sycophantic, steered "
                f"{row['steered_rate']:.2f}, with random vectors {row['random_rate']:.2f}"
            )
    if contradictions:
        raise InputError(f"steering contradicts the planted cause: {'; '.join(contradictions)}")


if __name__ == "__main__":
    main()
