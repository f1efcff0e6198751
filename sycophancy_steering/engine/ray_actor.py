"""What runs in a worker of Ray: it holds a model and does one task after the other."""

from __future__ import annotations

import os
import socket
import traceback
from typing import Any

from ray import cloudpickle  # what Ray sends functions with; nothing is stored so

from sycophancy_steering.foundation.errors import InputError


class ModelActor:
    """A process with a model. Nothing is raised in it: errors are results like others, since Ray
    would wrap them in its own."""

    def __init__(self, root: str, n_threads: int):
        os.chdir(root)  # models and messages have paths relative to the repository
        self._n_threads = n_threads
        self._model: Any = None

    def load(self, loader: bytes) -> dict[str, Any]:
        """Calls the pickled `loader`, which returns a HeldModel."""
        import torch

        torch.set_num_threads(self._n_threads)
        try:
            self._model = unpickled(loader)()
        except Exception as error:
            return _failure(error)
        tokens = self._model.budget.tokens
        return {"batch_tokens": tokens, "host": socket.gethostname(), "pid": os.getpid()}

    def run(self, task: bytes) -> bytes | dict[str, Any]:
        """All results of a pickled (work, arguments), pickled; or what went wrong."""
        try:
            work, arguments = unpickled(task)
            return pickled([*work(self._model, *arguments)])
        except Exception as error:
            return _failure(error)


def pickled(value: Any) -> bytes:
    """As sent to a worker, or back."""
    return cloudpickle.dumps(value)  # type: ignore[attr-defined]


def unpickled(content: bytes) -> Any:
    """What `pickled` was given."""
    return cloudpickle.loads(content)  # type: ignore[attr-defined]


def _failure(error: Exception) -> dict[str, Any]:
    """An error as a result."""
    is_input = isinstance(error, InputError)
    text = str(error) if is_input else "".join(traceback.format_exception(error))
    return {"error": text, "is_input": is_input, "host": socket.gethostname()}
