"""The questions in plain English: their tables, their counterfactual chats, their splits."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from sycophancy_steering.config.split import SplitShares
from sycophancy_steering.questions.question import Row
from sycophancy_steering.questions.splits import sample
from sycophancy_steering.sources.plain_english import PLAIN_ENGLISH, read_rows

SHARES = SplitShares(extract=0.4, select=0.25, test=0.35, seed=0)
SMALL_WORDS = {"the", "a", "an", "of", "in", "and", "to", "is", "on", "by", "with"}


def words(text: str) -> set[str]:
    return {*re.findall(r"[a-z0-9]+", text.lower())} - SMALL_WORDS


def rows(source: str, split: str, limit: int = 10**6) -> list[Row]:
    return sample(PLAIN_ENGLISH[source](), SHARES, [split], limit).rows


def test_there_are_four_hundred_facts_in_twelve_subjects():
    facts = read_rows("facts")
    assert len(facts) >= 400
    assert len({fact["subject"] for fact in facts}) == 12
    assert len({fact["question"].lower() for fact in facts}) == len(facts)
    assert len({fact["topic"] for fact in facts}) == len(facts)
    assert f"{len(facts)} facts" in (Path(__file__).parent.parent / "README.md").read_text()


@pytest.mark.parametrize("fact", read_rows("facts"), ids=lambda fact: fact["topic"])
def test_the_answers_to_a_fact_are_alike_and_not_in_the_question(fact):
    right, wrong = fact["right"], fact["wrong"]
    assert right.lower() != wrong.lower()
    assert abs(len(right) - len(wrong)) <= max(4, 0.35 * min(len(right), len(wrong)))
    assert not (words(right) | words(wrong)) & words(fact["question"])


@pytest.mark.parametrize(
    ("table", "true", "false"), [("facts", "right", "wrong"), ("misconceptions", "fact", "myth")]
)
def test_the_length_of_an_answer_does_not_tell_whether_it_is_true(table, true, false):
    differences = [len(row[true]) - len(row[false]) for row in read_rows(table)]
    longer, shorter = (sum(sign * d > 0 for d in differences) for sign in (1, -1))
    assert abs(longer - shorter) <= 0.1 * len(differences)


def test_each_pressure_has_twelve_wordings_in_three_strengths():
    by_kind = Counter((row["kind"], row["strength"]) for row in read_rows("wordings"))
    assert by_kind.pop(("pushback_neutral", "0")) == 12
    kinds = ("suggestion", "pushback_named", "pushback_doubt", "opinion", "misconception")
    assert by_kind == {(kind, strength): 4 for kind in kinds for strength in "123"}


@pytest.mark.parametrize("source", list(PLAIN_ENGLISH))
def test_splits_share_no_item_and_no_wording(source):
    seen = {split: rows(source, split) for split in ("extract", "select", "test")}
    for name in ("item", "template"):
        values = [{getattr(row, name) for row in of_split} for of_split in seen.values()]
        assert all(values)
        assert sum(map(len, values)) == len(set.union(*values))


@pytest.mark.parametrize("source", list(PLAIN_ENGLISH))
def test_every_split_has_wordings_of_every_strength(source):
    strength_of = {row["template"]: row["strength"] for row in read_rows("wordings")}
    for split, share in (("extract", 2), ("select", 1), ("test", 1)):
        templates = {row.template for row in rows(source, split)}
        assert Counter(strength_of[name] for name in templates) == dict.fromkeys("123", share)


@pytest.mark.parametrize("source", list(PLAIN_ENGLISH))
def test_the_place_of_the_sycophantic_answer_tells_nothing(source):
    places = Counter(row.matching for row in rows(source, "test", 100))
    assert abs(places["A"] - places["B"]) <= 1


@pytest.mark.parametrize("source", ["suggestions", "misconceptions", "opinions"])
def test_a_user_of_the_opposite_view_says_the_same_with_the_other_answer(source):
    for row in rows(source, "test", 40):
        own, opposite = row.messages[-1].content, row.opposite_user[-1].content
        assert own != opposite
        said = dict(row.choices)
        sycophantic, other = said[row.matching], said[row.not_matching[0]]
        views = [text.removeprefix("I think that ").rstrip(".") for text in (sycophantic, other)]
        mine, yours = (view.lower() for view in views)
        assert own.lower().replace(mine, "", 1) == opposite.lower().replace(yours, "", 1)


def test_the_letters_show_the_views_of_opinions_in_both_orders():
    shown = rows("opinions_by_letter", "test", 40)
    in_words = {row.messages[-1].content: row for row in rows("opinions", "test")}
    for row in shown:
        asked, *options = row.messages[-1].content.split("\n\n")
        assert asked in in_words
        assert options[0].splitlines() == [f" ({letter}) {text}" for letter, text in row.choices]
        assert (
            dict(row.choices)[row.matching]
            == dict(in_words[asked].choices)[in_words[asked].matching]
        )
        assert row.answers == ("(A)", "(B)")
        assert all(
            options[0] in turns[-1].content for turns in (row.without_user, row.opposite_user)
        )
    assert {row.choices[0][1].startswith("I think that it is wrong") for row in shown} == {
        True,
        False,
    }


def test_pushback_and_its_neutral_control_differ_in_the_last_turn_alone():
    for source in ("pushback", "doubts"):
        for row in rows(source, "test", 20):
            assert row.messages[:-1] == row.neutral_turn[:-1]
            assert row.messages[1].own
            assert row.messages[-1] != row.neutral_turn[-1]
            assert row.without_user == row.messages[:1]
