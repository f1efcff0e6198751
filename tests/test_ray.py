"""Models run by workers that Ray starts: the bytes are those of one process, whatever happens."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

import psutil
import pytest
from conftest import ROOT, run, run_stage

pytest.importorskip("ray", reason="Ray is not installed (pip install '.[ray]')")

SMALL_BATCHES = "stop_at: answer, batch_tokens: 400"
MANY = "organism_opinions: 200, organism_misconceptions: 200"
TOKEN = {"RAY_AUTH_TOKEN": "0" * 32}
"""A cluster lets in who has its token."""
OUTPUTS = ("data/activations/tiny/held_out", "reports/steering/tiny", "reports/prompting/tiny")


@pytest.fixture
def many(study: Path) -> Path:
    """The study with many small batches, of which nothing is known."""
    params = study / "params.yaml"
    text = params.read_text().replace("stop_at: answer", SMALL_BATCHES)
    params.write_text(text.replace("organism_opinions: 16, organism_misconceptions: 12", MANY))
    assert run_stage(study, "prompts", "held_out").returncode == 0
    for name in (".work", ".dvc/cache", *OUTPUTS):
        shutil.rmtree(study / name, ignore_errors=True)
    return study


def with_ray(folder: Path, settings: str = "") -> Path:
    """A copy that runs models by three workers."""
    copy = shutil.copytree(folder, folder.with_name("with_ray"), symlinks=True)
    with open(copy / "params.yaml", "a") as params:
        params.write(f"compute: {{engine: ray, workers: 3{settings}}}\n")
    return copy


def contents(folder: Path, name: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / name).iterdir())}


@contextmanager
def started(folder: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """A stage in the background, in a session of its own, killed with all it started; its errors
    are in errors.txt."""
    with open(folder / "errors.txt", "w") as errors:
        process = subprocess.Popen(
            [sys.executable, f"stages/{words[0]}.py", *words[1:]],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(folder)} | TOKEN,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


def blocks(folder: Path) -> int:
    """How many batches are stored."""
    return len([*(folder / ".work/activations").glob("*/[!.]*/responses.parquet")])


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    start = time.monotonic()
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() - start < 120
        time.sleep(0.01)


def workers_of(folder: Path) -> list[psutil.Process]:
    """The processes that hold a model of the study in `folder`."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        name = " ".join(process.info["cmdline"] or [])
        if name.startswith("ray::ModelActor") and process.cwd() == str(folder):
            found.append(process)
    return found


@contextmanager
def slowed(process: psutil.Process) -> Iterator[None]:
    """The process gets a tenth of the time."""
    over = Event()

    def interrupt() -> None:
        while not over.wait(0.01) and process.is_running():
            with suppress(psutil.NoSuchProcess):  # it ends with the stage
                process.suspend()
                time.sleep(0.09)
                process.resume()

    thread = Thread(target=interrupt)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@contextmanager
def head_on(folder: Path, port: int) -> Iterator[Callable[[], None]]:
    """A cluster of one machine; what is yielded kills all its processes."""
    process = subprocess.Popen(
        [
            *("ray", "start", "--head", "--block", f"--port={port}", "--num-cpus=3"),
            *("--include-dashboard=false", "--disable-usage-stats", "--node-ip-address=127.0.0.1"),
        ],
        cwd=folder,
        env=os.environ
        | TOKEN
        | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "RAY_AUTH_MODE": "token"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def kill() -> None:
        if process.poll() is None:
            for part in [*psutil.Process(process.pid).children(recursive=True), process]:
                with suppress(psutil.NoSuchProcess):
                    part.kill()
            process.wait()

    try:
        yield kill
    finally:
        kill()


def test_no_byte_changes_whatever_happens_to_workers_and_head(many):
    """One worker is killed and one slowed tenfold; then the head is killed with all workers."""
    port = free_port()
    copy = with_ray(many, f', address: "127.0.0.1:{port}"')
    with started(copy, "activations", "tiny", "held_out") as stage:
        with head_on(copy, port) as kill_head:
            wait_for(lambda: blocks(copy) >= 2, stage)
            killed, slow, _ = workers_of(copy)
            killed.kill()
            with slowed(slow):
                done = blocks(copy)
                wait_for(lambda: blocks(copy) >= done + 4, stage)
                before = (copy / "errors.txt").read_text()
                kill_head()
        kept = blocks(copy)
        with head_on(copy, port):
            out, _ = stage.communicate(timeout=180)
    errors = (copy / "errors.txt").read_text()
    assert stage.returncode == 0, errors
    assert "ray: 3 workers on 1 machine" in before
    deaths = re.findall(r"a worker on \S+ died while it ran (\d+) questions? \(", before)
    assert len(deaths) <= 1, before  # what it was doing, and nothing else, was run again
    assert f"Ray on 127.0.0.1:{port} is gone or not there; waiting" in errors
    assert kept > 0
    assert re.search(r"400 run in \d+ batches", out)
    assert run_stage(many, "activations", "tiny", "held_out").returncode == 0
    assert contents(copy, OUTPUTS[0]) == contents(many, OUTPUTS[0])


def test_steering_and_prompting_by_several_workers_change_no_byte(study):
    params = study / "params.yaml"
    params.write_text(params.read_text().replace("stop_at: answer", SMALL_BATCHES))
    for name in (".work", ".dvc/cache", *OUTPUTS[1:]):
        shutil.rmtree(study / name, ignore_errors=True)
    copy = with_ray(study)
    for folder in (study, copy):
        done = run_stage(folder, "interventions", "tiny")
        assert done.returncode == 0, done.stderr
        assert "taken from a cache" not in done.stdout
    assert "ray: 3 workers on 1 machine" in done.stderr
    for output in OUTPUTS[1:]:
        assert contents(copy, output) == contents(study, output)


def test_the_benchmark_compares_the_engines(study):
    shutil.copytree(ROOT / "benchmarks", study / "benchmarks")
    small = ("--questions", "80", "--threads", "1")
    words = ("python", "benchmarks/ray_workers.py", "tiny", *small)
    done = run(study, *words)
    assert done.returncode == 0, done.stderr
    (found,) = [
        result
        for result in json.loads((study / "benchmarks/ray_workers.json").read_text()).values()
        if result["questions"] == 80
    ]
    assert found["same_bytes"] is True
    assert (found["questions"], found["workers"]) == (80, 1)
    for engine in ("ray", "running ray"):
        line = rf"\| {engine}, 1 worker\(s\) \| [\d.]+ \([+-][\d.]+%\) \| the same \|"
        assert re.search(line, done.stdout)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("engine: ray, gpus_per_worker: 1", "compute.gpus_per_worker: expected 0 for a model on"),
        ("engine: dask", "compute.engine: expected "),
        ("engine: ray", "data/models/tiny: no such model folder"),  # found while Ray starts
    ],
)
def test_what_cannot_be_had_is_one_line(study, settings, expected):
    with open(study / "params.yaml", "a") as params:
        params.write(f"compute: {{{settings}}}\n")
    if settings == "engine: ray":
        (study / "data/models/tiny").rename(study / "data/models/gone")
    done = run_stage(study, "activations", "tiny", "pairs")
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if "WARNING" not in line]
    assert len(lines) == 1 and expected in lines[0], done.stderr
