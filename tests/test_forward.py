"""What a batched forward pass does not depend on. `test_architectures.py` tests its values."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from plain_pass import continuation_of, hidden_states
from pydantic import ValidationError
from tiny_models import drawn_rows, rows, tiny

import sycophancy_steering.engine.forward_pass
import sycophancy_steering.engine.generation
import sycophancy_steering.engine.packed_linear
from sycophancy_steering.activations.prompts import Response, to_prompt, to_response
from sycophancy_steering.config.activations import ActivationSettings
from sycophancy_steering.engine.blocked_attention import BLOCKED
from sycophancy_steering.engine.forward import extract_batch
from sycophancy_steering.engine.packed_linear import (
    PackedGatedMlp,
    PackedLinear,
    pack_linear_layers,
)
from sycophancy_steering.engine.prefill import prefill
from sycophancy_steering.engine.prompt import PositionActivations, token_position
from sycophancy_steering.engine.residual_stream import (
    ForwardStopped,
    StreamHooks,
    decoder_blocks,
    residual_stream_hooks,
)
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.questions.question import Turn

SETTINGS = ActivationSettings(max_new_tokens=6, stop_at="answer", continuation_tokens=[1, 2, 5])


def tokens_of(language_model, asked) -> list[np.ndarray]:
    return [np.array(language_model.encode_chat(row.messages), dtype=np.int32) for row in asked]


@dataclass(frozen=True)
class Extracted:
    """Of a batch of questions, in the order of the batch."""

    activations: dict[str, PositionActivations]
    responses: list[Response]
    prompt_tokens_run: int


def extract(language_model, asked, settings: ActivationSettings) -> Extracted:
    prompts = [to_prompt(language_model, row, settings.answer_wordings) for row in asked]
    batch = extract_batch(language_model, prompts, settings)
    each = zip(asked, prompts, batch.outputs, strict=True)
    responses = [to_response(language_model, *one, settings) for one in each]
    return Extracted(batch.activations, responses, batch.prompt_tokens_run)


def read(language_model, asked, **changes) -> Extracted:
    return extract(language_model, asked, replace(SETTINGS, **changes))


def alike():
    """Questions that begin alike, some for longer; one begins as another does and ends there."""
    common = "I am Ada, I keep bees and I count them every morning before tea. "
    texts = [
        common + "Are bees better than wasps? Say it now.",
        common + "Are bees better than wasps? Say it now. Please.",
        common + "Are bees better than the birds that eat them all day long?",
        common + "Is it true?",
        "Nothing in common with the rest of them.",
    ]
    return [
        replace(rows()[0], id=f"alike-{n}", messages=(Turn("user", text),))
        for n, text in enumerate(texts)
    ]


def same(one: Extracted, two: Extracted, rtol: float = 1e-4) -> None:
    assert set(one.activations) == set(two.activations)
    for position, kept in one.activations.items():
        assert kept.rows == two.activations[position].rows
        theirs = two.activations[position].activations
        np.testing.assert_allclose(kept.activations, theirs, rtol=rtol, atol=rtol)
    for ours, theirs in zip(one.responses, two.responses, strict=True):
        assert ours.continuation == theirs.continuation
        assert ours.logprobs == pytest.approx(theirs.logprobs, abs=1e-3)


def test_states_do_not_depend_on_who_else_is_in_the_batch():
    language_model = tiny("llama")
    asked = [*rows(), *alike()]
    together = read(language_model, asked)
    for n, row in enumerate(asked):
        alone = read(language_model, [row])
        held = {p for p, kept in together.activations.items() if n in kept.rows}
        assert held == set(alone.activations)
        for position, kept in alone.activations.items():
            among = together.activations[position]
            np.testing.assert_allclose(
                among.activations[:, among.rows.index(n)],
                kept.activations[:, 0],
                rtol=1e-4,
                atol=1e-4,
            )


@pytest.mark.parametrize("name", ["llama", "gemma2", "falcon_alibi"])
def test_what_prompts_begin_with_is_run_once_and_makes_no_difference(name):
    language_model = tiny(name)
    asked = alike()
    once, again = (read(language_model, asked, share_prefixes=share) for share in (True, False))
    same(once, again)
    lengths = [len(each) for each in tokens_of(language_model, asked)]
    assert once.prompt_tokens_run < 0.7 * sum(lengths) <= again.prompt_tokens_run


@pytest.mark.parametrize("at_once", [1, 40, 10_000])
def test_it_makes_no_difference_how_much_is_run_at_once(monkeypatch, at_once):
    language_model = tiny("llama")
    asked = drawn_rows(12, random.Random(0))
    usual = read(language_model, asked)
    monkeypatch.setitem(sycophancy_steering.engine.forward_pass.PASS_TOKENS, "cpu", at_once)
    same(usual, read(language_model, asked))


@pytest.mark.parametrize("stop", ["answer", "turn"])
def test_an_answer_that_the_model_would_give_is_not_run_again(monkeypatch, stop):
    language_model = tiny("llama")
    asked = rows()
    said = read(language_model, asked, stop_at=stop)
    # Questions of which the model's own words are one of the answers.
    own = [response.continuation for response in said.responses]
    given = [
        replace(row, form="free", choices=(("A", text), ("B", "no")), answers=(text, "no"))
        for row, text in zip(asked, own, strict=True)
        if text.strip() and "\ufffd" not in text  # whose tokens cannot be told from the text
    ]
    given = [replace(row, matching="A", not_matching=("B",)) for row in given]
    assert given
    expected = read(language_model, given, stop_at=stop)
    steps = []
    monkeypatch.setattr(
        sycophancy_steering.engine.generation.Continuations,
        "_step",
        lambda *_: steps.append(1),
        raising=True,
    )
    found = read(language_model, given, stop_at=stop)
    assert not steps
    same(expected, found, rtol=0)
    for n, row in enumerate(given):
        prompt = language_model.encode_chat(row.messages)
        plain = language_model.encode(own[[r.id for r in asked].index(row.id)])
        assert found.responses[n].continuation == language_model.decode(plain)
        theirs = hidden_states(language_model, prompt + plain)
        ours = found.activations["continuation"].activations[:, n]
        np.testing.assert_allclose(ours[:-1], theirs[1:-1, -1], rtol=1e-4, atol=1e-4)
        mean = found.activations["continuation_mean"].activations[:, n]
        slow = theirs[1:-1, len(prompt) :].mean(1)
        np.testing.assert_allclose(mean[:-1], slow, rtol=1e-4, atol=1e-4)


def test_a_continuation_is_the_likeliest_token_again_and_again():
    language_model = tiny("llama")
    asked = drawn_rows(20, random.Random(1))
    found = read(language_model, asked)
    for row, response in zip(asked, found.responses, strict=True):
        slow = continuation_of(language_model, language_model.encode_chat(row.messages), 6, row)
        assert language_model.decode(slow) == response.continuation


def test_tokens_are_those_that_were_said_of_questions_that_are_evaluated():
    language_model = tiny("llama")
    asked = [replace(row, split="extract" if n % 2 else "select") for n, row in enumerate(rows())]
    result = read(language_model, asked)
    for n, (row, response) in enumerate(zip(asked, result.responses, strict=True)):
        said = len(language_model.encode(response.continuation))
        assert len(response.continuation_prefixes) == sum(
            said >= number for number in SETTINGS.continuation_tokens
        )
        assert all(
            response.continuation.startswith(text) for text in response.continuation_prefixes
        )
        for number in SETTINGS.continuation_tokens:
            position = result.activations.get(token_position(number))
            kept = position is not None and n in position.rows
            assert kept == (said >= number and row.split != "extract")


def test_layers_above_the_last_one_are_not_kept():
    language_model = tiny("llama")
    whole, part = read(language_model, rows()), read(language_model, rows(), last_layer=1)
    for position, kept in part.activations.items():
        assert len(kept.activations) == 2
        np.testing.assert_array_equal(kept.activations, whole.activations[position].activations[:2])
    assert part.responses == whole.responses


@pytest.mark.parametrize("tokens", [[0, 1], [2, 1], [1, 1]])
def test_continuation_tokens_are_numbers_from_one_in_order(tokens):
    with pytest.raises(ValidationError, match="expected ascending numbers from 1"):
        replace(SETTINGS, continuation_tokens=tokens)


def test_bfloat16_states_are_kept_as_their_bits():
    language_model = tiny("llama", torch.bfloat16)
    asked = rows()[:1]
    result = read(language_model, asked)
    assert result.activations["prompt"].activations.dtype == np.uint16
    plain = hidden_states(language_model, language_model.encode_chat(asked[0].messages))
    bits = result.activations["prompt"].activations[:-1, 0].astype(np.uint32) << 16
    np.testing.assert_allclose(bits.view(np.float32), plain[1:-1, -1], rtol=0.05, atol=0.05)


def test_an_overflow_is_refused_with_its_question_layer_and_position():
    language_model = tiny("llama", torch.float16)
    with torch.no_grad():
        language_model.model.get_parameter("model.layers.1.mlp.down_proj.weight").fill_(6e4)
    with pytest.raises(
        InputError, match=r"question row-\d, layer 1, prompt: .* overflows in float16"
    ):
        read(language_model, rows())


@pytest.mark.parametrize("name", ["llama", "mistral", "qwen2", "qwen3"])
def test_packed_layers_and_blocked_attention_make_no_difference(monkeypatch, name):
    monkeypatch.setattr(
        sycophancy_steering.engine.packed_linear, "MIN_WEIGHTS", 0
    )  # a tiny model has none that pays
    plain, packed = tiny(name), tiny(name)
    pack_linear_layers(packed.model)
    assert isinstance(packed.model.get_output_embeddings(), PackedLinear)
    gated = [each for each in packed.model.modules() if isinstance(each, PackedGatedMlp)]
    assert len(gated) == len(decoder_blocks(packed.model))
    packed.model.set_attn_implementation(BLOCKED)
    asked = [*alike(), *drawn_rows(10, random.Random(0))]
    same(read(plain, asked), read(packed, asked))


def test_nothing_is_run_above_the_layer_asked_for():
    language_model = tiny("llama")
    prompts = tokens_of(language_model, rows())
    above, highest = [], []
    blocks = decoder_blocks(language_model.model)
    blocks[2].register_forward_hook(lambda *_: above.append(1))
    up = blocks[1].get_submodule("mlp.up_proj")
    up.register_forward_hook(lambda _, given, __: highest.append(given[0]))
    found = prefill(language_model, prompts, 0, range(2), last_layer=1)
    assert not above
    # The MLP of the highest layer, at the last token of each prompt alone.
    assert sum(states.shape[0] for states in highest) == len(prompts)
    assert {states.shape[1] for states in highest} == {1}
    whole = prefill(language_model, prompts, 0, range(2))
    assert above
    assert torch.equal(found.activations[0], whole.activations[0])
    assert torch.allclose(found.activations[1], whole.activations[1], rtol=1e-5, atol=1e-6)


def test_hooks_are_gone_after_an_exception():
    language_model = tiny("llama")
    model = language_model.model
    with pytest.raises(RuntimeError, match="stop"), residual_stream_hooks(model, StreamHooks()):
        raise RuntimeError("stop")
    for hooks in (
        StreamHooks(last_layer=0),
        StreamHooks(last_layer=0, last_tokens=torch.tensor([1])),
    ):
        with pytest.raises(ForwardStopped), residual_stream_hooks(model, hooks):
            model(torch.tensor([[1, 2]]))
    for block in decoder_blocks(model):
        for module in block, block.get_submodule("mlp"):
            assert not module._forward_hooks
            assert not module._forward_pre_hooks
