"""A validation error of pydantic in one line: the key, what was expected, what was found."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import ErrorDetails

Key = tuple[str | int, ...]
"""Where a value is: keys of sections and indices of lists, from the top."""
Schema = dict[str, Any]
"""A JSON schema, or a part of one."""

UNKNOWN_KEY = ("extra_forbidden", "unexpected_keyword_argument")
MISSING_KEY = ("missing", "missing_argument", "union_tag_not_found")
PRIORITY = {name: 0 for name in UNKNOWN_KEY} | {name: 2 for name in MISSING_KEY}
"""Order in which errors are reported (others: 1). A misspelt key is both unknown and missing, so
unknown keys come first."""
WRONG_TYPE = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "text",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "keys with values",
    "dataclass_type": "keys with values",
    "model_type": "keys with values",
    "model_attributes_type": "keys with values",
}
"""What was expected, for errors about the type of a value."""
OUT_OF_RANGE = {
    "greater_than_equal": "at least {ge:g}",
    "greater_than": "more than {gt:g}",
    "less_than_equal": "at most {le:g}",
    "less_than": "less than {lt:g}",
}
"""What was expected, for numbers out of range."""
JSON_TYPES = {
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "boolean": "true or false",
    "array": "a list",
    "object": "keys with values",
}
"""Types of a JSON schema in words."""


def first_error(kind: Any, value: Any, errors: Sequence[ErrorDetails]) -> tuple[str, str]:
    """The dotted key (relative to `value`) and the message of the error to report first.

    `kind` is the type that `value` was validated as. Pydantic reports an error for each branch of a
    union: the branch whose type fits is reported, or all of them if none fits.
    """
    by_key: dict[Key, list[ErrorDetails]] = {}
    for error in errors:
        by_key.setdefault(_key(value, error), []).append(error)
    key, same_key = min(
        by_key.items(), key=lambda entry: min(PRIORITY.get(error["type"], 1) for error in entry[1])
    )
    return _dotted(key), _message(TypeAdapter(kind).json_schema(), value, key, same_key)


def _key(value: Any, error: ErrorDetails) -> Key:
    """The key of an error: pydantic's location without the branches of unions that it names."""
    key: Key = ()
    for part in error["loc"]:
        entries: Any = dict(enumerate(value)) if isinstance(value, list) else value
        if isinstance(entries, dict) and part in entries:
            key, value = (*key, part), entries[part]
        elif error["type"] in MISSING_KEY and part == error["loc"][-1]:
            key = (*key, part)
    if error["type"].startswith("union_tag_"):
        return (*key, error.get("ctx", {})["discriminator"].strip("'"))
    return key


def _dotted(key: Key) -> str:
    """`variants[0].position`"""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in key)
    return "".join(parts).removeprefix(".")


def _message(schema: Schema, value: Any, key: Key, errors: Sequence[ErrorDetails]) -> str:
    """What is wrong at `key`, where pydantic found `errors`."""
    error = errors[0]
    if error["type"] in UNKNOWN_KEY:
        known = [*_schema_at(schema, value, key[:-1]).get("properties", {})]
        similar = get_close_matches(str(key[-1]), known, n=1, cutoff=0.7)
        hint = f" (did you mean {similar[0]}?)" if similar else ""
        return f"unknown key; expected {', '.join(known)}{hint}"
    if error["type"] in MISSING_KEY:
        return f"missing; expected {_in_words(_schema_at(schema, value, key))}"
    if error["type"] == "value_error":  # one of ours, which says what was found
        return str(error.get("ctx", {})["error"])
    fitting = [e for e in errors if e["type"] not in WRONG_TYPE and e["type"] != "literal_error"]
    expected = list(dict.fromkeys(map(_expected, fitting[:1] or errors)))
    wrong = error["input"]
    if error["type"] == "union_tag_invalid":
        wrong = error.get("ctx", {})["tag"]
    return f"expected {' or '.join(expected).replace(' or one of ', ' or ')}, found {wrong!r}"


def _expected(error: ErrorDetails) -> str:
    """What pydantic expected, in words."""
    kind, context = error["type"], error.get("ctx", {})
    if kind in WRONG_TYPE:
        return WRONG_TYPE[kind]
    if kind in OUT_OF_RANGE:
        return OUT_OF_RANGE[kind].format(**context)
    if kind in ("literal_error", "union_tag_invalid"):
        choices = re.findall(r"'([^']*)'", context.get("expected") or context["expected_tags"])
        return "one of " + ", ".join(choices)
    if kind in ("too_short", "string_too_short"):
        return "at least one entry" if kind == "too_short" else "text that is not empty"
    if kind == "string_pattern_mismatch":
        return f"text of the form {context['pattern'].strip('^$')}"
    return error["msg"]


def _schema_at(schema: Schema, value: Any, key: Key) -> Schema:
    """The part of `schema` that describes `key`, as far as it can be followed.

    Of a union with a discriminator it is the branch that `value` chooses.
    """
    here = _resolved(schema, schema, value)
    for part in key:
        if isinstance(part, int):
            inner = here.get("items")
            value = value[part]
        else:
            tags = here.get("discriminator", {"mapping": ()})["mapping"]
            inner = here.get("properties", {}).get(part, here.get("additionalProperties"))
            inner = {"enum": [*tags]} if tags else inner
            value = value.get(part) if isinstance(value, dict) else None
        if not isinstance(inner, dict):
            break
        here = _resolved(inner, schema, value)
    return here


def _resolved(part: Schema, schema: Schema, value: Any) -> Schema:
    """`part` with its reference followed, and its branch chosen by `value`."""
    while "$ref" in part or "discriminator" in part:
        if "$ref" in part:
            part = schema["$defs"][part["$ref"].rpartition("/")[2]]
            continue
        union = part["discriminator"]
        tag = value.get(union["propertyName"]) if isinstance(value, dict) else None
        if tag not in union["mapping"]:
            break
        part = {"$ref": union["mapping"][tag]}
    return part


def _in_words(schema: Schema) -> str:
    """The values that `schema` accepts, in words."""
    if "enum" in schema:
        return "one of " + ", ".join(map(str, schema["enum"]))
    if "const" in schema:
        return str(schema["const"])
    if "anyOf" in schema:
        return " or ".join(_in_words(branch) for branch in schema["anyOf"])
    return JSON_TYPES.get(schema.get("type", ""), "keys with values")
