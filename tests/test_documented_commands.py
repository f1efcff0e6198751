"""Every command in the README and docs/ runs, here or in a test that is named here."""

from __future__ import annotations

import ast
import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT, run, run_stage
from documented_commands import PAGES, Command, commands, fences
from ruamel.yaml import YAML

from sycophancy_steering.config.params import read_params

TUNING = "test_tuning.py::test_one_command_trains_compares_and_reports"
FETCH = "test_fetch.py::test_the_command_takes_a_folder_of_published_files_and_checks_what_is_there"
PRESET = "test_pipeline.py::test_a_preset_is_a_whole_study"
CHECKPOINT = "test_checkpoints.py::test_a_package_is_loaded_from_a_cache_that_needs_no_index_again"
ORGANISM = "test_organism.py::test_training_is_the_same_twice_and_goes_down"
STUDY = "test_stages.py::test_the_study_leaves_every_file_of_the_design"
JUDGED = "test_grades.py::test_a_model_of_the_study_can_judge"
RESUMED = "test_extraction.py::test_more_questions_cost_no_more_than_themselves"
CONTROLS = "test_anticipation.py::test_the_truth_about_the_organisms_contradicts_nothing"
STEERED = "test_stages.py::test_a_study_may_try_only_the_most_informative_interventions"
OVERLAY = "test_overlay.py::test_an_overlay_leaves_a_valid_study_with_its_values"
IMPORTED = (
    "test_foreign_vectors.py::test_an_imported_vector_gets_the_numbers_of_the_same_vector_made_here"
)
SCORE = "test_score.py::test_the_command_prints_and_writes_scikit_learns_and_the_studys_numbers"
AGREEMENT = "test_grader_agreement.py::test_wide_and_long_tables_give_the_same_numbers"
TRANSCRIPTS = "test_transcripts.py::test_the_command_reads_through_a_model_and_feeds_the_scores"
SLURM = "test_clusters.py::test_a_slurm_job_outlives_its_time_limit_and_a_lost_node"
KUBERNETES = "test_clusters.py::test_the_kubernetes_file_has_what_kuberay_takes"
CLOUD = "test_clusters.py::test_the_cloud_file_is_valid_by_rays_schema"
RAY = "test_ray.py::test_the_benchmark_compares_the_engines"
SWEEP = (
    "test_experiments.py"
    "::test_experiments_at_once_lose_nothing_and_end_with_the_bytes_of_a_run_alone"
)
TABLE = "test_experiments.py::test_the_table_of_experiments_fits_a_screen"
REMOTES = (
    "test_remotes.py::test_whoever_pulls_runs_nothing_and_whoever_changes_a_variant_what_follows"
)
ADAPTERS = "test_remotes.py::test_adapters_that_nobody_has_pushed_are_no_error"
COVERED = {
    "python benchmarks/ray_workers.py smollm2 --threads 1": RAY,
    "sbatch docs/clusters/slurm.sh": SLURM,
    "sbatch --partition=gpu --nodes=4 --gpus-per-node=4 --time=8:00:00 "
    "docs/clusters/slurm.sh": SLURM,
    "kubectl apply -f docs/clusters/kubernetes.yaml": KUBERNETES,
    "kubectl logs --follow job/study": KUBERNETES,
    'kubectl port-forward "$(kubectl get pod --selector=ray.io/node-type=head '
    '--output=name)" 8265': KUBERNETES,
    "ray up --yes docs/clusters/cloud.yaml": CLOUD,
    "ray exec --tmux docs/clusters/cloud.yaml "
    "'cd /study && source .venv/bin/activate && dvc repro'": CLOUD,
    **dict.fromkeys(
        (
            "dvc remote add -d box webdavs://host/path",
            "dvc remote add -d box s3://bucket/path",
            "dvc remote add -d box /shared/folder",
            "dvc remote modify box endpointurl https://host",
            "dvc remote modify --local box user me",
            "dvc remote modify --local box keyfile ~/.ssh/key",
            "dvc remote modify --local box password PASSWORD",
            "dvc remote modify --local box access_key_id KEY",
            "dvc remote modify --local box secret_access_key KEY",
            "dvc push --run-cache",
            "dvc repro --pull",
        ),
        REMOTES,
    ),
    "dvc push": "test_cache.py::test_after_a_pull_nothing_runs",
    "dvc pull": ADAPTERS,
    "python benchmarks/remotes.py": "test_benchmarks.py::test_remotes_are_timed",
    "make test": "test_documented_commands.py::test_make_test_runs_the_tests",
    "make docs": "test_site.py::test_the_site_is_built_without_a_warning",
    "make tuning": TUNING,
    "make bench": "test_benchmarks.py::test_make_bench_compares_with_peers",
    "make public": FETCH,
    "make public ORIGIN=FOLDER": FETCH,
    "cp presets/original_study.yaml params.yaml && dvc repro": PRESET,
    "cp presets/public_questions.yaml params.yaml && dvc repro": PRESET,
    "cp presets/caa_llama2.yaml params.yaml && dvc repro": PRESET,
    "cp presets/capitulation.yaml params.yaml && dvc repro": PRESET,
    "cp presets/persona_vectors.yaml params.yaml && dvc repro": PRESET,
    "python stages/score.py scores.csv --label sycophantic --score projection "
    "--cluster topic": SCORE,
    "python stages/agreement.py grades.csv --item id --graders ann bo strict": AGREEMENT,
    "python stages/agreement.py grades.csv --item id --grader who --grade score": AGREEMENT,
    "python stages/transcripts.py transcripts.jsonl": TRANSCRIPTS,
    "python stages/transcripts.py transcripts.jsonl --model smollm2 "
    "--vectors vectors/extracted/smollm2/suggestions/mean_difference.safetensors": TRANSCRIPTS,
    "python -m sycophancy_steering.config.overlay presets/overlays/tuning_organism.yaml": OVERLAY,
    "dvc repro -f organism": ORGANISM,
    "dvc repro -f checkpoint@smollm2": CHECKPOINT,
    "python stages/organism.py one_cause": ORGANISM,
    "python stages/activations.py one_cause opinion_pairs": RESUMED,
    "python stages/import_vectors.py FILE... --name NAME --model MODEL": IMPORTED,
    "python stages/analysis.py": STUDY,
    "python stages/interventions.py one_cause": STEERED,
    "python stages/intervention_tables.py": STEERED,
    "python stages/figures.py": STEERED,
    "python stages/report.py": STEERED,
    "python stages/judge.py zephyr held_out strict": JUDGED,
    "python stages/controls.py opinion_pairs": CONTROLS,
    "dvc metrics": "test_documented_commands.py::test_a_command_runs",  # all of its kind
    "python stages/tune.py one_cause": TUNING,
    "python stages/baselines.py one_cause": TUNING,
    "python stages/differences.py one_cause": TUNING,
    "python stages/tuning.py": TUNING,
    "python stages/fetch.py all github": FETCH,
    "python stages/fetch.py anthropic ~/clones/evals": FETCH,
    "python benchmarks/architectures.py": (
        "test_architectures.py::test_states_and_answers_equal_a_plain_pass"
    ),
    "python benchmarks/scoring.py": "test_benchmarks.py::test_scoring_is_compared_with_a_loop",
    "python benchmarks/folding.py": "test_benchmarks.py::test_folding_is_measured",
    "python benchmarks/atlas.py": "test_benchmarks.py::test_the_memory_of_an_atlas_is_measured",
    "python benchmarks/organisms.py": "test_organism.py"
    "::test_neither_words_nor_random_directions_tell_what_a_shipped_organism_does",
    "dvc exp run --queue -S 'prompt_set.suggestions.sources.suggestions=24,48,96' "
    "-S 'split.seed=0,1' analysis": TABLE,
    "SYCOPHANCY_JOBS=1 OMP_NUM_THREADS=1 dvc queue start --jobs 2": SWEEP,
    "dvc queue status": SWEEP,
    "dvc queue logs NAME": SWEEP,
    "make experiments": TABLE,
    "dvc metrics diff main NAME": SWEEP,
    "dvc exp branch NAME chosen && git switch chosen": SWEEP,
    "dvc checkout dvc.yaml && dvc repro": SWEEP,
    'git commit -am "What the sweep chose"': SWEEP,
    "dvc exp show": TABLE,
    "dvc config --local cache.type hardlink,symlink": SWEEP,
    "python benchmarks/experiments.py": SWEEP,
    "python benchmarks/study.py": "test_benchmarks.py::test_the_overhead_of_a_study_is_measured",
}
"""Commands that take long, or a network: the test that runs the same in small."""


