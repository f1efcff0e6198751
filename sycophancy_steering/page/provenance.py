"""Where every number comes from: models, data, parameters and code."""

from __future__ import annotations

import json
from pathlib import Path

from sycophancy_steering.page.lock import StageRecord, read_records
from sycophancy_steering.page.section import FoldedTable, Section
from sycophancy_steering.page.study import Study
from sycophancy_steering.report.templates import TableData
from sycophancy_steering.schemas.paths import MODELS

SOURCE_FILE = "source.json"
"""Of a checkpoint: what it was taken from (stages/checkpoint.py)."""


def provenance(study: Study) -> Section:
    """Models with their revisions, and every stage with its data, parameters and code."""
    records = read_records()
    outputs = [output for record in records for output in record.outputs]
    models = [[model, *_revision(model, records)] for model in study.settings.suites]
    files = [[output.path, output.stage, output.md5, f"{output.size:,}"] for output in outputs]
    hashes = {path: md5 for record in records for path, md5 in sorted(record.code.items())}
    params = [
        [f"{record.name}: {key}", json.dumps(value, ensure_ascii=False)]
        for record in records
        for file in record.params.values()
        for key, value in file.items()
    ]
    tables = [
        FoldedTable("Code of each stage, by hash", TableData(["code", "md5"], [*hashes.items()])),
        FoldedTable("Parameters of each stage", TableData(["stage: parameter", "value"], params)),
    ]
    return Section(
        f"{len(outputs)} outputs of {len(records)} stages, each with the hash that DVC recorded."
        if records
        else "DVC has not recorded how these numbers were made: run `dvc repro`.",
        ["dvc.lock"],
        None,
        tables if records else [],
        {
            "models": TableData(["model", "what it is", "revision"], models),
            "files": files,
        },
    )


def _revision(model: str, records: list[StageRecord]) -> list[str]:
    """What a model is and which revision: a checkpoint's, or the hash of its files."""
    source = Path(MODELS) / model / SOURCE_FILE
    if source.exists():
        about = json.loads(source.read_text(encoding="utf-8"))
        return [str(about.get("name", about.get("kind", ""))), str(about.get("revision", ""))]
    path = str(MODELS / model)
    of_model = [out.md5 for record in records for out in record.outputs if out.path == path]
    return ["a folder of this repository", of_model[0] if of_model else "not recorded"]
