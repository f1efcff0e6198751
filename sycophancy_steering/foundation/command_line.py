"""Runs a stage as a command: parses its arguments, and prints an InputError as one line.

Stages import this before other modules, since Arrow and polars choose their allocator when they are
imported.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from functools import wraps
from inspect import Parameter, signature
from pathlib import Path

from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.foundation.progress import reported

ALLOCATORS = {
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "_RJEM_MALLOC_CONF": "dirty_decay_ms:50,muzzy_decay_ms:0",
}
"""Make Arrow and polars return freed memory to the operating system at once. Reading 185 MB of
activations and 24 MB of scores then peaks at 188 MB instead of 212 MB, and the peak of a stage does
not grow with the number of questions (benchmarks/memory.py)."""
for _name, _setting in ALLOCATORS.items():
    os.environ.setdefault(_name, _setting)


def command(description: str | None, **arguments: str) -> Callable[..., Callable[[], None]]:
    """Decorates a stage's `main`, which then parses the command line for its parameters.

    `description` is what `--help` prints; `arguments` has the help of each parameter, in order. A
    parameter with a default is optional; `*names` take one or more values. One that has to be named
    (after `*`) is an option, `--name VALUE`; where its default is a tuple, it takes one or more
    values, and where it is False, none. Of a stage of dvc.yaml,
    `reported` says what it does and when it is done. An InputError is printed as one line and the
    exit status is 1; any other exception is a bug and keeps its traceback.
    """

    def decorate(main: Callable[..., None]) -> Callable[[], None]:
        parameters = signature(main).parameters.values()
        several = [p.name for p in parameters if p.kind is Parameter.VAR_POSITIONAL]

        @wraps(main)
        def run() -> None:
            parser = argparse.ArgumentParser(
                description=description, formatter_class=argparse.RawTextHelpFormatter
            )
            for (name, text), parameter in zip(arguments.items(), parameters, strict=True):
                _add_argument(parser, name, text, parameter)
            values = vars(parser.parse_intermixed_args())
            words = [Path(sys.argv[0]).stem, *(str(value) for value in values.values() if value)]
            places = [value for name in several for value in values.pop(name)]
            try:
                with reported(words, description):
                    main(*places, **values)
            except InputError as error:
                print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
                raise SystemExit(1) from None

        return run

    return decorate


def _add_argument(
    parser: argparse.ArgumentParser, name: str, text: str, parameter: Parameter
) -> None:
    required = parameter.default is parameter.empty
    if parameter.kind is parameter.VAR_POSITIONAL:
        parser.add_argument(name, help=text, nargs="+")
    elif parameter.default is False:
        parser.add_argument(f"--{name}", help=text, action="store_true")
    elif parameter.kind is parameter.KEYWORD_ONLY:
        default = None if required else parameter.default
        many = "+" if isinstance(default, tuple) else None
        parser.add_argument(
            f"--{name}", help=text, required=required, default=default, nargs=many, metavar="X"
        )
    elif required:
        parser.add_argument(name, help=text)
    else:
        parser.add_argument(name, help=text, nargs="?", default=parameter.default)
