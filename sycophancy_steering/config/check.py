"""Validates all of params.yaml, or of another file, such as presets/original_study.yaml.

python -m sycophancy_steering.config.check [FILE]
"""

from __future__ import annotations

from pathlib import Path

from sycophancy_steering.config.params import read_params
from sycophancy_steering.config.reading import PARAMS
from sycophancy_steering.foundation.command_line import command


@command(__doc__, path="the file; without it, params.yaml")
def main(path: str = str(PARAMS)) -> None:
    """Checks the file named on the command line, or params.yaml."""
    read_params(Path(path))
    print(f"{path}: valid")


if __name__ == "__main__":
    main()
