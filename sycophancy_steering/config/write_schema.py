"""Writes the JSON schema of params.yaml, which editors use to complete and check it.

python -m sycophancy_steering.config.write_schema
"""

from __future__ import annotations

import json
from pathlib import Path

from sycophancy_steering.config.params import Params

SCHEMA = Path("params.schema.json")


def schema() -> str:
    """The JSON schema of params.yaml as text."""
    draft = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return json.dumps(draft | Params.model_json_schema(), indent=2) + "\n"


if __name__ == "__main__":
    SCHEMA.write_text(schema(), encoding="utf-8")
    print(f"wrote {SCHEMA}")
