"""What the time of the default study goes into: run in a fresh clone, stage by stage.

    python benchmarks/study.py [--json benchmarks/study.json] [--work FOLDER]

Every stage process records when it began, when it ended, how long it spent importing modules
(interpreter start included) and its peak of memory; of the worker processes of a stage, the one
that imported longest is added to its imports, and the largest, once a core, to its memory. What is
left of the study's time is DVC's own. Prints a table, and writes `study_s`, `model_share` (of the
stages that run a model), `dvc_s`, `imports_s`, `share` (of DVC and imports), `peak_mb` (of the
largest stage) and `no_op_s` (`dvc repro` with nothing to do); what each stage took goes to
stages/seconds.json.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
SECONDS = ROOT / "stages/seconds.json"
"""What stages that never ran on a machine are expected to take (foundation/progress.py)."""
RUN_A_MODEL = ("activations", "interventions")
HOOK = '''
import atexit, builtins, json, multiprocessing, os, resource, sys, threading, time

plain, depth, spent = builtins.__import__, threading.local(), [0.0]


def timed(*words, **named):
    """`__import__`, whose outermost calls are timed."""
    if getattr(depth, "inside", False):
        return plain(*words, **named)
    depth.inside, start = True, time.perf_counter()
    try:
        return plain(*words, **named)
    finally:
        depth.inside = False
        spent[0] += time.perf_counter() - start


def began():
    """When this process started, by the system's clock."""
    with open("/proc/self/stat") as stat, open("/proc/uptime") as uptime:
        ticks = int(stat.read().rpartition(")")[2].split()[19])
        return time.time() - (float(uptime.read().split()[0]) - ticks / os.sysconf("SC_CLK_TCK"))


def record(start=began(), ready=time.time()):
    if sys.argv and sys.argv[0].startswith("stages/"):
        line = {
            "worker": multiprocessing.parent_process() is not None,
            "stage": " ".join([os.path.basename(sys.argv[0])[:-3], *sys.argv[1:]]),
            "wall": time.time() - start,
            "imports": spent[0] + ready - start,
            "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }
        with open(os.environ["STAGE_TIMES"], "a") as file:
            file.write(json.dumps(line) + "\\n")


builtins.__import__ = timed
atexit.register(record)
'''
"""The `sitecustomize` of every Python process of the study."""


def run(folder: Path, environment: dict[str, str]) -> float:
    """The seconds that `dvc repro` takes in `folder`."""
    start = time.perf_counter()
    subprocess.run(["dvc", "repro"], cwd=folder, check=True, env=environment)
    return time.perf_counter() - start


def measure(work: Path) -> dict[str, object]:
    """Runs the default study twice in a fresh clone; the second time there is nothing to do."""
    clone, hook, times = work / "clone", work / "hook", work / "times.jsonl"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(HOOK)
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(hook), str(clone)]),  # the clone's package, not ours
        "STAGE_TIMES": str(times),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    study = run(clone, environment)
    no_op = run(clone, environment)
    stages = [json.loads(line) for line in times.read_text().splitlines()]
    workers: dict[str, dict[str, float]] = {}  # of a stage's processes, the most of each
    for stage in stages:
        if stage["worker"]:
            most = workers.setdefault(stage["stage"], {"imports": 0.0, "peak": 0.0})
            most |= {key: max(most[key], stage[key]) for key in most}
    stages = [stage for stage in stages if not stage["worker"]]
    for stage in stages:
        most = workers.get(stage["stage"], {"imports": 0.0, "peak": 0.0})
        stage["imports"] += most["imports"]
        stage["peak"] += (os.cpu_count() or 1) * most["peak"]
    imports = sum(stage["imports"] for stage in stages)
    dvc = study - sum(stage["wall"] for stage in stages)
    print(f"{'stage':30} {'wall, s':>8} {'share':>6} {'imports, s':>10} {'peak, MB':>9}")
    for stage in stages:
        print(
            f"{stage['stage']:30} {stage['wall']:8.1f} {stage['wall'] / study:6.0%} "
            f"{stage['imports']:10.1f} {stage['peak']:9.0f}"
        )
    running = sum(s["wall"] for s in stages if s["stage"].split()[0] in RUN_A_MODEL)
    seconds = {stage["stage"]: round(stage["wall"], 1) for stage in stages}
    known = json.loads(SECONDS.read_text()) if SECONDS.exists() else {}
    # A stage whose inputs were as committed did not run.
    SECONDS.write_text(json.dumps(known | seconds, indent=2) + "\n")
    return {
        "study_s": round(study, 1),
        "model_share": round(running / study, 3),
        "dvc_s": round(dvc, 1),
        "imports_s": round(imports, 1),
        "share": round((dvc + imports) / study, 3),
        "peak_mb": round(max(stage["peak"] for stage in stages)),
        "no_op_s": round(no_op, 1),
        "stages": len(stages),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks/study.json")
    parser.add_argument("--work", type=Path, help="an empty folder, to keep the finished clone in")
    words = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = measure(words.work or Path(folder))
    words.json.write_text(json.dumps(result, indent=2) + "\n")
    print(
        f"\nstudy {result['study_s']} s, of it models {result['model_share']:.0%}, DVC "
        f"{result['dvc_s']} s and imports {result['imports_s']} s ({result['share']:.0%}); "
        f"nothing to do: {result['no_op_s']} s"
    )


if __name__ == "__main__":
    main()
