"""Checks GGUF files, the format of llama.cpp, and loads them with all weights dequantised."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import gguf
import numpy as np
import numpy.typing as npt
from tqdm import tqdm
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GgufConfig,
    PreTrainedModel,
    modeling_gguf_pytorch_utils,
)
from transformers.integrations.gguf.gguf_conversion_mapping import GGUF_ARCHS

from sycophancy_steering.engine.residual_stream import BLOCK_PATHS
from sycophancy_steering.foundation.errors import InputError

MAGIC = b"GGUF"
"""What every GGUF file starts with."""
GGUF_NAMES = {"gemma3_text": "gemma3", "qwen2_moe": "qwen2moe", "qwen3_moe": "qwen3moe"}
"""Architectures that GGUF names otherwise than Hugging Face does."""

# transformers draws this bar in log files too.
modeling_gguf_pytorch_utils.tqdm = partial(tqdm, disable=None)  # type: ignore[assignment]


def readable_architectures() -> list[str]:
    """What `general.architecture` of a file may be: known to GGUF, to transformers and here."""
    to_transformers = {*modeling_gguf_pytorch_utils.GGUF_SUPPORTED_ARCHITECTURES, *GGUF_ARCHS}
    names = {
        GGUF_NAMES.get(kind, kind)
        for kind in BLOCK_PATHS
        if to_transformers & {kind, GGUF_NAMES.get(kind)}
    }
    return sorted(names & {*gguf.MODEL_ARCH_NAMES.values()})


def check_gguf(path: Path) -> None:
    """Raises InputError unless `path` is a complete GGUF file of a known architecture."""
    try:
        with open(path, "rb") as file:
            start = file.read(len(MAGIC))
    except OSError as error:
        raise InputError(f"{path}: expected a GGUF file ({error.strerror})") from None
    if start != MAGIC:
        raise InputError(
            f"{path}: expected a GGUF file, which starts with {MAGIC.decode()}, found {start!r}"
        )
    try:
        architecture = FastReader(path).fields["general.architecture"].contents()
    except (ValueError, IndexError, KeyError, OverflowError):  # the reader checks no length
        raise InputError(f"{path}: a truncated or damaged GGUF file; download it again") from None
    if architecture not in (readable := readable_architectures()):
        raise InputError(
            f"{path}: a GGUF file of the architecture {architecture!r}; expected one of "
            f"{', '.join(readable)}"
        )


class FastReader(gguf.GGUFReader):
    """Reads SmolLM2's header in 1.6 s instead of 2.8: a vocabulary is many views of the file."""

    def _get(
        self,
        offset: int,
        dtype: npt.DTypeLike,
        count: int = 1,
        override_order: Literal["I", "S", "<"] | None = None,
    ) -> npt.NDArray[Any]:
        kind = np.dtype(dtype)
        order = self.byte_order if override_order is None else override_order
        return np.frombuffer(self.data.data, kind.newbyteorder(order), int(count), int(offset))


@contextmanager
def parsed_once() -> Iterator[None]:
    """Lets transformers read a file's header and make its table of names once, not three times and
    once for each module: that was most of the time that loading took."""
    originals = {name: getattr(gguf, name) for name in ("GGUFReader", "get_tensor_name_map")}
    faster = originals | {"GGUFReader": FastReader}
    for name, function in faster.items():
        setattr(gguf, name, lru_cache(maxsize=1)(function))
    try:
        yield
    finally:
        for name, original in originals.items():
            setattr(gguf, name, original)


def load_gguf(path: Path, arguments: dict[str, Any]) -> tuple[PreTrainedModel, Any]:
    """The model in a GGUF file, with dense weights, and its tokenizer.

    `arguments` are those of `from_pretrained`. Raises InputError for a file without all weights,
    whose place would be taken by random ones.
    """
    with TemporaryDirectory() as folder, parsed_once():
        # Beside the file there may be a tokenizer or adapter, which transformers would load too.
        (Path(folder) / "model.gguf").symlink_to(path.resolve())
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file="model.gguf")
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                folder,
                gguf_file="model.gguf",
                quantization_config=GgufConfig(dequantize=True),
                output_loading_info=True,
                **arguments,
            )
        except ImportError:
            raise
        except Exception as error:  # tokenizers raises no narrower one
            raise InputError(
                f"{path}: transformers cannot load this GGUF file ({type(error).__name__}: "
                f"{' '.join(str(error).split())}); take another conversion of the model"
            ) from None
    model, info = loaded
    if missing := sorted(info["missing_keys"]):
        raise InputError(
            f"{path}: the file lacks {len(missing)} weights of its architecture, such as "
            f"{missing[0]}"
        )
    model.config.name_or_path = model.name_or_path = str(path)
    return model, tokenizer
