"""What a model did with questions it was asked before, in `.work`: no question is run twice.

The rows of all prompt sets of one model and way of reading it are kept together, in blocks: a
folder with states and responses, put in place whole. A batch is a block while a stage runs; in the
end the blocks are the shards of its output. So prompt sets and branches share their questions, and
a stage that was stopped at any moment goes on after its last batch.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sycophancy_steering.foundation.atomic_files import atomic_write
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.storage.activation_shards import (
    RESPONSES,
    Origin,
    gather_shards,
    read_origin_of,
    write_shard,
)
from sycophancy_steering.storage.result_cache import WORK

STATES = "states.parquet"
COMPARED = "compared.parquet"
"""In an output: what answers are compared with, by what was asked."""
KEY = "key"


def key_of(*parts: Any) -> str:
    """A name for what `parts`, which JSON can write, stand for."""
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode()).hexdigest()[:16]


@contextmanager
def alone(name: str) -> Iterator[None]:
    """InputError if another process is at work on `name`; the lock goes with the process."""
    path = WORK / "locks" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"{name}: another run is at work on it; wait for it, or stop it (lock: {path})"
            ) from None
        yield


@contextmanager
def room_on_disk() -> Iterator[None]:
    """InputError where a disk is full."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise InputError(
            f"{os.strerror(error.errno)}; what was run is kept in {WORK}, make room and run this "
            "again"
        ) from None


class Store:
    """The blocks of one model, read in one way."""

    def __init__(self, name: str, schema: pa.Schema):
        """`name` stands for the model and all that its readings depend on; `schema` is that of the
        responses, whose first column is `key`."""
        self.name = name
        self.folder = WORK / "activations" / name
        self.asked = self.folder / "asked"
        self.schema = schema
        self.known: dict[str, Path] = {}
        """The block that holds each row, by its key."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for block in self._blocks():
            self._take_in(block)

    def _blocks(self) -> list[Path]:
        """Those in place: a draft, whose name begins with a dot, may be anything."""
        return [path.parent for path in sorted(self.folder.glob("[!.]*/" + RESPONSES))]

    def _take_in(self, block: Path) -> None:
        try:
            keys = pq.read_table(block / RESPONSES, columns=[KEY])[KEY].to_pylist()
            pq.read_metadata(block / STATES)
        except (pa.ArrowException, OSError):
            shutil.rmtree(block)  # half written when the power went: made anew
            return
        self.known |= dict.fromkeys(keys, block)

    def adopt(self, files: Mapping[str, Path]) -> None:
        """Takes in an output that was made before, if it was read this way."""
        shards = [files[name] for name in sorted(files) if name.startswith("shard-")]
        if not shards or read_origin_of(shards[0]).reading != self.name or COMPARED not in files:
            return
        responses = pq.ParquetFile(files[RESPONSES])
        for number, shard in enumerate(shards):
            table = responses.read_row_group(number, columns=self.schema.names)
            block = self.folder / key_of(*table[KEY].to_pylist())
            if not block.exists():
                with atomic_write(block) as draft:
                    draft.mkdir()
                    # A copy: what is linked to DVC's cache could be changed there by mistake.
                    shutil.copyfile(shard, draft / STATES)
                    pq.write_table(table, draft / RESPONSES)
                self._take_in(block)
        self.asked.mkdir(exist_ok=True)
        shutil.copyfile(files[COMPARED], self.asked / f"{files[COMPARED].name}.parquet")

    def missing(self, keys: Sequence[str], known: Collection[str]) -> list[str]:
        """Which of `keys` were not `known` when all of them were first asked for.

        So a run that was stopped goes on with the same batches, and ends with the same bytes.
        """
        plan = self._plan(keys)
        if plan.exists():
            return json.loads(plan.read_text())
        missing = [key for key in keys if key not in known]
        if missing:
            with atomic_write(plan) as draft:
                draft.write_text(json.dumps(missing))
        return missing

    def _plan(self, keys: Sequence[str]) -> Path:
        return self.folder / f"{key_of(*keys)}.json"

    def found(self, keys: Sequence[str]) -> None:
        """All of `keys` are known."""
        self._plan(keys).unlink(missing_ok=True)

    def keep(
        self,
        keys: Sequence[str],
        held: Mapping[str, tuple[Sequence[str], np.ndarray]],
        responses: Sequence[Mapping[str, Any]],
        origin: Origin,
    ) -> None:
        """Puts one batch in place; from then on it is known."""
        block = self.folder / key_of(*keys)
        with atomic_write(block) as draft:
            draft.mkdir()
            write_shard(draft / STATES, held, origin)
            rows = [{KEY: key, **each} for key, each in zip(keys, responses, strict=True)]
            pq.write_table(pa.Table.from_pylist(rows, schema=self.schema), draft / RESPONSES)
        self._take_in(block)

    def shard(self, keys: Sequence[str]) -> Path:
        """The block that holds just `keys`, in that order; put together if there is none yet."""
        block = self.folder / key_of(*keys)
        if not (block / RESPONSES).exists():
            with atomic_write(block) as draft:
                draft.mkdir()
                table = self._responses(keys)
                pq.write_table(table, draft / RESPONSES)
                blocks = dict.fromkeys(self.known[key] for key in keys)
                paths = [each / STATES for each in blocks]
                gather_shards(draft / STATES, paths, table["id"].to_pylist())
        return block

    def _responses(self, keys: Sequence[str]) -> pa.Table:
        tables = []
        for block in dict.fromkeys(self.known[key] for key in keys):
            tables.append(pq.read_table(block / RESPONSES, filters=[(KEY, "in", set(keys))]))
        table = pa.concat_tables(tables)
        held = table[KEY].to_pylist()
        # The first of equals, as `gather_shards` takes the states.
        place = {held[n]: n for n in reversed(range(len(held)))}
        return table.take(pa.array([place[key] for key in keys], pa.int64()))

    def settle(self, keys: Sequence[str], shards: Sequence[Path]) -> None:
        """All of `keys` are in `shards`: deletes the blocks that hold nothing else."""
        inside = set(keys)
        for block in self._blocks():
            if block not in shards:
                held = pq.read_table(block / RESPONSES, columns=[KEY])[KEY].to_pylist()
                if inside.issuperset(held):
                    shutil.rmtree(block)
        self.found(keys)


def link(source: Path, target: Path) -> None:
    """The same file at two places; a copy where the disk cannot do that."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
