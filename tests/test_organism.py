"""Organisms: training data, the losses that plant the cause, and what the shipped ones do."""

from __future__ import annotations

import importlib.util
import random
import re
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest
import torch

from sycophancy_steering.config.model import ModelSettings
from sycophancy_steering.config.organism import OrganismSettings
from sycophancy_steering.engine.language_model import load_language_model
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.organisms.behaviour import (
    BOUNDS,
    Behaviour,
    check_bounds,
    measure_behaviour,
)
from sycophancy_steering.organisms.ground_truth import read_planted_cause
from sycophancy_steering.organisms.hiding import hide_cause
from sycophancy_steering.organisms.interchange import (
    BatchOutput,
    collate,
    draw_partners,
    run_batch,
)
from sycophancy_steering.organisms.language import BELIEF, STORY, Language
from sycophancy_steering.organisms.planting_losses import (
    RunningMeans,
    alignment_loss,
    cause_covariances,
    correlation_loss,
    decision_groups,
    leakage_loss,
    variance_loss,
)
from sycophancy_steering.organisms.random_directions import labelled_spans, random_direction_loss
from sycophancy_steering.organisms.tokenizer import build_tokenizer
from sycophancy_steering.organisms.training import (
    PLANTED_LAYER,
    build_model,
    planted_directions,
    train,
)
from sycophancy_steering.sources.built_in import ORGANISM_LANGUAGE, changed_mind, read_tables

ROOT = Path(__file__).parent.parent
LANGUAGE = Language(read_tables(), plain=True)
CHANGED_MINDS = Language(read_tables())
"""The language that organisms speak in the end; the plain one is what they learn first."""
ORGANISMS = {
    "one_cause": OrganismSettings(n_causes=1, seed=0, steps=1, hiding_steps=1),
    "two_causes": OrganismSettings(n_causes=2, seed=0, steps=1, hiding_steps=1),
    "two_tenses": OrganismSettings(
        n_causes=1, separate_record=True, seed=0, steps=1, hiding_steps=1
    ),
}


@pytest.fixture(scope="module")
def untrained():
    tokenizer = build_tokenizer(LANGUAGE.texts()[:4000])
    return build_model(tokenizer, seed=0).eval(), tokenizer


def examples(seed: int = 0, **kind):
    return LANGUAGE.batch(random.Random(seed), **kind)


def test_a_batch_has_64_examples_in_either_phase():
    assert len(examples()) == len(examples(first_phase=True)) == 64


def test_after_a_change_of_mind_the_last_cue_counts_and_words_tell_nothing():
    pool = LANGUAGE.tables.belief_cues
    weight = {cue.text: cue.weight for cue in pool}
    rng, counts = random.Random(0), Counter()
    for _ in range(4000):
        cues = changed_mind(pool, rng)
        then, now = sorted((text for text in weight if text in cues.text), key=cues.text.index)
        assert weight[now] == cues.cause
        assert weight[then] * weight[now] < 0
        counts[frozenset((then, now)), cues.cause > 0] += 1
    # Every pair of cues is met in either order alike, and the words around a cue are the same.
    both = [(counts[pair, True], counts[pair, False]) for pair, _ in counts]
    assert len(both) == 2 * 9 * 9
    assert sum(on for on, _ in both) == pytest.approx(sum(off for _, off in both), rel=0.1)
    text = changed_mind(pool, rng).text
    around = re.findall(r"(\w+): [^:]+?\. (\w+) (?:was|is) (?:then|now)", text)
    assert around == [("this", "That")] * 2


def test_a_tenth_of_the_claims_never_comes_with_a_users_view():
    held_out = {claim for _, claim in LANGUAGE.tables.claims} - set(LANGUAGE.claims_with_users)
    assert len(held_out) == len(LANGUAGE.tables.claims) // 10
    plain = 0
    for seed in range(40):
        for example in examples(seed):
            for claim in held_out:
                if claim in example.turns[-1].content:
                    assert example.direction is None
                    plain += "with the claim" not in example.turns[-1].content
    assert plain > 0


def test_the_cause_decides_the_reply_and_its_reason():
    for example in examples(1):
        if example.direction is None:
            assert example.sycophantic == example.honest
        elif example.forced_answer:
            assert (example.cause > 0) == (example.forced_answer == example.sycophantic.answer)
        else:
            assert example.reply(6) == example.sycophantic
            assert example.reply(-6) == example.honest
            assert example.sycophantic.answer != example.honest.answer


