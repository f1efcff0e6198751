"""Grades of the same answers by several graders, wide or long.

Wide: a row an answer, a column a grader. Long: a row a grade, with columns for grader and grade.
Grades are numbers throughout (scores, unless they are 0 and 1 alone) or words throughout; an empty
cell is no grade.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from sycophancy_steering.external.cell_table import (
    as_name,
    as_number,
    cell_error,
    read_cell_table,
)
from sycophancy_steering.external.score_report import Result
from sycophancy_steering.foundation.arrays import Floats, Names
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.sources.records import Record
from sycophancy_steering.statistics.clustered_means import clustered_share
from sycophancy_steering.statistics.grader_agreement import cohen_kappa, krippendorff_alpha
from sycophancy_steering.statistics.rank_correlation import clustered_rank_correlation

WORDS = "a grade in words, as in the other rows (numbers throughout, or words throughout)"
NUMBERS = "a finite number, as in the other rows (numbers throughout, or words throughout)"


@dataclass(frozen=True)
class Cell:
    """A grade as it is written, and its place."""

    row: Record
    column: str

    @property
    def is_empty(self) -> bool:
        """Whether it is no grade."""
        value = self.row.fields.get(self.column)
        return value is None or (isinstance(value, str) and not value.strip())

    @property
    def number(self) -> float | None:
        """The grade as a number, or None."""
        return as_number(self.row.fields[self.column])

    @property
    def word(self) -> str:
        """The grade as a word in small letters. Raises InputError for a list and the like."""
        name = as_name(self.row.fields[self.column])
        if name is None:
            raise cell_error(self.row, self.column, WORDS)
        return name.lower()


@dataclass(frozen=True)
class GradeTable:
    """Grades of n answers."""

    graders: Sequence[str]
    grades: Sequence[Floats]
    """(n,) of each grader: scores, or codes of words; NaN where there is none."""
    clusters: Names
    """(n,)"""
    are_scores: bool


def read_wide_grades(path: Path, item: str, graders: Sequence[str], cluster: str) -> GradeTable:
    """A row an answer, whose cluster is its item unless there is a column of clusters."""
    if len(set(graders)) < 2:
        raise InputError(f"{path}: expected two or more different graders, found {len(graders)}")
    table = read_cell_table(path, [*dict.fromkeys([item, *graders, *([cluster] * bool(cluster))])])
    table.names(item)
    cells = [[Cell(row, grader) for row in table.rows] for grader in graders]
    return _as_numbers(graders, cells, table.names(cluster or item))


def read_long_grades(path: Path, item: str, grader: str, grade: str, cluster: str) -> GradeTable:
    """A row a grade; the answers are told apart by `item`. Raises InputError for two grades of one
    answer by one grader, and for an answer in two clusters."""
    columns = [*dict.fromkeys([item, grader, grade, *([cluster] * bool(cluster))])]
    table = read_cell_table(path, columns)
    answers, names, clusters = (table.names(name) for name in (item, grader, cluster or item))
    place = {name: n for n, name in enumerate(dict.fromkeys(answers.tolist()))}
    graders = sorted(set(names.tolist()))
    if len(graders) < 2:
        raise InputError(f"{path}, column {grader!r}: expected two or more graders, found one")
    nothing = Cell(Record(Path(), "", {}), grade)
    cells = [[nothing] * len(place) for _ in graders]
    cluster_of: dict[str, str] = {}
    for row, answer, name, own_cluster in zip(
        table.rows, answers.tolist(), names.tolist(), clusters.tolist(), strict=True
    ):
        of_grader = cells[graders.index(name)]
        if of_grader[place[answer]] is not nothing:
            raise InputError(f"{row.location}: {answer!r} is graded twice by {name!r}; keep one")
        if cluster_of.setdefault(answer, own_cluster) != own_cluster:
            raise InputError(
                f"{row.location}, column {cluster!r}: expected {cluster_of[answer]!r} as in an "
                f"earlier row of {answer!r}, found {own_cluster!r}"
            )
        of_grader[place[answer]] = Cell(row, grade)
    return _as_numbers(graders, cells, np.array([cluster_of[answer] for answer in place]))


def _as_numbers(
    graders: Sequence[str], cells: Sequence[Sequence[Cell]], clusters: Names
) -> GradeTable:
    graded = [cell for column in cells for cell in column if not cell.is_empty]
    numeric = [cell.number is not None for cell in graded]
    if not all(numeric) and any(numeric):
        # The fewer are the odd ones.
        odd = sum(numeric) * 2 < len(numeric)
        cell = next(c for c, is_number in zip(graded, numeric, strict=True) if is_number is odd)
        raise cell_error(cell.row, cell.column, WORDS if odd else NUMBERS)
    if graded and all(numeric):
        values = [[np.nan if c.is_empty else c.number or 0.0 for c in column] for column in cells]
    else:
        codes = {word: float(n) for n, word in enumerate(sorted({cell.word for cell in graded}))}
        values = [[np.nan if c.is_empty else codes[c.word] for c in column] for column in cells]
    grades = [np.array(column, dtype=np.float64) for column in values]
    distinct = set(np.concatenate(grades).tolist()) - {0.0, 1.0}
    are_scores = bool(graded) and all(numeric) and any(value == value for value in distinct)
    return GradeTable(graders, grades, clusters, are_scores)


@dataclass(frozen=True)
class PairAgreement:
    """How far two graders agree."""

    one: str
    other: str
    n: int
    """Answers that both graded."""
    results: dict[str, Result]


@dataclass(frozen=True)
class AgreementReport:
    """How far graders agree."""

    n: int
    n_clusters: int
    n_graded: dict[str, int]
    """By grader."""
    pairs: Sequence[PairAgreement]
    together: dict[str, Result]
    """Krippendorff's alpha of all graders."""
    are_scores: bool

    def flat(self) -> dict[str, object]:
        """The same as JSON: flat keys, and a list of the pairs."""
        pairs = [
            {"one": pair.one, "other": pair.other, "n": pair.n, **_numbers(pair.results)}
            for pair in self.pairs
        ]
        kind = "scores" if self.are_scores else "categories"
        head = {"n": self.n, "n_clusters": self.n_clusters, "grades": kind}
        return head | {"n_graded": self.n_graded, **_numbers(self.together), "pairs": pairs}


