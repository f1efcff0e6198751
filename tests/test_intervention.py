"""Interventions: each token of each row once, as in a pass without batch or cache."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import torch
from plain_pass import continuation_of, logprob_of
from test_forward import alike, read, same
from tiny_models import CONFIGS, rows, tiny

from sycophancy_steering.activations.reference_logprobs import chat_answer_logprobs
from sycophancy_steering.engine.intervention import (
    Change,
    Intervention,
    Where,
    ablate_direction,
    add_vector,
    erase_projection,
)
from sycophancy_steering.engine.language_model import LanguageModel
from sycophancy_steering.engine.residual_stream import decoder_blocks

WIDTH = 32
VECTOR = torch.randn(WIDTH, generator=torch.Generator().manual_seed(0)) * 3


def changed(model: LanguageModel, where: Where, **changes: Change) -> LanguageModel:
    """`changes` by layer: `layer_1=...`."""
    by_layer = {int(name.removeprefix("layer_")): each for name, each in changes.items()}
    return replace(model, intervention=Intervention(by_layer, where))


@contextmanager
def plainly(model: LanguageModel, prompt: Sequence[int]) -> Iterator[None]:
    """Within the context the Hugging Face model itself is changed, for one row with this prompt."""
    intervention = model.intervention
    first = {"every": 0, "prompt_end": len(prompt) - 1, "prompt_end_on": len(prompt) - 1}
    start = first.get(intervention.where, len(prompt))
    end = len(prompt) if intervention.where == "prompt_end" else None

    def hook(change: Change):
        def edit(_module: object, _inputs: object, output: torch.Tensor | tuple):
            states = (output if isinstance(output, torch.Tensor) else output[0]).clone()
            states[:, start:end] = change(states[:, start:end])
            return states if isinstance(output, torch.Tensor) else (states, *output[1:])

        return edit

    blocks = decoder_blocks(model.model)
    handles = [
        blocks[layer].register_forward_hook(hook(each))
        for layer, each in intervention.changes.items()
    ]
    yield
    for handle in handles:
        handle.remove()


@pytest.mark.parametrize(
    ("name", "where"),
    [(name, "every") for name in CONFIGS] + [("llama", where) for where in get_args(Where)[1:]],
)
def test_a_batch_with_cache_equals_single_passes_without(name, where):
    model = changed(
        tiny(name), where, layer_0=add_vector(VECTOR), layer_1=ablate_direction(VECTOR.flip(0), 0.5)
    )
    asked = [*rows(), *alike()]
    result = read(model, asked)
    plain = read(replace(model, intervention=Intervention({})), asked)
    for row, response, before in zip(asked, result.responses, plain.responses, strict=True):
        prompt = model.encode_chat(row.messages)
        answers = [model.encode(answer) for answer in row.answers]
        with plainly(model, prompt):
            said = continuation_of(model, prompt, 6, row)
            each = [logprob_of(model, prompt, answer) for answer in answers]
        assert response.continuation == model.decode(said)
        assert response.logprobs == pytest.approx(each, abs=2e-3)
        assert response.logprobs != pytest.approx(before.logprobs, abs=2e-2)


def test_states_are_shown_as_they_were_left():
    model = tiny("llama")
    before = read(model, rows()).activations
    after = read(changed(model, "prompt_end", layer_1=add_vector(VECTOR)), rows()).activations
    moved = after["prompt"].activations - before["prompt"].activations
    assert not moved[0].any()
    np.testing.assert_allclose(moved[1], np.tile(VECTOR, (len(moved[1]), 1)), atol=1e-4)


@pytest.mark.parametrize("where", get_args(Where))
def test_adding_nothing_changes_nothing(where):
    model = tiny("llama")
    before = read(model, alike())
    after = read(changed(model, where, layer_1=add_vector(0 * VECTOR)), alike())
    same(before, after, rtol=0)


def test_removing_twice_is_removing_once():
    once = ablate_direction(VECTOR)
    states = torch.randn(5, 7, WIDTH)
    assert torch.allclose(once(once(states)), once(states), atol=1e-6)
    assert (once(states) @ VECTOR).abs().max() < 1e-4
    assert torch.allclose(
        ablate_direction(VECTOR, 2.0)(states) @ (VECTOR / VECTOR.norm()), torch.tensor(2.0)
    )


def test_what_is_erased_is_taken_from_the_distance_to_the_mean():
    unit, mean = VECTOR / VECTOR.norm(), torch.randn(WIDTH)
    change = erase_projection(torch.outer(unit, unit), mean)
    states = torch.randn(4, WIDTH)
    level = float(mean @ unit)
    assert torch.allclose(change(states), ablate_direction(VECTOR, level)(states), atol=1e-5)


def test_half_precision_stays_what_it_is():
    model = changed(tiny("llama", torch.bfloat16), "every", layer_1=ablate_direction(VECTOR))
    assert read(model, rows()).activations["prompt"].activations.dtype == np.uint16


def test_hooks_are_gone_after_an_error():
    def stop(_states: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("stop")

    model = tiny("llama")
    asked = [(row.messages, row.answers) for row in rows()]
    prompts = [np.array(model.encode_chat(turns), dtype=np.int32) for turns, _ in asked]
    before = chat_answer_logprobs(model, asked, prompts)
    with pytest.raises(RuntimeError, match="stop"):
        chat_answer_logprobs(changed(model, "every", layer_1=stop), asked, prompts)
    assert not any(block._forward_hooks for block in decoder_blocks(model.model))
    assert chat_answer_logprobs(model, asked, prompts) == before
