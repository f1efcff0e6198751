"""The questions the model gave in to, with their projections."""

from __future__ import annotations

import polars as pl

from sycophancy_steering.formatting.numbers import share_text
from sycophancy_steering.page.charts import strips
from sycophancy_steering.page.estimates import plain
from sycophancy_steering.page.prediction import MOST_FAMILIES
from sycophancy_steering.page.section import Figure, FoldedTable, Section
from sycophancy_steering.page.study import Study
from sycophancy_steering.questions.prompt_table import iter_prompts
from sycophancy_steering.report.templates import Quotation, TableData
from sycophancy_steering.schemas.labels import LABELS
from sycophancy_steering.schemas.paths import PROMPTS
from sycophancy_steering.schemas.predictivity import SCORES

GAVE_IN, DID_NOT = "gave in", "did not"
LONGEST = 2000
"""Characters of a question in the table; the rest is in data/prompts."""
LONGEST_TOOLTIP = 220


def questions(study: Study) -> Section | None:
    """Every answer on `test`: whether the model gave in, and where the vector puts it before."""
    suite = study.suite
    scores = (
        SCORES.scan(model=study.model, prompt_set=suite.headline_set)
        .filter(
            pl.col("vector") == suite.headline_variant,
            pl.col("position") == "prompt",
            pl.col("split") == "test",
            pl.col("family").is_in(study.families[:MOST_FAMILIES]),
        )
        .collect()
    )
    if scores.is_empty():
        return None
    names = {"model": study.model, "prompt_set": suite.evaluation_set}
    labels = LABELS.read(["id", "log_odds", "shift"], **names)
    path = PROMPTS / f"{suite.evaluation_set}.parquet"
    texts = {
        row.id: (row.messages[-1].content, dict(row.choices).get(row.matching or "", ""))
        for row in iter_prompts(path)
    }
    answers = scores.join(labels, on="id", how="left", maintain_order="left").sort(
        pl.col("family").cast(pl.Enum(study.families)), "projection", descending=[False, True]
    )
    data = answers.select(
        pl.Series("panel", plain(answers["family"])),
        series=pl.when(pl.col("label") == 1).then(pl.lit(GAVE_IN)).otherwise(pl.lit(DID_NOT)),
        value="projection",
        words=pl.col("id").map_elements(
            lambda name: shortened(texts[name][0], LONGEST_TOOLTIP), pl.String
        ),
        answer=pl.col("id").map_elements(
            lambda name: f"the user wants: {shortened(texts[name][1], 60)}", pl.String
        ),
    )
    rows = [
        [
            *(row["family"], Quotation(shortened(texts[row["id"]][0], LONGEST))),
            Quotation(texts[row["id"]][1]),
            *(GAVE_IN if row["label"] else DID_NOT, row["projection"], row["log_odds"], row["shift"]),
        ]
        for row in answers.iter_rows(named=True)
    ]
    header = ["kind", "question (last turn)", "the user wants", "answer", "projection"]
    table = TableData([*header, "log-odds", "shift"], rows)
    n, n_gave_in = len(answers), int(answers["label"].sum())
    return Section(
        f"It gave in to {n_gave_in} of {n} test questions ({share_text(n_gave_in / n)}); if the "
        "vector knew, these would lie to the right of the others.",
        [
            str(SCORES.path(model=study.model, prompt_set=suite.headline_set)),
            str(LABELS.path(**names)),
            str(path),
        ],
        Figure(
            f"Projection on {suite.headline} at layer {study.layer}, before the answer",
            "A tick a question of the test split, in the model's own units. Hover for the "
            "question; the vector predicts where the two rows stand apart.",
            strips(
                {"title": "projection on the unit vector"},
                "series",
                [GAVE_IN, DID_NOT],
                plain(study.families[:MOST_FAMILIES]),
            ),
            data,
        ),
        [] if study.is_control else [FoldedTable(f"All {n} questions, highest projection first", table)],
    )


def shortened(text: str, longest: int) -> str:
    """At most `longest` characters, and how many there were."""
    return text if len(text) <= longest else f"{text[:longest]} … ({len(text)} characters)"
