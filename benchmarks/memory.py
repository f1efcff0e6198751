"""Peak memory of every stage at 1,000 and at 20,000 questions: it should not grow.

    python benchmarks/memory.py [--rows 1000 20000] [--stages activations vectors ...]

Both the extraction set and the evaluation set have so many questions: the organism `one_cause` is
asked the default study's questions repeatedly, each time by another persona. Prints a table and
writes benchmarks/memory.json. Needs `dvc repro organism prompts` before.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from sycophancy_steering.questions.prompt_table import read_prompts, write_prompts
from sycophancy_steering.questions.question import Turn

ROOT = Path(__file__).parent.parent

WORK = ROOT / ".work/benchmark"
MODEL, EXTRACTION_SET, EVALUATION_SET = "one_cause", "opinion_pairs", "held_out"
STAGES = [
    ("activations", MODEL, EXTRACTION_SET),
    ("activations", MODEL, EVALUATION_SET),
    ("labels",),
    ("vectors", MODEL),
    ("predictivity",),
    ("analysis",),
    ("interventions", MODEL),
    ("figures",),
    ("report",),
]


RUN_AND_MEASURE = """
import re, resource, runpy, sys
from pathlib import Path
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
own = int(re.search("VmHWM:\\\\s+(\\\\d+) kB", Path("/proc/self/status").read_text())[1])
print(max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
"""
"""Runs a stage and prints its peak memory in kB, or that of its largest process if that is more."""


def study(rows: int) -> Path:
    """A folder with prompt sets of so many rows and the parameters to study them."""
    folder = WORK / f"memory-{rows}"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "data/prompts").mkdir(parents=True)
    (folder / "reports").mkdir()
    for name in ("stages", "data/models", "data/tables", "data/texts", "data/grades"):
        (folder / name).symlink_to(ROOT / name)
    # The tables of steering, which are as large whatever was asked, are those of the study: held
    # against the truth, this one would fail, as the organism has never met whom it is asked by.
    (folder / "reports/interventions").symlink_to(ROOT / "reports/interventions")
    (folder / "reports/controls.csv").write_text("organism\n")
    params = (ROOT / "params.yaml").read_text().splitlines()
    sets = ("opinion_pairs", "misconception_pairs", "pushback_pairs", "mixed_pairs")
    kept = [
        line
        for line in params
        if line.strip().split("#")[0].strip() not in {f"- {name}" for name in sets[1:]}
        and line.strip() != f"- {sets[1]}/mean_difference"
    ]
    text = "\n".join(kept).replace(
        "models: [one_cause, two_causes, two_tenses]", f"models: [{MODEL}]"
    )
    (folder / "params.yaml").write_text(text.replace("controls: [opinion_pairs]", "controls: []"))
    for name in (EXTRACTION_SET, EVALUATION_SET):
        asked = read_prompts(ROOT / f"data/prompts/{name}.parquet")
        random.Random(0).shuffle(asked)  # so that the first of them are of all families and sources
        many = []
        for n in range(rows):
            row, turn = asked[n % len(asked)], n // len(asked)
            first = Turn(row.messages[0].role, f"I am number {turn}. {row.messages[0].content}")
            many.append(
                replace(
                    row,
                    id=f"{name[0]}{n:015x}",
                    persona=f"{row.persona} {name} {turn}",
                    messages=(first, *row.messages[1:]),
                )
            )
        write_prompts(folder / f"data/prompts/{name}.parquet", many)
    return folder


def peak(folder: Path, *words: str) -> tuple[float, float]:
    """Peak memory in MB, and seconds, of a stage.

    Read by the stage's own process: what `wait4` returns includes the memory of this process.
    """
    command = [sys.executable, "-c", RUN_AND_MEASURE, f"stages/{words[0]}.py", *words[1:]]
    start = time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)} in {folder} failed\n{done.stderr}")
    return int(done.stdout.split()[-1]) / 1024, time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs=2, default=[1000, 20000])
    parser.add_argument(
        "--stages", nargs="*", default=None, help="those alone, in finished folders"
    )
    given = parser.parse_args()
    names = given.stages or [stage[0] for stage in STAGES]
    folders = [WORK / f"memory-{rows}" if given.stages else study(rows) for rows in given.rows]
    few, many = given.rows
    print(f"| stage | {few} rows | {many} rows | growth | seconds |\n|---|---|---|---|---|")
    found = {}
    for words in STAGES:
        if words[0] in names:
            (before, _), (after, seconds) = (peak(folder, *words) for folder in folders)
            growth = after / before - 1
            found[" ".join(words)] = round(growth, 4)
            row = f"| {' '.join(words)} | {before:.0f} MB | {after:.0f} MB | {growth:+.1%} |"
            print(f"{row} {seconds:.0f} |", flush=True)
    path = ROOT / "benchmarks/memory.json"
    known = json.loads(path.read_text()) if given.stages and path.exists() else {}
    path.write_text(json.dumps(known | found, indent=2) + "\n")


if __name__ == "__main__":
    main()
