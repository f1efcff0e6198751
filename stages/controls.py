"""Checks the study's conclusions about the model organisms against what was planted in them.

    python stages/controls.py opinion_pairs

Reads, for each of `organisms` in params.yaml, its planted directions, the mean differences made
from the set given, their cells and their agreement; writes reports/controls.csv. Fails where a
conclusion contradicts what was planted: a pipeline that cannot tell one cause from two, or the
anticipation of a sycophantic answer from its record, proves nothing.
"""

from __future__ import annotations

import polars as pl

from sycophancy_steering.analysis.controls import control_quantities
from sycophancy_steering.config.reading import read_names
from sycophancy_steering.foundation.command_line import command
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.schemas.controls import CONTROLS


@command(__doc__, prompt_set="the prompt set of opinions that the vectors were made from")
def main(prompt_set: str) -> None:
    rows: list[dict[str, object]] = []
    failures: list[str] = []
    for organism in read_names("organisms"):
        controls, contradictions = control_quantities(organism, prompt_set)
        rows.append({"organism": organism, **controls})
        failures += [f"{organism}: {contradiction}" for contradiction in contradictions]
        print(organism, *(f"{key} {value:.3f}" for key, value in controls.items()), sep="\n  ")
    CONTROLS.write(pl.DataFrame(rows, schema=CONTROLS.columns))
    if failures:
        raise InputError("the controls fail: " + "; ".join(failures))


if __name__ == "__main__":
    main()
