"""What Ray costs: one model's questions run by the stage's own process, and by a worker of Ray,
which is started for it or runs already, as on a cluster.

    python benchmarks/ray_workers.py smollm2 [--questions 2000] [--workers 1] [--threads 2]

After `dvc repro checkpoint`: asks a set of that many questions with `extract: forced_answers`, as
for contrast pairs, each engine in turn with an empty `.work`, in the other order every second
round, since a machine's speed drifts; seconds are the least of all rounds. Compares all bytes of
all outputs. Seconds are those of the whole stage: imports, starting Ray and loading the model
included. Ray's own processes need some of a processor: where the model uses all of them, they take
it from the model. Prints a table and writes benchmarks/ray_workers.json, by number of threads.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from ruamel.yaml import YAML

ROOT = Path(__file__).parent.parent
SOURCES = ("suggestions", "pushback", "doubts", "opinions")
LINKED = ("stages", "sycophancy_steering", "data/models", "data/questions", "data/tables")
NAME = "many"


def prepare(folder: Path, model: str, n_questions: int) -> None:
    """A repository with one prompt set of `n_questions`."""
    for name in LINKED:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(ROOT / name)
    yaml = YAML()
    params = yaml.load(ROOT / "params.yaml")
    params["prompt_set"][NAME] = {
        "sources": dict.fromkeys(SOURCES, n_questions // len(SOURCES)),
        "splits": ["extract", "select", "test"],
        "extract": "forced_answers",
    }
    params["models"] = {model: params["models"][model]}
    params["prompt_sets"][params["models"][model]].append(NAME)
    yaml.dump(params, folder / "params.yaml")
    stage(folder, "prompts", NAME)


def stage(folder: Path, *words: str) -> float:
    """Runs a stage; its seconds."""
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, f"stages/{words[0]}.py", *words[1:]],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=True,
    )
    return time.perf_counter() - start


@contextmanager
def running_ray() -> Iterator[str]:
    """Ray on this machine; its address."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{found.getsockname()[1]}"
    command = ["ray", "start", "--head", "--block", f"--port={address.partition(':')[2]}"]
    command += ["--node-ip-address=127.0.0.1", "--disable-usage-stats"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        time.sleep(15)  # until it has settled
        yield address
    finally:
        process.terminate()
        process.wait()


def run(folder: Path, model: str, compute: dict[str, object]) -> tuple[float, str]:
    """Seconds of the stage, and a hash of all that it wrote."""
    shutil.rmtree(folder / ".work", ignore_errors=True)
    output = folder / "data/activations" / model / NAME
    shutil.rmtree(output, ignore_errors=True)
    yaml = YAML()
    params = yaml.load(folder / "params.yaml")
    params["compute"] = compute
    yaml.dump(params, folder / "params.yaml")
    seconds = stage(folder, "activations", model, NAME)
    digest = hashlib.sha256()
    for path in sorted(output.iterdir()):
        digest.update(path.name.encode() + path.read_bytes())
    return seconds, digest.hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("model", help="an entry of model in params.yaml")
    parser.add_argument("--questions", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", choices=("ray", "running ray"), help="and local")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of the model")
    given = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(given.threads)
    engines: dict[str, dict[str, object]] = {
        "local": {"engine": "local"},
        "ray": {"engine": "ray", "workers": given.workers},
        "running ray": {"engine": "ray", "workers": given.workers},
    }
    if given.only:
        engines = {name: engines[name] for name in ("local", given.only)}
    seconds: dict[str, list[float]] = {name: [] for name in engines}
    digests = set[str]()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, given.model, given.questions)
        for n in range(given.rounds):
            for engine in reversed(engines) if n % 2 else engines:
                with running_ray() if engine == "running ray" else nullcontext("") as address:
                    compute = engines[engine] | ({"address": address} if address else {})
                    took, digest = run(folder, given.model, compute)
                seconds[engine].append(took)
                digests.add(digest)
    least = {engine: min(took) for engine, took in seconds.items()}
    same = "the same" if len(digests) == 1 else "others"
    workers = f"{given.workers} worker(s)"
    what = f"{given.questions} questions of {given.model}, {given.threads} thread(s)"
    print(f"| {what} | seconds | bytes |\n|---|---|---|")
    for engine, took in least.items():
        overhead = f" ({took / least['local'] - 1:+.1%})" if engine != "local" else ""
        print(f"| {engine}{f', {workers}' if overhead else ''} | {took:.1f}{overhead} | {same} |")
    result = {
        "questions": given.questions,
        "workers": given.workers,
        "rounds": given.rounds,
        "same_bytes": len(digests) == 1,
    }
    for engine, took in least.items():
        name = engine.replace(" ", "_")
        result[f"{name}_s"] = round(took, 1)
        if engine != "local":
            result[f"{name}_overhead"] = round(took / least["local"] - 1, 4)
    path = Path(__file__).with_suffix(".json")
    results = json.loads(path.read_text()) if path.exists() else {}
    results[f"threads_{given.threads}"] = result
    path.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
