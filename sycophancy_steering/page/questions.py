"""The questions the model gave in to, with their projections."""

from __future__ import annotations

import polars as pl

from sycophancy_steering.formatting.numbers import share_text
from sycophancy_steering.page.charts import strips
from sycophancy_steering.page.colours import coloured
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
LONGEST_TOOLTIP, LONGEST_WANTED = 220, 60
"""Characters of a question, and of what the user wants to hear, on hovering."""


def questions(study: Study) -> Section | None:
    """Every answer on `test`: whether the model gave in, and where the vector puts it before."""
    suite, families = study.suite, study.families[:MOST_FAMILIES]
    answers = _answers(study, families)
    if answers.is_empty():
        return None
    n, n_gave_in = len(answers), int(answers["label"].sum())
    return Section(
        f"It gave in to {n_gave_in} of {n} test questions ({share_text(n_gave_in / n)}); if the "
        "vector knew, these would lie to the right of the others.",
        [
            str(SCORES.path(model=study.model, prompt_set=suite.headline_set)),
            str(LABELS.path(model=study.model, prompt_set=suite.evaluation_set)),
            str(PROMPTS / f"{suite.evaluation_set}.parquet"),
        ],
        Figure(
            f"Projection on {suite.headline} at layer {study.layer}, before the answer",
            "A tick a question of the test split, in the model's own units. Hover for the "
            "question; the vector predicts where the two rows stand apart.",
            strips(
                {"title": "projection on the unit vector"},
                "series",
                coloured([GAVE_IN, DID_NOT]),
                plain(families),
            ),
            answers.select(
                pl.Series("panel", plain(answers["family"])),
                series="answer",
                value="projection",
                words=pl.Series([shortened(text, LONGEST_TOOLTIP) for text in answers["text"]]),
                wanted=pl.Series([shortened(text, LONGEST_WANTED) for text in answers["wanted"]]),
            ),
        ),
        [] if study.is_control else [_table(answers)],
    )


def _answers(study: Study, families: list[str]) -> pl.DataFrame:
    """The answers on `test` with their projections and texts, the highest projections first."""
    suite = study.suite
    scores = (
        SCORES.scan(model=study.model, prompt_set=suite.headline_set)
        .filter(
            pl.col("vector") == suite.headline_variant,
            pl.col("position") == "prompt",
            pl.col("split") == "test",
            pl.col("family").is_in(families),
        )
        .collect()
    )
    labels = LABELS.read(
        ["id", "log_odds", "shift"], model=study.model, prompt_set=suite.evaluation_set
    )
    texts = [
        (row.id, row.messages[-1].content, dict(row.choices).get(row.matching or "", ""))
        for row in iter_prompts(PROMPTS / f"{suite.evaluation_set}.parquet")
    ]
    schema = {"id": pl.String, "text": pl.String, "wanted": pl.String}
    return (
        scores.join(labels, on="id", how="left", maintain_order="left")
        .join(pl.DataFrame(texts, schema, orient="row"), on="id", maintain_order="left")
        .with_columns(
            answer=pl.when(pl.col("label") == 1).then(pl.lit(GAVE_IN)).otherwise(pl.lit(DID_NOT))
        )
        .sort(
            pl.col("family").cast(pl.Enum(families)),
            "projection",
            "id",
            descending=[False, True, False],
        )
    )


def _table(answers: pl.DataFrame) -> FoldedTable:
    rows = [
        [
            *(row["family"], Quotation(shortened(row["text"], LONGEST))),
            *(Quotation(row["wanted"]), row["answer"]),
            *(row["projection"], row["log_odds"], row["shift"]),
        ]
        for row in answers.iter_rows(named=True)
    ]
    header = ["kind", "question (last turn)", "the user wants", "answer", "projection"]
    return FoldedTable(
        f"All {len(answers)} questions, highest projection first",
        TableData([*header, "log-odds", "shift"], rows),
    )


def shortened(text: str, longest: int) -> str:
    """At most `longest` characters, and how many there were."""
    return text if len(text) <= longest else f"{text[:longest]} … ({len(text)} characters)"
