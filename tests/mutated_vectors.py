"""Files of vectors in every format, and seeded damage to them."""

from __future__ import annotations

import argparse
import io
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from safetensors.numpy import save

from sycophancy_steering.config.foreign_vectors import ForeignVectorSettings
from sycophancy_steering.exchange.gguf_files import write_gguf
from sycophancy_steering.exchange.reading import read_foreign_vectors
from sycophancy_steering.foundation.errors import InputError

VALUES = np.random.default_rng(0).standard_normal((5, 8)).astype(np.float32)


def _torch(value: object) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream)
    return stream.getvalue()


def _numpy(write: Callable[..., None], *arrays: np.ndarray, **named: np.ndarray) -> bytes:
    stream = io.BytesIO()
    write(stream, *arrays, **named)
    return stream.getvalue()


def _gguf() -> bytes:
    with TemporaryDirectory() as folder:
        write_gguf(Path(folder) / "v", {n: VALUES[n] for n in range(1, 5)}, "llama")
        return (Path(folder) / "v").read_bytes()


def originals() -> dict[str, bytes]:
    """A sound file of each format by its name."""
    tensors = {f"layer_{n}": VALUES[n] for n in range(5)}
    state = {"layer_activations": {n: torch.from_numpy(VALUES[n]) for n in (1, 3)}}
    return {
        "layer_3.pt": _torch(torch.from_numpy(VALUES[3])),
        "state.pt": _torch(state),
        "v.gguf": _gguf(),
        "v.safetensors": save(tensors),
        "v.npz": _numpy(np.savez, **tensors),
        "layer_3.npy": _numpy(np.save, VALUES[3]),
    }


def mutations(data: bytes, count: int, seed: int = 0) -> Iterator[bytes]:
    """Damaged copies: bytes changed, cut out, repeated, cut off; numbers made huge."""
    draw = np.random.default_rng(seed)
    for _ in range(count):
        copy = bytearray(data)
        for _ in range(int(draw.integers(1, 4))):
            place, length = int(draw.integers(len(copy) or 1)), int(draw.integers(1, 9))
            match int(draw.integers(5)):
                case 0:
                    copy[place : place + length] = draw.bytes(length)
                case 1:
                    del copy[place : place + length]
                case 2:
                    copy[place:place] = copy[place : place + 16 * length]
                case 3:
                    del copy[place:]
                case 4:
                    copy[place : place + length] = b"\xff" * length
        yield bytes(copy)


def outcome(path: Path) -> str:
    """What reading a damaged file comes to: `read`, or the one line that refuses it.

    Any other exception than InputError is a fault, and passes.
    """
    settings = ForeignVectorSettings(files=[str(path)], model="tiny")
    try:
        vectors = read_foreign_vectors(settings)
    except InputError as error:
        line = str(error)
    else:
        assert all(np.isfinite(vector).all() for vector in vectors.layers.values())
        return "read"
    assert len(line.splitlines()) == 1, line
    assert len(line) < 500, line
    return "refused"


def main() -> None:
    """python tests/mutated_vectors.py [--count 10000]"""
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=10_000)
    count = parser.parse_args().count
    for name, data in originals().items():
        start, outcomes = time.perf_counter(), []
        with TemporaryDirectory() as folder:
            for mutated in mutations(data, count):
                (Path(folder) / name).write_bytes(mutated)
                outcomes.append(outcome(Path(folder) / name))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        seconds = time.perf_counter() - start
        print(f"{name}: {outcomes.count('refused')} of {count} refused, {seconds:.0f} s, {peak} MB")


if __name__ == "__main__":
    main()
