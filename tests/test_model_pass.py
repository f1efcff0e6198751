"""The batched pass: what it does not depend on. `test_architectures.py` holds what it gives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_models import rows, tiny

from lib.model_pass import ReadingSettings, length_sorted_batches, read_batch, token_position
from lib.refusal import Refusal
from lib.residual_stream import blocks_of, reading

SETTINGS = ReadingSettings(
    batch_size=8,
    padding_side="left",
    max_new_tokens=6,
    stop="answer",
    wordings="written",
    tokens=[1, 2, 5],
)


def test_states_do_not_depend_on_who_else_is_in_the_batch():
    language_model = tiny("llama")
    asked = rows()
    prompts = [language_model.write(row.messages) for row in asked]
    together = read_batch(language_model, asked, prompts, SETTINGS)
    for n, row in enumerate(asked):
        alone = read_batch(language_model, [row], [prompts[n]], SETTINGS)
        held = {p for p, kept in together.states.items() if n in kept.rows}
        assert held == set(alone.states)
        for position, kept in alone.states.items():
            among = together.states[position]
            np.testing.assert_allclose(
                among.states[:, among.rows.index(n)], kept.states[:, 0], rtol=1e-4, atol=1e-4
            )


def test_tokens_are_those_that_were_said_of_questions_that_are_evaluated():
    language_model = tiny("llama")
    asked = [replace(row, split="extract" if n % 2 else "select") for n, row in enumerate(rows())]
    prompts = [language_model.write(row.messages) for row in asked]
    result = read_batch(language_model, asked, prompts, SETTINGS)
    for n, (row, response) in enumerate(zip(asked, result.responses, strict=True)):
        said = len(language_model.encode(response.continuation))
        assert len(response.spoken) == sum(said >= number for number in SETTINGS.tokens)
        assert all(response.continuation.startswith(text) for text in response.spoken)
        for number in SETTINGS.tokens:
            position = result.states.get(token_position(number))
            kept = position is not None and n in position.rows
            assert kept == (said >= number and row.split != "extract")


@pytest.mark.parametrize("tokens", [[0, 1], [2, 1], [1, 1]])
def test_tokens_are_numbers_from_one_in_order(tokens):
    with pytest.raises(Refusal, match=r"reading\.tokens: expected numbers from 1"):
        replace(SETTINGS, tokens=tokens)


def test_bfloat16_states_are_kept_as_their_bits():
    language_model = tiny("llama", torch.bfloat16)
    asked = rows()[:1]
    prompts = [language_model.write(row.messages) for row in asked]
    result = read_batch(language_model, asked, prompts, SETTINGS)
    assert result.states["prompt"].states.dtype == np.uint16
    with reading(language_model.model, torch.tensor([len(prompts[0]) - 1])) as states:
        language_model.model(torch.tensor(prompts))
    bits = result.states["prompt"].states[:, 0].astype(np.uint32) << 16
    np.testing.assert_allclose(
        bits.view(np.float32), states.values[:, 0].float().detach().numpy(), rtol=0.05, atol=0.05
    )


def test_hooks_are_gone_after_an_exception():
    language_model = tiny("llama")
    with (
        pytest.raises(RuntimeError, match="stop"),
        reading(language_model.model, torch.tensor([0])),
    ):
        raise RuntimeError("stop")
    assert not any(block._forward_hooks for block in blocks_of(language_model.model))


def test_batches_hold_every_row_once_and_are_alike_in_length():
    lengths = [5, 9, 1, 9, 3, 7, 2]
    batches = list(length_sorted_batches(lengths, 3))
    assert sorted(n for batch in batches for n in batch) == list(range(7))
    assert [[lengths[n] for n in batch] for batch in batches] == [[9, 9, 7], [5, 3, 2], [1]]
