"""What training showed, in tables, pictures and words.

    python stages/tuning.py

Reads, for each of `tuning.models` in params.yaml, reports/baselines and reports/differences; writes
reports/tuning.json (the share of answers turned, of the most examples), reports/tuning.md, and, in
reports/tuning/MODEL, `ways.csv` (a row a way, number of examples, whose labels, direction and
family), `against.csv` (by how much more each turns than steering), `costs.csv`, `weak_vectors.csv`,
and four pictures.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from sycophancy_steering.config.interventions import InterventionSettings
from sycophancy_steering.config.reading import read_section
from sycophancy_steering.config.tuning import TuningSettings
from sycophancy_steering.figures.style import save
from sycophancy_steering.figures.tuning import (
    by_examples,
    differences_by_layer,
    from_weak_labels,
    read_after_repair,
)
from sycophancy_steering.foundation.atomic_files import atomic_write, write_json
from sycophancy_steering.foundation.command_line import command
from sycophancy_steering.report.tuning_sections import (
    AFFORDANCES,
    better_section,
    costs_section,
    differences_section,
    page,
    repaired_section,
    weak_section,
)
from sycophancy_steering.storage.cell_files import selected_layer
from sycophancy_steering.tuning.training_runs import TRUE_LABELS
from sycophancy_steering.tuning.tables import difference_table, method_table


@command(__doc__)
def main() -> None:
    settings = read_section(TuningSettings, "tuning")
    vector = read_section(InterventionSettings, "interventions").vectors[0]
    prompt_set = vector.partition("/")[0]
    affordances = AFFORDANCES.format(
        examples=", ".join(map(str, settings.examples)),
        prompt_set=prompt_set,
        seeds=settings.seeds,
        steps=settings.steps,
        distil=settings.distil,
        vector=vector,
    )
    prompts = pl.read_parquet(f"data/prompts/{prompt_set}.parquet", columns=["family"])
    own = prompts["family"].unique(maintain_order=True).to_list()
    weak = (
        f"{settings.weak.model} cut off after layer {settings.weak.layer}, by a mean difference of "
        "the pairs about the other half of the items"
    )
    found: dict[str, object] = {}
    sections = []
    for model in settings.models:
        answers = pl.read_parquet(f"reports/baselines/{model}/answers.parquet")
        tables = {
            "ways": method_table(answers),
            "against": difference_table(answers, "steering"),
            "costs": pl.read_parquet(f"reports/baselines/{model}/costs.parquet"),
            "weak_vectors": pl.read_parquet(f"reports/baselines/{model}/weak_vectors.parquet"),
        }
        angles, foretold, repaired = (
            pl.read_csv(f"reports/differences/{model}/{name}.csv")
            for name in ("angles", "foretold", "repaired")
        )
        teachers = pl.read_parquet(f"data/adapters/{model}/teachers.parquet")
        layer = selected_layer(model, vector)
        pictures = {
            "examples": by_examples(tables["ways"], f"{model}: turned by as many examples"),
            "weak": from_weak_labels(tables["ways"], f"{model}: from weak labels to strong ones"),
            "differences": differences_by_layer(angles, f"{model}: what training changed"),
            "repaired": read_after_repair(repaired, f"{model}: read after the repair"),
        }
        with atomic_write(Path(f"reports/tuning/{model}")) as draft:
            draft.mkdir()
            for name, table in tables.items():
                table.write_csv(draft / f"{name}.csv", float_precision=5)
            for name, picture in pictures.items():
                save(picture, draft / f"{name}.png")
        sections.append(
            [
                better_section(tables["ways"], tables["against"], teachers, own, affordances),
                costs_section(tables["costs"]),
                weak_section(tables["ways"], tables["weak_vectors"], weak),
                differences_section(angles, foretold, layer, vector),
                repaired_section(repaired, layer),
            ]
        )
        found[model] = metrics(tables["ways"])
    write_json(Path("reports/tuning.json"), found)
    with atomic_write(Path("reports/tuning.md")) as draft:
        draft.write_text(page(settings.models, sections), encoding="utf-8")


def metrics(ways: pl.DataFrame) -> dict[str, dict[str, float]]:
    """By way and family: the share turned away from sycophancy, by the most examples."""
    fit = (pl.col("labels") == TRUE_LABELS) & ~pl.col("towards") & pl.col("turned").is_not_null()
    held = ways.filter(fit, pl.col("examples").is_in([0, ways["examples"].max()]))
    return {
        str(way): dict(zip(each["family"], each["turned"].round(5), strict=True))
        for (way,), each in held.group_by("way", maintain_order=True)
    }


if __name__ == "__main__":
    main()
