"""Extraction of a prompt set: nothing is run twice, and the bytes never depend on interruptions."""

from __future__ import annotations

import fcntl
import json
import re
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from conftest import run, run_stage
from safetensors.numpy import load

from sycophancy_steering.storage.activation_shards import read_activations

SMALL_BATCHES = "stop_at: answer, batch_tokens: 300"
KILLED = """
import json, os, pathlib, random, signal, sys, time
sys.path.insert(0, "stages")
import sycophancy_steering.activations.model_work
from sycophancy_steering.activations.model_work import extract_batch
import activations

def counted(language_model, prompts, settings):
    found = extract_batch(language_model, prompts, settings)
    with open("finished.txt", "a") as file:  # a line a batch, there even if the next moment is -9
        file.write(f"{len(prompts)}\\n")
    return found

sycophancy_steering.activations.model_work.extract_batch = counted
sys.argv = ["activations.py", "tiny", "held_out"]
draw = random.Random(int(os.environ["SEED"]))
kept = lambda: len([*pathlib.Path(".work/activations").glob("*/[!.]*/responses.parquet")])
told = []
for moment in range(10):
    before, finished = kept(), len(open("finished.txt").readlines()) if moment else 0
    child = os.fork()
    if not child:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1), os.dup2(null, 2)
        activations.main()
        os._exit(0)
    while kept() == before:  # the model is loaded, and it has begun
        assert os.waitpid(child, os.WNOHANG) == (0, 0), "it ended by itself"
        time.sleep(0.001)
    time.sleep(draw.random() * 0.3)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    told.append([len(open("finished.txt").readlines()) - finished, kept() - before])
print(json.dumps(told))
"""


def forget(folder: Path) -> None:
    """Nothing is known, neither here nor in DVC's cache."""
    for name in (".work", ".dvc/cache"):
        shutil.rmtree(folder / name, ignore_errors=True)


def small_batches(folder: Path) -> None:
    path = folder / "params.yaml"
    text = path.read_text()
    if SMALL_BATCHES not in text:
        path.write_text(text.replace("stop_at: answer", SMALL_BATCHES))
    forget(folder)
    shutil.rmtree(folder / "data/activations/tiny/held_out", ignore_errors=True)


def output(folder: Path, name: str = "held_out") -> dict[str, bytes]:
    paths = sorted((folder / f"data/activations/tiny/{name}").iterdir())
    return {path.name: path.read_bytes() for path in paths}


def told(done: subprocess.CompletedProcess[str]) -> tuple[int, int]:
    """How many questions were run, and how many taken from .work."""
    assert done.returncode == 0, done.stderr
    if found := re.search(r"(\d+) run in .*, (\d+) taken from", done.stdout):
        return int(found[1]), int(found[2])
    none = re.search(r"none run, all (\d+) taken", done.stdout)
    assert none, done.stdout
    return 0, int(none[1])


def test_killed_at_ten_moments_it_ends_with_the_same_bytes(study, tmp_path):
    small_batches(study)
    params = study / "params.yaml"
    many = "organism_opinions: 250, organism_misconceptions: 250"
    params.write_text(
        params.read_text().replace("organism_opinions: 16, organism_misconceptions: 12", many)
    )
    assert run_stage(study, "prompts", "held_out").returncode == 0
    other = shutil.copytree(study, tmp_path / "undisturbed", symlinks=True)
    (study / "killed.py").write_text(KILLED)
    done = run(study, "env", "SEED=1", sys.executable, "killed.py")
    assert done.returncode == 0, done.stderr
    moments = json.loads(done.stdout)
    assert sum(kept > 0 for _, kept in moments) == 10, moments
    # A batch that was finished may have been on its way to the disk.
    assert all(finished - kept <= 1 for finished, kept in moments), moments
    ran, taken = told(run_stage(study, "activations", "tiny", "held_out"))
    assert ran > 0 and ran + taken == 500 and taken > 0
    assert told(run_stage(other, "activations", "tiny", "held_out")) == (500, 0)
    assert output(study) == output(other)


