"""What all sections of params.yaml have in common."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, ConfigDict, Field, GetJsonSchemaHandler, StrictInt, StrictStr
from pydantic.types import Strict
from pydantic_core import CoreSchema

SECTION = ConfigDict(extra="forbid", use_attribute_docstrings=True)
"""Of every section: an unknown key is an error, and docstrings of fields describe them."""
Integer = StrictInt
PositiveInteger = Annotated[StrictInt, Field(ge=1)]
Number = Annotated[float, Strict()]
Text = Annotated[StrictStr, Field(min_length=1)]
Switch = Annotated[bool, Strict()]
Value = TypeVar("Value")


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