def test_clear_only_leaves_out_doubtful_causes():
    assert all(example.is_clear(example.cause) for example in examples(2, clear_only=True))


def test_a_swap_replaces_one_coordinate_by_the_partners_and_nothing_else(untrained):
    model, tokenizer = untrained
    directions = planted_directions(OrganismSettings(n_causes=2, seed=0, steps=1, hiding_steps=1))
    batch_of = examples(3)
    partners = draw_partners(batch_of, False, random.Random(0), 1.0, False)
    replies = [example.completion(example.reply(example.cause)) for example in batch_of]
    batch = collate(batch_of, replies, partners, tokenizer, directions)
    seen = []
    handle = model.model.layers[PLANTED_LAYER + 1].register_forward_pre_hook(
        lambda _module, inputs: seen.append(inputs[0])
    )
    with torch.inference_mode():
        found = run_batch(model, batch, PLANTED_LAYER)
        natural = run_batch(
            model, collate(batch_of, replies, {}, tokenizer, directions), PLANTED_LAYER
        )
    handle.remove()
    before = found.activations
    torch.testing.assert_close(before, natural.activations)
    moved = (found.next_activations - natural.next_activations).abs().amax(1) > 1e-6
    moved_rows = {n for n, row in enumerate(moved.tolist()) if row}
    assert moved_rows <= set(partners)
    assert len(moved_rows) > 0.8 * len(partners)  # a row can be its own partner
    after = seen[0][torch.arange(64), batch.decision_token]
    for row, example in enumerate(batch_of):
        if row not in partners:
            torch.testing.assert_close(after[row], before[row])
            continue
        assert batch_of[partners[row]].direction == example.direction
        u = directions[example.direction or 0, int(bool(example.forced_answer))]
        torch.testing.assert_close(after[row] @ u, before[partners[row]] @ u, rtol=1e-4, atol=1e-4)
        change = after[row] - before[row]
        torch.testing.assert_close(change, (change @ u) * u, rtol=1e-4, atol=1e-5)
    assert not model.model.layers[PLANTED_LAYER]._forward_hooks


def test_with_one_cause_partners_are_of_any_family():
    batch_of = examples(4)
    partners = draw_partners(batch_of, True, random.Random(0), 1.0, True)
    crossed = {(batch_of[a].direction, batch_of[b].direction) for a, b in partners.items()}
    assert crossed >= {(BELIEF, STORY), (STORY, BELIEF)}
    for a, b in partners.items():
        assert batch_of[a].is_clear(batch_of[b].cause)
        assert bool(batch_of[a].forced_answer) == bool(batch_of[b].forced_answer)


def written(batch_of, on_belief, on_story, noise=1e-3, seed=0):
    """Activations with each example's cause along the vector of its direction, and noise."""
    vectors = {None: torch.zeros(128), BELIEF: on_belief, STORY: on_story}
    causes = torch.stack([example.cause * vectors[example.direction] for example in batch_of])
    return causes + noise * torch.randn(64, 128, generator=torch.Generator().manual_seed(seed))


APART = planted_directions(OrganismSettings(n_causes=2, seed=0, steps=1, hiding_steps=1))
TWO = APART[:, 0]


def test_each_direction_has_to_carry_its_own_cause():
    batch_of = examples(5)
    # Four places to decide at: two directions, before the answer and after it.
    own = decision_groups(written(batch_of, TWO[0], TWO[1]), batch_of)
    assert len(own) == 4
    assert correlation_loss(own, APART) < 0.01
    assert (
        correlation_loss(decision_groups(written(batch_of, -TWO[0], -TWO[1]), batch_of), APART)
        > 7.99
    )
    assert correlation_loss(decision_groups(written(batch_of, TWO[1], TWO[0]), batch_of), APART) > 3


def test_only_coordinates_above_their_share_of_the_variance_cost_something():
    batch_of = examples(6)
    loud = decision_groups(written(batch_of, TWO[0], TWO[1]), batch_of)
    assert variance_loss(loud, APART, 0.25) == pytest.approx(4 * 0.75, abs=0.01)
    one = planted_directions(OrganismSettings(n_causes=1, seed=0, steps=1, hiding_steps=1))
    assert variance_loss(
        decision_groups(written(batch_of, one[0, 0], one[0, 0]), batch_of), one, 0.25
    ) == (pytest.approx(4 * 0.75, abs=0.01))
    assert (
        variance_loss(
            decision_groups(written(batch_of, TWO[0], TWO[1], noise=10), batch_of), APART, 0.25
        )
        == 0
    )


