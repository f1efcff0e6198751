"""Numpy's `.npy` and `.npz`, never pickled objects."""

from __future__ import annotations

import io
import math
import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np

from sycophancy_steering.exchange.file_content import MAX_BYTES, SINGLE, FileContent, read_bytes
from sycophancy_steering.foundation.errors import InputError

MAGIC = b"\x93NUMPY"


def read_npy(path: Path) -> FileContent:
    """One array. Raises InputError for other than floating-point numbers, or a damaged file."""
    array = _array(read_bytes(path), f"{path}")
    return FileContent("numpy", {SINGLE: _widened(array)}, str(array.dtype))


def read_npz(path: Path) -> FileContent:
    """Arrays by name. Raises InputError for other than floating-point numbers, or damage."""
    arrays: dict[str, np.ndarray] = {}
    data = read_bytes(path)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            if sum(member.file_size for member in members) > MAX_BYTES:
                raise InputError(f"{path}: unpacks to more than {MAX_BYTES} bytes")
            for member in members:
                name = member.filename.removesuffix(".npy")
                with archive.open(member) as file:
                    arrays[name] = _array(file.read(member.file_size), f"{path}: {name[:40]}")
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, RuntimeError,
            NotImplementedError, AttributeError) as error:  # fmt: skip
        reason = str(error)[:80]
        raise InputError(f"{path}: a truncated or damaged .npz file ({reason!r})") from None
    kinds = sorted({str(array.dtype) for array in arrays.values()})
    widened = {name: _widened(array) for name, array in arrays.items()}
    return FileContent("numpy archive", widened, " and ".join(kinds))


def _array(data: bytes, place: str) -> np.ndarray:
    """The array in the bytes of a `.npy` file; its header is checked before anything is made."""
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        read_header = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        with warnings.catch_warnings(action="ignore"):  # of headers that Python 2 has written
            shape, fortran, dtype = read_header(stream)
    except Exception:  # the header is Python source, which can be damaged in any way
        raise InputError(f"{place}: a truncated or damaged numpy array") from None
    if dtype.hasobject:
        raise InputError(f"{place}: pickled objects, which could run code; save plain arrays")
    if dtype.kind != "f" or dtype.itemsize > 8:
        raise InputError(f"{place}: expected floating-point numbers, found {str(dtype)[:40]}")
    if (
        any(length < 0 for length in shape)
        or math.prod(shape) * dtype.itemsize != len(data) - stream.tell()
    ):
        raise InputError(f"{place}: a numpy array of another size than its header says")
    values = np.frombuffer(data, dtype, offset=stream.tell())
    return values.reshape(shape, order="F" if fortran else "C")


def _widened(array: np.ndarray) -> np.ndarray:
    """As float32, or float64 where it was."""
    return array.astype(np.float64 if array.dtype.itemsize == 8 else np.float32)