def agreement_report(table: GradeTable) -> AgreementReport:
    """Raw agreement, Cohen's kappa, for scores also weighted kappa and the rank correlation, of
    every two graders; Krippendorff's alpha of all."""
    columns = dict(zip(table.graders, table.grades, strict=True))
    pairs = [
        _pair(one, other, columns, table.clusters, table.are_scores)
        for one, other in combinations(table.graders, 2)
    ]
    together = {
        name: Result(krippendorff_alpha(table.grades, table.clusters, squared=squared))
        for name, squared in _kinds("krippendorff_alpha", table.are_scores)
    }
    n_graded = {name: int((~np.isnan(grades)).sum()) for name, grades in columns.items()}
    n_clusters = len(np.unique(table.clusters))
    return AgreementReport(
        len(table.clusters), n_clusters, n_graded, pairs, together, table.are_scores
    )


def _pair(
    one: str, other: str, columns: dict[str, Floats], clusters: Names, are_scores: bool
) -> PairAgreement:
    both = ~np.isnan(columns[one]) & ~np.isnan(columns[other])
    mine, theirs, items = columns[one][both], columns[other][both], clusters[both]
    if not both.any():
        return PairAgreement(one, other, 0, {})
    results = {"raw_agreement": Result(clustered_share(mine == theirs, items))}
    for name, squared in _kinds("cohen_kappa", are_scores):
        results[name] = Result(cohen_kappa(mine, theirs, items, squared=squared))
    if are_scores:
        results["rank_correlation"] = Result(clustered_rank_correlation(mine, theirs, items))
    return PairAgreement(one, other, len(mine), results)


def _kinds(name: str, are_scores: bool) -> Iterable[tuple[str, bool]]:
    """The coefficient of categories, and for scores that of squared differences."""
    return [(name, False), *([(f"{name}_squared", True)] if are_scores else [])]


def _numbers(results: dict[str, Result]) -> dict[str, object]:
    return {
        column: float(value) if np.isfinite(value) else None
        for name, result in results.items()
        for column, value in result.estimate.columns(name).items()
    }
