"""The error that a user can mend."""

from __future__ import annotations


class InputError(Exception):
    """Input that cannot be used. The message is one line: where, what was expected, what to do."""
