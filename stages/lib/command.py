"""A stage as a command: its words are read, and a `Refusal` ends it in one line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import wraps

from lib.refusal import Refusal


def command(doc: str | None, **words: str) -> Callable[[Callable[..., None]], Callable[[], None]]:
    """Decorates a stage's `main`, which gets the words of the command line by their names.

    `doc` is what `--help` shows; `words` are the names, each with its meaning. A `Refusal` is
    printed as one line and the exit status is 1; anything else is a fault and keeps its traceback.
    """

    def decorate(main: Callable[..., None]) -> Callable[[], None]:
        @wraps(main)
        def run() -> None:
            parser = argparse.ArgumentParser(
                description=doc, formatter_class=argparse.RawTextHelpFormatter
            )
            for name, meaning in words.items():
                parser.add_argument(name, help=meaning)
            if pyarrow := sys.modules.get("pyarrow"):  # its own pool keeps what was read in memory
                pyarrow.set_memory_pool(pyarrow.system_memory_pool())
            try:
                main(**vars(parser.parse_args()))
            except Refusal as refusal:
                print(f"refused: {' '.join(str(refusal).split())}", file=sys.stderr)
                raise SystemExit(1) from None

        return run

    return decorate
