"""A study in small on each kind of remote: shared, restored, and repaired after every fault.

Its stages are stand-ins that take no time, since what is tested is the way to a server and back;
tests/test_cache.py does the same with the stages of the study.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import ROOT, git, run
from dvc.repo import Repo
from dvc_data.hashfile.tree import Tree
from remote_servers import STORES, SeaweedFs, Store, dying_store, running_store
from test_cache import ran

from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.sharing.pull import pull
from sycophancy_steering.sharing.push import push
from sycophancy_steering.sharing.remote import default_remote, object_name

N_FILES, FILE_BYTES = 10, 400_000
MAKE_ACTIVATIONS = f"""
import os, random
os.makedirs("data/activations")
for number in range({N_FILES}):
    with open(f"data/activations/shard-{{number}}", "wb") as file:
        file.write(random.Random(number).randbytes({FILE_BYTES}))
"""
PIPELINE = """
stages:
  activations:
    cmd: python activations.py
    deps: [activations.py]
    outs: [data/activations]
  vectors:
    cmd: cp variant.txt vectors.txt && du -b data/activations >> vectors.txt
    deps: [data/activations, variant.txt]
    outs: [vectors.txt]
  scores:
    cmd: md5sum data/activations/* > scores.txt
    deps: [data/activations]
    outs: [scores.txt]
"""
TUNING = """
stages:
  tune:
    wdir: ..
    cmd: cp activations.py adapters.txt
    deps: [activations.py]
    outs: [adapters.txt]
"""
SERVERS = [kind for kind in STORES if kind != "folder"]
PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
DIES_AFTER = N_FILES * FILE_BYTES // 2


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study as its author has it, `make tuning` included."""
    folder = tmp_path_factory.mktemp("original") / "study"
    (folder / "tuning").mkdir(parents=True)
    ignored = "/data/\n/vectors.txt\n/scores.txt\n/adapters.txt\n"
    for name, text in {
        "activations.py": MAKE_ACTIVATIONS,
        "variant.txt": "mean difference\n",
        "dvc.yaml": PIPELINE,
        "tuning/dvc.yaml": TUNING,
        ".gitignore": ignored,
    }.items():
        (folder / name).write_text(text)
    git(folder, "init", "--quiet", "--initial-branch=main")
    assert run(folder, "dvc", "init", "--quiet").returncode == 0
    assert run(folder, "dvc", "repro", "--quiet", "--all-pipelines").returncode == 0
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=study")
    return folder


@pytest.fixture
def author(original: Path, tmp_path: Path) -> Path:
    """A copy of the author's study, which has no remote yet."""
    return shutil.copytree(original, tmp_path / "author", symlinks=True)


@pytest.fixture(scope="module")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One server for all tests, since it takes seconds to start."""
    with running_store("s3", tmp_path_factory.mktemp("s3") / "store") as running:
        yield running


@pytest.fixture
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A store of the kind that the test is given, without any object."""
    if request.param != "s3":
        with running_store(request.param, tmp_path / "store") as running:
            yield running
        return
    shared: SeaweedFs = request.getfixturevalue("seaweedfs")
    shared.prefix = uuid.uuid4().hex
    if not shared.processes:
        shared.start()
    yield shared


def on(*kinds: str) -> pytest.MarkDecorator:
    """Runs a test with a store of each kind."""
    return pytest.mark.parametrize("store", kinds, indirect=True)


def use(folder: Path, store: Store, port: int = 0, **options: str) -> Path:
    """Makes the store the default remote of a clone, in its local configuration; the clone."""
    port = port or store.port
    settings = {"url": store.url(port)} | store.options(port) | store.credentials | options
    lines = ["[core]", "    remote = box", "['remote \"box\"']"]
    lines += [f"    {key} = {value}" for key, value in settings.items()]
    (folder / ".dvc/config.local").write_text("\n".join(lines) + "\n")
    return folder


def clone(author: Path, store: Store, name: str = "clone") -> Path:
    """A fresh clone that has the store as its remote, and none of the data."""
    git(author.parent, "clone", "--quiet", str(author), name)
    return use(author.parent / name, store)


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def push_from(folder: Path) -> None:
    with inside(folder), default_remote() as remote:
        push(remote)


def pull_into(folder: Path) -> list[str]:
    """The outputs that nobody has pushed."""
    with inside(folder), default_remote() as remote:
        return pull(remote)[1]


def refused(function, folder: Path) -> str:
    """The error of `push_from` or `pull_into`, which is one line and names the remote."""
    with pytest.raises(InputError) as error:
        function(folder)
    assert "\n" not in str(error.value) and "box (" in str(error.value)
    return str(error.value)


def data(folder: Path) -> dict[str, bytes]:
    """Every output of the study."""
    paths = [*folder.glob("data/activations/*"), folder / "vectors.txt", folder / "scores.txt"]
    return {str(p.relative_to(folder)): p.read_bytes() for p in paths if p.exists()}


@contextmanager
def objects(folder: Path):
    """The remote's files, and the paths of the objects that make up the activations."""
    with inside(folder), Repo() as repo:
        remote = repo.cloud.get_remote_odb()
        (output,) = (one for one in repo.index.outs if "activations" in one.def_path)
        listing = output.get_obj()
        assert isinstance(listing, Tree)
        names = sorted(str(entry.value) for _, _, entry in listing if entry)
        yield remote.fs, [remote.oid_to_path(name) for name in names]


@on(*STORES)
def test_whoever_pulls_runs_nothing_and_whoever_changes_a_variant_what_follows(store, author):
    push_from(use(author, store))
    pulled = clone(author, store)
    assert pull_into(pulled) == []
    assert data(pulled) == data(author) and (pulled / "adapters.txt").exists()
    assert ran(run(pulled, "dvc", "repro").stdout) == set()

    changed = clone(author, store, "changed")
    (changed / "variant.txt").write_text("pca\n")
    done = run(changed, "dvc", "repro", "--pull", "--allow-missing")
    assert done.returncode == 0, done.stderr
    assert ran(done.stdout) == {"vectors"}
    assert not (changed / "scores.txt").exists(), "fetched although nothing needs it"
    push_from(changed)

    again = clone(author, store, "again")
    (again / "variant.txt").write_text("pca\n")
    done = run(again, "dvc", "repro", "--pull", "--allow-missing")
    assert "is cached - skipping run" in done.stdout and ran(done.stdout) == set()
    assert (again / "vectors.txt").read_text() == (changed / "vectors.txt").read_text()


@on(*STORES)
def test_what_was_lost_or_damaged_on_the_remote_is_noticed_and_mended(store, author, tmp_path):
    push_from(use(author, store))
    pulled, other = clone(author, store), tmp_path / "other"
    with objects(author) as (files, (lost, truncated, altered, *_)):
        other.write_bytes(b"\0" * (FILE_BYTES // 2))
        files.put_file(str(other), truncated)
        other.write_bytes(b"\0" * FILE_BYTES)
        files.put_file(str(other), altered)
        if store.kind == "folder":
            os.chmod(altered, 0o444)  # as DVC leaves an object: a push looks into others
        message = refused(pull_into, pulled)
        assert "damaged, and no output was changed" in message
        assert min(truncated, altered) in message
        push_from(author)
        assert altered in refused(pull_into, pulled), (
            "as long as it should be: a push sees no fault"
        )
        files.remove(altered)
        files.remove(lost)
        pulled = clone(author, store, "another")
        assert "not there, and no output was changed" in refused(pull_into, pulled)
        assert data(pulled) == {}
        push_from(author)
    pull_into(pulled)
    assert data(pulled) == data(author)


@on(*SERVERS)
def test_a_push_to_a_server_that_dies_half_way_goes_on_where_it_was(store, author):
    with dying_store(store, DIES_AFTER) as port:
        assert "type `make push` again" in refused(push_from, use(author, store, port))
    store.start()
    push_from(use(author, store))
    pulled = clone(author, store)
    pull_into(pulled)
    assert data(pulled) == data(author)


@on(*SERVERS)
def test_a_pull_from_a_server_that_dies_half_way_goes_on_where_it_was(store, author):
    push_from(use(author, store))
    pulled = clone(author, store)
    with dying_store(store, DIES_AFTER) as port:
        assert "no output was changed" in refused(pull_into, use(pulled, store, port))
    assert data(pulled) == {}
    store.start()
    pull_into(use(pulled, store))
    assert data(pulled) == data(author)


@on(*SERVERS)
def test_credentials_that_are_refused_and_a_server_that_is_not_there_are_one_line(store, author):
    use(author, store, **store.wrong_credentials)
    assert "credentials are refused" in refused(push_from, author)
    assert "credentials are refused" in refused(pull_into, author)
    store.kill()
    assert "no answer" in refused(pull_into, author)


class SmallDisk:
    """A disk of few bytes in a folder; the test is skipped where none may be mounted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> SmallDisk:
        self.folder.mkdir(parents=True, exist_ok=True)
        options = ["-t", "tmpfs", "-o", f"size={DIES_AFTER}", "tmpfs"]
        if subprocess.run(["mount", *options, self.folder], capture_output=True).returncode:
            pytest.skip("no small disk: mounting one takes root")
        return self

    def make_room(self) -> None:
        subprocess.run(["mount", "-o", "remount,size=64m", self.folder], check=True)

    def __exit__(self, *_: object) -> None:
        subprocess.run(["umount", "--lazy", self.folder], check=True)


@on("folder", "ssh")
def test_a_full_disk_of_the_server_is_one_line_and_the_push_goes_on(store, author):
    with SmallDisk(store.folder / "data") as disk:
        assert "type `make push` again" in refused(push_from, use(author, store))
        disk.make_room()
        push_from(author)
        pulled = clone(author, store)
        pull_into(pulled)
        assert data(pulled) == data(author)


@on("webdav")
def test_a_full_disk_here_is_one_line_and_the_pull_goes_on(store, author):
    push_from(use(author, store))
    pulled = clone(author, store)
    with SmallDisk(pulled / ".dvc/cache") as disk:
        assert "No space left on device" in refused(pull_into, pulled)
        assert data(pulled) == {}
        disk.make_room()
        pull_into(pulled)
        assert data(pulled) == data(author)


@on("folder")
def test_adapters_that_nobody_has_pushed_are_no_error(store, author):
    with inside(use(author, store)), Repo() as repo:
        (adapters,) = (one for one in repo.index.outs if one.def_path == "adapters.txt")
        os.remove(adapters.cache.oid_to_path(object_name(adapters)))
    push_from(author)
    pulled = clone(author, store)
    assert pull_into(pulled) == ["adapters.txt"]
    assert data(pulled) == data(author)
    assert run(pulled, "dvc", "pull").returncode != 0, "DVC itself says it now: is this needed?"


@on("folder")
def test_a_study_that_is_neither_here_nor_there_cannot_be_pushed(store, author):
    fresh = clone(author, store)
    with pytest.raises(InputError, match=r"data/activations, .*: neither in the cache nor on box"):
        push_from(fresh)


@on("folder")
def test_dvc_itself_takes_altered_objects_unless_it_is_told_to_verify(store, author, tmp_path):
    push_from(use(author, store))
    with objects(author) as (files, (altered, *_)):
        (tmp_path / "other").write_bytes(b"\0" * FILE_BYTES)
        files.put_file(str(tmp_path / "other"), altered)
    trusting, verifying = clone(author, store, "trusting"), clone(author, store, "verifying")
    use(verifying, store, verify="true")
    assert run(trusting, "dvc", "pull", "dvc.yaml").returncode == 0
    assert data(trusting).keys() == data(author).keys() and data(trusting) != data(author)
    assert run(verifying, "dvc", "pull", "dvc.yaml").returncode != 0


def test_without_a_remote_make_says_what_to_type(author):
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, author)
    (author / ".venv").mkdir()
    (author / ".venv/installed").touch()
    for target in ("push", "pull"):
        done = subprocess.run(
            ["make", "--silent", target], cwd=author, capture_output=True, text=True, check=False,
            env=os.environ | {"PYTHONPATH": str(ROOT), "PATH": PATH},
        )  # fmt: skip
        lines = [line for line in done.stderr.splitlines() if not line.startswith("make")]
        assert done.returncode != 0 and len(lines) == 1
        assert lines[0].startswith("error: no remote: type `dvc remote add -d box ")
