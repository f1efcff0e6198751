"""A published format: how its records are recognised and read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sycophancy_steering.questions.question import Question
from sycophancy_steering.sources.record_files import Records, read_records

Schema = tuple[str, ...]
"""Keys that records have; `a.b` for b inside a."""


def read_any(path: Path, schema: Schema) -> Records:
    """The records of a file of any kind; a table must have the columns of `schema`."""
    return read_records(path, schema)


@dataclass(frozen=True)
class Format:
    """A published format."""

    to_question: Callable[..., Question]
    """Reads a record (and `options` as keywords). Raises InputError for one that cannot be used."""
    schemas: tuple[Schema, ...]
    """A record of the format has the keys of one of these."""
    recognises: Callable[[Mapping[str, object]], bool] = lambda fields: True
    """Whether a record that has the keys is one of this format."""
    records: Callable[[Path, Schema], Records] = read_any
    """The records of a file; in a table, the columns of the only schema have to be there."""
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Settings of a source that `to_question` takes, and their values."""
    optional: Schema = ()
    """Further keys that a record may have."""

    @property
    def keys(self) -> Schema:
        """All keys that are read, which `columns` may take from elsewhere."""
        schemas = (*self.schemas, self.optional)
        return tuple(dict.fromkeys(key for schema in schemas for key in schema))

    @property
    def required(self) -> Schema:
        """Keys that every record has."""
        return self.schemas[0] if len(self.schemas) == 1 else ()

    def fits(self, fields: Mapping[str, object]) -> bool:
        """Whether a record looks like one of this format."""
        has_keys = any(all(key in fields for key in schema) for schema in self.schemas)
        return has_keys and self.recognises(fields)


def answers_begin_with(beginning: str, key: str) -> Callable[[Mapping[str, object]], bool]:
    """Recognises records by how the answer under `key` (or the first of a list) is written."""

    def recognises(fields: Mapping[str, object]) -> bool:
        answer = fields[key]
        first = answer[0] if isinstance(answer, list) and answer else answer
        return isinstance(first, str) and first.startswith(beginning)

    return recognises
