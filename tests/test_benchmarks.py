"""The benchmarks that the documentation tells to run, run in small."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from conftest import ROOT, run


def benchmark(folder: Path, name: str, **constants: str) -> Path:
    """A copy of a benchmark in `folder`, with other values of its constants."""
    path = folder / f"benchmarks/{name}.py"
    path.parent.mkdir(exist_ok=True)
    text = (ROOT / f"benchmarks/{name}.py").read_text()
    for line, small in constants.items():
        assert line in text
        text = text.replace(line, small)
    path.write_text(text)
    return path


def test_scoring_is_compared_with_a_loop(tmp_path):
    shutil.copytree(ROOT / "sycophancy_steering", tmp_path / "sycophancy_steering")
    sizes = {"CELLS, PERMUTATIONS, ANSWERS, SLOW = 1_000, 1_000, 400, 2_000": (
        "CELLS, PERMUTATIONS, ANSWERS, SLOW = 20, 10, 40, 30")}  # fmt: skip
    path = benchmark(tmp_path, "scoring", **sizes)
    done = run(tmp_path, "python", str(path))
    assert done.returncode == 0, done.stderr
    result = json.loads(path.with_suffix(".json").read_text())
    assert result.keys() == json.loads((ROOT / "benchmarks/scoring.json").read_text()).keys()
    assert result["cells_x_resamples"] == 200


def test_the_overhead_of_a_study_is_measured(study):
    path = benchmark(study, "study")
    done = run(study, "python", str(path))
    assert done.returncode == 0, done.stderr
    result = json.loads(path.with_suffix(".json").read_text())
    assert result.keys() == json.loads((ROOT / "benchmarks/study.json").read_text()).keys()
    assert 0 < result["no_op_s"] < result["study_s"]
