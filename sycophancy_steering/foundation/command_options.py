"""Scripts that are run by hand and have options: `--name VALUE` beside what stands in its place."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Collection
from functools import wraps
from inspect import Parameter, signature

from sycophancy_steering.foundation.errors import InputError

IN_PLACE = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.VAR_POSITIONAL)


def command_with_options(
    description: str | None, flags: Collection[str] = (), /, **arguments: str
) -> Callable[..., Callable[[], None]]:
    """Decorates a script's `main(place, *places, *, required, **options)`, which then parses the
    command line.

    `arguments` has the help of each. Positional parameters of main stand in their place;
    keyword-only ones are options that have to be given; all others are options of which main gets
    those that were given, `flags` without a value. An InputError is printed as one line and the
    exit status is 1; any other exception is a bug and keeps its traceback.
    """

    def decorate(main: Callable[..., None]) -> Callable[[], None]:
        kinds = {name: parameter.kind for name, parameter in signature(main).parameters.items()}
        in_place = [name for name in arguments if kinds.get(name) in IN_PLACE]

        @wraps(main)
        def run() -> None:
            parser = argparse.ArgumentParser(
                description=description, formatter_class=argparse.RawTextHelpFormatter
            )
            for name, text in arguments.items():
                if name in in_place:
                    several = kinds[name] is Parameter.VAR_POSITIONAL
                    parser.add_argument(name, help=text, nargs="+" if several else None)
                elif name in flags:
                    parser.add_argument(f"--{name}", help=text, action="store_true")
                else:
                    parser.add_argument(f"--{name}", help=text, required=name in kinds)
            values = vars(parser.parse_intermixed_args())
            places: list[str] = []
            for name in in_place:
                value = values.pop(name)
                places += value if isinstance(value, list) else [value]
            given = {name: value for name, value in values.items() if value not in (None, False)}
            try:
                main(*places, **given)
            except InputError as error:
                print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
                raise SystemExit(1) from None

        return run

    return decorate
