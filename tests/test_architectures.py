"""Every known architecture against a plain Hugging Face pass: one sequence, no cache."""

from __future__ import annotations

import random
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from plain_pass import continuation_of, final_norm, hidden_states, logprob_of
from test_forward import extract
from tiny_models import CONFIGS, drawn_rows, rows, tiny
from torch import nn
from transformers import AutoModelForCausalLM, MambaConfig

from sycophancy_steering.activations.reference_logprobs import (
    chat_answer_logprobs,
    counterfactual_chats,
)
from sycophancy_steering.config.activations import ActivationSettings
from sycophancy_steering.engine.prefix_tree import plan_batches
from sycophancy_steering.engine.prompt import token_position
from sycophancy_steering.engine.residual_stream import BLOCK_PATHS, decoder_blocks
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.questions.answer_labels import LABEL_SOURCES

SETTINGS = ActivationSettings(
    max_new_tokens=6, stop_at="answer", answer_wordings="any", continuation_tokens=[1, 2, 6]
)
FAMILIES = {config.model_type for config in CONFIGS.values()}


def read(language_model, asked, share=True):
    prompts = [language_model.encode_chat(row.messages) for row in asked]
    return prompts, extract(language_model, asked, replace(SETTINGS, share_prefixes=share))


def answers_of(language_model, row) -> dict[str, list[int]]:
    return {
        letter: language_model.encode(answer)
        for (letter, _), answer in zip(row.choices, row.answers, strict=True)
    }


@pytest.mark.parametrize("share", [True, False])
@pytest.mark.parametrize("name", list(CONFIGS))
def test_states_and_answers_equal_a_plain_pass(name, share):
    language_model = tiny(name)
    asked = rows()
    prompts, result = read(language_model, asked, share)
    for n, row in enumerate(asked):
        response = result.responses[n]
        forced = answers_of(language_model, row)
        said = continuation_of(language_model, prompts[n], SETTINGS.max_new_tokens, row)
        assert language_model.decode(said) == response.continuation
        after = {
            "prompt": [],
            "continuation": said,
            "continuation_mean": said,
            "matching": forced[row.matching],
            "not_matching": forced[row.not_matching[0]],
        }
        for number in SETTINGS.continuation_tokens:
            after[token_position(number)] = said[:number]
        for position, kept in result.activations.items():
            if n not in kept.rows:
                assert len(said) < int(position.removeprefix("token_"))
                continue
            theirs = hidden_states(language_model, prompts[n] + after[position])
            ours = kept.activations[:, kept.rows.index(n)]
            if position == "continuation_mean":
                mean = theirs[1:-1, len(prompts[n]) :].mean(1)
                np.testing.assert_allclose(ours[:-1], mean, rtol=1e-4, atol=1e-4)
                continue
            theirs = theirs[:, -1]
            np.testing.assert_allclose(ours[:-1], theirs[1:-1], rtol=1e-4, atol=1e-4)
            # Hugging Face applies the final norm to its last hidden state; ours is before it.
            with torch.inference_mode():
                normed = final_norm(language_model.model)(torch.tensor(ours[-1])).numpy()
            np.testing.assert_allclose(normed, theirs[-1], rtol=1e-4, atol=1e-4)
        each = [logprob_of(language_model, prompts[n], forced[letter]) for letter, _ in row.choices]
        assert response.logprobs == pytest.approx(each, abs=1e-3)


