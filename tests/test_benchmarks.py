"""The benchmarks that the documentation tells to run, run in small."""

from __future__ import annotations

import json
import shutil
import sys
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


def test_folding_is_measured(tmp_path):
    shutil.copytree(ROOT / "sycophancy_steering", tmp_path / "sycophancy_steering")
    rows = {"ROWS = (100_000, 1_000_000)": "ROWS = (2_000, 3_000)"}
    path = benchmark(tmp_path, "folding", **rows)
    done = run(tmp_path, "python", str(path))
    assert done.returncode == 0, done.stderr
    few, many = json.loads(path.with_suffix(".json").read_text()).values()
    assert many["peak_mb"] < few["peak_mb"] + 20 and many["disk_mb"] <= 1.1 * few["disk_mb"]
    assert max(few["difference"], many["difference"]) < 1e-13


def test_the_memory_of_an_atlas_is_measured(tmp_path):
    shutil.copytree(ROOT / "sycophancy_steering", tmp_path / "sycophancy_steering")
    path = benchmark(tmp_path, "atlas")
    sizes = {"--rows": "120", "--layers": "2", "--vectors": "3", "--width": "8"}
    done = run(tmp_path, "python", str(path), *sum(sizes.items(), ()))
    assert done.returncode == 0, done.stderr
    result = json.loads(path.with_suffix(".json").read_text())
    assert (result["layers"], result["vectors"], result["width"]) == (2, 3, 8)
    assert result["120"]["peak_mb"] > 0


def test_the_overhead_of_a_study_is_measured(study):
    path = benchmark(study, "study")
    done = run(study, "python", str(path))
    assert done.returncode == 0, done.stderr
    result = json.loads(path.with_suffix(".json").read_text())
    assert result.keys() == json.loads((ROOT / "benchmarks/study.json").read_text()).keys()
    assert 0 < result["no_op_s"] < result["study_s"]


SMALL = {
    "workload": {
        "default=3)": "default=1)",
        'MODELS = ("smollm2", "random")': 'MODELS = ("random",)',
        '"data/models/smollm2"': '"data/models/tiny"',
    },
    "extraction": {
        "default=3)": "default=1)",
        "hidden_size=512": "hidden_size=64",
        "intermediate_size=1376": "intermediate_size=96",
        "num_hidden_layers=12": "num_hidden_layers=2",
        'PAIRS = {"cpu": 96': 'PAIRS = {"cpu": 18',
        'PERSONAS = {"cpu": 12': 'PERSONAS = {"cpu": 2',
        ', ("steering-vectors", [1, 16]), ("repeng", [32]))': ",)",
        "torch.randn(2048 if": "torch.randn(64 if",
    },
    "steering": {
        "N_QUESTIONS, N_VECTORS, LENGTH = 200, 10, 4.0": (
            "N_QUESTIONS, N_VECTORS, LENGTH = 6, 2, 4.0"
        ),
        '("CAA loop", 1), ("steering-vectors", 16)': '("CAA loop", 1)',
        '"every": [("repeng", 16)],': "",
    },
    "generation": {
        "N_PROMPTS, N_TOKENS = 64, 64": "N_PROMPTS, N_TOKENS = 4, 3",
        "BATCHES = (16, 64)": "BATCHES = (2,)",
        'PEER_KINDS = ("float32", "int8")': "PEER_KINDS = ()",
        '("64 tokens", "ends")': '("64 tokens",)',
    },
    "turns": {
        "default=3)": "default=1)",
        "N_QUESTIONS, N_TOKENS, WARM = 48, 16, 4": "N_QUESTIONS, N_TOKENS, WARM = 3, 2, 1",
        "BATCHES = (1, 32)": "BATCHES = (2,)",
    },
}
"""Of each benchmark beside other libraries, what makes it small; the peers are those that need
nothing but transformers."""


def test_remotes_are_timed(tmp_path):
    small = ("--files", "4", "--megabytes", "1", "--stores", "folder")
    path = ROOT / "benchmarks/remotes.py"
    done = run(tmp_path, "python", str(path), *small, "--json", str(tmp_path / "remotes.json"))
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "remotes.json").read_text())
    recorded = json.loads((ROOT / "benchmarks/remotes.json").read_text())
    assert result["folder"].keys() == recorded["folder"].keys() == recorded["s3"].keys()


def test_make_bench_compares_with_peers(study):
    for name, constants in SMALL.items():
        benchmark(study, name, **constants)
    for name in ("peers", "steering_peers", "generation_peer"):
        benchmark(study, name)
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, study)
    (study / ".venv").mkdir()
    (study / ".work/peers/bin").mkdir(parents=True)
    python = study / ".work/peers/bin/python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    for environment in (".venv", ".work/peers"):  # make has nothing to install
        (study / environment / "installed").touch()
    done = run(study, "make", "bench")
    assert done.returncode == 0, done.stderr
    results = {name: json.loads((study / f"benchmarks/{name}.json").read_text())
               for name in SMALL if name != "workload"}  # fmt: skip
    assert results["extraction"].keys() >= kept("extraction").keys()
    assert results["extraction"]["min_cosine"] > 0.999
    assert results["steering"].keys() == {"random_prompt_end_on_ratio"}
    assert results["generation"].keys() == {
        "random_64_tokens_ratio",
        "random_64_tokens_ratio_bfloat16",
    }
    assert results["turns"].keys() == kept("turns").keys()
    tables = [line.split("|") for line in done.stdout.splitlines() if line.startswith("|")]
    (row,) = (cells for cells in tables if "CAA loop" in cells[3])
    assert float(row[6]) < 1e-4  # log-odds as this engine's
    assert "4 of 4" in done.stdout  # texts as those of model.generate


def kept(name: str) -> dict[str, float]:
    """The results that are in the repository."""
    return json.loads((ROOT / f"benchmarks/{name}.json").read_text())
