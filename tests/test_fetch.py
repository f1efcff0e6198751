"""Public files are the published ones or are not there; tried against a server on this machine."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from conftest import ROOT, SHARED_DATA, needs_public_data, run, run_stage
from stage_scripts import stage

from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.sources.public_files import CATALOGUE, PublishedFile, git_blob

fetch = stage("fetch").fetch

CONTENT = b"".join(b'{"question": "number %d"}\n' % n for n in range(20_000))


class Server(ThreadingHTTPServer):
    """Serves CONTENT at any path; can cut its first answer short, or know nothing of ranges."""

    cut_after: int | None = None
    ranges = True
    status = 200
    asked: list[str | None]


class Handler(BaseHTTPRequestHandler):
    server: Server  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.server.asked.append(asked)
        start = int(asked.split("=")[1].rstrip("-")) if asked and self.server.ranges else 0
        if start >= len(CONTENT):
            self.send_error(416)
            return
        status = self.server.status if self.server.status != 200 else 206 if start else 200
        self.send_response(status)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        if self.server.cut_after is not None:
            self.wfile.write(CONTENT[start : start + self.server.cut_after])
            self.server.cut_after = None
        else:
            self.wfile.write(CONTENT[start:])

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    served = Server(("127.0.0.1", 0), Handler)
    served.asked = []
    threading.Thread(target=served.serve_forever, daemon=True).start()
    yield served
    served.shutdown()
    served.server_close()


@pytest.fixture
def file(tmp_path: Path) -> PublishedFile:
    (tmp_path / "upstream").write_bytes(CONTENT)
    blob = git_blob(tmp_path / "upstream")
    return PublishedFile("someone/evals", "0" * 40, "a/set.jsonl", blob, None, "set/set.jsonl")


def address(server: Server) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}/"


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("set/*"))


def test_the_hash_is_gits(tmp_path):
    (tmp_path / "text").write_bytes(CONTENT)
    said = subprocess.run(["git", "hash-object", tmp_path / "text"], capture_output=True, text=True)
    assert git_blob(tmp_path / "text") == said.stdout.strip()


def test_a_whole_file_is_downloaded(server, file, tmp_path):
    fetch(file, tmp_path / file.target, address(server))
    assert (tmp_path / file.target).read_bytes() == CONTENT
    assert left(tmp_path) == ["set.jsonl"]


def test_another_content_is_deleted(server, file, tmp_path):
    wrong = PublishedFile("a/b", "c", "set.jsonl", "0" * 40, 5, file.target, "it may be another")
    with pytest.raises(
        InputError, match=f"git blob {file.git_hash}, expected 0{{40}}; it may be another"
    ):
        fetch(wrong, tmp_path / file.target, address(server))
    assert left(tmp_path) == []


@pytest.mark.parametrize("ranges", [True, False])
def test_a_cut_connection_is_resumed(server, file, tmp_path, ranges):
    server.cut_after, server.ranges = 300_000, ranges
    with pytest.raises(InputError, match="ended after 300,000 bytes; run this again to resume"):
        fetch(file, tmp_path / file.target, address(server))
    assert left(tmp_path) == ["set.jsonl.part"]
    fetch(file, tmp_path / file.target, address(server))
    assert (tmp_path / file.target).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=300000-"]


def test_a_complete_part_is_used_as_it_is(server, file, tmp_path):
    part = tmp_path / (file.target + ".part")
    part.parent.mkdir()
    part.write_bytes(CONTENT)
    fetch(file, tmp_path / file.target, address(server))
    assert left(tmp_path) == ["set.jsonl"]


def test_a_full_disk_is_one_line(server, file, tmp_path):
    part = tmp_path / (file.target + ".part")
    part.parent.mkdir()
    part.symlink_to("/dev/full")
    with pytest.raises(InputError, match=r"cannot be written .No space left on device.; make room"):
        fetch(file, tmp_path / file.target, address(server))
    assert not (tmp_path / file.target).exists()


def test_a_server_that_refuses_or_is_not_there_is_one_line(server, file, tmp_path):
    server.status = 503
    with pytest.raises(InputError, match="the server says 503"):
        fetch(file, tmp_path / file.target, address(server))
    with pytest.raises(InputError, match="cannot be reached"):
        fetch(file, tmp_path / file.target, "http://127.0.0.1:9")
    assert left(tmp_path) == []


def test_a_folder_is_searched_by_content_and_not_by_name(file, tmp_path):
    (tmp_path / "clone/deep").mkdir(parents=True)
    (tmp_path / "clone/set.jsonl").write_text("another file of that name")
    (tmp_path / "clone/deep/renamed.jsonl").write_bytes(CONTENT)
    fetch(file, tmp_path / file.target, str(tmp_path / "clone"))
    assert (tmp_path / file.target).read_bytes() == CONTENT
    (tmp_path / "clone/deep/renamed.jsonl").unlink()
    with pytest.raises(
        InputError, match=r"no .jsonl file with the content of set.jsonl as published"
    ):
        fetch(file, tmp_path / "again/set.jsonl", str(tmp_path / "clone"))
    with pytest.raises(InputError, match="expected github, a folder, or an address"):
        fetch(file, tmp_path / "again/set.jsonl", str(tmp_path / "nowhere"))


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "repository").mkdir()
    (tmp_path / "repository/stages").symlink_to(ROOT / "stages")
    return tmp_path / "repository"


def test_the_command_refuses_another_content_at_the_catalogues_addresses(server, repository):
    done = run_stage(repository, "fetch", "anthropic", address(server))
    assert done.returncode == 1
    for file in CATALOGUE["anthropic"]:
        assert f"{file.target}: what http" in done.stderr
        assert f"expected {file.git_hash}" in done.stderr
    assert "Hugging Face" in done.stderr
    assert not list((repository / "data/public").glob("*/*"))
    done = run_stage(repository, "fetch", "nothing", "github")
    assert done.stderr == "error: nothing: expected one of anthropic, truthfulqa, or all\n"


@needs_public_data
def test_the_command_takes_a_folder_of_published_files_and_checks_what_is_there(repository):
    done = run_stage(repository, "fetch", "truthfulqa", str(SHARED_DATA))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "data/public/truthfulqa/TruthfulQA.csv: as published, 817 rows",
        "data/public/truthfulqa/TruthfulQA_2025-01.csv: as published, 790 rows",
    ]
    with open(repository / "data/public/truthfulqa/TruthfulQA.csv", "a") as table:
        table.write("one row more")
    done = run_stage(repository, "fetch", "truthfulqa", "http://127.0.0.1:9")
    assert done.returncode == 1
    assert "data/public/truthfulqa/TruthfulQA.csv: not the published file" in done.stderr
    assert "TruthfulQA_2025-01.csv: as published" in done.stdout
    # The rows of Anthropic's files that lie in shared/data are a part of the published ones.
    done = run_stage(repository, "fetch", "anthropic", str(SHARED_DATA))
    assert done.returncode == 1
    assert "no .jsonl file with the content of sycophancy_on_nlp_survey.jsonl" in done.stderr


def test_a_clone_proves_the_catalogues_kind_of_hash(file, tmp_path):
    """`git ls-tree` of a repository gives the hash that a fetched file is held against."""
    clone = tmp_path / "clone"
    clone.mkdir()
    (clone / "set.jsonl").write_bytes(CONTENT)
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "a set"]):
        assert run(clone, "git", *words).returncode == 0
    assert file.git_hash in run(clone, "git", "ls-tree", "HEAD", "--", "set.jsonl").stdout
    fetch(file, tmp_path / file.target, str(clone))
    assert (tmp_path / file.target).read_bytes() == CONTENT
