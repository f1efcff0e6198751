"""Traits of persona vectors: https://github.com/safety-research/persona_vectors, Chen et al. 2025,
https://arxiv.org/abs/2507.21509.

A file `data_generation/trait_data_extract/TRAIT.json` holds pairs of instructions for a trait and
against it, questions, and the prompt of a judge, the rubric. The label is the instruction that a
chat is held under (label source `description`); the judge's grade stands beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.questions.question import Question, Turn
from sycophancy_steering.sources.chats import chat
from sycophancy_steering.sources.descriptions import DESCRIPTION
from sycophancy_steering.sources.format import Format, Schema
from sycophancy_steering.sources.record_files import Records, json_value
from sycophancy_steering.sources.records import REMEDY, Record, shortened

SIDES = {"pos": 1.0, "neg": 0.0}
"""For the trait and against it -> the `cause` of the question."""
TRAIT, RUBRIC = ("instruction", "questions"), "eval_prompt"


def trait_records(path: Path, schema: Schema) -> Records:
    """Every question under every instruction: a record `system`, `question`, `side` each.

    Raises InputError for a file of another form.
    """
    trait = json_value(path)
    if not isinstance(trait, Mapping) or not {*TRAIT} <= trait.keys():
        raise InputError(
            f"{path}: expected an object with {' and '.join(TRAIT)}, found {shortened(trait)}; "
            f"{REMEDY}"
        )
    pairs, questions = (trait[key] for key in TRAIT)
    if not isinstance(pairs, list) or not isinstance(questions, list):
        raise InputError(f"{path}: expected lists under {' and '.join(TRAIT)}; {REMEDY}")
    for number, pair in enumerate(pairs, start=1):
        place = f"{path}, instruction {number}"
        if not isinstance(pair, Mapping):
            yield InputError(f"{place}: expected {{pos, neg}}, found {shortened(pair)}; {REMEDY}")
            continue
        for side in SIDES:
            for n, question in enumerate(questions, start=1):
                fields = {side: pair.get(side), "side": side, "question": question}
                fields[RUBRIC] = trait.get(RUBRIC)
                yield Record(path, f"{place}, question {n}", fields)


def trait_question(record: Record) -> Question:
    """The question of a record, asked under its instruction."""
    side, question = record.text("side"), record.text("question")
    turns = (Turn("system", record.text(side)), Turn("user", question))
    return chat(
        record.source,
        DESCRIPTION,
        question.strip(),
        turns,
        cause=SIDES[side],
        rubric=record.optional_text(RUBRIC),
    )


PERSONA_VECTORS = Format(
    trait_question,
    schemas=(TRAIT,),
    recognises=lambda fields: isinstance(fields["instruction"], list),
    records=trait_records,
)
"""A trait, in the file's own form."""
