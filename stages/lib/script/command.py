"""A stage as a command: its words are read, and a `Refusal` ends it in one line.

Imported before all others: the memory of Arrow and polars is chosen as they are imported (left to
themselves both keep what was read and is no longer wanted), and while modules are, there is little
to collect: looking for it after each 700 objects takes a sixth of the time that transformers needs.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Callable
from functools import wraps
from inspect import signature

from lib.script.refusal import Refusal

gc.set_threshold(10_000)
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
os.environ.setdefault("_RJEM_MALLOC_CONF", "dirty_decay_ms:50,muzzy_decay_ms:0")


def command(doc: str | None, **words: str) -> Callable[[Callable[..., None]], Callable[[], None]]:
    """Decorates a stage's `main`, which gets the words of the command line by their names.

    `doc` is what `--help` shows; `words` are the names, each with its meaning; those for which
    `main` has a default may be left out. A `Refusal` is printed as one line and the exit status is
    1; anything else is a fault and keeps its traceback.
    """

    def decorate(main: Callable[..., None]) -> Callable[[], None]:
        parameters = signature(main).parameters.values()

        @wraps(main)
        def run() -> None:
            parser = argparse.ArgumentParser(
                description=doc, formatter_class=argparse.RawTextHelpFormatter
            )
            for (name, meaning), taken in zip(words.items(), parameters, strict=True):
                needed = taken.default is taken.empty
                default = None if needed else taken.default
                parser.add_argument(
                    name, help=meaning, nargs=None if needed else "?", default=default
                )
            try:
                main(**vars(parser.parse_args()))
            except Refusal as refusal:
                print(f"refused: {' '.join(str(refusal).split())}", file=sys.stderr)
                raise SystemExit(1) from None

        return run

    return decorate
