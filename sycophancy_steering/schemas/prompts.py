"""Prompt sets: data/prompts/SET.parquet."""

from __future__ import annotations

import pyarrow as pa

FOLDER = "data/prompts"
EXTRACT_KEY = b"extract"
"""Metadata: what is extracted for the set (`prompt_set.NAME.extract` of params.yaml)."""
KEEP_KEY = b"keep"
"""Metadata, only where statistics are kept: `moments` and `grouped_by` of `prompt_set.NAME`, as
JSON."""
_TURNS = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string()), ("own", pa.bool_())]))
PROMPTS_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("source", pa.string()),
        ("family", pa.string()),
        ("item", pa.string()),
        ("persona", pa.string()),
        ("messages", _TURNS),
        ("choices", pa.list_(pa.struct([("letter", pa.string()), ("text", pa.string())]))),
        ("matching", pa.string()),
        ("not_matching", pa.list_(pa.string())),
        ("answers", pa.list_(pa.string())),
        ("form", pa.string()),
        ("split", pa.string()),
        ("cause", pa.float64()),
        ("without_user", _TURNS),
        ("true_answers", pa.list_(pa.string())),
        ("false_answers", pa.list_(pa.string())),
        ("template", pa.string()),
        ("opposite_user", _TURNS),
        ("neutral_turn", _TURNS),
        ("counts_if", pa.string()),
        ("rubric", pa.string()),
    ]
)
"""One row a question, in the order in which it is asked; the fields of `Row`
(questions/question.py)."""
