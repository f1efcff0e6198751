"""Two runs side by side: what `dvc metrics diff` says, drawn."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.page.charts import CHANCE, Spec
from sycophancy_steering.page.colours import BLUE, VERMILLION
from sycophancy_steering.page.section import Figure, FoldedTable, Question, Section
from sycophancy_steering.report.templates import TableData

HEADER = ("file", "key", "old", "new", "change")
SHARES = ("_auroc", "_best", "rate", "rate_low", "rate_high", "found_at_smallest")
"""Ends of the keys that are drawn: all between 0 and 1."""


def metrics_diff(revision: str) -> dict[str, Any]:
    """`dvc metrics diff REVISION`, as JSON: by file, then by key. Raises InputError."""
    command = [sys.executable, "-m", "dvc", "metrics", "diff", revision, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise InputError(f"dvc metrics diff {revision}: {reason}")
    return json.loads(done.stdout or "{}")


def comparison_question(revision: str) -> Question:
    """The section about what differs from a revision. Raises InputError where DVC cannot say."""
    diff = metrics_diff(revision)
    return Question(
        "comparison",
        f"What changed since {revision}?",
        lambda _: compared(revision, diff),
        "Comparison",
        of_study=True,
    )


def compared(revision: str, diff: Mapping[str, Any]) -> Section:
    """The metrics that differ between a revision and the workspace."""
    changes = [*_changes(diff)]
    rows = [[one["file"], one["key"], one["old"], one["new"], _difference(one)] for one in changes]
    drawn = [
        {"metric": f"{one['file'].removeprefix('reports/')}: {one['key']}", **one}
        for one in changes
        if one["key"].endswith(SHARES) and None not in (one["old"], one["new"])
    ]
    figure = None
    if drawn:
        figure = Figure(
            f"From {revision} to this run",
            "A hollow dot is the old number, a filled one the new; only metrics that changed, and "
            "that lie between 0 and 1, are drawn.",
            _dumbbells(),
            pl.DataFrame(drawn).select("metric", "old", "new"),
        )
    changed = f"{len(changes)} metrics differ between {revision} and this run."
    return Section(
        changed if changes else f"No metric differs between {revision} and this run.",
        [*diff],
        figure,
        [FoldedTable("All metrics that differ", TableData(HEADER, rows))] if rows else [],
        {"revision": revision},
    )


def _changes(diff: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    files = diff.get("diff", diff)
    for file in sorted(files):
        for key in sorted(files[file]):
            change = files[file][key]
            yield {"file": file, "key": key, "old": change.get("old"), "new": change.get("new")}


def _difference(change: Mapping[str, Any]) -> float | None:
    ends: Sequence[Any] = (change["old"], change["new"])
    numbers = [float(end) for end in ends if isinstance(end, int | float)]
    return numbers[1] - numbers[0] if len(numbers) == 2 else None


def _dumbbells() -> Spec:
    x = {"type": "quantitative", "title": "share or AUROC", "scale": {"domain": [0, 1]}}
    axis = {"labelLimit": 260}
    place = {
        "y": {"field": "metric", "type": "nominal", "sort": None, "title": None, "axis": axis},
        "tooltip": [
            {"field": "metric", "type": "nominal"},
            {"field": "old", "type": "quantitative", "format": ".3f"},
            {"field": "new", "type": "quantitative", "format": ".3f"},
        ],
    }
    old, new = place | {"x": x | {"field": "old"}}, place | {"x": x | {"field": "new"}}
    change = old | {"x2": {"field": "new"}}
    hollow = {"type": "point", "size": 60, "color": BLUE}
    filled = {"type": "point", "filled": True, "size": 60, "color": VERMILLION}
    return {
        "height": {"step": 18},
        "layer": [
            {"mark": {"type": "rule", **CHANCE}, "encoding": {"x": {"datum": 0.5}}},
            {"mark": {"type": "rule", "strokeWidth": 2}, "encoding": change},
            {"mark": hollow, "encoding": old},
            {"mark": filled, "encoding": new},
        ],
    }
