"""The model card of an exported vector: where it was read, how it was made, what it predicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from sycophancy_steering.exchange.layer_numbers import layers_in_words
from sycophancy_steering.formatting.numbers import interval_of, range_of
from sycophancy_steering.report.templates import Section, TableData, render
from sycophancy_steering.schemas.interventions import CAUSAL_EFFECTS
from sycophancy_steering.schemas.predictivity import CELLS
from sycophancy_steering.storage.cell_files import pooled_over_sources, read_cells

NOT_MEASURED = "not measured"
MADE = {
    "prompt_set": "made from the questions of",
    "prompt_set_sha256": "SHA-256 of these",
    "revision": "revision of the model",
    "n_sycophantic": "sycophantic answers",
    "n_other": "other answers",
    "null": "a control that knows nothing of sycophancy",
}
"""Keys of a vector's metadata, in words."""


def vector_card(vector: str, model: str, layers: Sequence[int], d_model: int,
                metadata: Mapping[str, Any]) -> str:  # fmt: skip
    """Markdown about `vector` (SET/VARIANT) of `model`, out of its metadata and the study's tables;
    what these do not hold is said not to be measured."""
    cells = _selected_cells(vector, model)
    rows = [
        [
            row["family"],
            row["layer"],
            row["n"],
            interval_of(row, "auroc"),
            range_of(row, "random"),
            range_of(row, "shuffled"),
            row["letter_auroc"],
            row["margin_auroc"],
        ]
        for row in cells.iter_rows(named=True)
    ]
    header = ["kind of question", "layer", "n", "AUROC", "random directions", "shuffled labels"]
    facts = {
        "name": vector,
        "model": model,
        "layers": f"{layers_in_words(layers)[:1].upper()}{layers_in_words(layers)[1:]}",
        "d_model": d_model,
        "made": [*_made(metadata)] or [("how it was made", "unknown")],
        "predictivity": TableData([*header, "letter", "logit margin"], rows) if rows else None,
        "evaluation_set": cells["evaluation_set"][0] if len(cells) else "",
        "steering": _steering(vector, model),
    }
    return render(Section("vector_card", facts)) + "\n"


def _selected_cells(vector: str, model: str) -> pl.DataFrame:
    """The cells of the vector at its selected layer, after the prompt, a row a family."""
    prompt_set = vector.partition("/")[0]
    if not CELLS.path(model=model, prompt_set=prompt_set).exists():
        return CELLS.empty()
    cells = pooled_over_sources(read_cells(model, [prompt_set]))
    return cells.filter("selected", pl.col("vector") == vector, pl.col("position") == "prompt")


def _made(metadata: Mapping[str, Any]) -> list[tuple[str, str]]:
    """How the vector was made, as pairs of words."""
    variant = metadata.get("variant") or {}
    origin = {key: value for key, value in (metadata.get("origin") or {}).items() if key != "files"}
    files = [*(metadata.get("origin") or {}).get("files", {})]
    pairs = [*variant.items(), *((words, metadata[key]) for key, words in MADE.items()
                                 if key in metadata)]  # fmt: skip
    pairs += [("from the files", ", ".join(files))] if files else []
    return [
        (str(key).replace("_", " "), "yes" if value is True else str(value))
        for key, value in (*pairs, *origin.items())
        if value is not False
    ]


def _steering(vector: str, model: str) -> str:
    path: Path = CAUSAL_EFFECTS.path(model=model)
    if not path.exists():
        return NOT_MEASURED
    measured = vector in CAUSAL_EFFECTS.read(model=model)["vector"]
    return f"see `{path}` of the study" if measured else NOT_MEASURED
