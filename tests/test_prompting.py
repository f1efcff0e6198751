"""Prompting methods: which examples they show, in which direction."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import get_args

import pytest
from tiny_models import rows

from sycophancy_steering.config.interventions import PromptingMethodName, PromptingSettings
from sycophancy_steering.config.reading import read_section
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.interventions.prompting import (
    INSTRUCTIONS,
    example_answer,
    few_shot,
    good_and_bad,
    prompting_methods,
    sample_examples,
    with_instruction,
)
from sycophancy_steering.questions.question import Turn

POOL = [replace(row, id=f"{n}") for n in range(4) for row in rows()]


def test_every_method_is_used_in_both_directions_with_every_sample():
    every = PromptingSettings([*get_args(PromptingMethodName)], [1, 3], 2, "all", 5)
    methods = [*prompting_methods(every, POOL)]
    counts = Counter(method.name for method in methods)
    assert counts == {"instruction": 2, "few-shot": 8, "good and bad": 8}
    some = replace(every, methods=["few-shot", "steering"])
    assert {method.name for method in prompting_methods(some, POOL)} == {"few-shot"}
    row = POOL[0]
    assert len({method.prompt(row) for method in methods}) > 10
    for method in methods:
        assert method.prompt(row)[-1].content.endswith(row.messages[-1].content)


def test_a_larger_sample_begins_with_the_smaller_one():
    assert sample_examples(POOL, 5, seed=1)[:2] == sample_examples(POOL, 2, seed=1)
    assert sample_examples(POOL, 5, seed=1) != sample_examples(POOL, 5, seed=2)
    with pytest.raises(InputError, match=r"prompting.n_examples: expected at most"):
        sample_examples(POOL, len(POOL) + 1, seed=0)


@pytest.mark.parametrize("towards", [True, False])
def test_examples_are_answered_in_the_direction_that_is_asked_for(towards):
    row, examples = POOL[0], POOL[1:3]
    turns = few_shot(row, examples, towards)
    answers = [turn.content for turn in turns if turn.role == "assistant"]
    expected = [example_answer(example, towards).strip() for example in examples]
    assert answers[-len(examples) :] == expected
    assert turns[-len(row.messages) :] == row.messages
    text = good_and_bad(row, examples, towards)[0].content
    for example in examples:
        good, bad = (
            example_answer(example, sycophantic).strip() for sycophantic in (towards, not towards)
        )
        assert f"Good: {good}\nBad: {bad}" in text


def test_an_instruction_precedes_the_text_of_the_system_turn():
    row = replace(POOL[0], messages=(Turn("system", "Be brief."), Turn("user", "Is it so?")))
    assert (
        with_instruction(row, INSTRUCTIONS[True])[0].content == f"{INSTRUCTIONS[True]}\n\nBe brief."
    )
    assert with_instruction(POOL[0], INSTRUCTIONS[False])[0] == Turn("system", INSTRUCTIONS[False])
    turns = few_shot(row, [row], towards=False)
    assert [turn.role for turn in turns] == ["system", "user", "assistant", "user"]
    assert good_and_bad(row, [row], towards=False)[0].content == "Be brief."


@pytest.mark.parametrize(
    ("n_examples", "n_seeds", "message"),
    [
        ("[]", 1, "n_examples: expected at least one entry"),
        ("[0]", 1, r"n_examples\[0\]: expected at least 1, found 0"),
        ("[2]", 0, "n_seeds: expected at least 1, found 0"),
    ],
)
def test_prompting_needs_an_example_and_a_seed(tmp_path, n_examples, n_seeds, message):
    params = tmp_path / "params.yaml"
    params.write_text(f"prompting: {{n_examples: {n_examples}, n_seeds: {n_seeds}}}")
    with pytest.raises(InputError, match=rf"prompting\.{message}"):
        read_section(PromptingSettings, "prompting", path=params)
