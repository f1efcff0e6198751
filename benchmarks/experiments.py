"""Many queued experiments over one store: is any lost, does any end with other bytes?

    python benchmarks/experiments.py [--experiments 200] [--jobs 2] [--alone 8] [--study FOLDER]

Queues the experiments in a copy of a study of a random-weight model (FOLDER, or a new one): several
lengths of answers, each with many numbers of permutations, so that several experiments need the
same activations at once. They run in workspaces of their own and share `.work` and DVC's cache.
Then `alone` of them are run again in clones that share nothing. Prints a table and writes
benchmarks/experiments.json.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

from ruamel.yaml import YAML

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from conftest import git, run, write_study

LENGTHS = (4, 5, 6, 7)
"""`activations.max_new_tokens`, for which all questions are run again; the study has 4."""
PERMUTATIONS = 99
"""The most; the study has as many."""
STAGES = ("prompts", "activations", "labels", "vectors", "predictivity")
"""That are run; those after them take a minute each time."""
BEFORE = STAGES[:-1]
"""Those that the number of permutations does not concern."""
QUIET, ENDED = 20.0, "Worker status: 0 active, 0 idle"
"""Seconds between two looks at the queue, and what it says once its workers have gone."""


def dvc(folder: Path, *words: str) -> str:
    """What a command of DVC's prints; it has to succeed."""
    done = run(folder, "dvc", *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def experiments(folder: Path) -> list[str]:
    """The references of all experiments that are done."""
    shown = run(folder, "git", "for-each-ref", "--format=%(refname)", "refs/exps").stdout
    own = ("refs/exps/celery", "refs/exps/exec", "refs/exps/temp", "refs/exps/stash")
    return [name for name in shown.split() if not name.startswith(own)]


def run_queue(folder: Path, n_experiments: int, jobs: int) -> float:
    """Queues and runs them; the seconds that it took, until all are there or no worker is left."""
    least = PERMUTATIONS + 1 - n_experiments // len(LENGTHS)
    start = time.perf_counter()
    dvc(
        folder, "exp", "run", "--queue",
        "-S", f"activations.max_new_tokens={','.join(map(str, LENGTHS))}",
        "-S", f"selection.n_permutations=range({least},{PERMUTATIONS + 1})",
        STAGES[-1],
    )  # fmt: skip
    dvc(folder, "queue", "start", "--jobs", str(jobs))
    looked = time.perf_counter()
    while len(experiments(folder)) < n_experiments:
        time.sleep(0.5)
        if time.perf_counter() - looked > QUIET:
            if ENDED in dvc(folder, "queue", "status"):
                break
            looked = time.perf_counter()
    return time.perf_counter() - start


def outputs(lock: str) -> dict[str, list[object]]:
    """By stage, the hashes of its outputs in the text of a dvc.lock."""
    stages = YAML(typ="safe").load(lock)["stages"]
    return {name: stages[name]["outs"] for name in STAGES}


def read(folder: Path, reference: str, name: str) -> str:
    """A file of an experiment."""
    return run(folder, "git", "show", f"{reference}:{name}").stdout


def run_alone(folder: Path, reference: str, work: Path) -> dict[str, list[object]]:
    """The outputs of the same run in a clone with an empty cache and store."""
    git(work, "clone", "--quiet", str(folder), "alone")
    (work / "alone/params.yaml").write_text(read(folder, reference, "params.yaml"))
    dvc(work / "alone", "repro", STAGES[-1])
    found = outputs((work / "alone/dvc.lock").read_text())
    shutil.rmtree(work / "alone")
    return found


def n_corrupted(folder: Path) -> int:
    """Objects in DVC's cache whose content is not what their name says."""
    objects = [path for path in (folder / ".dvc/cache/files/md5").glob("*/*") if path.is_file()]
    return sum(
        hashlib.md5(path.read_bytes()).hexdigest() != path.parent.name + path.name.split(".")[0]
        for path in objects
    )


def shown(folder: Path) -> tuple[float, float]:
    """Seconds of `dvc exp show` the first time, when DVC reads every experiment, and again."""
    times = []
    for _ in range(2):
        start = time.perf_counter()
        dvc(folder, "exp", "show", "--no-pager")
        times.append(time.perf_counter() - start)
    return times[0], times[1]


def check(folder: Path, n_experiments: int, alone: int) -> dict[str, float]:
    """How many of the experiments that have run are lost, or differ from the same run alone."""
    of_length: dict[int, dict[str, list[object]]] = {}
    different, found, variants = 0, {}, set()
    for reference in experiments(folder):
        found[reference] = outputs(read(folder, reference, "dvc.lock"))
        params = YAML(typ="safe").load(read(folder, reference, "params.yaml"))
        length = params["activations"]["max_new_tokens"]
        variants.add((length, params["selection"]["n_permutations"]))
        before = {name: found[reference][name] for name in BEFORE}
        different += of_length.setdefault(length, before) != before
    step = max(1, len(found) // max(1, alone))
    again = [*found][::step][:alone]
    with tempfile.TemporaryDirectory() as work:
        different += sum(
            run_alone(folder, reference, Path(work)) != found[reference] for reference in again
        )
    return {
        "experiments": n_experiments,
        "lost": n_experiments - len(variants),
        "different": different,
        "corrupted": n_corrupted(folder),
        "alone": len(again),
    }


def measure(folder: Path, n_experiments: int, jobs: int, alone: int) -> dict[str, float]:
    """Runs everything in the repository `folder`."""
    seconds = run_queue(folder, n_experiments, jobs)
    first, again = shown(folder)
    return check(folder, n_experiments, alone) | {
        "jobs": jobs,
        "seconds": round(seconds),
        "first_show_s": round(first, 1),
        "show_s": round(again, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--experiments", type=int, default=200, help="divisible by 4")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--alone", type=int, default=8)
    parser.add_argument("--study", type=Path, help="a finished study, which is copied")
    parser.add_argument("--work", type=Path, help="an empty folder, to keep all of it in")
    parser.add_argument("--json", type=Path, default=Path(__file__).with_suffix(".json"))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as work:
        folder = (given.work or Path(work)) / "study"
        if given.study:
            shutil.copytree(given.study, folder, symlinks=True)
        else:
            folder.mkdir()
            write_study(folder)
        result = measure(folder, given.experiments, given.jobs, given.alone)
    print(
        "| experiments | lost | other bytes than alone | corrupted objects | minutes in all | "
        "`dvc exp show`, s | the first time |\n|---|---|---|---|---|---|---|\n"
        f"| {result['experiments']} | {result['lost']} | {result['different']} of "
        f"{result['alone']} | {result['corrupted']} | {result['seconds'] / 60:.0f} | "
        f"{result['show_s']} | {result['first_show_s']} |"
    )
    given.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
