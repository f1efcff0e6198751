"""Imports steering vectors of other tools, to be evaluated beside the study's own.

    python stages/import_vectors.py FILE... --name NAME --model MODEL

Reads a file, a folder, or files of a layer each: PyTorch (CAA, LM-exp, persona vectors,
steering-vectors), GGUF control vectors (llama.cpp, repeng), safetensors or numpy; layers may be
missing. Writes vectors/foreign/NAME.safetensors, which no stage of DVC writes or removes: keep it
in git or by DVC. `dvc repro` then evaluates it as foreign/NAME of MODEL. An entry of
`foreign_vectors` in params.yaml does the same without a file: docs/bring_vectors.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sycophancy_steering.config.foreign_vectors import ForeignVectorSettings, VectorName
from sycophancy_steering.config.reading import validated
from sycophancy_steering.exchange.importing import (
    foreign_file,
    import_vectors,
    model_shape,
    summary,
    write_imported,
)
from sycophancy_steering.foundation.command_line import command
from sycophancy_steering.foundation.errors import InputError


@command(
    __doc__,
    files="files or folders of vectors",
    name="what to call them",
    model="the model whose activations they are read in: an entry of models in params.yaml",
    numbering="hidden_states (0 = embeddings), blocks_from_0 or blocks_from_1; without it, as the "
    "format says",
    layers="the layers, such as 3,13,29, where names do not say",
    scale="what to multiply the vectors by",
    negate="turn them around: they point away from sycophancy",
    sign="which way they point as their source says it; only recorded, as all that follows",
    revision="the revision of the model that they were made from",
    site="where in a layer they were read, such as block output",
    position="the tokens that they were read at",
)
def main(
    *files: str,
    name: str,
    model: str,
    numbering: str = "",
    layers: str = "",
    scale: str = "",
    negate: bool = False,
    sign: str = "",
    revision: str = "",
    site: str = "",
    position: str = "",
) -> None:
    values: dict[str, Any] = {
        "files": [*files],
        "model": model,
        "numbering": numbering,
        "layers": [_number(int, part, "--layers") for part in layers.split(",") if part],
        "scale": _number(float, scale, "--scale") if scale else None,
        "negate": negate,
        "sign": sign,
        "revision": revision,
        "site": site,
        "position": position,
    }
    values = {key: value for key, value in values.items() if value not in ("", None, [], False)}
    settings = validated(ForeignVectorSettings, values, Path("import_vectors"), "")
    path = foreign_file(validated(VectorName, name, Path("import_vectors"), "--name"))
    vectors = import_vectors(settings)
    write_imported(path, vectors)
    shape = model_shape(settings.model)
    print(f"{path}: vectors of {settings.model}; keep it in git, or by `dvc add {path}`")
    for line in summary(vectors, shape.n_layers if shape else None):
        print(f"  {line}")
    if shape is None:
        print(f"  not checked against {settings.model}, which has no activations here yet")


def _number(kind: type[float], text: str, place: str) -> float:
    try:
        return kind(text)
    except ValueError:
        raise InputError(f"{place}: expected a number, found {text!r}") from None


if __name__ == "__main__":
    main()
