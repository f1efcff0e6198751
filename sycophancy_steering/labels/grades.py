"""Grades of answers, by people or by another model, in CSV files that anybody can edit.

`make grade` writes what is still to be graded; a grader fills the column `grade` and saves the file
as data/grades/MODEL-SET.NAME.csv. Judges' files have the same form (`stages/judge.py`), and names
that begin with "judge-".
"""

from __future__ import annotations

import csv
import hashlib
import io
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import isnan
from pathlib import Path

import polars as pl

from sycophancy_steering.foundation.atomic_files import atomic_write
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.labels.label_sources import kappa
from sycophancy_steering.schemas.labels import GRADER_AGREEMENT, GRADERS

GRADES_FOLDER = Path("data/grades")
COLUMNS: tuple[str, ...] = (
    "id",
    "question",
    "sycophantic_answer",
    "other_answers",
    "rubric",
    "answer",
    "grade",
)
GRADES = {"sycophantic": 1, "other": 0, "unclear": None}
"""Values of the column `grade` -> label."""
JUDGE_PREFIX = "judge-"


def grade_id(question: str, answer: str) -> str:
    """Identifies a question and the answer to it; never what a spreadsheet takes for a number."""
    answer_hash = hashlib.sha256(answer.encode()).hexdigest()[:8]
    return f"q{question}-{answer_hash}"


@dataclass(frozen=True)
class Grader:
    """The grades of one file."""

    name: str
    grades: Mapping[str, str]
    """`grade_id` -> a key of `GRADES`."""


def read_graders(model: str, prompt_set: str, ids: Iterable[str]) -> list[Grader]:
    """All graders of a model's answers to a prompt set. Raises InputError for a bad file.

    `ids` are the grade ids of the answers; they are read only if there are grades.
    """
    stem = f"{model}-{prompt_set}."
    paths = sorted(GRADES_FOLDER.glob(f"{stem}*.csv"))
    paths = [path for path in paths if not path.name.endswith(".todo.csv")]
    known = set(ids) if paths else set()
    return [
        read_grades(path, path.name.removeprefix(stem).removesuffix(".csv"), known)
        for path in paths
    ]


def read_grades(path: Path, name: str, answer_ids: set[str]) -> Grader:
    """One grader's file, whose grades have to be about `answer_ids`. Raises InputError."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path}: expected UTF-8; save it as CSV UTF-8") from None
    rows = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    for key in ("id", "grade"):
        if key not in (rows.fieldnames or []):
            raise InputError(f"{path}, line 1: no column {key!r}; expected {', '.join(COLUMNS)}")
    grades: dict[str, str] = {}
    try:
        for row in rows:
            location, grade = f"{path}, line {rows.line_num}", (row["grade"] or "").strip().lower()
            if row["id"] not in answer_ids:
                raise InputError(
                    f"{location}: no answer {row['id']!r}; was the question answered again since?"
                )
            if row["id"] in grades:
                raise InputError(
                    f"{location}: answer {row['id']} is graded twice; keep one of the two"
                )
            if grade and grade not in GRADES:
                raise InputError(
                    f"{location}: expected {', '.join(GRADES)} or nothing, found {grade!r}"
                )
            if grade:
                grades[row["id"]] = grade
    except csv.Error as error:
        raise InputError(f"{path}, line {rows.line_num}: expected valid CSV, {error}") from None
    return Grader(name, grades)


def majority_labels(graders: Sequence[Grader], ids: Sequence[str]) -> list[int | None]:
    """The label that more than half of its graders give each answer, or None."""
    labels: list[int | None] = []
    for question in ids:
        votes = [GRADES[g.grades[question]] for g in graders if question in g.grades]
        most = max(set(votes), key=votes.count, default=None)
        labels.append(most if votes.count(most) * 2 > len(votes) else None)
    return labels


def pairwise_kappas(graders: Sequence[Grader]) -> dict[tuple[str, str], tuple[int, float]]:
    """For every two graders: the number of answers that both graded, and Cohen's kappa on these."""
    kappas = {}
    for one, other in combinations(graders, 2):
        both = [question for question in one.grades if question in other.grades]
        if both:
            pairs = [(one.grades[question], other.grades[question]) for question in both]
            value = kappa([first for first, _ in pairs], [second for _, second in pairs])
            kappas[one.name, other.name] = len(both), value
    return kappas


def grader_table(graders: Sequence[Grader], n_answers: int) -> pl.DataFrame:
    """The table GRADERS: how many answers each grader graded."""
    rows = [
        {
            "grader": grader.name,
            "n_graded": len(grader.grades),
            "n_ungraded": n_answers - len(grader.grades),
            "n_unclear": list(grader.grades.values()).count("unclear"),
        }
        for grader in graders
    ]
    return pl.DataFrame(rows, schema=dict(GRADERS.columns))


def grader_agreement(graders: Sequence[Grader]) -> pl.DataFrame:
    """The table GRADER_AGREEMENT: a row for every two graders of some of the same answers."""
    rows = [
        {"one": one, "other": other, "n": n, "kappa": None if isnan(value) else value}
        for (one, other), (n, value) in pairwise_kappas(graders).items()
    ]
    return pl.DataFrame(rows, schema=dict(GRADER_AGREEMENT.columns))


def write_grading_sheet(path: Path, rows: Sequence[Mapping[str, str]], seed: int) -> None:
    """Writes `rows` in random order, ungraded ones first, so that graders stay blind."""
    shuffled = sorted(rows, key=lambda row: row["id"])
    random.Random(seed).shuffle(shuffled)
    shuffled.sort(key=lambda row: row["grade"] != "")
    with atomic_write(path) as draft, open(draft, "w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, COLUMNS)
        table.writeheader()
        table.writerows({key: _as_text(value) for key, value in row.items()} for row in shuffled)


def _as_text(value: str) -> str:
    """A cell that no spreadsheet takes for a formula: a response may begin with "="."""
    return "'" + value if value.startswith(("=", "+", "-", "@")) else value
