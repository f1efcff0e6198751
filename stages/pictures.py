"""Draws what was found in a model.

    python stages/pictures.py one_cause

Reads what other stages left in reports for the model, and `headline` of params.yaml; writes, as
reports/plots/MODEL_NAME.png: `layers`, `variants` and `cosine` (predictivity of the vectors made
from the headline's set), `best` (the best of all cells, against chance), `adds` (over words and
margin), `moves` (what moves predictivity), `transfer`, `sample_efficiency`, `variance` and `reliability`
(of the vectors themselves), `tokens` (when the answer can be read) and `tenses` (about to be
sycophantic, or just was), `doses` and `removed` (what adding and taking out the first of
`interventions.vectors` does), `afterwards` (what can then still be read), `two_layers` (at two
layers at once) and `cause` (what foretells against what causes).
"""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
from matplotlib.figure import Figure

from sycophancy_steering.analysis.anticipation import (
    anticipation_against_record,
    anticipation_and_record_aurocs,
    own_sets_of_families,
)
from sycophancy_steering.config.interventions import InterventionSettings
from sycophancy_steering.config.reading import read_name, read_section
from sycophancy_steering.figures.consistency import (
    auroc_by_token,
    reliability_by_pairs,
    tenses_by_layer,
    variance_by_source,
)
from sycophancy_steering.figures.findings import best_against_chance, what_it_adds, what_moves_it
from sycophancy_steering.figures.predictivity import (
    auroc_by_layer,
    label_against_cosine,
    variants_side_by_side,
)
from sycophancy_steering.figures.steering import (
    dose_response,
    foretells_and_does,
    read_afterwards,
    taken_out,
    two_layers,
)
from sycophancy_steering.figures.style import save
from sycophancy_steering.figures.transfer import auroc_by_pairs, transfer_matrix
from sycophancy_steering.foundation.atomic_files import atomic_write
from sycophancy_steering.foundation.command_line import command
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.storage.cell_files import (
    POSITIONS,
    SCORES,
    read_cells,
    selected_layer,
    vector_names,
)


@command(
    __doc__,
    model="an entry of model in params.yaml",
)
def main(model: str) -> None:
    headline = read_name("headline")
    prompt_set, _, variant = headline.partition("/")
    cells = read_cells(model, [prompt_set])
    if headline not in vector_names(cells):
        raise InputError(
            f"params.yaml: headline: no vector {headline} of {model}; expected SET/VARIANT, one of "
            f"{', '.join(vector_names(cells))}"
        )
    layer = selected_layer(model, headline)
    drawn = predictivity(model, cells, prompt_set, variant) | findings(model, cells)
    drawn |= vectors(model, prompt_set, variant, layer) | in_time(model, headline)
    drawn |= steering(model)
    for name, picture in drawn.items():
        with atomic_write(Path(f"reports/plots/{model}_{name}.png")) as draft:
            save(picture, draft)


def predictivity(
    model: str, cells: pl.DataFrame, prompt_set: str, variant: str
) -> dict[str, Figure]:
    """Of the vectors made from one set."""
    wanted = (
        (pl.col("name") == variant)
        & (pl.col("split") == "test")
        & pl.col("position").is_in(list(POSITIONS))
    )
    scores = pl.scan_parquet(SCORES / model / f"{prompt_set}.parquet").filter(wanted).collect()
    about = f"{model}: answers against {prompt_set}/{variant}, test split"
    return {
        "layers": auroc_by_layer(cells, f"{model}: where it can be read"),
        "variants": variants_side_by_side(cells, f"{model}: by how the vector was made"),
        "cosine": label_against_cosine(scores, about),
    }


def findings(model: str, cells: pl.DataFrame) -> dict[str, Figure]:
    """What does best, what it adds, and what moves it."""
    selected = json.loads(Path("reports/selection.json").read_text())[model]
    families = cells["family"].unique(maintain_order=True).to_list()
    varied = pl.read_csv("reports/variation.csv").filter(pl.col("model") == model)
    gain = pl.read_csv(f"reports/gain/{model}.csv")
    return {
        "best": best_against_chance(selected, families, f"{model}: the best of all"),
        "adds": what_it_adds(gain, f"{model}: what the projection adds, after the prompt"),
        "moves": what_moves_it(varied, f"{model}: what moves predictivity, after the prompt"),
    }


def vectors(model: str, prompt_set: str, variant: str, layer: int) -> dict[str, Figure]:
    """How many pairs vectors need, where they carry over, and how consistent they are."""
    at = pl.col("layer") == layer
    carried = pl.read_csv(f"reports/transfer/{model}.csv").filter(at, pl.col("method") == variant)
    pairs = pl.read_csv(f"reports/efficiency/{model}.csv")
    variance, reliability = (
        pl.read_csv(f"reports/consistency/{model}.{name}.csv").filter(at)
        for name in ("variance", "reliability")
    )
    needed = f"{model}: how many pairs of {prompt_set} it takes, layer {layer}, test split"
    carries = f"{model}: where {variant} carries over, layer {layer}, test split"
    differs = f"{model}: what makes mean differences differ, layer {layer}"
    sure = f"{model}: how sure a mean difference is, layer {layer}"
    return {
        "efficiency": auroc_by_pairs(pairs, needed),
        "transfer": transfer_matrix(carried, carries),
        "variance": variance_by_source(variance, differs),
        "reliability": reliability_by_pairs(reliability, sure),
    }


def in_time(model: str, headline: str) -> dict[str, Figure]:
    """When the answer can be read, and whether before and after it are one."""
    tokens = pl.read_csv(f"reports/tokens/{model}.csv").filter(pl.col("vector") == headline)
    agreement = anticipation_against_record(
        pl.read_csv(f"reports/consistency/{model}.agreement.csv")
    )
    own = agreement.filter(pl.col("family") == pl.col("other_family"))
    sets = own_sets_of_families(own)
    read = anticipation_and_record_aurocs(read_cells(model, [*sets.values()]), sets)
    when = f"{model}: when the answer can be read, by {headline}"
    return {
        "tokens": auroc_by_token(tokens, when),
        "tenses": tenses_by_layer(own, read, f"{model}: about to be sycophantic, or just was"),
    }


def steering(model: str) -> dict[str, Figure]:
    """What adding vectors and taking them out does."""
    name = read_section(InterventionSettings, "interventions").vectors[0]
    doses, layers, effects, agreement, read = (
        pl.read_csv(f"reports/interventions/{model}/{table}.csv")
        for table in ("doses", "layers", "effects", "agreement", "afterwards")
    )
    held = doses.filter(pl.col("vector") == name)
    where = f"{name} at layer {held['layer'][0]}, test split"
    both = f"{model}: what foretells, and what causes"
    return {
        "doses": dose_response(held, f"{model}: adding {where}"),
        "removed": taken_out(held, f"{model}: taking out {where}"),
        "afterwards": read_afterwards(read, f"{model}: read once it is gone, {where}"),
        "two_layers": two_layers(layers, f"{model}: adding {name} at two layers, half a gap each"),
        "cause": foretells_and_does(effects, agreement, both),
    }


if __name__ == "__main__":
    main()
