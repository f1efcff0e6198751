"""Activations on disk."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
import torch

from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.storage.activation_shards import (
    Origin,
    gather_shards,
    read_activations,
    read_origin,
    shard_layers,
    write_shard,
)

POSITIONS = ("prompt", "matching")


def write(folder, dtype: str = "float32", rows: int = 5, layers: int = 3, width: int = 4):
    draw = np.random.default_rng(0)
    states = draw.normal(size=(2, layers, rows, width)).astype(np.float32)
    tensor = torch.tensor(states).to(getattr(torch, dtype))
    raw = tensor.view(torch.uint16) if dtype == "bfloat16" else tensor
    origin = Origin("m", "r", dtype, width, layers, "t")
    for shard in range(2):
        ids = [f"{shard}-{n}" for n in range(rows)]
        positions = {p: (ids, block) for p, block in zip(POSITIONS, raw.numpy(), strict=True)}
        write_shard(folder / f"shard-{shard:05d}.parquet", positions, origin)
    return tensor.float().numpy(), origin


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_activations_are_read_as_written_in_every_dtype(tmp_path, dtype):
    states, origin = write(tmp_path, dtype)
    assert read_origin(tmp_path) == origin
    for p, position in enumerate(POSITIONS):
        for layer in range(3):
            found = read_activations(tmp_path, layer, position)
            assert found.ids == [f"{shard}-{n}" for shard in range(2) for n in range(5)]
            np.testing.assert_array_equal(found.activations, np.tile(states[p, layer], (2, 1)))


def test_reading_a_layer_does_not_read_other_layers(tmp_path):
    write(tmp_path, rows=1000, layers=8, width=64)
    path = tmp_path / "shard-00000.parquet"
    spoiled = bytearray(path.read_bytes())
    group = pq.ParquetFile(path).metadata.row_group(1)  # position "matching"
    for column in range(group.num_columns):
        if group.column(column).path_in_schema not in ("id", "position", "layer_05"):
            start = group.column(column).data_page_offset
            spoiled[start : start + group.column(column).total_compressed_size] = b"\xff" * (
                group.column(column).total_compressed_size
            )
    before = read_activations(tmp_path, 5, "matching").activations
    path.write_bytes(spoiled)
    np.testing.assert_array_equal(read_activations(tmp_path, 5, "matching").activations, before)
    with pytest.raises(InputError, match="not a readable activation shard"):
        read_activations(tmp_path, 4, "matching")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_any_parquet_reader_reads_the_same_activations(tmp_path, dtype):
    states, _ = write(tmp_path, dtype, rows=700, width=64)
    table = pl.read_parquet(tmp_path / "shard-00001.parquet")
    held = table.filter(pl.col("position") == "matching")["layer_02"].to_list()
    raw = np.frombuffer(b"".join(held), np.uint16 if dtype == "bfloat16" else np.float32)
    floats = (raw.astype(np.uint32) << 16).view(np.float32) if dtype == "bfloat16" else raw
    np.testing.assert_array_equal(floats.reshape(700, 64), states[1, 2])


def test_activations_are_read_shard_by_shard(tmp_path):
    write(tmp_path)
    parts = shard_layers(tmp_path, 1, "prompt")
    assert [part.n_rows for part in parts] == [5, 5]
    whole = read_activations(tmp_path, 1, "prompt")
    np.testing.assert_array_equal(
        np.concatenate([part.activations() for part in parts]), whole.activations
    )


def test_a_shard_that_was_rewritten_in_another_layout_reads_the_same(tmp_path):
    write(tmp_path, rows=700, width=64)
    path = tmp_path / "shard-00000.parquet"
    before = read_activations(tmp_path, 0, "prompt").activations
    table = pq.read_table(path)
    with pq.ParquetWriter(path, table.schema, compression="zstd", data_page_size=4096) as writer:
        for group in (table[:700], table[700:]):
            writer.write_table(group, row_group_size=700)
    np.testing.assert_array_equal(read_activations(tmp_path, 0, "prompt").activations, before)


def test_a_column_of_another_width_is_refused(tmp_path):
    _, origin = write(tmp_path)
    path = tmp_path / "shard-00000.parquet"
    rows = np.zeros((3, 5, 8), np.float32)
    wide = replace(origin, d_model=8)
    write_shard(path, {"prompt": (list("abcde"), rows)}, wide)
    table = pq.read_table(path)
    schema = pq.read_schema(tmp_path / "shard-00001.parquet")
    pq.write_table(table.replace_schema_metadata(schema.metadata), path)
    with pytest.raises(InputError, match=r"shard-00000\.parquet: .*expected 4 numbers"):
        read_activations(tmp_path, 0, "prompt")


def test_gathered_rows_come_in_the_requested_order(tmp_path):
    write(tmp_path)
    paths = sorted(tmp_path.iterdir())
    wanted = ["1-3", "0-2", "0-0", "1-1"]
    (tmp_path / "new").mkdir()
    gather_shards(tmp_path / "new/shard-00000.parquet", paths, wanted)
    for position in POSITIONS:
        for layer in range(3):
            found, every = (
                read_activations(at, layer, position) for at in (tmp_path / "new", tmp_path)
            )
            assert found.ids == wanted
            places = [every.ids.index(each) for each in wanted]
            np.testing.assert_array_equal(found.activations, every.activations[places])


def test_a_row_in_two_shards_is_gathered_once(tmp_path):
    write(tmp_path)
    again = tmp_path / "again"
    again.mkdir()
    write(again)
    paths = [*sorted(tmp_path.glob("*.parquet")), *sorted(again.glob("*.parquet"))]
    (tmp_path / "new").mkdir()
    gather_shards(tmp_path / "new/shard-00000.parquet", paths, ["1-3", "0-2"])
    assert read_activations(tmp_path / "new", 0, "prompt").ids == ["1-3", "0-2"]


def test_a_truncated_shard_is_refused_by_name(tmp_path):
    write(tmp_path)
    path = tmp_path / "shard-00001.parquet"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(InputError, match=r"shard-00001\.parquet: not a readable activation shard"):
        read_activations(tmp_path, 0, "prompt")


def test_an_overflow_is_refused_with_its_question_and_layer(tmp_path):
    states = np.zeros((1, 3, 2), np.float32)
    states[0, 1, 1] = np.inf
    origin = Origin("m", "r", "float32", 2, 1, "t")
    write_shard(tmp_path / "shard-00000.parquet", {"prompt": (list("abc"), states)}, origin)
    with pytest.raises(InputError, match="question b, layer 0, prompt: expected finite numbers"):
        read_activations(tmp_path, 0, "prompt")


def test_the_same_activations_are_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write(tmp_path / name)
    one, two = ((tmp_path / n / "shard-00000.parquet").read_bytes() for n in ("one", "two"))
    assert one == two
