"""The reference of params.yaml, out of its JSON schema."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sycophancy_steering.documentation.report_values import markdown_table

Schema = Mapping[str, Any]


def parameter_reference(path: Path) -> str:
    """A section for each key of params.yaml, in the schema's order, with a table of its own keys:
    what each may be, what it means, and what it is where it is left out."""
    schema = json.loads(path.read_text(encoding="utf-8"))
    parts: list[str] = []
    seen: set[str] = set()
    for key, value in schema["properties"].items():
        settings, form = _settings_of(value, schema)
        meaning = _words(value.get("description") or settings[0].get("description", ""))
        parts.append(f"## {key}\n{meaning}" + (f" ({form})" if form else ""))
        for section in settings:
            parts += _section(section, schema, titled=len(settings) > 1)
            for name in _nested(section, schema):
                if name not in seen:
                    seen.add(name)
                    parts.append(f"### {name}")
                    parts += _section(schema["$defs"][name], schema, titled=False)
    return "\n\n".join(parts)


def _section(section: Schema, schema: Schema, titled: bool) -> Iterator[str]:
    """The table of a section's keys."""
    properties = section.get("properties", {})
    if titled:
        kind = properties["kind"]
        name = kind.get("const") or kind["enum"][0]
        yield f"### kind: {name}\n{_words(section.get('description', ''))}"
    required = section.get("required", [])
    rows = [
        [
            f"`{key}`",
            _type(value, schema),
            _words(value.get("description", "")),
            "required" if key in required else _default(value),
        ]
        for key, value in properties.items()
        if not (titled and key == "kind")
    ]
    yield markdown_table(["key", "value", "meaning", "if left out"], rows)


def _default(value: Schema) -> str:
    return f"`{json.dumps(value['default'])}`" if "default" in value else "optional"


def _settings_of(value: Schema, schema: Schema) -> tuple[list[Schema], str]:
    """The sections that a key of params.yaml holds, and in which form, if not as one section."""
    inner = value.get("additionalProperties") or value.get("items") or value
    options = inner.get("oneOf", [inner]) if isinstance(inner, Mapping) else []
    settings = [_resolve(option["$ref"], schema) for option in options if "$ref" in option]
    if not settings:
        return [], _type(value, schema)
    if "additionalProperties" in value:
        return settings, "entries by name"
    return settings, "a list of entries" if "items" in value else ""


def _nested(section: Schema, schema: Schema) -> Iterator[str]:
    """Names of the sections inside a section."""
    for value in section.get("properties", {}).values():
        for option in [value, value.get("items", {}), *value.get("anyOf", [])]:
            if "$ref" in option and "properties" in _resolve(option["$ref"], schema):
                yield option["$ref"].rpartition("/")[2]


def _resolve(reference: str, schema: Schema) -> Schema:
    return schema["$defs"][reference.rpartition("/")[2]]


def _type(value: Schema, schema: Schema) -> str:
    """What a value may be, in words."""
    if "$ref" in value:
        return _type(_resolve(value["$ref"], schema), schema) or "a section"
    match value.get("anyOf"):
        case [one, {"type": "array", "items": items}] if one == items:
            return f"{_type(one, schema)}, or a list of such"
    for several in ("anyOf", "oneOf"):
        if several in value:
            return " or ".join(dict.fromkeys(_type(part, schema) for part in value[several]))
    if "enum" in value or "const" in value:
        return ", ".join(f"`{choice}`" for choice in value.get("enum", [value.get("const")]))
    match value.get("type"):
        case "array":
            return f"a list of {_type(value.get('items', {}), schema)}"
        case "object" if "properties" in value:
            return f"a section: {value.get('title')}"
        case "object":
            return f"by name: {_type(value.get('additionalProperties', {}), schema)}"
        case "null":
            return "none"
        case kind:
            return _number_or_text(str(kind), value)


def _number_or_text(kind: str, value: Schema) -> str:
    names = {"string": "text", "boolean": "`true` or `false`"}
    bounds: Sequence[tuple[str, str]] = [
        ("minimum", "from"), ("exclusiveMinimum", "above"),
        ("maximum", "to"), ("exclusiveMaximum", "below"),
    ]  # fmt: skip
    limits = [f"{words} {value[key]:g}" for key, words in bounds if key in value]
    return " ".join([names.get(kind, kind), *limits])


def _words(description: str) -> str:
    return " ".join(description.split())
