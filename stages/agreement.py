"""Says how far graders agree, in a table from anywhere.

    python stages/agreement.py grades.csv --item id --graders ann bo strict
    python stages/agreement.py grades.csv --item id --grader who --grade score

Reads a CSV, Parquet or JSON lines file: a row an answer with a column for each grader, or a row a
grade. Grades are numbers or words; an empty cell is no grade. Prints for every two graders how
often they give the same grade and Cohen's kappa, for scores also kappa with squared weights and
Spearman's correlation, and Krippendorff's alpha of all; with 95% intervals clustered by item, or by
another column (`--cluster`) where answers to several items are alike. Writes nothing, or FILE with
--json.
"""

from __future__ import annotations

from pathlib import Path

from sycophancy_steering.external.grade_table import (
    agreement_report,
    read_long_grades,
    read_wide_grades,
)
from sycophancy_steering.external.options import write_numbers
from sycophancy_steering.external.report_tables import agreement_text
from sycophancy_steering.foundation.command_line import command
from sycophancy_steering.foundation.errors import InputError


@command(
    __doc__,
    table="a table, .csv, .parquet or .jsonl",
    item="its column of what is graded",
    graders="its columns of grades, two or more",
    grader="of a table with a row a grade: its column of who graded",
    grade="its column of the grades",
    cluster="a column by which to cluster the intervals instead of the item",
    json="a file to write the numbers to",
)
def main(
    table: str,
    *,
    item: str,
    graders: tuple[str, ...] = (),
    grader: str = "",
    grade: str = "",
    cluster: str = "",
    json: str = "",
) -> None:
    if bool(graders) == bool(grader and grade) or bool(grader) != bool(grade):
        raise InputError(
            "expected either --graders with two or more columns (a row an answer), or --grader and "
            "--grade with one column each (a row a grade)"
        )
    if graders:
        grades = read_wide_grades(Path(table), item, graders, cluster)
    else:
        grades = read_long_grades(Path(table), item, grader, grade, cluster)
    report = agreement_report(grades)
    print(agreement_text(report))
    write_numbers(json, report.flat())


if __name__ == "__main__":
    main()
