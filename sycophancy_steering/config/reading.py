"""Reads sections of params.yaml and validates them, before a stage computes anything.

DVC validates nothing. It reads the file as YAML 1.2, where `1e-3` is a number; so does this.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from sycophancy_steering.config.messages import first_error
from sycophancy_steering.config.section import Distinct, SomeDistinct, Text
from sycophancy_steering.foundation.errors import InputError

PARAMS = Path("params.yaml")


def read_section(kind: Any, *keys: str, path: Path = PARAMS) -> Any:
    """The section at `keys` (`"model", "zephyr"`) of `path`, validated as a `kind`.

    Raises InputError with one line: the file, the key, what was expected, what was found.
    """
    value: Any = read_yaml(path)
    for depth, key in enumerate(keys):
        if not isinstance(value, dict) or key not in value:
            place = ".".join(keys[: depth + 1])
            known = f"; found {', '.join(value)}" if isinstance(value, dict) and depth else ""
            raise InputError(f"{path}: no {place}; expected an entry of that name{known}")
        value = value[key]
    return validated(kind, value, path, ".".join(keys))


def validated(kind: Any, value: Any, path: Path, place: str) -> Any:
    """`value` as a `kind`. Raises InputError, which names `path` and the key below `place`."""
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        key, message = first_error(kind, value, error.errors())
        where = f"{place}{'' if not place or not key or key[0] == '[' else '.'}{key}"
        raise InputError(f"{path}: {where}{': ' if where else ''}{message}") from None


def read_names(key: str, path: Path = PARAMS, empty: bool = False) -> list[str]:
    """A list of names at the top level, such as `models`; at least one, unless `empty`."""
    return read_section(Distinct[Text] if empty else SomeDistinct[Text], key, path=path)


def read_name(key: str, path: Path = PARAMS) -> str:
    """A single name at the top level, such as `evaluation_set`."""
    return read_section(Text, key, path=path)


def read_yaml(path: Path) -> dict[str, Any]:
    """The sections of `path`, not validated. Raises InputError where it is not readable YAML."""
    try:
        params = _parsed(path.read_bytes())
    except OSError:
        raise InputError(f"{path}: not found; run this from the top of the repository") from None
    except YAMLError as error:
        raise InputError(f"{path}: not YAML ({str(error).splitlines()[0]})") from None
    if not isinstance(params, dict):
        raise InputError(f"{path}: expected sections, found {type(params).__name__}")
    return params


@lru_cache(maxsize=1)  # stages read several sections
def _parsed(content: bytes) -> Any:
    return YAML(typ="safe", pure=True).load(content)  # the C parser fails on some URLs