def edit(pattern: str, replacement: str) -> Callable[[Path], None]:
    """An edit of params.yaml, which has to find its pattern."""

    def change(folder: Path) -> None:
        path = folder / "params.yaml"
        text, count = re.subn(pattern, replacement, path.read_text(), count=1)
        assert count == 1, pattern
        path.write_text(text)

    return change


FEWER = edit(r"organism_opinions: 12\}", "organism_opinions: 8}")
MORE = edit(r"(?m)^variants: .*\n", "variants: [{method: mean_difference, position: answer, "
            "n_pairs: [2, all]}, {method: random, position: answer}]\n")  # fmt: skip
JUDGE = edit(r"judge: \{\}", "judge: {strict: {kind: model, model: tiny}}")
INSTRUCTIONS: dict[str, Callable[[Path], None]] = {
    "# params.yaml, prompt_set: opinion_pairs: {sources: {organism_opinions: 40}, ...} "
    "instead of 320": FEWER,
    "# params.yaml: the new line, added to variants": MORE,
    "make judge MODEL=smollm2 SET=english_held_out JUDGE=strict": JUDGE,
}
"""What a page asks the reader to edit, before a command or in its place, in the small study."""
STAND_INS = {
    "smollm2": "tiny",
    "zephyr": "tiny",
    "one_cause": "tiny",
    "english_held_out": "held_out",
    "tiny/suggestions": "tiny/pairs",
    "tiny/pushback": "tiny/pairs",
    "misconception_pairs": "pairs",
    "opinion_pairs": "pairs",
    "random_llama": "untrained",
    "ssh://host/path": "../box",
    "STUDY OTHER": ". .",
    "REVISION": "main",
    "pip install": "pip install --quiet --dry-run --no-deps --no-build-isolation",
}
"""What the small study has in place of what the pages name."""
TO_RUN = [command for command in commands() if command.text not in COVERED]


