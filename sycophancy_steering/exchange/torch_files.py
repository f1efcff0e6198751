"""PyTorch's `.pt`: a tensor, or a dictionary of tensors; what holds code is refused.

The layouts read here: CAA and LM-exp (a tensor (d_model,) a file, its layer in the file's name),
persona vectors (one tensor (n_layers + 1, d_model), from the embeddings on), steering-vectors (the
dictionary `layer_activations` of a `SteeringVector`), and any dictionary of layer -> tensor.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from sycophancy_steering.config.foreign_vectors import Numbering
from sycophancy_steering.exchange.file_content import MAX_BYTES, SINGLE, FileContent, read_bytes
from sycophancy_steering.foundation.errors import InputError

PERSONA_ENDINGS = ("prompt_avg_diff", "prompt_last_diff", "response_avg_diff")
"""Of the names that persona vectors are saved under, https://arxiv.org/abs/2507.21509."""
ACTIVATIONS, LAYER_TYPE = "layer_activations", "layer_type"
"""Fields of steering-vectors' `SteeringVector`."""
SITES = {"decoder_block": "block output"}


def read_torch(path: Path) -> FileContent:
    """The tensors of a file, which `weights_only` reads.

    Raises InputError for a file with anything else, of which nothing is run, or a damaged one.
    """
    value = _load(path)
    numbering: Numbering | None = None
    facts, layout = {}, "PyTorch"
    not_read: list[str] = []
    if isinstance(value, dict) and isinstance(value.get(ACTIVATIONS), dict):
        kind = value.get(LAYER_TYPE)
        if isinstance(kind, str):
            facts["site"] = SITES.get(kind, kind)
        not_read = [str(key) for key in value if key not in (ACTIVATIONS, LAYER_TYPE)]
        value, layout = value[ACTIVATIONS], "steering-vectors"
    if isinstance(value, dict):
        tensors = {str(key): entry for key, entry in value.items() if _is_tensor(entry)}
        not_read += [str(key) for key, entry in value.items() if not _is_tensor(entry)]
        if len(tensors) + len(not_read) < len(value):
            raise InputError(f"{path}: two keys that read alike, such as 1 and '1'")
        if tensors and all(isinstance(key, int) for key in value):
            numbering = "blocks_from_0"  # as steering-vectors, repeng and TransformerLens count
    elif _is_tensor(value):
        tensors = {SINGLE: value}
    else:
        raise InputError(
            f"{path}: expected a tensor or a dictionary of tensors, found {type(value).__name__}"
        )
    if path.stem.endswith(PERSONA_ENDINGS):
        numbering, layout = "hidden_states", "persona vectors"
    arrays, kinds = {}, set()
    for name, tensor in tensors.items():
        arrays[name] = _array(tensor, f"{path}{': ' if name else ''}{name[:40]}")
        kinds.add(str(tensor.dtype).removeprefix("torch."))
    stored_as = " and ".join(sorted(kinds))
    return FileContent(layout, arrays, stored_as, numbering, facts, tuple(not_read))


def _is_tensor(value: object) -> bool:
    import torch

    return isinstance(value, torch.Tensor)


def _load(path: Path) -> Any:
    """What `torch.load` reads with `weights_only`, of a zip file that is no larger than it says."""
    import torch

    data = read_bytes(path)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            sizes = [member.file_size for member in archive.infolist()]
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError, EOFError):
        raise InputError(
            f"{path}: not a PyTorch file as written since 1.6 (a zip file); save it again with "
            "torch.save, or as safetensors"
        ) from None
    if sum(sizes) > min(MAX_BYTES, len(data)):
        raise InputError(f"{path}: unpacks to more bytes than it has; save it with torch.save")
    try:
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file fails in any way
        reason = " ".join(str(error).split())
        if "Unsupported global" in reason or "Weights only" in reason:
            raise InputError(
                f"{path}: holds more than tensors, which could run code, so nothing was loaded; "
                "save the tensors alone (of steering-vectors: torch.save(vector.layer_activations, "
                "FILE)), or as safetensors"
            ) from None
        raise InputError(f"{path}: a truncated or damaged PyTorch file") from None


def _array(tensor: Any, place: str) -> np.ndarray:
    """The numbers as float32, or float64 where they were. Raises InputError for other tensors."""
    import torch

    if tensor.layout != torch.strided or tensor.device.type != "cpu" or tensor.is_quantized:
        raise InputError(f"{place}: expected a plain, dense tensor")
    if not tensor.dtype.is_floating_point or tensor.dtype.itemsize < 2:
        raise InputError(f"{place}: expected floating-point numbers, found {tensor.dtype}")
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise InputError(f"{place}: a tensor of more numbers than the file has")
    wide = torch.float64 if tensor.dtype == torch.float64 else torch.float32
    return tensor.detach().to(wide).contiguous().numpy().copy()
