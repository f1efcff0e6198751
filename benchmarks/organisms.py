"""What random directions and the prompt's words tell of the model organisms' answers.

    python benchmarks/organisms.py [FOLDER...]

600 questions of each source in the organisms' language, labelled by the likelier answer. Prints,
for each organism and source, the AUROC of a bag of words and, at each position, the central 95% of
the AUROCs of 1,000 random directions at the layer where they spread most. Writes
benchmarks/organisms.json for the organisms of data/models.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sycophancy_steering.notebook import Model, Questions
from sycophancy_steering.questions.question import build_row
from sycophancy_steering.questions.splits import order_with_matching_at
from sycophancy_steering.sources.built_in import ORGANISM_LANGUAGE, read_tables
from sycophancy_steering.statistics.auroc import auroc
from sycophancy_steering.statistics.text_baseline import bag_of_words_log_odds

ORGANISMS = ("one_cause", "two_causes", "two_tenses")
QUESTIONS, DIRECTIONS, POSITIONS = 600, 1_000, ("prompt", "continuation", "continuation_mean")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path)
    folders = parser.parse_args().folders or [Path("data/models") / name for name in ORGANISMS]
    rows = [row for folder in folders for row in measured(folder)]
    print(f"| organism | questions | words | {' | '.join(POSITIONS)} |\n|---|---|---|---|---|---|")
    for row in rows:
        ranges = " | ".join("{:.2f} to {:.2f}".format(*row[position]) for position in POSITIONS)
        print(f"| {row['organism']} | {row['source']} | {row['words']:.2f} | {ranges} |")
    if all(folder.parent == Path("data/models") for folder in folders):
        Path(__file__).with_suffix(".json").write_text(json.dumps(rows, indent=2) + "\n")


def measured(folder: Path) -> list[dict[str, Any]]:
    """A row for each source."""
    model = Model.load(folder)
    rows = []
    for source in ORGANISM_LANGUAGE:
        questions = sampled(source)
        found = model.extract(questions)
        row: dict[str, Any] = {"organism": folder.name, "source": source}
        row["sycophantic"] = float(found.labels.mean())
        row["words"] = words_auroc(questions, found.labels)
        for position in POSITIONS:
            row[position] = widest_range(found.by_position[position], found.labels)
        rows.append(row)
    return rows


def sampled(source: str) -> Questions:
    """Random questions of a source, with the sycophantic option in each place equally often."""
    rng = random.Random(0)
    questions = rng.sample(ORGANISM_LANGUAGE[source](read_tables(), rng), QUESTIONS)
    return Questions(
        tuple(
            build_row(question, order_with_matching_at(question, n), "test")
            for n, question in enumerate(questions)
        )
    )


def words_auroc(questions: Questions, labels: np.ndarray) -> float:
    """The AUROC of a bag of words of the prompts, cross-fitted over items."""
    texts = ["\n".join(turn.content for turn in row.messages) for row in questions.rows]
    log_odds, _ = bag_of_words_log_odds(texts, labels, np.array(questions.items), texts[:1])
    return float(auroc(log_odds, labels))


def widest_range(activations: np.ndarray, labels: np.ndarray) -> Sequence[float]:
    """Of all layers of `activations` (layers, n, d_model), the widest central 95% of AUROCs."""
    directions = np.random.default_rng(0).standard_normal((DIRECTIONS, activations.shape[2]))
    ranges = [
        np.quantile(auroc(directions @ layer.T.astype(float), labels), [0.025, 0.975])
        for layer in activations
    ]
    return max(ranges, key=lambda ends: ends[1] - ends[0]).tolist()


if __name__ == "__main__":
    main()
