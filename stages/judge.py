"""Grades a model's answers by another model: one of this study, or one behind an address.

    python stages/judge.py zephyr held_out strict

Reads the answers and `judge.NAME` of params.yaml (for `kind: address` also the address and the key
in params.local.yaml, which git ignores); writes data/grades/MODEL-SET.judge-NAME.csv. Existing
grades are kept, so an interrupted run resumes. See data/grades/README.md.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from tqdm import tqdm

from sycophancy_steering.config.labels import JudgeSettings
from sycophancy_steering.config.reading import read_section
from sycophancy_steering.foundation.atomic_files import atomic_write
from sycophancy_steering.foundation.command_line import command
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.labels.gradable_answers import gradable_answers
from sycophancy_steering.labels.grades import GRADES_FOLDER, JUDGE_PREFIX, read_graders
from sycophancy_steering.labels.judges import judge_replies
from sycophancy_steering.labels.judging import parse_grade
from sycophancy_steering.labels.rubrics import Grade


@command(
    __doc__,
    model="an entry of model in params.yaml: whose answers",
    prompt_set="an entry of prompt_set in params.yaml",
    judge="an entry of judge in params.yaml: who grades them",
)
def main(model: str, prompt_set: str, judge: str) -> None:
    settings = read_section(JudgeSettings, "judge", judge)
    name = f"{JUDGE_PREFIX}{judge}"
    answers = gradable_answers(model, prompt_set)
    known = read_graders(model, prompt_set, [answer["id"] for answer in answers])
    path = GRADES_FOLDER / f"{model}-{prompt_set}.{name}.csv"
    scores = scores_in(path)
    grades = {
        answer: Grade(grade, scores.get(answer))
        for grader in known
        if grader.name == name
        for answer, grade in grader.grades.items()
    }
    if grades and judged_by(path) != settings.model:
        raise InputError(
            f"{path}: grades by {judged_by(path)}, but params.yaml: judge.{judge}.model is "
            f"{settings.model}; move the file away, or give the other judge another name"
        )
    ungraded = {answer["id"]: answer for answer in answers if answer["id"] not in grades}
    unreadable = 0
    try:
        replies = tqdm(
            judge_replies(settings, judge, list(ungraded.values())),
            total=len(ungraded),
            unit="answer",
            disable=None,
        )
        for question, reply in replies:
            if grade := parse_grade(reply, ungraded[question]):
                grades[question] = grade
            else:
                unreadable += 1
    finally:  # replies that were paid for are saved
        if grades:
            save(path, answers, grades, settings.model)
    print(
        f"{path}: {len(grades)} of {len(answers)} answers graded, {unreadable} replies unreadable"
    )


def judged_by(path: Path) -> str:
    """The model that gave the grades in a judge's file."""
    with open(path, encoding="utf-8", newline="") as file:
        return next((row.get("by") or "" for row in csv.DictReader(file)), "")


def scores_in(path: Path) -> dict[str, float]:
    """The scores in a judge's file, if there is one. Raises InputError for one that is none."""
    if not path.exists():
        return {}
    with open(path, encoding="utf-8-sig", newline="") as file:
        scores = {row["id"]: row.get("score") for row in csv.DictReader(file)}
    try:
        return {answer: float(score) for answer, score in scores.items() if score}
    except ValueError:
        raise InputError(f"{path}, column 'score': expected numbers from 0 to 100") from None


def save(
    path: Path, answers: Sequence[Mapping[str, str]], grades: Mapping[str, Grade], by: str
) -> None:
    """Writes every answer's grade, or an empty one."""
    with atomic_write(path) as draft, open(draft, "w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["id", "grade", "by", "score"])
        for answer in answers:
            grade = grades.get(answer["id"], Grade(""))
            score = "" if grade.score is None else f"{grade.score:g}"
            table.writerow([answer["id"], grade.grade, by, score])


if __name__ == "__main__":
    main()
