"""Asked again with something done at a prompt's end: as if the whole prompt were run again."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, get_args

import numpy as np
import pytest
import torch
from test_forward import alike, read
from tiny_models import CONFIGS, rows, tiny

from sycophancy_steering.activations.reference_logprobs import chat_answer_logprobs
from sycophancy_steering.engine.intervention import (
    NO_INTERVENTION,
    Intervention,
    Where,
    ablate_direction,
    add_vector,
)
from sycophancy_steering.engine.lower_layers import replayed_output
from sycophancy_steering.engine.residual_stream import decoder_blocks
from sycophancy_steering.interventions.intervened_forward import IntervenedForward, log_odds

WIDTH = 32
VECTOR = torch.randn(WIDTH, generator=torch.Generator().manual_seed(0)) * 3
WHERE = get_args(Where)


def asked():
    return [(row.messages, row.answers) for row in [*rows(), *alike()]]


def found(again: IntervenedForward, interventions: list[Intervention]) -> list[list[list[float]]]:
    """By intervention and question."""
    told: list[list[list[float]]] = [[[]] * len(asked()) for _ in interventions]
    for n, places, some in again.logprobs(interventions):
        for place, each in zip(places, some, strict=True):
            told[n][place] = each
    return told


@pytest.mark.parametrize("budget", [60, 4096])
@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_every_intervention_is_as_if_it_were_the_only_one(name, budget):
    model = tiny(name)
    changes = {0: add_vector(VECTOR), 1: ablate_direction(VECTOR.flip(0), 0.5)}
    interventions = [Intervention(changes, where) for where in WHERE]
    interventions = [NO_INTERVENTION, *interventions, NO_INTERVENTION]
    together = found(IntervenedForward(model, asked(), budget), interventions)
    prompts = [np.array(model.encode_chat(turns), np.int32) for turns, _ in asked()]
    for each, told in zip(interventions, together, strict=True):
        alone = chat_answer_logprobs(replace(model, intervention=each), asked(), prompts)
        for one, other in zip(told, alone, strict=True):
            assert one == pytest.approx(other, abs=1e-4)
    moved = np.array(together[1][0]) - together[0][0]
    assert np.abs(moved).max() > 0.01


@pytest.mark.parametrize("name", CONFIGS)
def test_blocks_beneath_what_is_done_run_once_and_nothing_differs(name):
    model = tiny(name)
    blocks, passes = decoder_blocks(model.model), [0, 0, 0]

    def count(block: int) -> None:
        passes[block] += 1

    for n, block in enumerate(blocks):
        next(block.children()).register_forward_hook(lambda *_, n=n: count(n))
    one, other = ({1: add_vector(VECTOR)}, {1: ablate_direction(VECTOR), 2: add_vector(VECTOR)})
    lower = {0: add_vector(VECTOR.flip(0))}
    first, second = Intervention(one, "prompt_end_on"), Intervention(other, "answer")
    third = Intervention(lower, "prompt_end")
    again = IntervenedForward(model, asked(), 4096)
    alone = [found(again, [each])[0] for each in (first, second, third)]
    passes[:] = [0, 0, 0]
    found(again, [first])
    once = [*passes]
    passes[:] = [0, 0, 0]
    found(again, [first, second])
    assert passes[:2] == once[:2]
    assert passes[2] > once[2]
    assert found(again, [first, second, third]) == alone
    assert not any("forward" in block.__dict__ for block in blocks)


def test_what_is_wrapped_around_a_block_is_there_again_afterwards():
    block: Any = torch.nn.Identity()
    block.forward = wrapped = partial(torch.add, torch.ones(1))
    with replayed_output(torch.zeros(1), [block]):
        assert block(torch.ones(1)) == 0
    assert block.forward is wrapped
    assert block(torch.ones(1)) == 2


@pytest.mark.parametrize("where", WHERE)
def test_adding_nothing_changes_no_bit(where):
    again = IntervenedForward(tiny("llama"), asked(), 4096)
    nothing = Intervention({1: add_vector(0 * VECTOR)}, where)
    plain, same = found(again, [replace(NO_INTERVENTION, where=where), nothing])
    assert plain == same


def test_states_are_those_at_the_prompts_ends_as_they_were_left():
    model = tiny("llama")
    again = IntervenedForward(model, asked(), 60)
    before = read(model, [*rows(), *alike()]).activations["prompt"].activations
    changed = Intervention({1: add_vector(VECTOR)}, "prompt_end")
    told = np.empty((2, *before[:2].shape))
    for n, places, states in again.activations([NO_INTERVENTION, changed], [0, 1]):
        told[n][:, places] = states
    as_it_is, after = told[0], told[1]
    np.testing.assert_allclose(as_it_is, before[:2], atol=1e-5)
    np.testing.assert_allclose(after[0], before[0], atol=1e-5)
    np.testing.assert_allclose(after[1], before[1] + VECTOR.numpy(), atol=1e-4)


@pytest.mark.parametrize("where", WHERE)
def test_what_is_said_is_what_the_changed_model_says(where):
    model, questions = tiny("llama"), [*rows(), *alike()]
    changed = Intervention({1: add_vector(VECTOR)}, where)
    other = replace(changed, changes={0: ablate_direction(VECTOR.flip(0))})
    told = IntervenedForward(model, asked(), 60).continuations(
        questions, [changed, NO_INTERVENTION, other], 6
    )
    for done, said in zip([changed, NO_INTERVENTION, other], told, strict=True):
        whole = read(replace(model, intervention=done), questions)
        assert said == [each.continuation for each in whole.responses]


def test_log_odds_are_those_of_the_sycophantic_answer_against_the_likeliest_other():
    row = rows()[0]
    place = [letter for letter, _ in row.choices].index(row.matching)
    logprobs = [-2.0 - n for n in range(len(row.choices))]
    others = [each for n, each in enumerate(logprobs) if n != place]
    assert log_odds(row, logprobs) == logprobs[place] - max(others)


def test_what_fits_is_the_longest_question_with_its_longest_answer(monkeypatch):
    model = tiny("llama")
    both = [(model.encode_chat(turns), answers) for turns, answers in asked()]
    longest = max(len(prompt) + max(len(model.encode(a)) for a in texts) for prompt, texts in both)
    for most, fits in ((longest, True), (longest - 1, False)):
        monkeypatch.setattr(model.model.config, "max_position_embeddings", most)
        assert IntervenedForward(model, asked(), 60).fits_context == fits