@pytest.fixture(scope="module")
def repository(finished_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the finished study, with all that a command may need beside it."""
    folder = tmp_path_factory.mktemp("documented") / "repository"
    shutil.copytree(finished_study, folder, symlinks=True)
    for name in ("Makefile", "pyproject.toml", "README.md", "params.schema.json"):
        shutil.copy(ROOT / name, folder / name)
    for name in ("benchmarks", "presets"):
        shutil.copytree(ROOT / name, folder / name)
    edit(r"checkpoint: \{\}", "checkpoint: {untrained: {kind: random}}")(folder)
    (folder / "caa").mkdir()  # vectors from elsewhere, as docs/bring_vectors.md has them
    for layer in range(3):
        np.save(folder / f"caa/vec_layer_{layer}.npy", np.ones(32, np.float32))
    (folder / ".venv/bin").mkdir(parents=True)
    (folder / ".venv/bin/activate").symlink_to(Path(sys.prefix) / "bin/activate")
    (folder / ".venv/installed").touch()  # make has nothing to install
    assert run(folder, "git", "add", "--all").returncode == 0
    assert run(folder, "git", "commit", "--quiet", "--message=all").returncode == 0
    return folder


@pytest.mark.parametrize("command", TO_RUN, ids=lambda one: f"{one.page}: {one.text}")
def test_a_command_runs(command: Command, repository: Path):
    if command.text in INSTRUCTIONS:
        INSTRUCTIONS[command.text](repository)
    if not command.is_instruction:
        text = command.text
        for name, stand_in in STAND_INS.items():
            text = text.replace(name, stand_in)
        done = run(repository, "bash", "-ec", text)
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_instruction_to_edit_is_followed():
    assert {one.text for one in TO_RUN if one.is_instruction} <= INSTRUCTIONS.keys()


@pytest.mark.parametrize("command", COVERED)
def test_a_command_that_is_not_run_here_is_run_by_a_test_that_exists(command):
    file, _, name = COVERED[command].partition("::")
    tree = ast.parse((ROOT / "tests" / file).read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert command in {one.text for one in commands()}, "no page shows it any more"


def test_every_block_says_what_it_holds():
    known = {"sh", "usage", "yaml", "json", "python", "mermaid"}
    assert [fence for page in PAGES for fence in fences(page) if fence.language not in known] == []
    assert len(TO_RUN) > 30


def test_make_test_runs_the_tests(tmp_path):
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv/installed").touch()
    (tmp_path / "tests").mkdir()
    test = "def test_one():\n    assert True\ndef test_two():\n    assert False\n"
    (tmp_path / "tests/test_one.py").write_text(test)
    done = run(tmp_path, "make", "test")
    assert done.returncode != 0
    assert "1 failed, 1 passed" in done.stdout


def merged(values: Any, others: Any) -> Any:
    """`values` with those of `others` laid over; only mappings are gone into."""
    if isinstance(values, dict) and isinstance(others, dict):
        return values | {key: merged(values.get(key), value) for key, value in others.items()}
    return others


YAML_BLOCKS = [fence for page in PAGES for fence in fences(page) if fence.language == "yaml"]


@pytest.mark.parametrize("fence", YAML_BLOCKS, ids=lambda one: f"{one.page}: {one.text[:20]!r}")
def test_a_block_of_parameters_is_valid_in_params(fence, tmp_path):
    text = fence.text.replace("<40 digits>", "a" * 40)
    block = YAML(typ="safe").load(text)
    if text.startswith(" "):
        block = {"checkpoint": block}  # a further entry of the block before
    params = YAML(typ="safe").load(ROOT / "params.yaml")
    assert block.keys() <= params.keys()
    (tmp_path / "params.yaml").write_text(json.dumps(merged(params, block)))
    read_params(tmp_path / "params.yaml")


def test_the_documented_method_makes_vectors(study):
    (method,) = (one.text for one in fences(Path("docs/write_a_method.md"))
                 if one.language == "python")  # fmt: skip
    with open(study / "sycophancy_steering/vectors/methods.py", "a") as file:
        file.write(f"\n\n{method}")
    name = re.search(r"def (\w+)", method)
    assert name
    edit(r"\[mean_difference, random\]", f"[mean_difference, random, {name[1]}]")(study)
    done = run_stage(study, "vectors", "tiny", "pairs")
    assert done.returncode == 0, done.stderr
    assert (study / f"vectors/extracted/tiny/pairs/{name[1]}.safetensors").exists()
