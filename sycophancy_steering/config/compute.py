"""`compute` of params.yaml: where models run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from sycophancy_steering.config.reading import PARAMS, read_yaml, validated
from sycophancy_steering.config.section import SECTION, Number, PositiveInteger, Text


@dataclass(frozen=True, config=SECTION)
class ComputeSettings:
    """Where models run. Changes no result, so DVC reruns nothing when it changes."""

    engine: Literal["local", "ray"] = "local"
    """The process of the stage, or processes that Ray starts on one machine or many."""
    address: Text | None = None
    """Of a Ray cluster: `HOST:6379`, or `auto` on one of its machines. Without one, Ray is started
    on this machine and ends with the stage."""
    workers: PositiveInteger | Literal["auto"] = "auto"
    """Processes with a model each. `auto`: as many as the GPUs that there are at the start allow,
    or one a machine where `gpus_per_worker` is 0."""
    gpus_per_worker: Annotated[Number, Field(ge=0)] = 0
    """GPUs of a worker, which sees no others; with `device: auto` a model is spread over several.
    Below 1, workers share a GPU."""


def read_compute(path: Path = PARAMS) -> ComputeSettings:
    """`compute` of params.yaml; this process where there is none. Raises InputError."""
    return validated(ComputeSettings, read_yaml(path).get("compute", {}), path, "compute")
