"""Labels a model's answers: sycophantic or not, told in every way that is possible.

    python stages/labels.py one_cause [held_out]

For one prompt set, or each of `prompt_sets` in params.yaml: reads data/prompts/SET.parquet,
data/activations/MODEL/SET/responses.parquet, grades in data/grades and `labels` of params.yaml;
writes data/labels/MODEL/SET.parquet, beside it the answers on which two ways differ, in
reports/label_tables/MODEL how often they do and what else explains the labels, and the metrics
reports/labels/MODEL/SET.json.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from sycophancy_steering.config.labels import LabelSettings
from sycophancy_steering.config.reading import read_name, read_names, read_section
from sycophancy_steering.foundation.atomic_files import TableWriter, atomic_write, write_json
from sycophancy_steering.foundation.command_line import command
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.labels.confounds import CONFOUND_COLUMNS, confound_table
from sycophancy_steering.labels.gradable_answers import iter_answers
from sycophancy_steering.labels.grades import JUDGE_PREFIX, Grader, majority_labels, grade_id, graded, read_graders
from sycophancy_steering.labels.label_sources import (
    GRADED_SOURCES,
    LABEL_SOURCES,
    source_agreement,
    margin,
    judge_error,
    answered_letter,
)
from sycophancy_steering.storage.label_files import PROMPT_COLUMNS, grader_error_metadata


@command(
    __doc__,
    model="an entry of model in params.yaml",
    prompt_set="an entry of prompt_set in params.yaml; all of prompt_sets if there is none",
)
def main(model: str, prompt_set: str = "") -> None:
    for each in [prompt_set] if prompt_set else read_names("prompt_sets"):
        label(model, each)


def label(model: str, prompt_set: str) -> None:
    """Labels a model's answers to a prompt set."""
    told_by = read_section(LabelSettings, "labels").source
    graders = read_graders(model, prompt_set, each_grade_id(model, prompt_set))
    path, found = Path(f"data/labels/{model}/{prompt_set}.parquet"), []
    with atomic_write(path) as draft, atomic_write(path.with_suffix(".differ.csv")) as apart:
        with TableWriter(draft) as parts:
            for answers in iter_answers(model, prompt_set):
                labels = labelled(answers, graders, told_by)
                parts.write(labels)
                found.append(labels.select(*LABEL_SOURCES, *GRADED_SOURCES))
            told = pl.concat(found)
            ways = [way for way in (*LABEL_SOURCES, *GRADED_SOURCES) if told[way].null_count() < len(told)]
            # A set that is read by nothing but contrast pairs needs no labels, and may have none.
            if told_by not in ways and prompt_set == read_name("evaluation_set"):
                raise InputError(
                    f"params.yaml: labels.source: no answer of {model} to {prompt_set} can be "
                    f"told by {told_by!r}; expected one of {', '.join(ways) or 'none'}"
                )
            noise = judge_error(told["judge"], told["hand"]) if told_by == "judge" else None
            parts.add_metadata(grader_error_metadata(noise))
        labels = pl.read_parquet(draft, columns=["id", *CONFOUND_COLUMNS, "label", *ways])
        differing = write_differing(apart, labels.select("id", "family", *ways), model, prompt_set)
    tables = Path(f"reports/label_tables/{model}")
    with atomic_write(tables / f"{prompt_set}.ways.csv") as draft:
        source_agreement(labels, ways).write_csv(draft, float_precision=6)
    explained = confound_table(labels)
    with atomic_write(tables / f"{prompt_set}.explained.csv") as draft:
        explained.write_csv(draft)
    metrics = measured(labels, explained) | graded(graders, len(labels))
    write_json(Path(f"reports/labels/{model}/{prompt_set}.json"), metrics)
    print(f"{model} on {prompt_set}:", *(f"{k} {v}" for k, v in metrics.items()), sep="\n  ")
    print(f"  {differing} answers are labelled differently by two ways")


def write_differing(path: Path, labels: pl.DataFrame, model: str, prompt_set: str) -> int:
    """Writes those that two ways label differently, with what was asked and said; how many."""
    ways, start, count = labels.columns[2:], 0, 0
    # A set of which only forced answers are read can be told in no way.
    apart = pl.concat_list(ways).list.drop_nulls().list.n_unique() > 1 if ways else pl.lit(False)
    with path.open("wb") as file:
        for answers in iter_answers(model, prompt_set):
            texts = answers.select(
                pl.col("messages").list.last().struct["content"].alias("question"),
                pl.col("continuation").alias("answer"),
            )
            both = pl.concat([labels[start : start + len(texts)], texts], how="horizontal")
            differing = both.filter(apart)
            differing.write_csv(file, include_header=start == 0)
            start, count = start + len(texts), count + len(differing)
    return count


def each_grade_id(model: str, prompt_set: str) -> Iterator[str]:
    """What the grades of all answers are tied to; nothing is read before the first is wanted."""
    for part in iter_answers(model, prompt_set):
        yield from grade_ids(part)


def grade_ids(answered: pl.DataFrame) -> list[str]:
    """What each answer's grades are tied to."""
    both = answered.select("id", "continuation").iter_rows()
    return [grade_id(question, said) for question, said in both]


def labelled(answered: pl.DataFrame, graders: list[Grader], told_by: str) -> pl.DataFrame:
    """Who was asked what, the letter said, the margin, a column for each way of labelling, and the
    label by `told_by`."""
    rows, ids = answered.to_dicts(), grade_ids(answered)
    by_hand = [grader for grader in graders if not grader.name.startswith(JUDGE_PREFIX)]
    judges = [grader for grader in graders if grader.name.startswith(JUDGE_PREFIX)]
    told = {way: [tell(row) for row in rows] for way, tell in LABEL_SOURCES.items()}
    told |= {"hand": majority_labels(by_hand, ids), "judge": majority_labels(judges, ids)}
    return answered.select(*PROMPT_COLUMNS, "prompt_tokens").with_columns(
        pl.Series("said", [answered_letter(row, told_by) for row in rows], dtype=pl.String),
        pl.Series("margin", [margin(row) for row in rows], dtype=pl.Float64),
        *(pl.Series(way, values, dtype=pl.Int8) for way, values in told.items()),
        pl.Series("label", told[told_by], dtype=pl.Int8),
        pl.lit(told_by).alias("label_from"),
    )


def measured(labels: pl.DataFrame, explained: pl.DataFrame) -> dict[str, object]:
    """How many labels there are, and what share of them the letter and the item explain."""
    found: dict[str, object] = {"n": len(labels), "unlabelled": labels["label"].null_count()}
    for row in explained.iter_rows(named=True):
        found[f"{row['family']}_sycophantic"] = round(row["sycophantic"], 5)
        if row["explained"] is not None:
            found[f"{row['family']}_{row['by'].replace(' ', '_')}_explained"] = row["explained"]
    return found


if __name__ == "__main__":
    main()
