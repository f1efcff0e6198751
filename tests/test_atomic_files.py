"""Files and folders are written completely or not at all, whenever the process is killed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from sycophancy_steering.foundation import atomic_files
from sycophancy_steering.foundation.atomic_files import (
    TableWriter,
    atomic_write,
    write_json,
    write_table,
)

KILLED = """
import os, sys
from pathlib import Path
from sycophancy_steering.foundation.atomic_files import atomic_write
renames = 0
def rename_then_die(source, target, rename=os.rename):
    global renames
    rename(source, target)
    renames += 1
    if renames == {survived}:
        os._exit(9)
Path.rename = rename_then_die
with atomic_write(Path(sys.argv[1])) as draft:
    draft.mkdir()
    (draft / "new").touch()
    if not {survived}:
        os._exit(9)
"""
"""A process that dies while it writes the new folder, or after one or two renames."""


def write_folder(path: Path, name: str) -> None:
    with atomic_write(path) as draft:
        draft.mkdir()
        (draft / name).touch()


def content(path: Path) -> list[str]:
    return sorted(inside.name for inside in path.iterdir())


def fail(*_: object) -> None:
    raise OSError("no space left on device")


def test_a_file_is_created_with_its_parent_folders(tmp_path):
    path = tmp_path / "a/b/file"
    with atomic_write(path) as draft:
        draft.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert content(path.parent) == ["file"]


@pytest.mark.parametrize("step", ["write", "rename"])
def test_an_error_while_a_file_is_replaced_leaves_the_old_file(tmp_path, monkeypatch, step):
    path = tmp_path / "file"
    path.write_text("old")
    if step == "rename":
        monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="no space left"), atomic_write(path) as draft:
        draft.write_text("new") if step == "rename" else fail()
    assert path.read_text() == "old"
    assert content(tmp_path) == ["file"]


def test_an_old_file_is_there_until_the_new_one_replaces_it(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_text("old")
    replace = os.replace

    def checked(source: Path, target: Path) -> None:
        assert path.read_text() == "old"
        replace(source, target)
        assert path.read_text() == "new"

    monkeypatch.setattr(os, "replace", checked)
    with atomic_write(path) as draft:
        draft.write_text("new")


def test_a_block_that_writes_nothing_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(FileNotFoundError), atomic_write(path):
        pass
    assert path.read_text() == "old"


def test_a_folder_replaces_a_folder_and_a_file_replaces_either(tmp_path):
    path = tmp_path / "output"
    write_folder(path, "old")
    write_folder(path, "new")
    assert content(path) == ["new"]
    with atomic_write(path) as draft:
        draft.write_text("a file")
    assert path.read_text() == "a file"
    write_folder(path, "new")
    assert content(path) == ["new"]
    assert content(tmp_path) == ["output"]


def test_a_link_to_a_folder_is_replaced_and_its_target_stays(tmp_path):
    write_folder(tmp_path / "target", "old")
    (tmp_path / "output").symlink_to("target")
    write_folder(tmp_path / "output", "new")
    assert content(tmp_path / "output") == ["new"]
    assert content(tmp_path / "target") == ["old"]


def test_an_error_between_the_two_renames_of_a_folder_brings_the_old_one_back(
    tmp_path, monkeypatch
):
    path = tmp_path / "output"
    write_folder(path, "old")
    rename = Path.rename

    def rename_no_draft(source: Path, target: Path) -> Path:
        if target == path and "replaced" not in source.name:
            fail()
        return rename(source, target)

    monkeypatch.setattr(Path, "rename", rename_no_draft)
    with pytest.raises(OSError, match="no space left"):
        write_folder(path, "new")
    assert content(path) == ["old"]
    assert content(tmp_path) == ["output"]


@pytest.mark.parametrize("survived", [0, 1, 2])
def test_what_a_killed_process_left_is_cleaned_up_and_the_old_folder_stays(tmp_path, survived):
    path = tmp_path / "output"
    write_folder(path, "old")
    done = subprocess.run([sys.executable, "-c", KILLED.format(survived=survived), path])
    assert done.returncode == 9
    assert len(content(tmp_path)) > 1
    with pytest.raises(OSError, match="no space left"), atomic_write(path):
        fail()
    assert content(path) == ["new" if survived == 2 else "old"]
    assert content(tmp_path) == ["output"]


SAME_FILE = """
import sys
from pathlib import Path
from sycophancy_steering.foundation.atomic_files import atomic_write
with atomic_write(Path(sys.argv[1])) as draft:
    draft.write_text("another process's")
"""


def test_two_processes_write_the_same_file_and_the_last_one_stays(tmp_path):
    path = tmp_path / "file"
    with atomic_write(path) as draft:
        draft.write_text("this process's")
        subprocess.run([sys.executable, "-c", SAME_FILE, path], check=True)
        assert path.read_text() == "another process's"
    assert path.read_text() == "this process's"
    assert content(tmp_path) == ["file"]


def test_a_table_written_in_parts_is_the_whole_table(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic_files, "ROW_GROUP_SIZE", 3)
    table = pl.DataFrame({"n": range(10), "text": [str(n) for n in range(10)]})
    with TableWriter(tmp_path / "parts.parquet") as writer:
        writer.write(table[:7])
        writer.write(table[7:])
        writer.add_metadata({b"made": "here"})
    write_table(tmp_path / "whole.parquet", table)
    assert pl.read_parquet(tmp_path / "parts.parquet").equals(table)
    assert pl.read_parquet(tmp_path / "whole.parquet").equals(table)
    assert pl.read_parquet_metadata(tmp_path / "parts.parquet")["made"] == "here"


def test_a_number_that_is_none_is_not_written_as_json(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "metrics.json", {"auroc": float("nan")})
    assert content(tmp_path) == []