def test_more_questions_cost_no_more_than_themselves(study):
    params = study / "params.yaml"
    text = params.read_text()
    params.write_text(
        text.replace(
            "organism_opinions: 16, organism_misconceptions: 12",
            "organism_opinions: 19, organism_misconceptions: 12",
        )
    )
    assert run_stage(study, "prompts", "held_out").returncode == 0
    assert told(run_stage(study, "activations", "tiny", "held_out")) == (3, 28)
    # Back on the other branch: the blocks were rewritten, and nothing is run.
    params.write_text(text)
    before = output(study)
    assert run_stage(study, "prompts", "held_out").returncode == 0
    assert told(run_stage(study, "activations", "tiny", "held_out")) == (0, 28)
    assert output(study) != before


def test_prompt_sets_share_their_questions(study):
    params = study / "params.yaml"
    text = params.read_text().replace(
        "  public:", "  both: {sources: {organism_opinions: 16}, splits: [select, test]}\n  public:"
    )
    params.write_text(text)
    assert run_stage(study, "prompts", "both").returncode == 0
    ran, taken = told(run_stage(study, "activations", "tiny", "both"))
    assert (ran, taken) == (0, 16)
    ids = pq.read_table(study / "data/prompts/both.parquet")["id"].to_pylist()
    responses = pq.read_table(study / "data/activations/tiny/both/responses.parquet")
    assert responses["id"].to_pylist() == ids
    there = pq.read_table(study / "data/activations/tiny/held_out/responses.parquet").to_pylist()
    theirs = {each["id"]: each for each in there}
    assert responses.to_pylist() == [theirs[each] for each in ids]


def test_another_way_of_reading_is_run_anew(study):
    params = study / "params.yaml"
    params.write_text(params.read_text().replace("max_new_tokens: 4", "max_new_tokens: 5"))
    assert told(run_stage(study, "activations", "tiny", "held_out")) == (28, 0)


def test_states_of_forced_answers_alone_give_the_same_vectors(study):
    before = read_activations(study / "data/activations/tiny/pairs", 1, "matching").activations
    made = (study / "vectors/extracted/tiny/pairs/mean_difference.safetensors").read_bytes()
    params = study / "params.yaml"
    text = params.read_text()
    params.write_text(
        text.replace(
            "{organism_opinions: 12}, ", "{organism_opinions: 12}, extract: forced_answers, "
        )
    )
    for stage in (["prompts", "pairs"], *([n, "tiny", "pairs"] for n in ("activations", "labels"))):
        done = run_stage(study, *stage)
        assert done.returncode == 0, done.stderr
        if stage[0] == "activations":
            assert told(done) == (12, 0)
    there = pq.read_table(study / "data/activations/tiny/pairs/shard-00000.parquet")
    assert {*there["position"].to_pylist()} == {"prompt", "matching", "not_matching"}
    after = read_activations(study / "data/activations/tiny/pairs", 1, "matching").activations
    np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-5)
    assert run_stage(study, "vectors", "tiny", "pairs").returncode == 0
    again = study / "vectors/extracted/tiny/pairs/mean_difference.safetensors"
    assert again.read_bytes() != made
    one, other = load(made), load(again.read_bytes())
    assert {*one} == {*other}
    for layer, vector in one.items():
        np.testing.assert_allclose(other[layer], vector, rtol=1e-3, atol=1e-5)
    # What has to be answered cannot be read so.
    params.write_text(
        text.replace(
            "organism_misconceptions: 12}, ",
            "organism_misconceptions: 12}, extract: forced_answers, ",
        )
    )
    for stage in (["prompts", "held_out"], ["activations", "tiny", "held_out"]):
        assert run_stage(study, *stage).returncode == 0
    done = run_stage(study, "labels", "tiny", "held_out")
    assert done.returncode == 1
    assert "'logprob' labels no answer of tiny to held_out" in done.stderr


