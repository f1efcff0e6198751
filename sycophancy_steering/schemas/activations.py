"""Activations and responses: data/activations/MODEL/SET/.

`shard-NNNNN.parquet` has the columns `id`, `position` and one of each layer (`layer_column`), a row
group a position; the activations are fixed-size binary of `d_model` numbers. Its metadata key
`activations` holds JSON (storage/activation_shards.py: Origin). `responses.parquet` has one row a
question in the order of the prompt set, `reference_logprobs.parquet` one row a reference chat.
Of a prompt set with `keep: statistics`, `statistics.json` and safetensors files take the place of
the shards (storage/activation_statistics.py).
"""

from __future__ import annotations

import pyarrow as pa

FOLDER = "data/activations/{model}/{prompt_set}"
RESPONSES = "responses.parquet"
STATISTICS = "statistics.json"
REFERENCE_LOGPROBS = "reference_logprobs.parquet"
KEY = "key"
"""Column: identifies a question or a reference chat (activations/cache_keys.py)."""
POSITIONS = ("prompt", "continuation", "continuation_mean", "matching", "not_matching")
"""The last token of the prompt and of the model's continuation, the mean over the continuation, and
the last token of the sycophantic and of the first other answer forced after the prompt. Besides,
`token_1`, `token_2`, ... of the continuation."""
FORCED_POSITIONS = ("prompt", "matching", "not_matching")
"""The positions of a prompt set with `extract: forced_answers`."""
CHAT_POSITIONS = ("prompt", "continuation", "continuation_mean")
"""The positions of a prompt set with `extract: chats`; with `extract: prompts`, the first of
them."""

_FLOATS = pa.list_(pa.float64())
BLOCK_SCHEMA = pa.schema(
    [
        (KEY, pa.string()),
        ("id", pa.string()),
        ("prompt_tokens", pa.int32()),
        ("continuation", pa.string()),
        ("answer", pa.string()),
        ("logprobs", _FLOATS),
        ("answer_tokens", pa.list_(pa.int32())),
        ("any_logprobs", _FLOATS),
        ("continuation_prefixes", pa.list_(pa.string())),
        ("own_answer", pa.string()),
        ("own_answer_letter", pa.string()),
    ]
)
"""Responses in the cache: the fields of `Response` (activations/prompts.py)."""
COUNTERFACTUALS = ("plain_logprobs", "opposite_logprobs", "neutral_logprobs")
"""Log-probabilities of the answers without the user's view, after a user of the opposite view, and
after a neutral turn; missing where the question has no such version."""
REFERENCE_COLUMNS = (*COUNTERFACTUALS, "true_logprobs", "false_logprobs")
"""These, and those of known true and false answers."""
RESPONSES_SCHEMA = pa.schema([*BLOCK_SCHEMA, *((name, _FLOATS) for name in REFERENCE_COLUMNS)])
REFERENCE_SCHEMA = pa.schema([(KEY, pa.string()), ("logprobs", _FLOATS)])


def layer_column(layer: int) -> str:
    """The name of a layer's column, and of its tensor in a vector file."""
    return f"layer_{layer:02d}"
