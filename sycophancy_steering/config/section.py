"""Field types that the sections of params.yaml share."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    StrictInt,
    StrictStr,
)
from pydantic.types import Strict
from pydantic_core import CoreSchema

SECTION = ConfigDict(extra="forbid", use_attribute_docstrings=True)
"""Configuration of every section: an unknown key is an error; fields are described by the docstring
below them, in the JSON schema too."""
Integer = StrictInt
PositiveInteger = Annotated[StrictInt, Field(ge=1)]
Count = Annotated[StrictInt, Field(ge=0)]
Number = Annotated[float, Strict(), Field(allow_inf_nan=False)]
Text = Annotated[StrictStr, Field(min_length=1)]
Switch = Annotated[bool, Strict()]
Value = TypeVar("Value")


def _distinct(values: list[Any]) -> list[Any]:
    for n, value in enumerate(values):
        if value in values[:n]:
            raise ValueError(f"expected each entry once, found {value!r} twice")
    return values


Distinct = Annotated[list[Value], AfterValidator(_distinct)]
"""A list, possibly empty, without duplicates."""
SomeDistinct = Annotated[list[Value], Field(min_length=1), AfterValidator(_distinct)]
"""A list of at least one value, without duplicates."""


class _ValueOrListSchema:
    """In the JSON schema: a value, or a list of such values."""

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        schema = handler(core)
        return {"anyOf": [schema["items"], schema]}


def _as_list(value: object) -> object:
    return value if isinstance(value, list) else [value]


OneOrMore = Annotated[
    list[Value], Field(min_length=1), BeforeValidator(_as_list), _ValueOrListSchema()
]
"""A value or a list of values, read as a list."""
