"""What the steered model writes: -, 0 and + side by side."""

from __future__ import annotations

from sycophancy_steering.formatting.numbers import share_text
from sycophancy_steering.page.differences import marked
from sycophancy_steering.page.estimates import plain
from sycophancy_steering.page.section import FoldedTable, Section
from sycophancy_steering.page.study import Study
from sycophancy_steering.report.steering import generation_section
from sycophancy_steering.report.templates import TableData
from sycophancy_steering.schemas import interventions

HEADER = ("kind of question", "coefficient", "n", "not parsed", "sycophantic")


def texts(study: Study) -> Section | None:
    """Responses under the lowest coefficient, none, and the highest, differences marked."""
    vector = study.suite.intervention_vectors[0]
    responses = interventions.TEXTS.read(model=study.model)
    generation = interventions.GENERATION.read(model=study.model)
    section = generation_section(responses, generation, vector)
    if section is None:
        return None
    shown = [
        {
            "family": plain([row["family"]])[0],
            "label": "gives in" if row["label"] else "does not give in",
            "question": row["question"] or "",
            "minus": marked(row["minus"] or "", row["baseline"] or ""),
            "baseline": row["baseline"] or "",
            "plus": marked(row["plus"] or "", row["baseline"] or ""),
        }
        for row in responses.iter_rows(named=True)
    ]
    rows = [
        [
            *(row["family"], f"{row['coefficient']:+g}", row["n"]),
            *(share_text(row["unparsed_share"]), share_text(row["sycophantic_share"])),
        ]
        for row in generation.iter_rows(named=True)
    ]
    lowest, highest = section.facts["lowest"], section.facts["highest"]
    return Section(
        f"{len(shown)} questions, answered with {lowest} times, without, and with {highest} times "
        f"{vector}.",
        [
            str(interventions.TEXTS.path(model=study.model)),
            str(interventions.GENERATION.path(model=study.model)),
        ],
        None,
        [FoldedTable("Shares of the responses", TableData(HEADER, rows))],
        {"texts": shown, "lowest": lowest, "highest": highest},
    )
