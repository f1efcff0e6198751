"""Labels a model's answers to a prompt set by every source, and tabulates the labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from sycophancy_steering.foundation.atomic_files import TableWriter, atomic_write
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.labels.behaviour import behaviour_table
from sycophancy_steering.labels.confounds import confound_table, label_rates
from sycophancy_steering.labels.counterfactuals import counterfactual_columns
from sycophancy_steering.labels.gradable_answers import iter_answers
from sycophancy_steering.labels.grades import (
    JUDGE_PREFIX,
    Grader,
    grade_id,
    grader_agreement,
    grader_table,
    majority_labels,
    read_graders,
)
from sycophancy_steering.labels.label_sources import (
    GRADED_SOURCES,
    answered_letter,
    judge_error,
    margin,
    source_agreement,
)
from sycophancy_steering.questions.answer_labels import LABEL_SOURCES, AnswerRow, counts
from sycophancy_steering.schemas.labels import (
    BEHAVIOUR,
    CONFOUNDS,
    DISAGREEMENTS,
    GRADER_AGREEMENT,
    GRADERS,
    LABEL_RATES,
    LABELS,
    PROMPT_COLUMNS,
    SOURCE_AGREEMENT,
    SOURCE_COLUMNS,
)
from sycophancy_steering.storage.label_files import grader_error_metadata


@dataclass(frozen=True)
class LabelSummary:
    """The headline numbers of the labels of a prompt set."""

    rates: pl.DataFrame
    """A row a family, as the table LABEL_RATES."""
    n_disagreements: int
    """Answers that two sources label differently."""


def label_responses(model: str, prompt_set: str, source: str, required: bool) -> LabelSummary:
    """Labels a model's answers to a prompt set; writes the labels and the tables about them.

    The `label` is that of `source`. Raises InputError for missing responses, bad grades and, if
    `required`, where `source` labels no answer.
    """
    names = {"model": model, "prompt_set": prompt_set}
    graders = read_graders(model, prompt_set, _all_grade_ids(model, prompt_set))
    labels_path, disagreements_path = LABELS.path(**names), Path(DISAGREEMENTS.format(**names))
    with atomic_write(labels_path) as draft, atomic_write(disagreements_path) as disagreements:
        sources = _write_labels(draft, names, graders, source)
        # Sets from which only vectors are made need no labels.
        if required and source not in sources:
            raise InputError(
                f"params.yaml: suite: label_source: {source!r} labels no answer of {model} to "
                f"{prompt_set}; expected one of {', '.join(sources) or 'none'}"
            )
        labels = pl.read_parquet(draft)
        if required and not labels["counts"].any():
            raise InputError(
                f"{model} on {prompt_set}: no answer counts: counts_if is initially_correct, but "
                f"the model was right before the pressure in none of {len(labels)} questions"
                f"{_words_on_own_answers(model, prompt_set)}; ask easier ones, or shorter ones "
                "with form: mention"
            )
        by_source = labels.select("id", "family", *sources)
        n_disagreements = _write_disagreements(disagreements, by_source, model, prompt_set)
    rates = label_rates(labels)
    LABEL_RATES.write(rates, **names)
    BEHAVIOUR.write(behaviour_table(labels), **names)
    CONFOUNDS.write(confound_table(labels), **names)
    SOURCE_AGREEMENT.write(source_agreement(labels, sources), **names)
    GRADERS.write(grader_table(graders, len(labels)), **names)
    GRADER_AGREEMENT.write(grader_agreement(graders), **names)
    return LabelSummary(rates, n_disagreements)


def _write_labels(
    path: Path, names: dict[str, str], graders: Sequence[Grader], source: str
) -> list[str]:
    """Writes the labels to `path`; the sources that label some answer."""
    parts = []
    with TableWriter(path) as writer:
        for answers in iter_answers(**names):
            labels = LABELS.checked(label_answers(answers, graders, source), path)
            writer.write(labels)
            parts.append(labels.select(*SOURCE_COLUMNS))
        by_source = pl.concat(parts)
        error = judge_error(by_source["judge"], by_source["hand"]) if source == "judge" else None
        writer.add_metadata(grader_error_metadata(error))
    known = (*LABEL_SOURCES, *GRADED_SOURCES)
    return [name for name in known if by_source[name].null_count() < len(by_source)]


def label_answers(answers: pl.DataFrame, graders: Sequence[Grader], source: str) -> pl.DataFrame:
    """The rows of LABELS for prompts joined with their responses."""
    rows, ids = answers.to_dicts(), _grade_ids(answers)
    by_hand = [grader for grader in graders if not grader.name.startswith(JUDGE_PREFIX)]
    judges = [grader for grader in graders if grader.name.startswith(JUDGE_PREFIX)]
    labels = {name: [label(row) for row in rows] for name, label in LABEL_SOURCES.items()}
    labels |= {"hand": majority_labels(by_hand, ids), "judge": majority_labels(judges, ids)}
    letters = [answered_letter(row, source) for row in rows]
    sources = [source_of_label(row, source) for row in rows]
    return answers.select(*PROMPT_COLUMNS, "prompt_tokens").with_columns(
        pl.Series("answered_letter", letters, dtype=pl.String),
        pl.Series("margin", [margin(row) for row in rows], dtype=pl.Float64),
        *counterfactual_columns(rows),
        *(pl.Series(name, values, dtype=pl.Int8) for name, values in labels.items()),
        pl.Series(
            "label",
            [
                labels[chosen][n] if counts(row) else None
                for n, (row, chosen) in enumerate(zip(rows, sources, strict=True))
            ],
            dtype=pl.Int8,
        ),
        pl.Series("label_source", sources, dtype=pl.String),
    )


def source_of_label(row: AnswerRow, source: str) -> str:
    """The source of a row's label where the suite's is `source`.

    A chat without options has no answer that another source than grades could label; one held under
    a description is labelled by that, whatever its grade.
    """
    graded = row["cause"] is None and source in GRADED_SOURCES
    return source if row["choices"] or graded else "description"


def _words_on_own_answers(model: str, prompt_set: str) -> str:
    """Words on the model's own turns that name none of the options; none where all do."""
    names_none = pl.col("own_answer").is_not_null() & pl.col("own_answer_letter").is_null()
    count = sum(len(answers.filter(names_none)) for answers in iter_answers(model, prompt_set))
    return f" (in {count}, its own first turn names no option, or several)" if count else ""


def _write_disagreements(path: Path, labels: pl.DataFrame, model: str, prompt_set: str) -> int:
    """Writes the answers that two sources label differently, with their texts; how many."""
    sources, start, count = labels.columns[2:], 0, 0
    # Forced answers alone are labelled by no source.
    n_labels = pl.concat_list(sources).list.drop_nulls().list.n_unique() if sources else pl.lit(0)
    with path.open("wb") as file:
        for answers in iter_answers(model, prompt_set):
            texts = answers.select(
                pl.col("messages").list.last().struct["content"].alias("question"),
                pl.col("continuation").alias("answer"),
            )
            rows = pl.concat([labels[start : start + len(texts)], texts], how="horizontal")
            differing = rows.filter(n_labels > 1)
            differing.write_csv(file, include_header=start == 0)
            start, count = start + len(texts), count + len(differing)
    return count


def _all_grade_ids(model: str, prompt_set: str) -> Iterator[str]:
    """Grade ids of all answers; reads nothing before the first is requested."""
    for answers in iter_answers(model, prompt_set):
        yield from _grade_ids(answers)


def _grade_ids(answers: pl.DataFrame) -> list[str]:
    return [grade_id(*row) for row in answers.select("id", "continuation").iter_rows()]
