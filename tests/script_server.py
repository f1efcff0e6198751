"""Runs Python scripts in processes forked from one that has imported the libraries.

A stage of a small study does its work in less time than it takes to import torch and transformers.
Scripts run as by `python SCRIPT`: as `__main__`, in a process, folder and environment of their own,
with this package imported from where the environment's PYTHONPATH says.

    python script_server.py
"""

from __future__ import annotations

import importlib
import json
import os
import runpy
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

LIBRARIES = (
    "gguf",
    "jinja2",
    "matplotlib.figure",
    "peft",
    "polars",
    "pyarrow.parquet",
    "pydantic.dataclasses",
    "ruamel.yaml",
    "safetensors.torch",
    "scipy.stats",
    "sklearn.linear_model",
    "tqdm",
    "transformers.modeling_gguf_pytorch_utils",
    "transformers.models.auto.modeling_auto",
    "transformers.models.llama.modeling_llama",
)
"""What stages import; none starts a thread before it is used, so that it can be forked."""


class ScriptServer:
    """The process that scripts are forked from, started with the first."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def run(
        self, folder: Path, script: str, words: tuple[str, ...], environment: dict[str, str]
    ) -> subprocess.CompletedProcess[str]:
        """What `python SCRIPT WORDS` does in `folder`."""
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, __file__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        server = self._process
        assert server.stdin and server.stdout
        with TemporaryDirectory() as name:
            paths = [str(Path(name) / stream) for stream in ("stdout", "stderr")]
            request = [str(folder), script, words, environment, paths]
            server.stdin.write(json.dumps(request) + "\n")
            server.stdin.flush()
            code = int(server.stdout.readline())
            out, errors = (Path(path).read_text(encoding="utf-8") for path in paths)
        return subprocess.CompletedProcess(["python", script, *words], code, out, errors)


def serve() -> None:
    """Forks a process for each request, one after the other."""
    for name in LIBRARIES:
        importlib.import_module(name)
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if not child:
            run_script(*request)
            return
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def run_script(
    folder: str, script: str, words: list[str], environment: dict[str, str], paths: list[str]
) -> None:
    """Becomes a process that runs a script; its output goes to two files."""
    empty = os.open(os.devnull, os.O_RDONLY)
    files = [os.open(path, os.O_WRONLY | os.O_CREAT) for path in paths]
    for number, file in enumerate([empty, *files]):
        os.dup2(file, number)
        os.close(file)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [script, *words]
    own: Any = sys.path[0]
    packages = environment.get("PYTHONPATH", "").split(os.pathsep)
    rest = [path for path in sys.path[1:] if path not in packages and path != own]
    sys.path[:] = [str(Path(folder, script).parent), *packages, *rest]
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    serve()
