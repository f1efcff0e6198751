"""Fills the marked blocks of the README and docs/ from reports, schema, dvc.yaml and docstrings.

python -m sycophancy_steering.documentation.fill [--check]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sycophancy_steering.documentation.blocks import filled
from sycophancy_steering.documentation.parameter_reference import parameter_reference
from sycophancy_steering.documentation.pipeline import diagram
from sycophancy_steering.documentation.report_values import csv_table, json_value
from sycophancy_steering.documentation.short_verdict import short_verdict
from sycophancy_steering.documentation.stage_reference import stage_reference
from sycophancy_steering.foundation.atomic_files import atomic_write
from sycophancy_steering.foundation.errors import InputError

COMMAND = "python -m sycophancy_steering.documentation.fill"


def pages() -> list[Path]:
    """The pages that may have blocks."""
    return [Path("README.md"), *sorted(Path("docs").glob("*.md"))]


def computed(words: list[str]) -> str:
    """The text of a block, by the first word of its query. Raises InputError."""
    match words:
        case ["verdict", model]:
            return short_verdict(model)
        case ["stages"]:
            return stage_reference()
        case [name, *arguments] if (path := Path(name)).suffix and not path.exists():
            raise InputError(f"{name}: not found ({' '.join(arguments)})")
        case ["params.schema.json"]:
            return parameter_reference(Path(words[0]))
        case ["dvc.yaml" | "tuning/dvc.yaml"]:
            return diagram(Path(words[0]))
        case [name, key, *number_format] if name.endswith(".json") and len(number_format) <= 1:
            return json_value(Path(name), key, *number_format)
        case [name, *columns] if name.endswith(".csv"):
            return csv_table(Path(name), columns)
    raise InputError(
        "expected verdict MODEL, stages, params.schema.json, dvc.yaml, FILE.json KEY [FORMAT] or "
        f"FILE.csv COLUMN..., found {' '.join(words)}"
    )


def outdated_pages() -> dict[Path, str]:
    """The pages whose blocks are out of date, with what they should say. Raises InputError."""
    texts = {page: page.read_text(encoding="utf-8") for page in pages()}
    current = {page: filled(text, str(page), computed) for page, text in texts.items()}
    return {page: text for page, text in current.items() if text != texts[page]}


def main() -> None:
    """Writes what is out of date, or with --check says what is, and exits with 1."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args().check
    try:
        outdated = outdated_pages()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    names = ", ".join(map(str, outdated))
    if outdated and check:
        print(f"error: out of date: {names}; run `{COMMAND}`", file=sys.stderr)
        raise SystemExit(1)
    for page, text in outdated.items():
        with atomic_write(page) as draft:
            draft.write_text(text, encoding="utf-8")
    print(f"filled: {names}" if outdated else "every block is up to date")


if __name__ == "__main__":
    main()
