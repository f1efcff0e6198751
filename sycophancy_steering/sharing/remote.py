"""DVC's default remote, its objects, and its failures as one line."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from dvc.config import Config
from dvc.exceptions import DvcException, NotDvcRepoError
from dvc.output import Output
from dvc.repo import Repo
from dvc.ui import ui
from dvc_data.hashfile.db import HashFileDB
from dvc_data.hashfile.transfer import find_tree_by_obj_id
from dvc_objects.fs.errors import RemoteMissingDepsError

from sycophancy_steering.foundation.errors import InputError

STUDY, TUNING = "dvc.yaml", "tuning/dvc.yaml"
NO_REMOTE = (
    "no remote: type `dvc remote add -d box ADDRESS`, where ADDRESS is ssh://host/path, "
    "s3://bucket/path, webdavs://host/path or a folder (docs/share.md)"
)
NO_PLUGIN = {"ssh": "ssh", "s3": "s3", "webdav": "webdav", "webdavs": "webdav"}
"""A protocol -> the extra of pyproject.toml that brings it."""


@dataclass(frozen=True)
class Remote:
    """The default remote of a repository, which answered when this was made."""

    repo: Repo
    name: str
    objects: HashFileDB

    def __str__(self) -> str:
        return f"{self.name} ({self.repo.config['remote'][self.name]['url']})"

    def sizes(self, names: Sequence[str]) -> dict[str, int]:
        """Objects that the remote has -> their bytes."""
        if not names:
            return {}
        files = self.objects.fs
        paths = [self.objects.oid_to_path(name) for name in names]
        entries = files.info(paths, batch_size=files.jobs, return_exceptions=True)
        for entry in entries:
            if isinstance(entry, Exception) and not isinstance(entry, FileNotFoundError):
                raise entry
        return {
            name: int(entry["size"] or 0)
            for name, entry in zip(names, entries, strict=True)
            if not isinstance(entry, Exception)
        }

    def objects_of(self, output: Output) -> set[str]:
        """Names of the objects of an output; of a folder, the listing's alone where neither the
        cache nor the remote has it."""
        listing = None
        if output.hash_info and output.hash_info.isdir:
            listing = find_tree_by_obj_id([output.cache, self.objects], output.hash_info)
        files = {str(entry.value) for _, _, entry in listing or () if entry}
        return {object_name(output), *files}

    def failure(self, what: str, error: BaseException, advice: str) -> InputError:
        """One line that says what happened, why, and what to do."""
        return InputError(f"{self}: {what} ({reason(error)}); {advice}")


@contextmanager
def default_remote() -> Iterator[Remote]:
    """The remote of the repository in the current folder.

    Raises InputError, one line, where none is configured, where its package is not installed, and
    where it does not answer or refuses the credentials.
    """
    ui.enable()
    os.environ.setdefault("AWS_MAX_ATTEMPTS", "1")  # s3fs itself makes five
    try:
        settings = Config.from_cwd()
        name = settings["core"].get("remote")
        if name not in settings["remote"]:
            raise InputError(NO_REMOTE if name is None else f"{name}: {NO_REMOTE}")
        # As `dvc remote modify NAME verify true`: an object is what its name says, or not taken.
        with Repo(remote_config={"verify": True}) as repo:
            yield _connected(repo, name)
    except NotDvcRepoError:
        raise InputError("expected a DVC repository here: run this in the clone") from None
    except DvcException as error:
        raise InputError(f"dvc: {reason(error)}") from None


def _connected(repo: Repo, name: str) -> Remote:
    try:
        objects = repo.cloud.get_remote_odb(name)
        with suppress(FileNotFoundError):
            objects.fs.info(objects.path)  # unlike `exists`, says why it is not known
    except RemoteMissingDepsError as error:
        extra = NO_PLUGIN.get(error.protocol, error.protocol)
        raise InputError(f"{name}: type `pip install -e '.[{extra}]'` for {error.url}") from None
    except Exception as error:
        url = repo.config["remote"][name]["url"]
        raise InputError(
            f"{name} ({url}): no answer, or the credentials are refused ({reason(error)}); "
            "check both, and `dvc remote list` (docs/share.md has the options)"
        ) from None
    return Remote(repo, name, objects)


def outputs(repo: Repo, file: str) -> list[Output]:
    """The outputs in DVC's cache of a `dvc.yaml` that have been computed by someone."""
    return [
        output
        for output in repo.index.outs
        if output.use_cache and output.hash_info and output.stage.path_in_repo == file
    ]


def object_name(output: Output) -> str:
    """The object of an output; of a folder, its listing."""
    return str(output.hash_info and output.hash_info.value)


@contextmanager
def logged_errors() -> Iterator[list[Exception]]:
    """Exceptions that DVC logs, one for each object, instead of printing them."""
    errors: list[Exception] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.exc_info and isinstance(record.exc_info[1], Exception):
                errors.append(record.exc_info[1])

    loggers = [logging.getLogger(name) for name in ("dvc", "dvc_data", "dvc_objects")]
    handlers: list[Any] = [logger.handlers for logger in loggers]
    try:
        for logger in loggers:
            logger.handlers = [Collector(logging.WARNING)]
        yield errors
    finally:
        for logger, own in zip(loggers, handlers, strict=True):
            logger.handlers = own


def reason(error: BaseException) -> str:
    """Why, in one line: what the error behind others says first."""
    while cause := error.__cause__ or error.__context__:
        error = cause
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__