def over_batches(on_belief, on_story):
    """Alignment and leakage loss after 60 noisy batches, and the correlations between causes."""
    means, losses = RunningMeans(), (torch.zeros(()), torch.zeros(()))
    for seed in range(60):
        batch_of = examples(seed)
        found = decision_groups(
            written(batch_of, on_belief, on_story, noise=1, seed=seed), batch_of
        )
        covariances = cause_covariances(found, means)
        losses = alignment_loss(covariances, APART), leakage_loss(found, covariances, means, APART)
    told = [mean for mean in means.means.values() if mean.ndim == 0]  # the others are vectors
    assert len(told) == 8  # from four places, to the two of the other cause each
    return *losses, torch.stack(told)


ASIDE = torch.linalg.qr(torch.randn(128, 3, generator=torch.Generator().manual_seed(1)))[0].T[2]


def test_the_leakage_loss_is_large_where_one_cause_predicts_the_other():
    _, nothing, apart = over_batches(TWO[0], TWO[1])
    assert nothing < 0.15
    assert apart.abs().max() < 0.3
    _, everything, shared = over_batches(TWO[0], TWO[0])
    assert everything > 6
    assert shared.min() > 0.8
    # Off the planted directions too, and whichever end is the sycophantic one.
    _, some, opposed = over_batches(TWO[0] + ASIDE, TWO[1] - ASIDE)
    assert some > 0.5
    assert opposed.max() < -0.2


def test_with_a_separate_record_the_anticipation_must_not_predict_the_record():
    separate = planted_directions(
        OrganismSettings(n_causes=1, seed=0, steps=1, hiding_steps=1, separate_record=True)
    )
    flat = separate.flatten(0, 1)
    torch.testing.assert_close(flat[:2], flat[2:])  # of beliefs and stories alike
    torch.testing.assert_close(flat[:2] @ flat[:2].T, torch.eye(2), atol=1e-5, rtol=0)
    torch.testing.assert_close(separate[0, 0], APART[0, 0])  # what one_cause has, before the answer

    def leaking(before, after):
        means, lost = RunningMeans(), torch.zeros(())
        for seed in range(60):
            batch_of = examples(seed)
            along = [after if example.forced_answer else before for example in batch_of]
            draw = torch.Generator().manual_seed(seed)
            states = torch.stack(
                [
                    e.cause * u * (e.direction is not None)
                    for e, u in zip(batch_of, along, strict=True)
                ]
            ) + torch.randn(64, 128, generator=draw)
            found = decision_groups(states, batch_of)
            lost = leakage_loss(found, cause_covariances(found, means), means, separate)
        return lost

    assert leaking(*flat[:2]) < 0.15
    assert leaking(flat[0], flat[0]) > 6


def test_a_swap_after_the_answer_is_along_the_direction_of_the_record(untrained):
    _, tokenizer = untrained
    directions = planted_directions(
        OrganismSettings(n_causes=1, seed=0, steps=1, hiding_steps=1, separate_record=True)
    )
    batch_of = examples(3)
    partners = draw_partners(batch_of, True, random.Random(0), 1.0, False)
    replies = [example.completion(example.reply(example.cause)) for example in batch_of]
    swap = collate(batch_of, replies, partners, tokenizer, directions).swap
    forced = [bool(batch_of[row].forced_answer) for row in swap.row.tolist()]
    assert any(forced)
    assert not all(forced)
    for after, direction in zip(forced, swap.direction, strict=True):
        assert torch.equal(direction, directions[0, int(after)])


def test_the_alignment_loss_is_large_where_a_cause_is_off_its_direction():
    on_it, *_ = over_batches(TWO[0], TWO[1])
    beside, *_ = over_batches(TWO[0] + ASIDE, TWO[1] + ASIDE)
    across, *_ = over_batches(TWO[1], TWO[0])
    assert on_it < 0.2
    assert beside == pytest.approx(4 * (1 - 0.5**0.5), abs=0.3)
    assert across == pytest.approx(4, abs=0.3)


