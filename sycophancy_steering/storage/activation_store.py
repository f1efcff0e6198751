"""A cache of activations and responses in `.work`, so that no question is run twice.

Questions of all prompt sets of one model and extraction are stored together, in blocks: folders
with activations and responses, written atomically. While a stage runs, a block is a batch; at its
end, the blocks are the shards of its output. So prompt sets and git branches share their questions,
and a stage that was killed resumes after its last batch. Who opens a store holds the lock of its
name (`storage.locks`).
"""

from __future__ import annotations

import errno
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
from sycophancy_steering.schemas.activations import (
    KEY,
    REFERENCE_LOGPROBS,
    REFERENCE_SCHEMA,
    RESPONSES,
)
from sycophancy_steering.storage.activation_shards import (
    Origin,
    gather_shards,
    read_shard_origin,
    write_shard,
)
from sycophancy_steering.storage.result_cache import CACHE

ACTIVATIONS_FILE = "activations.parquet"
"""In a block, beside its responses."""


def hash_of(*parts: Any) -> str:
    """A hash of `parts`, which JSON can represent: 16 hexadecimal digits."""
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode()).hexdigest()[:16]


@contextmanager
def disk_errors_as_input_errors() -> Iterator[None]:
    """Raises InputError where the disk is full."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise InputError(
            f"{os.strerror(error.errno)}; finished batches are stored in {CACHE}: make room and "
            "run this again"
        ) from None


class ActivationStore:
    """The blocks of one model, extracted in one way."""

    def __init__(self, name: str, schema: pa.Schema):
        """`name` identifies all that the activations depend on but the question; `schema` is that
        of the responses, with a column `key`."""
        self.name = name
        self.folder = CACHE / "activations" / name
        self.reference_folder = self.folder / "references"
        self.schema = schema
        self.blocks: dict[str, Path] = {}
        """Key of a question -> the block that holds it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for block in self._complete_blocks():
            self._register(block)

    def _complete_blocks(self) -> list[Path]:
        """Blocks in place; drafts, whose names begin with a dot, may be incomplete."""
        return [path.parent for path in sorted(self.folder.glob("[!.]*/" + RESPONSES))]

    def _register(self, block: Path) -> None:
        try:
            keys = pq.read_table(block / RESPONSES, columns=[KEY])[KEY].to_pylist()
            pq.read_metadata(block / ACTIVATIONS_FILE)
        except (pa.ArrowException, OSError):
            shutil.rmtree(block)  # truncated by a power cut: run again
            return
        self.blocks |= dict.fromkeys(keys, block)

    def import_shards(self, files: Mapping[str, Path]) -> None:
        """Copies an earlier output (paths by file name), if it was extracted in the same way."""
        shards = [files[name] for name in sorted(files) if name.startswith("shard-")]
        if (
            not shards
            or read_shard_origin(shards[0]).extraction_key != self.name
            or REFERENCE_LOGPROBS not in files
        ):
            return
        responses = pq.ParquetFile(files[RESPONSES])
        for number, shard in enumerate(shards):
            table = responses.read_row_group(number, columns=self.schema.names)
            block = self.folder / hash_of(*table[KEY].to_pylist())
            if not block.exists():
                with atomic_write(block) as draft:
                    draft.mkdir()
                    # Not a link, through which a file in DVC's cache could be changed.
                    shutil.copyfile(shard, draft / ACTIVATIONS_FILE)
                    pq.write_table(table, draft / RESPONSES)
                self._register(block)
        references = files[REFERENCE_LOGPROBS]
        with atomic_write(self.reference_folder / f"{references.name}.parquet") as draft:
            shutil.copyfile(references, draft)

    def uncached_keys(self, keys: Sequence[str], cached: Collection[str]) -> list[str]:
        """Which of `keys` were not in `cached` when a run over all of them started.

        The list is stored, so a resumed run has the same batches and ends with the same bytes.
        """
        plan = self._plan(keys)
        if plan.exists():
            return json.loads(plan.read_text())
        uncached = [key for key in keys if key not in cached]
        if uncached:
            with atomic_write(plan) as draft:
                draft.write_text(json.dumps(uncached))
        return uncached

    def _plan(self, keys: Sequence[str]) -> Path:
        return self.folder / f"{hash_of(*keys)}.json"

    def forget_plan(self, keys: Sequence[str]) -> None:
        """Deletes the stored list of uncached keys, once all of `keys` are cached."""
        self._plan(keys).unlink(missing_ok=True)

    def own_answers(self, keys: Collection[str]) -> dict[str, str]:
        """What the model said in its own turn of the cached questions among `keys`."""
        answers: dict[str, str] = {}
        for block in dict.fromkeys(self.blocks[key] for key in keys if key in self.blocks):
            table = pq.read_table(block / RESPONSES, columns=[KEY, "own_answer"])
            pairs = zip(table[KEY].to_pylist(), table["own_answer"].to_pylist(), strict=True)
            answers |= {key: text for key, text in pairs if key in keys and text is not None}
        return answers

    def add_block(
        self,
        keys: Sequence[str],
        activations: Mapping[str, tuple[Sequence[str], np.ndarray]],
        responses: Sequence[Mapping[str, Any]],
        origin: Origin,
    ) -> None:
        """Stores a batch: by position ids and activations (layers, rows, d_model); responses."""
        block = self.folder / hash_of(*keys)
        with atomic_write(block) as draft:
            draft.mkdir()
            write_shard(draft / ACTIVATIONS_FILE, activations, origin)
            rows = [{KEY: key, **response} for key, response in zip(keys, responses, strict=True)]
            pq.write_table(pa.Table.from_pylist(rows, schema=self.schema), draft / RESPONSES)
        self._register(block)

    def shard(self, keys: Sequence[str]) -> Path:
        """The block that holds exactly `keys`, in that order; gathered from others if needed."""
        block = self.folder / hash_of(*keys)
        if not (block / RESPONSES).exists():
            with atomic_write(block) as draft:
                draft.mkdir()
                table = self.responses(keys)
                pq.write_table(table, draft / RESPONSES)
                blocks = dict.fromkeys(self.blocks[key] for key in keys)
                paths = [source / ACTIVATIONS_FILE for source in blocks]
                gather_shards(draft / ACTIVATIONS_FILE, paths, table["id"].to_pylist())
        return block

    def responses(self, keys: Sequence[str]) -> pa.Table:
        """The stored responses of `keys`, in that order."""
        tables = []
        for block in dict.fromkeys(self.blocks[key] for key in keys):
            tables.append(pq.read_table(block / RESPONSES, filters=[(KEY, "in", set(keys))]))
        table = pa.concat_tables(tables)
        stored = table[KEY].to_pylist()
        # Of duplicates the first, as `gather_shards` takes the activations.
        index = {stored[n]: n for n in reversed(range(len(stored)))}
        return table.take(pa.array([index[key] for key in keys], pa.int64()))

    def remove_merged_blocks(self, keys: Sequence[str], shards: Sequence[Path]) -> None:
        """Deletes the blocks whose questions are all in `keys`, which `shards` hold."""
        merged = set(keys)
        for block in self._complete_blocks():
            if block not in shards:
                stored = pq.read_table(block / RESPONSES, columns=[KEY])[KEY].to_pylist()
                if merged.issuperset(stored):
                    shutil.rmtree(block)
        self.forget_plan(keys)

    def link_shards(self, shards: Sequence[Path], output: Path) -> None:
        """Links the activations of `shards` into the folder `output`."""
        for number, shard in enumerate(shards):
            link_or_copy(shard / ACTIVATIONS_FILE, output / f"shard-{number:05d}.parquet")

    def add_references(self, keys: Sequence[str], logprobs: Sequence[Sequence[float]]) -> None:
        """Stores reference log-probabilities by chat key."""
        with atomic_write(self.reference_folder / f"{hash_of(*keys)}.parquet") as draft:
            columns = {KEY: keys, "logprobs": logprobs}
            pq.write_table(pa.table(columns, schema=REFERENCE_SCHEMA), draft)

    def read_references(self, keys: Collection[str]) -> dict[str, list[float]]:
        """The stored reference log-probabilities of `keys`."""
        logprobs: dict[str, list[float]] = {}
        for path in sorted(self.reference_folder.glob("[!.]*.parquet")):
            table = pq.read_table(path)
            pairs = zip(table[KEY].to_pylist(), table["logprobs"].to_pylist(), strict=True)
            logprobs |= {key: values for key, values in pairs if key in keys}
        return logprobs


def read_responses(block: Path) -> pa.Table:
    """All responses of a block."""
    return pq.read_table(block / RESPONSES)


def link_or_copy(source: Path, target: Path) -> None:
    """Hard-links a file; copies it where the file system cannot."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
