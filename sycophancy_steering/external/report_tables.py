"""Reports on scores and grades as text for a terminal."""

from __future__ import annotations

from collections.abc import Mapping

from sycophancy_steering.external.grade_table import AgreementReport
from sycophancy_steering.external.score_report import MOST_FOR_POWER, Result, ScoreReport
from sycophancy_steering.formatting.numbers import MISSING, Interval, interval_text, p_text
from sycophancy_steering.report.templates import TableData, markdown_table
from sycophancy_steering.statistics.estimates import Estimate

DECIMALS = 3
WORDS = {
    "raw_agreement": "same grade",
    "cohen_kappa": "Cohen's kappa",
    "cohen_kappa_squared": "kappa, squared weights",
    "rank_correlation": "Spearman's correlation",
    "krippendorff_alpha": "Krippendorff's alpha",
    "krippendorff_alpha_squared": "Krippendorff's alpha, interval",
}


def score_text(report: ScoreReport) -> str:
    """The numbers as a table, then what could have been found, then what is to be known."""
    lines = [f"{report.n} rows in {report.n_clusters} clusters.", "", _results(report.results)]
    if report.is_binary and report.n <= MOST_FOR_POWER:
        lines += ["", _smallest(report)]
    return "\n".join([*lines, *(f"Note: {note}." for note in report.notes)])


def _results(results: Mapping[str, Result]) -> str:
    header = ["", "value [95% interval, clustered]", "p", "beside it"]
    rows = [
        [
            name.replace("_", " "),
            estimate_text(result.estimate),
            MISSING if result.p is None else p_text(result.p),
            result.note,
        ]
        for name, result in results.items()
    ]
    return markdown_table(TableData(header, rows))


def _smallest(report: ScoreReport) -> str:
    if report.detectable_auroc is None:
        return "The smallest true AUROC that would be told from 0.5 in 80% of studies: none found."
    return (
        f"A true AUROC of {report.detectable_auroc:.2f} or more would be told from 0.5 in 80% of "
        "studies of these rows."
    )


def estimate_text(estimate: Estimate) -> str:
    """`0.831 [0.780, 0.872]`; a dash where it is undefined."""
    numbers = (float(estimate.value), float(estimate.low), float(estimate.high))
    return interval_text(Interval(*numbers), DECIMALS)


def agreement_text(report: AgreementReport) -> str:
    """A row for every two graders, then the coefficient of all, then who graded how much."""
    kind = "scores" if report.are_scores else "categories"
    lines = [f"{report.n} answers in {report.n_clusters} clusters; grades are {kind}.", ""]
    names = [*dict.fromkeys(name for pair in report.pairs for name in pair.results)]
    header = ["", "other", "n", *(WORDS.get(name, name.replace("_", " ")) for name in names)]
    rows = [
        [
            *(pair.one, pair.other, pair.n),
            *(
                estimate_text(pair.results[name].estimate) if name in pair.results else MISSING
                for name in names
            ),
        ]
        for pair in report.pairs
    ]
    lines += [markdown_table(TableData(header, rows)), ""]
    lines += [
        f"{WORDS[name]} of all: {estimate_text(result.estimate)}"
        for name, result in report.together.items()
    ]
    graded = ", ".join(f"{name} {count}" for name, count in report.n_graded.items())
    return "\n".join([*lines, f"Answers graded: {graded}."])
