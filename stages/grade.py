"""Writes the answers to be graded by hand, shuffled, for anybody's spreadsheet.

    python stages/grade.py zephyr held_out ann

Reads the answers, and ann's grades in data/grades/zephyr-held_out.ann.csv if there are any; writes
data/grades/zephyr-held_out.ann.todo.csv, the ungraded first. It shows no labels and no
other grades. See data/grades/README.md.
"""

from __future__ import annotations

from sycophancy_steering.foundation.command_line import command
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.labels.gradable_answers import gradable_answers
from sycophancy_steering.labels.grades import GRADES_FOLDER, read_graders, write_grading_sheet

SEED = 0


@command(
    __doc__,
    model="an entry of model in params.yaml",
    prompt_set="an entry of prompt_set in params.yaml",
    grader="whose grades: what is graded under that name keeps its grade",
)
def main(model: str, prompt_set: str, grader: str) -> None:
    if not grader.isidentifier():
        raise InputError(f"{grader!r}: expected a grader's name of letters, digits and _")
    rows = gradable_answers(model, prompt_set)
    graders = read_graders(model, prompt_set, [row["id"] for row in rows])
    done = {
        answer: grade for g in graders if g.name == grader for answer, grade in g.grades.items()
    }
    rows = [row | {"grade": done.get(row["id"], "")} for row in rows]
    path = GRADES_FOLDER / f"{model}-{prompt_set}.{grader}.todo.csv"
    write_grading_sheet(path, rows, SEED)
    print(
        f"{path}: {len(rows) - len(done)} answers to grade, {len(done)} graded; save it as "
        f"{GRADES_FOLDER}/{model}-{prompt_set}.{grader}.csv"
    )


if __name__ == "__main__":
    main()
