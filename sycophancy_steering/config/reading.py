"""Reads `params.yaml` and holds every value against what a stage expects before it starts.

A section is described by a frozen dataclass: its fields are the keys, their types what is accepted.
DVC itself checks nothing, and reads YAML 1.2 (where `1e-3` is a number), so this does too.
"""

from __future__ import annotations

import dataclasses
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from sycophancy_steering.foundation.errors import InputError

PARAMS = Path("params.yaml")
Section = TypeVar("Section")
UNIONS = UnionType, Union


def read_section(kind: type[Section], *keys: str, path: Path = PARAMS) -> Section:
    """The section at `keys` (`"variant", "pca"`) of `path` as a `kind`.

    Raises InputError naming the key: missing, unknown, or of another type than `kind` says.
    """
    value: Any = _read(path)
    for depth, key in enumerate(keys):
        place = ".".join(keys[: depth + 1])
        if not isinstance(value, dict) or key not in value:
            raise InputError(f"{path}: no {place}; expected a section of that name")
        value = value[key]
    return accepted(kind, value, f"{path}: {'.'.join(keys)}")


def read_names(key: str, path: Path = PARAMS, empty: bool = False) -> list[str]:
    """A list of names at the top level, such as `models`; one name at least, unless `empty`."""
    found = _read(path).get(key)
    return [] if empty and found == [] else accepted(list[str], found, f"{path}: {key}")


def read_pairs(key: str, path: Path = PARAMS) -> list[dict[str, str]]:
    """A list of names by other names at the top level, such as `across`; it may be empty."""
    found = _read(path).get(key)
    return [] if not found else accepted(list[dict[str, str]], found, f"{path}: {key}")


def read_name(key: str, path: Path = PARAMS) -> str:
    """A single name at the top level, such as `evaluation`."""
    return accepted(str, _read(path).get(key), f"{path}: {key}")


def read_value(key: str, path: Path = PARAMS) -> Any:
    """Whatever stands under a name at the top level."""
    return _read(path).get(key)


def _read(path: Path) -> dict[str, Any]:
    try:
        found = _parsed(path.read_bytes())
    except OSError:
        raise InputError(f"{path}: not found; run this from the top of the repository") from None
    except YAMLError as error:
        raise InputError(f"{path}: not YAML ({str(error).splitlines()[0]})") from None
    if not isinstance(found, dict):
        raise InputError(f"{path}: expected sections, found {type(found).__name__}")
    return found


@lru_cache(maxsize=1)  # a stage asks again and again
def _parsed(content: bytes) -> Any:
    return YAML(typ="safe", pure=True).load(content)  # the C parser stumbles over URLs


def accepted(kind: Any, value: Any, place: str) -> Any:
    """`value` as `kind`, or a InputError that names `place`."""
    if get_origin(kind) in UNIONS:
        for each in get_args(kind):
            with suppress(InputError):
                return accepted(each, value, place)
        raise InputError(f"{place}: expected {_said(kind)}, found {value!r}")
    if dataclasses.is_dataclass(kind):
        if not isinstance(value, dict):
            raise InputError(f"{place}: expected keys with values, found {value!r}")
        hints = get_type_hints(kind)
        if unknown := [key for key in value if key not in hints]:
            raise InputError(f"{place}.{unknown[0]}: unknown key; expected {', '.join(hints)}")
        needed = [f.name for f in dataclasses.fields(kind) if f.default is dataclasses.MISSING]
        if missing := [key for key in needed if key not in value]:
            raise InputError(f"{place}.{missing[0]}: missing; expected {_said(hints[missing[0]])}")
        fields = {k: accepted(hints[k], v, f"{place}.{k}") for k, v in value.items()}
        return kind(**fields)  # type: ignore[operator]
    outer, inner = get_origin(kind), get_args(kind)
    if outer is Literal:
        if value in inner:
            return value
    elif outer is list:
        if isinstance(value, list) and value:
            return [accepted(inner[0], each, f"{place}[{n}]") for n, each in enumerate(value)]
    elif outer is dict:
        if isinstance(value, dict) and value:
            return {str(k): accepted(inner[1], v, f"{place}.{k}") for k, v in value.items()}
    elif kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    elif isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
        return value
    raise InputError(f"{place}: expected {_said(kind)}, found {value!r}")


def _said(kind: Any) -> str:
    """A type in words."""
    outer, inner = get_origin(kind), get_args(kind)
    if outer in UNIONS:
        return " or ".join(_said(each) for each in inner)
    if outer is Literal:
        return "one of " + ", ".join(str(each) for each in inner)
    if outer is list:
        return f"a list of {_said(inner[0])}"
    if outer is dict:
        return f"names, each with {_said(inner[1])}"
    return {int: "a whole number", float: "a number", str: "a word", bool: "true or false"}.get(
        kind, "a section"
    )