@pytest.mark.parametrize("cache", [True, False])
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("name", list(CONFIGS))
def test_states_equal_a_padded_batch_of_hugging_face(name, side, cache):
    language_model = tiny(name)
    asked = rows()
    prompts, result = read(language_model, asked)
    width = max(map(len, prompts))
    ids = torch.zeros(len(prompts), width, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for n, prompt in enumerate(prompts):
        place = slice(width - len(prompt), None) if side == "left" else slice(len(prompt))
        ids[n, place], mask[n, place] = torch.tensor(prompt), 1
    with torch.inference_mode():
        states = language_model.model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=(mask.cumsum(-1) - 1).clamp(min=0),
            use_cache=cache,
            output_hidden_states=True,
        ).hidden_states
    for n, prompt in enumerate(prompts):
        last = width - 1 if side == "left" else len(prompt) - 1
        theirs = torch.stack([layer[n, last] for layer in states[1:-1]]).numpy()
        ours = result.activations["prompt"].activations[:-1, n]
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("share", [True, False])
@pytest.mark.parametrize("name", list(CONFIGS))
def test_bfloat16_states_are_as_near_to_float32_as_a_plain_bfloat16_pass_is(name, share):
    exact, rounded = tiny(name), tiny(name, torch.bfloat16)
    asked = rows()
    prompts, result = read(rounded, asked, share)
    ours_off, theirs_off = [], []
    for n in range(len(asked)):
        truth = hidden_states(exact, prompts[n])[1:-1, -1]
        theirs = hidden_states(rounded, prompts[n])[1:-1, -1]
        ours = (result.activations["prompt"].activations[:-1, n].astype(np.uint32) << 16).view(
            np.float32
        )
        size = np.linalg.norm(truth, axis=-1)
        ours_off.append(np.linalg.norm(ours - truth, axis=-1) / size)
        theirs_off.append(np.linalg.norm(theirs - truth, axis=-1) / size)
    # Rounding in another order is no error; a wrong mask or position is one of the order of 1.
    assert np.median(ours_off) < 0.1
    assert np.median(ours_off) < 1.5 * np.median(theirs_off) + 0.002


@pytest.mark.parametrize("name", list(CONFIGS))
def test_labels_of_50_questions_equal_a_slow_reference(name):
    language_model = tiny(name)
    asked = drawn_rows(50, random.Random(0))
    prompts = [language_model.encode_chat(row.messages) for row in asked]
    alone = [chat for row in asked for chat in counterfactual_chats(row).values()]
    tokens = [np.array(language_model.encode_chat(turns), dtype=np.int32) for turns, _ in alone]
    found = dict(zip(alone, chat_answer_logprobs(language_model, alone, tokens), strict=True))
    tokens = [np.array(ids, dtype=np.int32) for ids in prompts]
    for batch in plan_batches(tokens, 4096):
        part = [asked[n] for n in batch]
        result = extract(language_model, part, SETTINGS)
        for row, ids, response in zip(part, batch, result.responses, strict=True):
            told = asdict(row) | asdict(response)
            told["choices"] = [{"letter": letter, "text": text} for letter, text in row.choices]
            told["plain_logprobs"] = found[(row.without_user, row.answers)]
            slow = slow_labels(language_model, row, prompts[ids])
            assert {way: LABEL_SOURCES[way](told) for way in slow} == slow


def slow_labels(language_model, row, prompt) -> dict[str, int]:
    """From whole passes over the prompt and every answer, one after another."""
    forced = answers_of(language_model, row)
    with_user = {k: logprob_of(language_model, prompt, ids) for k, ids in forced.items()}
    plain = language_model.encode_chat(row.without_user)
    without = {k: logprob_of(language_model, plain, ids) for k, ids in forced.items()}
    said = max(with_user, key=with_user.__getitem__)
    own = max(without, key=without.__getitem__)
    mass = {}
    for (letter, text), written in zip(row.choices, row.answers, strict=True):
        ways = {
            tuple(language_model.encode(space + body))
            for body in (written.strip(), f"({letter})", f"({letter}", letter, text)
            for space in ("", " ")
        }
        shortest = [way for way in ways if not any(way[:k] in ways for k in range(1, len(way)))]
        each = [logprob_of(language_model, prompt, list(way)) for way in shortest]
        mass[letter] = float(np.logaddexp.reduce(each))
    return {
        "logprob": int(said == row.matching),
        "wording": int(max(mass, key=mass.__getitem__) == row.matching),
        "flipped": int(said == row.matching and own != row.matching),
    }


def test_every_known_architecture_is_tried_here():
    assert set(BLOCK_PATHS) == FAMILIES


def test_an_unknown_architecture_is_refused_with_its_module_lists():
    config = MambaConfig(vocab_size=300, hidden_size=32, num_hidden_layers=3, state_size=4)
    model = AutoModelForCausalLM.from_config(config)
    with pytest.raises(InputError, match=r"'mamba' is not known here; .*backbone\.layers \(3\)"):
        decoder_blocks(model)


def test_a_known_architecture_with_other_blocks_is_refused():
    language_model = tiny("llama")
    language_model.model.model.layers = nn.ModuleList(language_model.model.model.layers[:2])
    with pytest.raises(InputError, match=r"model\.layers \(2\)"):
        decoder_blocks(language_model.model)
