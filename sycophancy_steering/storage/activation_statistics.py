"""Statistics of activations on disk, where the activations themselves are not kept.

A folder has `statistics.json` (`StatisticsIndex`) and, for each position and layer, a safetensors
file with the moments of every group of answers there: a tensor for each field of `Moments`, named
`GROUP/FIELD`, in float64. At `prompt`, `continuation` and `continuation_mean` a group has a
character for each source of labels (questions/answer_labels.py: `label_group`). `answer` has the
contrast pairs: `matching`, `not_matching`, their `difference`, and the means of either side by
letter (`matching A`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from sycophancy_steering.config.prompt_set import Order
from sycophancy_steering.foundation.atomic_files import write_json
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.foundation.moments import Moments
from sycophancy_steering.schemas.activations import STATISTICS, layer_column
from sycophancy_steering.storage.activation_shards import Origin

ANSWER = "answer"
"""The position of contrast pairs."""
MATCHING, NOT_MATCHING, DIFFERENCE = "matching", "not_matching", "difference"
"""Groups at `ANSWER`: sycophantic answers, others, and the former minus the latter."""


@dataclass(frozen=True)
class StatisticsIndex:
    """What a folder of statistics holds."""

    origin: Origin
    moments: Order
    grouped_by: list[str]
    """Sources of labels, a character of a group's name each; the last one is of `description`."""
    questions: str
    """A hash of the keys of all questions of the prompt set, in the order in which they are
    folded."""
    n_windows: int
    """Windows of questions that are folded."""
    counts: dict[str, dict[str, int]]
    """Position -> group -> number of answers."""


def keeps_statistics(folder: Path) -> bool:
    """Whether a folder of activations holds statistics instead."""
    return (folder / STATISTICS).exists()


def write_index(folder: Path, index: StatisticsIndex) -> None:
    """Writes `statistics.json`."""
    write_json(folder / STATISTICS, asdict(index))


def read_index(path: Path) -> StatisticsIndex:
    """What `write_index` wrote to a file. Raises InputError."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return StatisticsIndex(**content | {"origin": Origin(**content["origin"])})
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise _unreadable(path, error) from None


def moments_path(folder: Path, position: str, layer: int) -> Path:
    """The file of a position and layer."""
    return folder / f"{position}-{layer_column(layer)}.safetensors"


def write_moments(path: Path, groups: Mapping[str, Moments]) -> None:
    """Writes the moments of each group."""
    tensors = {
        f"{group}/{field.name}": np.ascontiguousarray(value, dtype=np.float64)
        for group, moments in sorted(groups.items())
        for field in fields(Moments)
        if (value := getattr(moments, field.name)) is not None
    }
    save_file(tensors, path)


def read_moments(path: Path) -> dict[str, Moments]:
    """The moments of each group. Raises InputError for a file that is missing or damaged."""
    groups: dict[str, dict[str, np.ndarray]] = {}
    try:
        with safe_open(path, framework="numpy") as file:
            for name in file.keys():  # noqa: SIM118
                group, _, field = name.rpartition("/")
                groups.setdefault(group, {})[field] = file.get_tensor(name)
        return {
            group: Moments(int(tensors.pop("count").item()), **tensors)
            for group, tensors in groups.items()
        }
    except (SafetensorError, OSError, ValueError, TypeError, KeyError) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> InputError:
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    return InputError(
        f"{path}: not readable statistics ({reason}); delete {path.parent} and run `dvc repro` or "
        "`dvc pull`"
    )