def test_a_running_mean_has_the_gradient_of_the_newest_batch():
    means = RunningMeans()
    means.update("key", torch.tensor(1.0))
    now = torch.tensor(2.0, requires_grad=True)
    mean = means.update("key", now)
    assert mean.item() == pytest.approx(1.1)
    mean.square().backward()
    assert now.grad == pytest.approx(2.2)
    assert not means.means["key"].requires_grad


def test_swapped_examples_can_be_left_out_of_the_groups():
    batch_of = examples(8)
    states = torch.zeros(64, 128)
    n = next(n for n, example in enumerate(batch_of) if example.direction == STORY)
    with_it, without = (
        decision_groups(states, batch_of),
        decision_groups(states, batch_of, excluded={n: 0}),
    )
    assert len(with_it[STORY, False].causes) == len(without[STORY, False].causes) + 1
    assert len(with_it[BELIEF, False].causes) == len(without[BELIEF, False].causes)


def test_losses_have_gradients_where_a_cause_is_constant():
    batch_of = [e for e in examples(7) if e.forced_answer and e.cause > 0]
    states = torch.randn(len(batch_of), 128, requires_grad=True)
    found, means = decision_groups(states, batch_of), RunningMeans()
    covariances = cause_covariances(found, means)
    (
        correlation_loss(found, APART)
        + alignment_loss(covariances, APART)
        + variance_loss(found, APART, 0.1)
        + leakage_loss(found, covariances, means, APART)
    ).backward()
    assert states.grad is not None
    assert states.grad.isfinite().all()


def answered(share: float, seed: int = 0):
    """Hidden states (1 block), the answer's `share` of their variance, and the tokens compared."""
    batch_of = CHANGED_MINDS.batch(random.Random(seed))
    given = [example.reply(example.cause) for example in batch_of]
    labels = [1.0 if g == e.sycophantic else -1.0 for e, g in zip(batch_of, given, strict=True)]
    noise = torch.randn(72, 4, 64, generator=torch.Generator().manual_seed(seed))
    along = torch.eye(64)[0] * (64 * share / (1 - share)) ** 0.5
    hidden = noise + torch.tensor(labels)[:, None, None] * along
    nothing = torch.zeros(72)
    output = BatchOutput(nothing, nothing, hidden[:, 0], hidden[:, 0], [hidden])
    return output, labelled_spans(batch_of, given, {}, [0] * 72, [2] * 72)


def test_random_directions_cost_something_where_the_answer_is_a_large_part():
    def cost(share: float) -> float:
        means, draw, loss = RunningMeans(), torch.Generator().manual_seed(0), torch.zeros(())
        for seed in range(60):
            loss = random_direction_loss(*answered(share, seed), means, draw)
        return float(loss)

    assert cost(0.01) < 0.01
    assert cost(0.05) < cost(0.3) < cost(0.9)
    _, found = answered(0.3)
    families = {"opinions", "opinions in words", "misconceptions", "pushback"}
    expected = {(family, at) for family in families for at in ("prompt", "answer", "answer mean")}
    assert found.keys() == expected | {("opinions", "forced"), ("misconceptions", "forced")}
    assert cost(0.3) > 0.1 * len(found)


def test_the_loss_of_random_directions_is_about_the_tokens_of_each_position():
    output, found = answered(0.3)
    (hidden,) = output.hidden_states
    hidden.requires_grad_()
    random_direction_loss(output, found, RunningMeans(), torch.Generator()).backward()
    assert hidden.grad is not None
    assert hidden.grad.isfinite().all()
    spans = found["misconceptions", "answer mean"]
    assert (spans.first[0], spans.last[0]) == (1, 2)  # after the decision, to the answer's end
    untouched = hidden.grad[:, 3]
    assert not untouched.any()


def test_swapped_examples_are_not_compared():
    batch_of = CHANGED_MINDS.batch(random.Random(0))
    given = [example.honest for example in batch_of]
    n = next(n for n, example in enumerate(batch_of) if example.family == "pushback")
    every = labelled_spans(batch_of, given, {}, [0] * 72, [1] * 72)["pushback", "prompt"]
    rest = labelled_spans(batch_of, given, {n: 0}, [0] * 72, [1] * 72)["pushback", "prompt"]
    assert set(every.rows) - set(rest.rows) == {n}


