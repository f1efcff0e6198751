"""Forward passes under many interventions: as if each prompt were run anew under each."""

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
from sycophancy_steering.engine.workers import LocalWorkers
from sycophancy_steering.interventions.intervened_forward import IntervenedForward, log_odds

WIDTH = 32
VECTOR = torch.randn(WIDTH, generator=torch.Generator().manual_seed(0)) * 3
WHERE = get_args(Where)


def chats():
    return [(row.messages, row.answers) for row in [*rows(), *alike()]]


def logprobs_of(
    forward: IntervenedForward, interventions: list[Intervention]
) -> list[list[list[float]]]:
    """By intervention and chat."""
    result: list[list[list[float]]] = [[[]] * len(chats()) for _ in interventions]
    for number, indices, logprobs in forward.logprobs(interventions):
        for index, of_chat in zip(indices, logprobs, strict=True):
            result[number][index] = of_chat
    return result


@pytest.mark.parametrize("budget", [60, 4096])
@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_every_intervention_is_as_if_it_were_the_only_one(name, budget):
    model = tiny(name)
    changes = {0: add_vector(VECTOR), 1: ablate_direction(VECTOR.flip(0), 0.5)}
    interventions = [Intervention(changes, where) for where in WHERE]
    interventions = [NO_INTERVENTION, *interventions, NO_INTERVENTION]
    together = logprobs_of(IntervenedForward(LocalWorkers(model, budget), chats()), interventions)
    prompts = [np.array(model.encode_chat(turns), np.int32) for turns, _ in chats()]
    for intervention, logprobs in zip(interventions, together, strict=True):
        alone = chat_answer_logprobs(replace(model, intervention=intervention), chats(), prompts)
        for one, other in zip(logprobs, alone, strict=True):
            assert one == pytest.approx(other, abs=1e-4)
    shifts = np.array(together[1][0]) - together[0][0]
    assert np.abs(shifts).max() > 0.01


def count_passes(blocks) -> list[int]:
    """How often each block has run; kept up to date."""
    passes = [0] * len(blocks)

    def count(block: int) -> None:
        passes[block] += 1

    for n, block in enumerate(blocks):
        next(block.children()).register_forward_hook(lambda *_, n=n: count(n))
    return passes


@pytest.mark.parametrize("name", CONFIGS)
def test_blocks_below_the_lowest_change_run_once_and_no_result_differs(name):
    model = tiny(name)
    blocks = decoder_blocks(model.model)
    passes = count_passes(blocks)
    one, other = ({1: add_vector(VECTOR)}, {1: ablate_direction(VECTOR), 2: add_vector(VECTOR)})
    lower = {0: add_vector(VECTOR.flip(0))}
    first, second = Intervention(one, "prompt_end_on"), Intervention(other, "answer")
    third = Intervention(lower, "prompt_end")
    forward = IntervenedForward(LocalWorkers(model, 4096), chats())
    alone = [logprobs_of(forward, [one_of_three])[0] for one_of_three in (first, second, third)]
    passes[:] = [0, 0, 0]
    logprobs_of(forward, [first])
    once = [*passes]
    passes[:] = [0, 0, 0]
    logprobs_of(forward, [first, second])
    assert passes[:2] == once[:2]
    assert passes[2] > once[2]
    assert logprobs_of(forward, [first, second, third]) == alone
    assert not any("forward" in block.__dict__ for block in blocks)


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_below_a_change_at_every_token_prompts_run_once(name):
    model = tiny(name)
    passes = count_passes(decoder_blocks(model.model))
    every = [
        Intervention({1: add_vector(VECTOR)}, "every"),
        Intervention({1: ablate_direction(VECTOR)}, "every"),
        Intervention({0: add_vector(VECTOR)}, "every"),
        Intervention({1: add_vector(VECTOR)}, "prompt_end_on"),
    ]
    forward = IntervenedForward(LocalWorkers(model, 60), chats())
    alone = [logprobs_of(forward, [one])[0] for one in every]
    passes[:] = [0, 0, 0]
    logprobs_of(forward, every[:1])
    once = [*passes]
    passes[:] = [0, 0, 0]
    assert logprobs_of(forward, every[:2]) == alone[:2]
    assert passes[:2] == once[:2]
    assert passes[2] == 2 * once[2]
    assert logprobs_of(forward, every) == alone


def test_a_wrapped_forward_of_a_block_is_restored():
    block: Any = torch.nn.Identity()
    block.forward = wrapped = partial(torch.add, torch.ones(1))
    with replayed_output(torch.zeros(1), [block]):
        assert block(torch.ones(1)) == 0
    assert block.forward is wrapped
    assert block(torch.ones(1)) == 2


@pytest.mark.parametrize("where", WHERE)
def test_adding_nothing_changes_no_bit(where):
    forward = IntervenedForward(LocalWorkers(tiny("llama"), 4096), chats())
    nothing = Intervention({1: add_vector(0 * VECTOR)}, where)
    plain, same = logprobs_of(forward, [replace(NO_INTERVENTION, where=where), nothing])
    assert plain == same


def test_activations_are_those_at_the_last_tokens_after_the_intervention():
    model = tiny("llama")
    forward = IntervenedForward(LocalWorkers(model, 60), chats())
    before = read(model, [*rows(), *alike()]).activations["prompt"].activations
    changed = Intervention({1: add_vector(VECTOR)}, "prompt_end")
    result = np.empty((2, *before[:2].shape))
    for number, indices, activations in forward.activations([NO_INTERVENTION, changed], [0, 1]):
        result[number][:, indices] = activations
    unchanged, after = result[0], result[1]
    np.testing.assert_allclose(unchanged, before[:2], atol=1e-5)
    np.testing.assert_allclose(after[0], before[0], atol=1e-5)
    np.testing.assert_allclose(after[1], before[1] + VECTOR.numpy(), atol=1e-4)


@pytest.mark.parametrize("where", WHERE)
def test_continuations_are_those_of_the_changed_model(where):
    model, questions = tiny("llama"), [*rows(), *alike()]
    changed = Intervention({1: add_vector(VECTOR)}, where)
    other = replace(changed, changes={0: ablate_direction(VECTOR.flip(0))})
    interventions = [changed, NO_INTERVENTION, other]
    texts = IntervenedForward(LocalWorkers(model, 60), chats()).continuations(
        questions, interventions, 6
    )
    for intervention, continuations in zip(interventions, texts, strict=True):
        whole = read(replace(model, intervention=intervention), questions)
        assert continuations == [response.continuation for response in whole.responses]


def test_log_odds_are_those_of_the_sycophantic_answer_against_the_most_likely_other():
    row = rows()[0]
    matching = [letter for letter, _ in row.choices].index(row.matching)
    logprobs = [-2.0 - n for n in range(len(row.choices))]
    others = [logprob for n, logprob in enumerate(logprobs) if n != matching]
    assert log_odds(row, logprobs) == logprobs[matching] - max(others)


def test_the_longest_chat_with_its_longest_answer_has_to_fit_the_context(monkeypatch):
    model = tiny("llama")
    both = [(model.encode_chat(turns), answers) for turns, answers in chats()]
    longest = max(len(prompt) + max(len(model.encode(a)) for a in texts) for prompt, texts in both)
    for limit, fits in ((longest, True), (longest - 1, False)):
        monkeypatch.setattr(model.model.config, "max_position_embeddings", limit)
        assert IntervenedForward(LocalWorkers(model, 60), chats()).fits_context == fits
