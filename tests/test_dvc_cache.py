"""Outputs of an earlier run, found through dvc.lock in DVC's cache."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sycophancy_steering.storage.dvc_cache import cached_output

LOCK = """
schema: '2.0'
stages:
  activations:
    cmd: python stages/activations.py
    outs:
    - path: data/activations
      hash: md5
      md5: abcdef.dir
      size: 3
  fetch:
    cmd: python stages/fetch.py
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch) -> Path:
    """A lock with one output folder of two prompt sets, and the cache that holds them."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dvc.lock").write_text(LOCK)
    entries = {
        "tiny/pairs/shard-00000.parquet": "11aa",
        "tiny/held_out/shard-00000.parquet": "22bb",
    }
    for md5 in ["abcdef.dir", *entries.values()]:
        path = tmp_path / f".dvc/cache/files/md5/{md5[:2]}/{md5[2:]}"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps([{"relpath": k, "md5": v} for k, v in entries.items()]))
    return tmp_path


def test_the_files_of_one_prompt_set_are_found_in_the_output_of_its_model(project):
    files = cached_output(Path("data/activations/tiny/pairs"))
    assert files == {"shard-00000.parquet": Path(".dvc/cache/files/md5/11/aa")}
    assert len(cached_output(Path("data/activations/tiny"))) == 2
    assert cached_output(Path("data/activations/other/pairs")) == {}


def test_nothing_is_found_where_the_cache_lacks_a_file(project):
    (project / ".dvc/cache/files/md5/11/aa").unlink()
    assert cached_output(Path("data/activations/tiny/pairs")) == {}
    assert cached_output(Path("data/activations/tiny/held_out"))


@pytest.mark.parametrize("lock", ["", "<<<<<<< HEAD\n a: [", "stages: 3", None])
def test_a_missing_or_unreadable_lock_is_no_error(project, lock):
    (project / "dvc.lock").unlink()
    if lock is not None:
        (project / "dvc.lock").write_text(lock)
    assert cached_output(Path("data/activations/tiny/pairs")) == {}


def test_another_cache_folder_is_read_from_dvcs_configuration(project):
    (project / ".dvc/cache").rename(project / "elsewhere")
    (project / ".dvc/config.local").write_text("[cache]\n    dir = ../elsewhere\n")
    assert cached_output(Path("data/activations/tiny/pairs"))
