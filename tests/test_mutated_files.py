"""No mutation of a published file ends in a traceback, or loses a record in silence.

    FUZZ_EXAMPLES=10000 python -m pytest -n0 tests/test_mutated_files.py

runs as many mutations of each format; the suite runs fewer.
"""

from __future__ import annotations

import csv
import io
import json
import os
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from published_samples import SAMPLES, write_sample

from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.questions.question import Row, Turn, build_row
from sycophancy_steering.questions.splits import order_with_matching_at
from sycophancy_steering.sources.columns import Columns
from sycophancy_steering.sources.published import read_published

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "200"))
PIECES = [
    *(
        b'"',
        b"\\",
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"\n",
        b"\r",
        b"\0",
        b"\xff",
        b"\xef\xbb\xbf",
    ),
    *(b"null", b"true", b"NaN", b"1e999", b"-1", b'"\\ud800"', b'"\\u0000"', b"[[[[", b"9" * 5000),
    *(b"(A)", b"(B) ", b"\n(C) x", b"Answer:", b" (Z)", b"{question}", b"\t", b"\xe2\x80\xa8"),
    b"[" * 2000,
]
"""Bytes that mean something to some reader."""
EDITS = st.lists(
    st.tuples(
        st.sampled_from(["insert", "delete", "copy", "flip", "cut"]),
        st.integers(0, 2**32 - 1),
        st.sampled_from(PIECES),
    ),
    min_size=1,
    max_size=4,
)


def mutated(content: bytes, edits: list[tuple[str, int, bytes]]) -> bytes:
    """`content` after each edit, at a place that the edit's seed draws."""
    for kind, seed, piece in edits:
        draw = random.Random(seed)
        start = draw.randrange(len(content) + 1)
        stop = min(len(content), start + draw.randrange(1, 40))
        if kind == "insert":
            content = content[:start] + piece + content[start:]
        elif kind == "delete":
            content = content[:start] + content[stop:]
        elif kind == "copy":
            content = content[:stop] + content[start:]
        elif kind == "flip" and start < len(content):
            content = content[:start] + bytes([draw.randrange(256)]) + content[start + 1 :]
        elif kind == "cut":
            content = content[:start]
    return content


def n_in_file(path: Path) -> int | None:
    """Records of a file, counted without the reader; None where this cannot be said."""
    if path.suffix == ".jsonl":
        text = path.read_bytes().decode("utf-8-sig")
        return sum(bool(line.strip()) for line in text.split("\n"))
    if path.suffix == ".csv":
        text = path.read_bytes().decode("utf-8-sig")
        return sum(bool(row) for row in csv.reader(io.StringIO(text, newline=""))) - 1
    if path.suffix == ".json":
        value = json.loads(path.read_bytes().decode("utf-8-sig"))
        return len(value) if isinstance(value, list) else None
    return None


def check_row(row: Row) -> None:
    """Raises where a row could not be asked, split, or written."""
    chats = (row.messages, row.without_user, row.opposite_user, row.neutral_turn)
    assert row.messages and all(isinstance(turn, Turn) for chat in chats for turn in chat)
    texts = [row.family, row.item, row.persona, row.template, *row.answers]
    texts += [turn.content for chat in chats for turn in chat]
    assert all(isinstance(text, str) for text in texts)
    "".join(texts).encode()
    assert row.item and row.family
    assert not row.choices or row.matching not in row.not_matching != ()


def read(path: Path, format: str, on_bad_rows: str, columns: Columns) -> bool:
    """Whether the file is used; what it holds is then checked."""
    reading, refusal = None, ""
    try:
        reading = read_published(path, format, columns, on_bad_rows)  # type: ignore[arg-type]
    except InputError as error:
        refusal = str(error)
    if reading is None:
        assert refusal and "\n" not in refusal and len(refusal) < 2000
        return False
    assert len(reading.questions) + reading.n_repeated + len(reading.bad_rows) == reading.n_records
    assert on_bad_rows == "report" or not reading.bad_rows
    assert all("\n" not in line and str(path) in line for line in reading.bad_rows)
    if format != "elephant" and (expected := n_in_file(path)) is not None:
        assert reading.n_records == expected
    for n, question in enumerate(reading.questions):
        check_row(build_row(question, order_with_matching_at(question, n), "test"))
    return True


@pytest.mark.parametrize("name", SAMPLES)
def test_a_mutated_file_is_read_or_refused_in_one_line(name, tmp_path):
    format = SAMPLES[name][0]
    content = write_sample(name, tmp_path / "sound", 4).read_bytes()
    path = tmp_path / SAMPLES[name][1]
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    assert read(path, format, "refuse", Columns())
    used = []

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(EDITS, st.sampled_from(["item", "persona", "without_user", ""]))
    def run(edits, mapped):
        path.write_bytes(mutated(content, edits))
        columns = Columns(columns={mapped: "question"} if mapped else {})
        used.append(read(path, format, "report", columns))
        read(path, format, "refuse", Columns())

    run()
    assert not all(used)