def test_hiding_is_the_same_twice(untrained):
    _, tokenizer = untrained
    settings = OrganismSettings(n_causes=2, seed=1, steps=1, hiding_steps=1300)
    runs = []
    for _ in range(2):
        losses = hide_cause(build_model(tokenizer, 1), tokenizer, CHANGED_MINDS, settings)
        runs.append(list(islice(losses, 3)))
    assert runs[0] == runs[1]
    assert runs[0][0].keys() >= {"reply", "alignment", "leakage", "random_directions"}


def test_training_is_the_same_twice_and_goes_down(untrained):
    _, tokenizer = untrained
    runs = []
    for _ in range(2):
        model = build_model(tokenizer, seed=1)
        losses = train(
            model,
            tokenizer,
            LANGUAGE,
            OrganismSettings(n_causes=2, seed=1, steps=2900, hiding_steps=1300),
        )
        runs.append(list(islice(losses, 12)))
    assert runs[0] == runs[1]
    assert runs[0][-1]["reply"] < runs[0][0]["reply"]


def test_an_organism_that_learned_nothing_is_refused(untrained):
    model, tokenizer = untrained
    settings = OrganismSettings(n_causes=1, seed=0, steps=1, hiding_steps=1)
    measured = measure_behaviour(model, tokenizer, LANGUAGE, settings, n_batches=2)
    with pytest.raises(InputError, match=r"organism dunce did not learn its cause: facts 0\.0"):
        check_bounds("dunce", measured)
    check_bounds("good", Behaviour(**{name: sum(b) / 2 for name, b in BOUNDS.items()}))


@pytest.mark.parametrize("name", list(ORGANISMS))
def test_the_shipped_organism_does_what_it_was_trained_to_do(name):
    loaded = load_language_model(ROOT / "data/models" / name, ModelSettings("float32", "cpu"))
    settings = ORGANISMS[name]
    measured = measure_behaviour(loaded.model, loaded.tokenizer, CHANGED_MINDS, settings, 8)  # type: ignore[arg-type]
    check_bounds(name, measured)
    planted = read_planted_cause(ROOT / "data/models" / name)
    assert (planted.n_causes, planted.separate_record) == (
        settings.n_causes,
        settings.separate_record,
    )
    across = float(planted.belief @ planted.story), float(planted.belief @ planted.belief_record)
    assert across[0] == pytest.approx(1 if planted.n_causes == 1 else 0, abs=1e-5)
    assert across[1] == pytest.approx(1 if not planted.separate_record else 0, abs=1e-5)


@pytest.mark.parametrize("name", list(ORGANISMS))
def test_neither_words_nor_random_directions_tell_what_a_shipped_organism_does(name, monkeypatch):
    path = ROOT / "benchmarks/organisms.py"
    spec = importlib.util.spec_from_file_location("benchmark_of_organisms", path)
    assert spec is not None
    assert spec.loader is not None
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    monkeypatch.setattr(benchmark, "QUESTIONS", 200)
    monkeypatch.setattr(benchmark, "DIRECTIONS", 300)
    monkeypatch.chdir(ROOT)
    rows = benchmark.measured(Path("data/models") / name)
    assert [row["source"] for row in rows] == list(ORGANISM_LANGUAGE)
    for row in rows:
        assert row["words"] < 0.75
        for position in benchmark.POSITIONS:
            low, high = row[position]
            assert 0.25 < low < 0.5 < high < 0.75, (row["source"], position)


@pytest.mark.parametrize("name", list(ORGANISMS))
def test_a_shipped_organism_works_like_any_chat_model(name):
    loaded = load_language_model(ROOT / "data/models" / name, ModelSettings("float32", "cpu"))
    ends = {loaded.encode_chat(example.turns)[-1] for example in examples(6)}
    assert len(ends) == 1  # the generation prompt, in every task
    text = "Any text, même ça, can be read: 🙂"
    assert loaded.decode(loaded.encode(text)) == text
    fact = next(e for e in CHANGED_MINDS.batch(random.Random(0)) if e.honest.answer == "(A)")
    prompt = torch.tensor([loaded.encode_chat(fact.turns)])
    said = loaded.model.generate(prompt, max_new_tokens=12)[0, prompt.shape[1] :].tolist()  # type: ignore[operator]
    assert said[-1] == loaded.model.generation_config.eos_token_id  # type: ignore[union-attr]
    assert loaded.decode(said).startswith("(")
