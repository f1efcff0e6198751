"""What the study could have found, had it been there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from sycophancy_steering.formatting.numbers import Interval, interval_of, share_text
from sycophancy_steering.report.templates import Section, TableData

HEADER = (
    *("family", "planted in", "smallest size found", "share of the norm", "class separations"),
    *("found", "AUROC", "cosine", "cosine at twice", "found of nothing"),
)


def power_section(model: str, power: pl.DataFrame) -> Section | None:
    """The smallest planted direction that is found, family by family (the table POWER); None where
    nothing was planted, as of the activations of all extraction sets statistics are kept."""
    if power.is_empty():
        return None
    groups = [
        rows.rows(named=True)
        for _, rows in power.group_by("planted", "family", maintain_order=True)
    ]
    control = [facts(rows) for rows in groups if rows[0]["planted"] == "half"]
    as_labelled = [facts(rows) for rows in groups if rows[0]["planted"] == "as_labelled"]
    return Section(
        "power",
        {
            "model": model,
            "layer": power["layer"][0],
            "n_draws": power["n_draws"][0],
            "n_extraction": control[0]["n_extraction"],
            "control": control,
            "control_table": TableData(HEADER, [table_row(row) for row in control]),
            "as_labelled": as_labelled,
            "as_labelled_table": TableData(HEADER, [table_row(row) for row in as_labelled]),
        },
    )


def facts(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """What is said of one family; `smallest` and `twice` are None where no size was found."""
    parts: dict[str, dict[str, Any]] = {row["part"]: row for row in rows}
    nothing = next((row for row in rows if row["size"] == 0), None)
    first = rows[0]
    return {
        **{
            name: first[name]
            for name in ("family", "n", "n_planted", "n_items", "n_extraction", "detectable_auroc")
        },
        "n_extraction_planted": first["n_extraction_planted"],
        "smallest": parts.get("smallest"),
        "auroc": parts["smallest"]["auroc"] if "smallest" in parts else None,
        "twice": parts.get("twice"),
        "nothing": nothing,
    }


def table_row(family: Mapping[str, Any]) -> list[object]:
    """A family's row under `HEADER`."""
    smallest, twice, nothing = (family[part] for part in ("smallest", "twice", "nothing"))
    return [
        family["family"],
        f"{family['n_planted']} of {family['n']} (vector: {family['n_extraction_planted']} of "
        f"{family['n_extraction']})",
        smallest["size"] if smallest else "none",
        share_text(smallest["norm_share"], 1) if smallest else None,
        smallest["class_separations"] if smallest else None,
        interval_of(smallest, "found_share") if smallest else None,
        interval_of(smallest, "auroc") if smallest else None,
        interval_of(smallest, "cosine") if smallest else None,
        interval_of(twice, "cosine") if twice else None,
        found_of_nothing(nothing),
    ]


def found_of_nothing(nothing: Mapping[str, Any] | None) -> Interval | None:
    """How often something is found where nothing is planted."""
    return interval_of(nothing, "found_share") if nothing else None
