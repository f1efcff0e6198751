"""Replaces values of params.yaml by those of an overlay, such as presets/overlays/NAME.yaml.

python -m sycophancy_steering.config.overlay FILE
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from sycophancy_steering.config.params import Params
from sycophancy_steering.config.reading import PARAMS, read_yaml, validated
from sycophancy_steering.foundation.atomic_files import atomic_write
from sycophancy_steering.foundation.command_line import command
from sycophancy_steering.foundation.errors import InputError

LINE_WIDTH = 1000
"""No line of params.yaml is broken."""


@command(__doc__, overlay="a file with some of the sections of params.yaml")
def main(overlay: str) -> None:
    """Lays the file named on the command line over params.yaml."""
    for path in (Path(overlay), PARAMS):
        read_yaml(path)  # one line where it is missing or no YAML
    yaml = YAML()  # keeps comments, the order of keys and how lists are written
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.width = LINE_WIDTH
    yaml.preserve_quotes = True
    values, params = (
        yaml.load(path.read_text(encoding="utf-8")) for path in (Path(overlay), PARAMS)
    )
    replaced = replace_values(params, values, overlay)
    validated(Params, params, Path(overlay), "")
    with atomic_write(PARAMS) as draft, draft.open("w", encoding="utf-8") as file:
        yaml.dump(params, file)
    print(f"{PARAMS}: {', '.join(replaced)} as in {overlay}")


def replace_values(params: dict[str, Any], overlay: dict[str, Any], place: str) -> list[str]:
    """Replaces values of `params` in place; mappings are gone into, all else is replaced whole.

    Returns the keys of what was replaced. Raises InputError for a key that `params` lacks.
    """
    replaced = []
    for key, value in overlay.items():
        if key not in params:
            raise InputError(f"{place}: {key}: expected one of {', '.join(params)}")
        if isinstance(value, dict) and isinstance(params[key], dict):
            inner = replace_values(params[key], value, f"{place}: {key}")
            replaced += [f"{key}.{name}" for name in inner]
        else:
            params[key] = value
            replaced.append(key)
    return replaced


if __name__ == "__main__":
    main()
