"""Records of a file, which know their location for error messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sycophancy_steering.foundation.errors import InputError

REMEDY = "correct the record or fetch the file again (see data/public/README.md)"


@dataclass(frozen=True)
class Record:
    """One record of a file, and its location."""

    path: Path
    location: str
    """File and line, or file and number of the record, counted from 1."""
    fields: Mapping[str, object]

    @property
    def source(self) -> str:
        """The file's stem."""
        return self.path.stem

    def location_of(self, key: str) -> str:
        """The location of `key`, for a message."""
        return f"{self.location}, key {shortened(key)}"

    def error(self, key: str, expected: str) -> InputError:
        """An InputError about the value of `key`."""
        value = shortened(self.fields[key]) if key in self.fields else "no such key"
        return InputError(f"{self.location_of(key)}: expected {expected}, found {value}; {REMEDY}")

    def text(self, key: str) -> str:
        """The text under `key`, unchanged. Raises InputError where it is missing or blank."""
        value = self.fields.get(key)
        if not isinstance(value, str) or not value.strip():
            raise self.error(key, "a text that is not empty")
        return value

    def optional_text(self, key: str) -> str:
        """The text under `key`; empty where it is missing, null or empty."""
        return "" if self.fields.get(key) in (None, "") else self.text(key)

    def nested(self, key: str) -> Record:
        """The object under `key`, as a record. Raises InputError where it is none."""
        value = self.fields.get(key)
        if not isinstance(value, dict):
            raise self.error(key, "an object {...}")
        return replace(self, location=self.location_of(key), fields=value)


def shortened(value: object, width: int = 60) -> str:
    """`value` in one short line, for a message."""
    try:
        text = repr(value)
    except RecursionError:
        return "a deeply nested value"
    return text if len(text) <= width else text[: width - 3] + "..."


def listed(values: Sequence[object], most: int = 12) -> str:
    """The first `most` of `values` in one short line, for a message."""
    shown = [shortened(value) for value in values[:most]]
    return ", ".join(shown if len(values) <= most else [*shown, "..."])


def as_record(path: Path, location: str, value: object) -> Record | InputError:
    """`value` as a record; the error to report where it is no JSON object."""
    if not isinstance(value, dict):
        return InputError(
            f"{location}: expected an object {{...}}, found {shortened(value)}; {REMEDY}"
        )
    return Record(path, location, value)
