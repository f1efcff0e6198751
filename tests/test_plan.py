"""benchmarks/plan.py: its arithmetic against numbers that were computed by hand."""

from __future__ import annotations

import sys

import pytest
from conftest import ROOT, run

sys.path.append(str(ROOT / "benchmarks"))
from plan_arithmetic import ARCHITECTURES, Architecture, Gpu, Machine, Plan, Workload, limits

# Per block 48 weights of attention (2 x 4 x 2 x (2 + 1)) and 96 of the MLP (3 x 4 x 8).
SMALL = Architecture("small", 4, 2, 8, 2, 1, 10)
WORK = Workload(10, 2, 1, 3, layers=2, positions=3, groups=5, vectors=7)
MACHINE = Machine(
    Gpu(flops=2 * 20_912, memory=800, bandwidth=736, price=1),
    n_gpus=5, utilisation=0.5, weight_bytes=2, batch_tokens=20, disk=4800, memory=1e6, days=1,
)  # fmt: skip
RATES = {
    "write_bytes_s": 1.0,
    "hash_bytes_s": 0.5,
    "planned_s": 1e9,
    "question_bytes": 100.0,
    "labelled_s": 1e9,
    "row_layers_s": 1e9,
}
PLAN = Plan(SMALL, WORK, MACHINE, 3600, RATES)


def test_weights_are_those_of_the_published_models():
    assert SMALL.block_weights == 2 * (48 + 96)
    assert SMALL.weights == 288 + 2 * 40
    llama = ARCHITECTURES["70B"]
    assert llama.weights == 80 * (2 * 67_108_864 + 2 * 8_388_608 + 704_643_072) + 2_101_346_304
    assert llama.kv_bytes == 327_680
    billions = {"7B": 7.61, "8B": 8.03, "32B": 32.8, "70B": 70.6, "72B": 72.7}
    for size, published in billions.items():
        assert ARCHITECTURES[size].weights / 1e9 == pytest.approx(published, rel=0.005)


def test_operations_are_counted_token_by_token():
    assert SMALL.token_flops(5) == 2 * 288 + 4 * 2 * 2 * 2 * 5
    side_by_side, generated = 24 * 736, 3 * (576 + 320)  # (10 + 2) tokens of a question and a chat
    assert PLAN.flops == side_by_side + generated + 2 * 7 * 10 * 4


def test_time_is_computing_and_reading_the_weights_once_a_token_and_batch():
    assert PLAN.batch == 2
    assert PLAN.copy_seconds == 1 + 3 * 1 / 2
    assert PLAN.copy_bytes == 736 + 2 * 12 * 16 + 2 * 2 * 3 * 4 * 2
    assert PLAN.gpus_a_copy == 2  # 1,216 bytes on GPUs of 720
    assert PLAN.copies == 2  # the fifth GPU is idle
    assert PLAN.seconds == 3600 * 2.5 / 2


def test_storage_of_activations_grows_and_that_of_statistics_does_not():
    assert PLAN.activation_bytes(2, 3) == 2 * 2 * 3 * 4
    assert PLAN.statistics_bytes == 8 * (1 + 4 + 16) * 5 * 2 * 3
    assert PLAN.projection_bytes == 4 * 7 * 3
    assert PLAN.equal_storage == 5040 / 48


def test_what_breaks_first_comes_first():
    parts = limits(PLAN)
    assert [part.part for part in parts[:3]] == [
        "disk for activations",  # 48 bytes a question: 100 questions
        "DVC hashes activations",  # 96 s a question: 900 in a day
        "activations written",
    ]
    assert [part.questions for part in parts[:3]] == [100, 900, 1800]
    numbers = [part.questions for part in parts]
    assert numbers == sorted(numbers)


def test_the_page_shows_what_the_command_prints():
    page = (ROOT / "docs/scale.md").read_text()
    for questions in ("1e6", "1e9 --gpus 512"):
        done = run(ROOT, "python", "benchmarks/plan.py", "70B", *questions.split())
        assert done.returncode == 0, done.stderr
        assert f"python benchmarks/plan.py 70B {questions}\n" in page
        assert done.stdout.strip() in page


def test_a_model_that_is_not_known_is_one_line():
    done = run(ROOT, "python", "benchmarks/plan.py", "no-such-model", "1e6")
    assert done.returncode == 1
    assert done.stderr.startswith("error: no-such-model: expected one of ")
    assert len(done.stderr.splitlines()) == 1
    assert run(ROOT, "python", "benchmarks/plan.py", "one_cause", "1e6").returncode == 0
