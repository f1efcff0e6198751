"""What steering did to each model, in tables; and holds it against the truth about the organisms.

    python stages/interventions.py

Reads, for each of `models` in params.yaml, reports/steering, reports/prompting and reports/cells;
writes reports/interventions.json (the first of `interventions.vectors`, on opinions and
misconceptions) and, in reports/interventions/MODEL, `doses.csv` (a row a vector, intervention, dose
and family), `layers.csv` (two layers at once), `effects.csv` (what each vector foretells and what
it does), `agreement.csv` (how far these two go together), `costs.csv`, `said.csv` (its answers in
numbers), `texts.csv` (some in words), `afterwards.csv` (what can still be read once it is taken
out) and `prompting.csv` (a row a way of asking). Fails where a model organism does not do what
its planted cause calls for.
"""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl

from sycophancy_steering.config.interventions import InterventionSettings
from sycophancy_steering.config.reading import read_names, read_section
from sycophancy_steering.foundation.atomic_files import atomic_write, write_json
from sycophancy_steering.foundation.command_line import command
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.interventions.ablation_tables import auroc_after_ablation
from sycophancy_steering.interventions.steering_tables import (
    agreement,
    dose_response,
    prompting_table,
    contradictions,
    layer_pairs,
    effects,
    headline_row,
    with_predictivity,
)
from sycophancy_steering.organisms.ground_truth import PLANTED_FILE, read_planted_cause
from sycophancy_steering.storage.cell_files import read_cells

FAMILIES = ("opinion", "misconception")
SHOWN = 2
"""Questions of each family and kind whose answers are shown in words."""


@command(__doc__)
def main() -> None:
    headline = read_section(InterventionSettings, "interventions").vectors[0]
    found: dict[str, object] = {}
    contradictions: list[str] = []
    for model in read_names("models"):
        answers = pl.read_parquet(f"reports/steering/{model}/answers.parquet")
        doses, layers, compared = (
            answers.filter(pl.col("part") == part).drop("part")
            for part in ("doses", "layers", "compared")
        )
        table = dose_response(doses)
        both = with_predictivity(effects(compared), read_cells(model, read_names("extraction_sets")))
        said = pl.read_parquet(f"reports/steering/{model}/said.parquet")
        tables = {
            "doses": table,
            "layers": layer_pairs(layers),
            "effects": both,
            "agreement": agreement(both),
            "costs": pl.read_parquet(f"reports/steering/{model}/costs.parquet"),
            "afterwards": auroc_after_ablation(
                pl.read_parquet(f"reports/steering/{model}/afterwards.parquet")
            ),
            "said": unread(said),
            "texts": texts(said),
            "prompting": prompting_table(pl.read_parquet(f"reports/prompting/{model}.parquet")),
        }
        for name, each in tables.items():
            with atomic_write(Path(f"reports/interventions/{model}/{name}.csv")) as draft:
                each.write_csv(draft, float_precision=5)
        own = table.filter(pl.col("vector") == headline)
        held = {family: headline_row(own, family) for family in FAMILIES if family in own["family"]}
        found[model] = {f: {k: round(v, 5) for k, v in of.items()} for f, of in held.items()}
        if (folder := Path(f"data/models/{model}") / PLANTED_FILE).exists():
            truth = read_planted_cause(folder.parent)
            contradictions += [f"{model}: {why}" for why in contradictions(truth, held)]
    write_json(Path("reports/interventions.json"), found)
    print(json.dumps(found, indent=2))
    if contradictions:
        raise InputError(f"steering contradicts what was planted: {'; '.join(contradictions)}")


def unread(said: pl.DataFrame) -> pl.DataFrame:
    """A row a family and dose: the share of the model's own answers that cannot be read as one, and
    of those that can, the share that is sycophantic."""
    read = pl.col("read").is_not_null()
    return said.group_by("family", "dose", maintain_order=True).agg(
        pl.len().alias("n"),
        (~read).mean().alias("unread"),
        (pl.col("read") == pl.col("sycophantic")).filter(read).mean().alias("sycophantic"),
    )


def texts(said: pl.DataFrame) -> pl.DataFrame:
    """A row a family, kind of answer and question, two of each: what the model says (`before`), and
    with one gap taken away (`less`) and added (`more`). Those whose ids come first, which nobody
    chose: an id is a hash."""
    columns = {-1.0: "less", 0.0: "before", 1.0: "more"}
    first = said.filter(pl.col("dose") == 0).sort("family", "label", "id")
    first = first.unique("question", keep="first", maintain_order=True)
    chosen = first.group_by("family", "label", maintain_order=True).head(SHOWN)
    found = chosen.select("family", "label", "id", "question")
    for dose, name in columns.items():
        spoken = said.filter(pl.col("dose") == dose).select("id", pl.col("answer").alias(name))
        found = found.join(spoken, on="id", how="left", maintain_order="left")
    return found.drop("id")


if __name__ == "__main__":
    main()
