"""A stage as a command: its words are read, and a `InputError` ends it in one line.

Imported before all others: the memory of Arrow and polars is chosen as they are imported (left to
themselves both keep what was read and is no longer wanted), and while modules are, there is nothing
to collect: looking for it takes a fifth of the time that transformers needs. Some of them come
later, when they are needed, so it is looked for more seldom then.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from inspect import signature

from sycophancy_steering.foundation.errors import InputError

gc.disable()
gc.set_threshold(10_000)
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
os.environ.setdefault("_RJEM_MALLOC_CONF", "dirty_decay_ms:50,muzzy_decay_ms:0")


@contextmanager
def importing() -> Iterator[None]:
    """Within the context nothing is collected: for modules that `main` imports."""
    gc.disable()
    try:
        yield
    finally:
        _collect_from_here()


def _collect_from_here() -> None:
    """What is there stays, and is not looked at again."""
    gc.freeze()
    gc.enable()


def command(doc: str | None, **words: str) -> Callable[[Callable[..., None]], Callable[[], None]]:
    """Decorates a stage's `main`, which gets the words of the command line by their names.

    `doc` is what `--help` shows; `words` are the names, each with its meaning; those for which
    `main` has a default may be left out. A `InputError` is printed as one line and the exit status is
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
            words_given = vars(parser.parse_args())
            _collect_from_here()
            try:
                main(**words_given)
            except InputError as refusal:
                print(f"refused: {' '.join(str(refusal).split())}", file=sys.stderr)
                raise SystemExit(1) from None

        return run

    return decorate
