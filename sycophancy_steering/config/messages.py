"""Validation errors in one line: the key, what was expected, what was found."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import ErrorDetails

TYPES = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "a text",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "keys with values",
    "dataclass_type": "keys with values",
    "model_type": "keys with values",
}
"""What was expected, by type of error."""
LIMITS = {
    "greater_than_equal": "at least {ge}",
    "greater_than": "more than {gt}",
    "less_than_equal": "at most {le}",
    "less_than": "less than {lt}",
}
"""What was expected of a number out of its range."""
SHAPES = {"integer": "a whole number", "number": "a number", "string": "a text"}
SHAPES |= {"boolean": "true or false", "array": "a list", "object": "keys with values"}
"""JSON schema types in words."""


def first_error(kind: Any, value: Any, errors: Sequence[ErrorDetails]) -> tuple[str, str]:
    """The key (dotted, relative to `value`) and the message of the most telling error.

    `kind` is what `value` was validated as. An unknown key comes before a missing one, since a
    typing error causes both. Of the branches of a union, the one whose type fits speaks; where none
    fits, all of them.
    """
    by_key: dict[str, list[ErrorDetails]] = {}
    for error in errors:
        by_key.setdefault(_key(value, error), []).append(error)
    order = {"extra_forbidden": 0, "unexpected_keyword_argument": 0, "missing": 2}
    key, branches = min(
        by_key.items(), key=lambda entry: min(order.get(e["type"], 1) for e in entry[1])
    )
    return key, _message(kind, key, branches)


def _key(value: Any, error: ErrorDetails) -> str:
    """The key of an error, without the names that pydantic adds for branches of a union."""
    key, inside = "", value
    for part in error["loc"]:
        if isinstance(inside, dict) and part in inside:
            key, inside = f"{key}.{part}", inside[part]
        elif isinstance(inside, list) and isinstance(part, int) and part < len(inside):
            key, inside = f"{key}[{part}]", inside[part]
        elif error["type"] in ("missing", "missing_argument") and part == error["loc"][-1]:
            key = f"{key}.{part}"
    return key.removeprefix(".")


def _message(kind: Any, key: str, errors: Sequence[ErrorDetails]) -> str:
    """What is wrong with a key, in words."""
    error = errors[0]
    if error["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        known = _fields(kind, key)
        close = get_close_matches(key.rpartition(".")[2], known, 1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        return f"unknown key; expected {', '.join(known)}{hint}"
    if error["type"] in ("missing", "missing_argument"):
        return f"missing; expected {_shape(kind, key)}"
    fitting = [e for e in errors if e["type"] not in TYPES and e["type"] != "literal_error"]
    told = list(dict.fromkeys(map(_expectation, fitting[:1] or errors)))
    found = f"found {error['input']!r}"
    if ", found" in told[0]:  # a validator that says it all
        return told[0]
    words = " or ".join(e.removeprefix("expected ") for e in told).replace(" or one of ", " or ")
    return f"expected {words}, {found}"


def _expectation(error: ErrorDetails) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind in TYPES:
        return TYPES[kind]
    if kind in LIMITS:
        return LIMITS[kind].format(**context)
    if kind in ("literal_error", "union_tag_invalid"):
        expected = str(context.get("expected", context.get("expected_tags")))
        choices = re.findall(r"'([^']*)'|(\d+)", expected)
        return "one of " + ", ".join(text or number for text, number in choices)
    if kind in ("too_short", "string_too_short"):
        return "at least one"
    if kind == "string_pattern_mismatch":
        return f"a text of the form {context['pattern'].strip('^$')}"
    if kind == "union_tag_not_found":
        return f"the key {context['discriminator']}"
    return str(context.get("error", error["msg"]))


def _schema_at(kind: Any, key: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The JSON schema at `key`, as far as it can be followed, and the whole."""
    whole = TypeAdapter(kind).json_schema()
    here = _resolved(whole, whole)
    for part in re.findall(r"[^.\[\]]+", key):
        properties = here.get("properties", {})
        inner = (
            here.get("items")
            if part.isdigit() and "items" in here
            else properties.get(part, here.get("additionalProperties"))
        )
        if not isinstance(inner, dict):
            break
        here = _resolved(inner, whole)
    return here, whole


def _resolved(schema: dict[str, Any], whole: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = whole["$defs"][schema["$ref"].rpartition("/")[2]]
    return schema


def _fields(kind: Any, key: str) -> list[str]:
    """The keys that are known beside `key`."""
    parent = re.sub(r"\.?[^.\[\]]+$", "", key)
    return [*_schema_at(kind, parent)[0].get("properties", {})]


def _shape(kind: Any, key: str) -> str:
    """What a key holds, in words."""
    schema, _ = _schema_at(kind, key)
    if "enum" in schema:
        return "one of " + ", ".join(map(str, schema["enum"]))
    branches = schema.get("anyOf", [schema])
    words = [
        f"{branch['const']}"
        if "const" in branch
        else SHAPES.get(branch.get("type", ""), "a section")
        for branch in branches
    ]
    return " or ".join(words)