def test_a_second_run_at_the_same_time_is_refused(study):
    lock = study / ".work/locks/tiny"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with open(lock, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        done = run_stage(study, "activations", "tiny", "pairs")
    assert done.returncode == 1
    assert done.stderr.startswith("error: tiny: another run is working on it")
    assert len(done.stderr.splitlines()) == 1
    assert told(run_stage(study, "activations", "tiny", "pairs")) == (0, 12)


LITTLE_ROOM = """
import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, resource.RLIM_INFINITY))
sys.path.insert(0, "stages")
sys.argv = ["stages/activations.py", "tiny", "held_out"]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_a_full_disk_is_refused_and_what_is_there_is_kept(study):
    small_batches(study)
    before = run_stage(study, "activations", "tiny", "held_out")
    whole = output(study)
    sizes = [
        p.stat().st_size for p in (study / ".work/activations").glob("*/*/activations.parquet")
    ]
    assert told(before) == (28, 0)
    small_batches(study)
    # A file may grow to less than the whole: batches fit, the shard does not.
    (study / "little.py").write_text(LITTLE_ROOM.format(size=max(sizes) // 2))
    done = run(study, sys.executable, "little.py")
    assert done.returncode == 1, done.stderr
    assert "error: " in done.stderr and "make room and run this again" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (study / "data/activations/tiny/held_out").exists()
    assert told(run_stage(study, "activations", "tiny", "held_out")) == (0, 28)
    assert output(study) == whole


def test_a_block_that_cannot_be_read_is_made_anew(study):
    whole = output(study)
    shutil.rmtree(study / ".dvc/cache", ignore_errors=True)
    for path in (study / ".work/activations").glob("*/[!.]*/responses.parquet"):
        path.write_bytes(path.read_bytes()[:-30])
    assert told(run_stage(study, "activations", "tiny", "held_out")) == (28, 0)
    assert output(study) == whole


def test_a_draft_that_was_left_is_no_block(study):
    whole = output(study)
    shutil.rmtree(study / ".dvc/cache", ignore_errors=True)
    for path in (study / ".work/activations").glob("*/[!.]*/responses.parquet"):
        path.parent.rename(path.parent.with_name(f".{path.parent.name}.partial"))
    assert told(run_stage(study, "activations", "tiny", "held_out")) == (28, 0)
    assert output(study) == whole


OUT_OF_MEMORY = """
import sys
sys.path.insert(0, "stages")
import torch
import sycophancy_steering.activations.model_work
from sycophancy_steering.activations.model_work import extract_batch
import activations

def little(language_model, prompts, settings):
    if len(prompts) * max(len(prompt.token_ids) for prompt in prompts) > 700:
        raise torch.OutOfMemoryError("CUDA out of memory.")
    return extract_batch(language_model, prompts, settings)

sycophancy_steering.activations.model_work.extract_batch = little
sys.argv = ["activations.py", "tiny", "held_out"]
activations.main()
"""


def test_out_of_memory_halves_the_batches_and_carries_on(study):
    whole = pq.read_table(study / "data/activations/tiny/held_out/responses.parquet").to_pylist()
    forget(study)
    (study / "little.py").write_text(OUT_OF_MEMORY)
    done = run(study, sys.executable, "little.py")
    assert told(done) == (28, 0)
    budgets = [int(n) for n in re.findall(r"out of memory: batches of (\d+) tokens", done.stderr)]
    # Each is half of what did not fit, and what did not fit was more than 700.
    assert budgets and all(two <= one / 2 for one, two in pairwise(budgets)) and budgets[-1] >= 350
    found = pq.read_table(study / "data/activations/tiny/held_out/responses.parquet").to_pylist()
    for ours, theirs in zip(found, whole, strict=True):
        assert ours["continuation"] == theirs["continuation"]
        assert ours["logprobs"] == pytest.approx(theirs["logprobs"], abs=1e-3)
