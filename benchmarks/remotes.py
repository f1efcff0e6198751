"""How long a push and a pull take on each kind of remote.

    python benchmarks/remotes.py [--files 1050] [--megabytes 210] [--stores folder ssh webdav s3]
        [--json benchmarks/remotes.json]

Starts OpenSSH's server, WsgiDAV and SeaweedFS (S3) on loopback ports, and takes a folder as well;
pushes as many files of random bytes as an output with `python -m sycophancy_steering.sharing.push`
(`make push`), pulls them in a fresh clone, checks that they are the same, pushes once more, and
prints a table. A server that this machine lacks is left out, by name. A real network adds its own
time: these are what the programs take.
"""

from __future__ import annotations

import argparse
import filecmp
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from remote_servers import STORES, Store, missing, running_store  # noqa: E402

MAKE = """
import os
os.makedirs("data")
for number in range({files}):
    with open(f"data/{{number:05d}}", "wb") as file:
        file.write(os.urandom({size}))
"""
PIPELINE = "stages: {data: {cmd: python make.py, deps: [make.py], outs: [data]}}\n"
PUSH, PULL = (
    [sys.executable, "-m", f"sycophancy_steering.sharing.{which}"] for which in ("push", "pull")
)


def seconds(folder: Path, *command: str) -> float:
    """How long a command takes in a folder; it has to succeed."""
    start = time.perf_counter()
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run(command, cwd=folder, check=True, env=environment, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def make_study(folder: Path, files: int, size: int) -> None:
    """A repository with one output of so many files of `size` bytes."""
    folder.mkdir()
    (folder / "make.py").write_text(MAKE.format(files=files, size=size))
    (folder / "dvc.yaml").write_text(PIPELINE)
    (folder / ".gitignore").write_text("/data/\n")
    dvc = str(Path(sys.executable).parent / "dvc")
    author = ("-c", "user.name=benchmark", "-c", "user.email=benchmark@example.org")
    for command in (
        ("git", "init", "--quiet"),
        (dvc, "init", "--quiet"),
        (dvc, "repro", "--quiet"),
        ("git", "add", "--all"),
        ("git", *author, "commit", "--quiet", "--message=study"),
    ):
        seconds(folder, *command)


def measure(study: Path, store: Store, work: Path) -> dict[str, float]:
    """Seconds of a first push, a pull in a fresh clone, and a push that has nothing to do."""
    clone = work / f"clone-{store.kind}"
    seconds(work, "git", "clone", "--quiet", str(study), str(clone))
    settings = {"url": store.url(store.port)} | store.options(store.port) | store.credentials
    lines = [f"    {key} = {value}\n" for key, value in settings.items()]
    for folder in (study, clone):
        local = folder / ".dvc/config.local"
        local.write_text("[core]\n    remote = box\n['remote \"box\"']\n" + "".join(lines))
    result = {"push_s": seconds(study, *PUSH), "pull_s": seconds(clone, *PULL)}
    names = [path.name for path in (study / "data").iterdir()]
    same, *others = filecmp.cmpfiles(study / "data", clone / "data", names, shallow=False)
    assert len(same) == len(names) and not any(others)
    result["again_s"] = seconds(study, *PUSH)
    return {key: round(value, 1) for key, value in result.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--files", type=int, default=1050)
    parser.add_argument("--megabytes", type=int, default=210)
    parser.add_argument("--stores", nargs="+", choices=STORES, default=[*STORES])
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks/remotes.json")
    options = parser.parse_args()
    results: dict[str, object] = {"files": options.files, "megabytes": options.megabytes}
    print("| remote | push, s | pull, s | push of nothing new, s |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        make_study(work / "study", options.files, options.megabytes * 1_000_000 // options.files)
        for kind in options.stores:
            if reason := missing(kind):
                print(f"{kind}: left out, {reason}")
                continue
            with running_store(kind, work / kind) as store:
                times = measure(work / "study", store, work)
            results[kind] = times
            print(f"| {kind} | {' | '.join(str(value) for value in times.values())} |", flush=True)
    options.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
