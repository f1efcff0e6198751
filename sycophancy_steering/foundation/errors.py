"""Bad input is refused."""

from __future__ import annotations


class InputError(Exception):
    """Input that is not accepted. The message is one line: where, what was expected, what to do."""
