"""Says how well a score tells labels apart, in a table from anywhere.

    python stages/score.py scores.csv --label sycophantic --score projection --cluster topic

Reads a CSV, Parquet or JSON lines file, a row an answer: `label` is 1 or 0 (or a number, of which
the rank correlation is computed alone), `score` any number. Prints the study's own statistics:
AUROC, average precision, rank correlation and, with a stratum, the AUROC among answers of one
stratum; each with its 95% interval, clustered, and a p-value by sign flips of whole clusters; and
the smallest AUROC that so many answers could have shown. Writes nothing, or FILE with --json.
"""

from __future__ import annotations

from pathlib import Path

from sycophancy_steering.external.cell_table import read_cell_table
from sycophancy_steering.external.options import whole_number, write_numbers
from sycophancy_steering.external.report_tables import score_text
from sycophancy_steering.external.score_report import score_report
from sycophancy_steering.foundation.command_line import command


@command(
    __doc__,
    table="a table, .csv, .parquet or .jsonl",
    label="its column of labels",
    score="its column of scores",
    cluster="its column of what answers are about: those of one cluster may correlate",
    stratum="its column within which answers are compared",
    seed="of the permutations; 0 if left out",
    json="a file to write the numbers to",
)
def main(
    table: str,
    *,
    label: str,
    score: str,
    cluster: str,
    stratum: str = "",
    seed: str = "0",
    json: str = "",
) -> None:
    columns = [label, score, cluster, *([stratum] if stratum else [])]
    cells = read_cell_table(Path(table), columns)
    report = score_report(
        cells.numbers(score),
        cells.numbers(label),
        cells.names(cluster),
        cells.names(stratum) if stratum else None,
        whole_number(seed, "--seed"),
    )
    print(score_text(report))
    write_numbers(json, report.flat())


if __name__ == "__main__":
    main()
