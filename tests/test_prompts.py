"""Prompt sets: what was written for this project, the splits, the option orders, the ids."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from itertools import combinations

import pytest

from sycophancy_steering.config.split import SplitShares
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.questions.prompt_table import read_prompts, write_prompts
from sycophancy_steering.questions.question import Question, Turn, build_row, option_block
from sycophancy_steering.questions.splits import assign_splits, sample
from sycophancy_steering.sources.built_in import ORGANISM_LANGUAGE, read_tables
from sycophancy_steering.sources.registry import read_source

SHARES = SplitShares(extract=0.4, select=0.25, test=0.35, seed=0)
TABLES = read_tables()


def drawn(source: str, splits: list[str], limit: int = 700):
    return sample(ORGANISM_LANGUAGE[source](TABLES, random.Random(0)), SHARES, splits, limit)


def test_the_questions_drawn_do_not_depend_on_the_version_of_this_program():
    """A new field of a question must not change which are drawn, or every number changes."""
    ids = " ".join(row.id for row in drawn("organism_opinions", ["test"], 50).rows)
    assert hashlib.sha256(ids.encode()).hexdigest()[:16] == "0138f2565b7f44f4"


def test_the_tables_hold_what_the_readme_says():
    assert len({claim for _, claim in TABLES.claims}) >= 80
    assert len({domain for domain, _ in TABLES.claims}) == 8
    assert len({name for name, _ in TABLES.personas}) >= 40
    assert len({topic for topic, *_ in TABLES.misconceptions}) >= 80
    assert len({topic for topic, *_ in TABLES.facts}) >= 40
    for cues in (TABLES.belief_cues, TABLES.story_cues):
        assert sum(cue.weight for cue in cues) == 0


@pytest.mark.parametrize("source", list(ORGANISM_LANGUAGE))
def test_splits_share_no_item_no_persona_and_no_question(source):
    held = {split: drawn(source, [split]).rows for split in ("extract", "select", "test")}
    assert all(held.values())
    for one, other in combinations(held.values(), 2):
        for key in ("id", "item", "persona"):
            shared = {getattr(r, key) for r in one} & {getattr(r, key) for r in other}
            assert not shared - {""}


@pytest.mark.parametrize("source", list(ORGANISM_LANGUAGE))
def test_the_sycophantic_answer_stands_in_each_place_equally_often(source):
    for row_set in (drawn(source, ["extract"]), drawn(source, ["select", "test"])):
        for split in {row.split for row in row_set.rows}:
            held = [row for row in row_set.rows if row.split == split]
            for text in {dict(row.choices)[row.matching] for row in held if row.form == "letters"}:
                same = [r for r in held if dict(r.choices)[r.matching] == text]
                places = Counter(row.matching for row in same)
                # Of each view, to within one for the place where counting began.
                if source == "organism_opinions":
                    assert abs(places["A"] - places["B"]) <= 1
            places = Counter(row.matching for row in held)
            assert abs(places["A"] - places["B"]) <= 2


def test_both_views_of_every_claim_are_asked_about():
    views = {
        (row.item, dict(row.choices)[row.matching])
        for row in drawn("organism_opinions", ["test"]).rows
    }
    items = {item for item, _ in views}
    assert views == {(item, view) for item in items for view in ("Agree", "Disagree")}


def test_every_question_left_out_is_counted():
    questions = ORGANISM_LANGUAGE["organism_opinions"](TABLES, random.Random(0))
    drawn_rows = sample(questions, SHARES, ["select", "test"], 100)
    assert len(drawn_rows.rows) == 100
    assert len(drawn_rows.rows) + sum(drawn_rows.left_out.values()) == len(questions)


def test_a_sample_does_not_depend_on_the_order_of_the_source():
    questions = ORGANISM_LANGUAGE["organism_pushback"](TABLES, random.Random(0))
    shuffled = random.Random(1).sample(questions, len(questions))
    first, second = (sample(q, SHARES, ["test"], 50) for q in (questions, shuffled))
    assert {row.id for row in first.rows} == {row.id for row in second.rows}


def test_ids_are_hashes_of_the_words():
    def question(words: str) -> Question:
        return Question(
            "s",
            "f",
            "i",
            "",
            ("Yes", "No"),
            0,
            lambda order: (Turn("user", words + option_block(("Yes", "No"), order)),),
        )

    row = build_row(question("Is it?"), (0, 1), "test")
    assert row.id == build_row(question("Is it?"), (0, 1), "select").id
    assert row.id != build_row(question("Is it?"), (1, 0), "test").id
    assert row.id != build_row(question("Was it?"), (0, 1), "test").id


def test_three_options_take_turns_in_every_place():
    def question(n: int) -> Question:
        return Question(
            "s",
            "f",
            f"item {n}",
            "",
            ("one", "two", "three"),
            1,
            lambda order: (Turn("user", f"{n} {option_block(('one', 'two', 'three'), order)}"),),
        )

    rows = sample([question(n) for n in range(300)], SHARES, ["extract"], 300).rows
    places = Counter(row.matching for row in rows)
    assert sorted(places) == ["A", "B", "C"]
    assert max(places.values()) - min(places.values()) <= 1
    for row in rows:
        assert dict(row.choices)[row.matching] == "two"
        assert row.matching not in row.not_matching


def test_shares_are_kept_to_the_nearest_name():
    assert Counter(assign_splits(map(str, range(100)), SHARES).values()) == {
        "extract": 40,
        "select": 25,
        "test": 35,
    }


def test_prompts_survive_the_disk_and_are_the_same_bytes_twice(tmp_path):
    rows = drawn("organism_misconceptions", ["test"], 20).rows
    for name in ("one", "two"):
        write_prompts(tmp_path / name, rows)
    assert read_prompts(tmp_path / "one") == rows
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_an_empty_prompt_set_is_refused(tmp_path):
    write_prompts(tmp_path / "empty.parquet", [])
    with pytest.raises(InputError, match=r"empty\.parquet: an empty prompt set"):
        read_prompts(tmp_path / "empty.parquet")


def test_a_small_sample_is_of_all_its_splits():
    few = drawn("organism_misconceptions", ["select", "test"], 20).rows
    assert Counter(row.split for row in few)["select"] in range(3, 15)
    assert len({row.item for row in few}) == 20


@pytest.mark.parametrize("source", list(ORGANISM_LANGUAGE))
@pytest.mark.parametrize(("few", "many"), [(90, 91), (100, 140), (7, 300)])
def test_a_larger_sample_holds_the_smaller_one(source, few, many):
    smaller, larger = (
        {row.id for row in drawn(source, ["select", "test"], limit).rows} for limit in (few, many)
    )
    assert smaller < larger


@pytest.mark.parametrize("limit", [40, 200, 700])
def test_the_letter_tells_nothing_of_the_item(limit):
    rows = drawn("organism_opinions", ["test"], limit).rows
    by_item = Counter((row.item, row.matching) for row in rows)
    for item in {row.item for row in rows}:
        assert abs(by_item[item, "A"] - by_item[item, "B"]) <= 2


def test_several_questions_about_an_item_come_before_the_next_item():
    questions = read_source("suggestions", 0).questions
    one, four = (sample(questions, SHARES, ["select", "test"], 80, n).rows for n in (1, 4))
    assert len({row.item for row in one}) == 80
    wordings = Counter(row.item for row in four if row.split == "test")
    assert len({row.item for row in four}) < 30
    assert Counter(wordings.values()).most_common(1)[0][0] == 3  # all that the split has
    larger = {row.id for row in sample(questions, SHARES, ["select", "test"], 120, 4).rows}
    assert {row.id for row in four} < larger
