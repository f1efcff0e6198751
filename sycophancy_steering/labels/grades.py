"""Grades: answers judged by hand or by another model, in CSV files that anybody can edit.

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
from pathlib import Path

from sycophancy_steering.foundation.atomic_files import atomic_write
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.labels.label_sources import kappa

GRADES_FOLDER = Path("data/grades")
COLUMNS: tuple[str, ...] = (
    "id",
    "question",
    "sycophantic_answer",
    "other_answers",
    "answer",
    "grade",
)
GRADES = {"sycophantic": 1, "other": 0, "unclear": None}
"""What may stand in the column `grade`, and the label it stands for."""
JUDGE_PREFIX = "judge-"


def grade_id(question: str, answer: str) -> str:
    """What a grade is tied to: the question and what was said. No spreadsheet takes it for a
    number."""
    said = hashlib.sha256(answer.encode()).hexdigest()[:8]
    return f"q{question}-{said}"


@dataclass(frozen=True)
class Grader:
    """The grades of one file."""

    name: str
    grades: Mapping[str, str]
    """`grade_id` -> a key of `GRADES`."""


def read_graders(model: str, prompt_set: str, ids: Iterable[str]) -> list[Grader]:
    """All graders of a model's answers to a prompt set; InputError for a file that is not in order.

    `ids` are those of the answers, and looked at only if somebody has graded some.
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
    """One grader's file; `known` are the ids of the answers there are."""
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
            place, grade = f"{path}, line {rows.line_num}", (row["grade"] or "").strip().lower()
            if row["id"] not in answer_ids:
                raise InputError(
                    f"{place}: no answer {row['id']!r}; was the set drawn or answered anew since?"
                )
            if row["id"] in grades:
                raise InputError(
                    f"{place}: answer {row['id']} is graded twice; keep one of the two"
                )
            if grade and grade not in GRADES:
                raise InputError(
                    f"{place}: expected {', '.join(GRADES)} or nothing, found {grade!r}"
                )
            if grade:
                grades[row["id"]] = grade
    except csv.Error as error:
        raise InputError(f"{path}, line {rows.line_num}: expected valid CSV, {error}") from None
    return Grader(name, grades)


def majority_labels(graders: Sequence[Grader], ids: Sequence[str]) -> list[int | None]:
    """The label that most graders give each answer; None without grades, or without a majority."""
    labels: list[int | None] = []
    for question in ids:
        votes = [GRADES[g.grades[question]] for g in graders if question in g.grades]
        most = max(set(votes), key=votes.count, default=None)
        labels.append(most if votes.count(most) * 2 > len(votes) else None)
    return labels


def pairwise_kappas(graders: Sequence[Grader]) -> dict[tuple[str, str], tuple[int, float]]:
    """Each two graders' number of answers that both graded, and Cohen's kappa on these."""
    found = {}
    for one, other in combinations(graders, 2):
        both = [question for question in one.grades if question in other.grades]
        if both:
            pairs = [(one.grades[question], other.grades[question]) for question in both]
            value = kappa([first for first, _ in pairs], [second for _, second in pairs])
            found[one.name, other.name] = len(both), value
    return found


def graded(graders: Sequence[Grader], answers: int) -> dict[str, object]:
    """What the grades are worth: how many are missing or unclear, and how far graders agree."""
    found: dict[str, object] = {}
    for grader in graders:
        found[f"{grader.name}_graded"] = len(grader.grades)
        found[f"{grader.name}_ungraded"] = answers - len(grader.grades)
        found[f"{grader.name}_unclear"] = list(grader.grades.values()).count("unclear")
    for (one, other), (n, value) in pairwise_kappas(graders).items():
        found[f"{one}_{other}_both"] = n
        if value == value:
            found[f"{one}_{other}_kappa"] = round(value, 5)
    return found


def write_grading_sheet(path: Path, rows: Sequence[Mapping[str, str]], seed: int) -> None:
    """Writes `rows` shuffled, so that nothing but the answer tells what it is; ungraded first."""
    shuffled = sorted(rows, key=lambda row: row["id"])
    random.Random(seed).shuffle(shuffled)
    shuffled.sort(key=lambda row: row["grade"] != "")
    with atomic_write(path) as draft, open(draft, "w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, COLUMNS)
        table.writeheader()
        table.writerows({key: _as_text(value) for key, value in row.items()} for row in shuffled)


def _as_text(value: str) -> str:
    """A cell that no spreadsheet takes for a formula: what a model says may begin with "="."""
    return "'" + value if value.startswith(("=", "+", "-", "@")) else value
