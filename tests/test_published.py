"""The readers of public data give what was published, and refuse what they do not understand.

Expected values come from the raw files by other means (`json`, `csv`, slices of lines), not from
the code under test. The sentences of the synthetic records were written for these tests.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import SHARED_DATA, needs_public_data

from sycophancy_steering.config.split import SplitShares
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.questions.question import Question, build_row
from sycophancy_steering.questions.splits import SPLITS, sample
from sycophancy_steering.sources.lettered_options import LetteredText
from sycophancy_steering.sources.published import FORMATS, read_published
from sycophancy_steering.sources.question_file import QuestionFile
from sycophancy_steering.sources.rimsky import SCHEMAS

MATCHING, OTHER = "answer_matching_behavior", "answer_not_matching_behavior"
CAKE = "I am Ivo and I bake. Which of these is better?\n (A) Cake\n (B) Soup\n\nAnswer:"
SOUP_FIRST = "I am Ivo and I bake. Which of these is better?\n (A) Soup\n (B) Cake\n\nAnswer:"
TEA = "I am Una and I grow tea.\nHow about you, which option do you like?\n(A) Tea\n(B) Milk"


def opinion(question: str = CAKE, matching: object = " (A)", other: object = " (B)") -> dict:
    return {"question": question, MATCHING: matching, OTHER: other}


def json_lines(folder: Path, *records: object, name: str = "opinions.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def json_list(folder: Path, *records: object, name: str = "pairs.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(list(records)), encoding="utf-8")
    return path


COLUMNS = ("Question", "Best Answer", "Correct Answers", "Incorrect Answers")
COLUMNS_2025 = (*COLUMNS, "Best Incorrect Answer")
ROW = ("Do cats bark?", "Cats meow", "Cats meow; They do not", "Cats bark; Some do;")


def table(folder: Path, *rows: tuple[str, ...], encoding: str = "utf-8") -> Path:
    path = folder / "Truths.csv"
    with open(path, "w", encoding=encoding, newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def words(question: Question, order: tuple[int, ...] | None = None) -> str:
    """What the user says; in the published order if none is given."""
    (turn,) = question.write(order or tuple(range(len(question.options))))
    assert turn.role == "user"
    return turn.content


def only(reading: QuestionFile) -> Question:
    (question,) = reading.questions
    return question


# The text of a question


def test_an_option_block_is_taken_apart_and_written_in_any_order():
    lettered = LetteredText.parse(
        "Pick one.\n\nChoices:\n (A) x\n (B) y\n (C) z\n\nAnswer:", "here"
    )
    assert lettered.options == ("x", "y", "z")
    assert lettered.stem == "Pick one."
    assert lettered.write((2, 0, 1)) == "Pick one.\n\nChoices:\n (A) z\n (B) x\n (C) y\n\nAnswer:"


@pytest.mark.parametrize(
    "text",
    [
        "Which?\n (A) x\n (B) y\n\nAnswer:",
        "Which?\n\nChoices:\n(A) x\n(B) y",
        "Which?\n\nYour choices:\n(A) x \n(B)  y",
        "Which?\n(A) x\n(B) ",
        "I chose (B) before.\n (A) was a mistake.\nWhich?\n (A) x\n (B) y",
        "I like lists:\n (A) plums\n (B) pears\n\nWhich?\n (A) x\n (B) y\n (C) z\n\nAnswer:",
        "I end in a list:\n (A) plums\n (A) x\n (B) y\n\nAnswer:",
        "Braces {letter} {text} {0} stay.\n(A) {text}\n(B) }{",
        "A line separator\u2028stays.\n(A) x\u2028x\n(B) y\r",
    ],
)
def test_the_published_order_gives_the_published_text_back(text):
    lettered = LetteredText.parse(text, "here")
    assert lettered.write(tuple(range(len(lettered.options)))) == text


def test_letters_in_a_biography_stay_when_the_options_change_places():
    text = "I am Ada and I picked (B).\n (A) is for others.\nWhich?\n (A) x\n (B) y"
    assert LetteredText.parse(text, "here").write((1, 0)) == (
        "I am Ada and I picked (B).\n (A) is for others.\nWhich?\n (A) y\n (B) x"
    )


# Anthropic


def test_an_opinion_names_the_option_that_matches_and_answers_with_a_leading_space(tmp_path):
    path = json_lines(tmp_path, opinion(matching=" (B)", other=" (A)"))
    question = only(read_published(path, "anthropic"))
    row = build_row(question, (1, 0), "test")
    assert (question.source, question.family) == ("opinions", "opinion")
    assert question.options == ("Cake", "Soup") and question.matching == 1
    assert row.matching == "A" and row.not_matching == ("B",)
    assert row.answers == (" (A)", " (B)")
    assert row.messages[0].content == SOUP_FIRST


def test_a_list_of_answers_that_do_not_match_goes_with_three_options(tmp_path):
    text = "I am Eli. What is your view on the following topic: Naps\n (A) no\n (B) yes\n (C) both"
    path = json_lines(tmp_path, opinion(f"{text}\n\nAnswer:", " (C)", [" (A)", " (B)"]))
    row = build_row(only(read_published(path, "anthropic")), (2, 1, 0), "test")
    assert row.item == "Naps" and row.persona == "I am Eli."
    assert row.matching == "A" and row.not_matching == ("B", "C")
    assert row.choices == (("A", "both"), ("B", "yes"), ("C", "no"))


def test_a_list_with_one_answer_is_read_as_that_answer(tmp_path):
    path = json_lines(tmp_path, opinion(other=[" (B)"]))
    assert only(read_published(path, "anthropic")).matching == 0


def test_other_keys_and_blank_lines_are_no_records(tmp_path):
    path = json_lines(tmp_path, opinion() | {"user_affiliation": "baker"})
    path.write_text(path.read_text() + "\n\n")
    reading = read_published(path, "anthropic")
    assert (reading.n_records, reading.n_repeated, len(reading.questions)) == (1, 0, 1)


@pytest.mark.parametrize(
    ("text", "persona", "item"),
    [
        (
            "I am Bo.\n\nI asked: Do you agree or disagree with the following claim? No. "
            "Do you agree or disagree with the following claim about cheese, as of 2022? "
            "It should be blue. Always.\n\nChoices:\n (A) Agree\n (B) Disagree\n\nAnswer:",
            "I am Bo.\n\nI asked: Do you agree or disagree with the following claim? No.",
            "It should be blue. Always.",
        ),
        (
            "I am Cy. What is your view on the following topic: Ships (do they dream?)\n"
            " (A) yes\n (B) no\n\nAnswer:",
            "I am Cy.",
            "Ships (do they dream?)",
        ),
        (
            "I am Di. I love it! Would you say that the U.S. has...\n (A) Rain\n (B) Fog",
            "I am Di. I love it!",
            "Would you say that the U.S. has... Fog / Rain",
        ),
        (
            "I am Ed\nHow are rivers, in your opinion\n (A) Wet\n (B) Dry",
            "I am Ed",
            "How are rivers, in your opinion Dry / Wet",
        ),
        ("Which one?\n (A) Wet\n (B) Dry", "", "Which one? Dry / Wet"),
    ],
)
def test_the_item_is_what_is_asked_without_the_biography(tmp_path, text, persona, item):
    question = only(read_published(json_lines(tmp_path, opinion(text)), "anthropic"))
    assert (question.persona, question.item) == (persona, item)
    assert words(question) == text


def test_the_item_does_not_depend_on_the_order_in_which_options_are_published(tmp_path):
    reading = read_published(json_lines(tmp_path, opinion(), opinion(SOUP_FIRST)), "anthropic")
    assert len(reading.questions) == 2
    assert len({question.item for question in reading.questions}) == 1


def test_a_record_that_repeats_an_earlier_one_is_counted_and_left_out(tmp_path):
    other = opinion(CAKE.replace("Ivo", "Ida"))
    reading = read_published(json_lines(tmp_path, opinion(), other, opinion()), "anthropic")
    assert (reading.n_records, reading.n_repeated) == (3, 1)
    assert [words(question) for question in reading.questions] == [CAKE, other["question"]]


def test_the_same_words_with_another_label_are_no_repetition(tmp_path):
    path = json_lines(tmp_path, opinion(), opinion(matching=" (B)", other=" (A)"))
    reading = read_published(path, "anthropic")
    assert reading.n_repeated == 0
    assert [question.matching for question in reading.questions] == [0, 1]


# TruthfulQA


def test_a_misconception_shows_the_best_answer_and_the_first_incorrect_one(tmp_path):
    question = only(read_published(table(tmp_path, COLUMNS, ROW), "truthfulqa"))
    assert (question.source, question.family, question.persona) == ("Truths", "misconception", "")
    assert question.options == ("Cats meow", "Cats bark") and question.matching == 1
    assert words(question, (1, 0)) == (
        "Do cats bark?\n\nChoices:\n (A) Cats bark\n (B) Cats meow\n\nAnswer:"
    )
    assert build_row(question, (1, 0), "test").answers == (" (A)", " (B)")


def test_a_misconception_in_free_form_shows_no_options(tmp_path):
    question = only(read_published(table(tmp_path, COLUMNS, ROW), "truthfulqa", form="free"))
    row = build_row(question, (0, 1), "test")
    assert row.form == "free" and words(question) == "Do cats bark?"
    assert row.answers == ("Cats meow", "Cats bark") and row.matching == "B"


def test_all_reference_answers_are_known_the_best_one_first(tmp_path):
    told = (ROW[0], "They do not", "Cats meow; They do not", ROW[3])
    for form in ("letters", "free"):
        reading = read_published(table(tmp_path, COLUMNS, told), "truthfulqa", form=form)
        row = build_row(only(reading), (1, 0), "test")
        assert row.true_answers == ("They do not", "Cats meow")
        assert row.false_answers == ("Cats bark", "Some do")
        assert row.without_user == ()  # there is no user to leave out


def test_an_opinion_without_its_user_is_the_question_alone(tmp_path):
    survey = "I am Bo. Do you agree or disagree with the following claim about cats? Cats bark."
    quiz = "I am Bo. I sell (A) and\n(B) tea. Which is better?"
    pairs = "I am Max.\nAs my AI assistant, do you agree with what follows?\nBikes win."
    for text, plain in [
        (survey, survey.removeprefix("I am Bo. ")),
        (quiz, "Which is better?"),
        (pairs, pairs.removeprefix("I am Max.\n")),
    ]:
        block = "\n (A) Yes\n (B) No\n\nAnswer:"
        reading = read_published(json_lines(tmp_path, opinion(text + block)), "anthropic")
        row = build_row(only(reading), (0, 1), "test")
        assert row.without_user[0].content == plain + block
        assert build_row(only(reading), (1, 0), "test").without_user[0].content != plain + block
    nobody = "Do you agree or disagree with the following claim? Cats bark."
    reading = read_published(json_lines(tmp_path, opinion(nobody + block)), "anthropic")
    assert build_row(only(reading), (0, 1), "test").without_user == ()


def test_the_best_incorrect_answer_of_2025_is_preferred(tmp_path):
    rows = (*ROW, "Cats roar"), ("Why?", "So", "So", "Not; No", "  ")
    reading = read_published(table(tmp_path, COLUMNS_2025, *rows), "truthfulqa")
    assert [question.options[1] for question in reading.questions] == ["Cats roar", "Not"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_byte_order_mark_hides_no_column(tmp_path, encoding):
    path = table(tmp_path, COLUMNS, ROW, encoding=encoding)
    assert only(read_published(path, "truthfulqa")).item == "Do cats bark?"


def test_outer_white_space_is_no_part_of_a_question_or_an_answer(tmp_path):
    row = (" Do cats bark? ", "Cats meow ", " They meow", " Cats bark ; ")
    question = only(read_published(table(tmp_path, COLUMNS, row), "truthfulqa"))
    assert question.item == "Do cats bark?" and question.options == ("Cats meow", "Cats bark")


# Rimsky


def test_pairs_of_statements_are_their_own_item(tmp_path):
    question = only(read_published(json_list(tmp_path, opinion(TEA, "(A)", "(B)")), "rimsky"))
    assert (question.family, question.item) == ("opinion", "Milk / Tea")
    assert question.persona == "I am Una and I grow tea."
    assert build_row(question, (0, 1), "test").answers == ("(A)", "(B)")
    assert words(question) == TEA


def test_a_single_statement_is_the_item(tmp_path):
    text = (
        "I am Max.\nAs my AI assistant, do you agree with what follows?\nBikes win.\n\n"
        "Choices:\n(A) Agree\n(B) Disagree"
    )
    question = only(read_published(json_list(tmp_path, opinion(text, "(A)", "(B)")), "rimsky"))
    assert (question.persona, question.item) == ("I am Max.", "Bikes win.")


def test_misconceptions_labelled_like_opinions_are_told_by_their_choices_line(tmp_path):
    text = "Do cats bark?\n\nYour choices:\n(A) Yes\n(B) No"
    question = only(read_published(json_list(tmp_path, opinion(text, "(A)", "(B)")), "rimsky"))
    assert (question.family, question.item, question.persona) == (
        "misconception",
        "Do cats bark?",
        "",
    )


BARK = "Do cats bark?\n\nChoices:\n(A) Yes\n(B) No"
LETTERS_ONLY = {"question": BARK, "incorrect": "(A)", "correct": "(B)"}
IN_FULL = {
    "prompt": f"Kindly answer.\n{BARK}",
    "correct": "(B)",
    "incorrect": "(A)",
    "correct_full_text": "No",
    "incorrect_full_text": "Yes",
    "category": "Animals",
}
RIGHT_ONLY = {"input": BARK, "answer": "(B)", "answer_text": "No"}


@pytest.mark.parametrize("record", [LETTERS_ONLY, IN_FULL, RIGHT_ONLY])
def test_the_wrong_answer_to_a_lettered_question_of_fact_is_the_sycophantic_one(tmp_path, record):
    question = only(read_published(json_list(tmp_path, record), "rimsky"))
    assert (question.family, question.item) == ("misconception", "Do cats bark?")
    assert question.options[question.matching] == "Yes"
    assert words(question) == record.get("prompt", BARK)


def test_an_option_that_was_published_empty_is_kept(tmp_path):
    record = IN_FULL | {"prompt": "Hello.\nWhy?\n\nChoices:\n(A) So\n(B) ", "correct": "(A)"}
    record |= {"incorrect": "(B)", "correct_full_text": "So", "incorrect_full_text": ""}
    question = only(read_published(json_list(tmp_path, record), "rimsky"))
    assert question.options == ("So", "") and question.matching == 1


def test_of_many_options_the_right_and_the_first_wrong_one_are_taken(tmp_path):
    record = {"question": "Do cats bark?", "options": {"Yes": 0, "No": 1, "Maybe": 0}}
    question = only(read_published(json_list(tmp_path, record), "rimsky"))
    assert question.options == ("No", "Yes") and question.matching == 1
    assert question.form == "free" and words(question) == "Do cats bark?"


def test_of_a_dialogue_only_the_words_of_the_user_stay(tmp_path):
    record = {"s_completion": "Yes!", "n_completion": "No.", "prompt": "Human: I jog. Wise? AI:"}
    question = only(read_published(json_list(tmp_path, record), "rimsky"))
    assert words(question) == question.item == "I jog. Wise?"
    assert question.options[question.matching] == "Yes!" and question.family == "opinion"


def test_a_group_is_written_as_a_choice_between_its_statements(tmp_path):
    record = {"group": "Bakers", "agree": "Eat bread.", "disagree": "Eat air.", "bio": "I bake."}
    question = only(read_published(json_list(tmp_path, record), "rimsky"))
    assert question.options[question.matching] == "Eat bread."
    assert (question.persona, question.item) == ("I bake.", "Eat air. / Eat bread.")
    assert words(question, (1, 0)).startswith("I bake.\n")
    assert words(question, (1, 0)).endswith("\n\nChoices:\n(A) Eat air.\n(B) Eat bread.")


def test_records_of_several_schemas_may_share_a_file(tmp_path):
    reading = read_published(json_list(tmp_path, LETTERS_ONLY, IN_FULL, RIGHT_ONLY), "rimsky")
    # The first and the last show the same words and the same label.
    assert (reading.n_records, reading.n_repeated, len(reading.questions)) == (3, 1, 2)


# Refusals

SOUND = opinion()
BAD_OPINIONS = {
    "missing key": ({"question": CAKE, MATCHING: " (A)"}, [OTHER, "no such key"]),
    "question of another type": (SOUND | {"question": 7}, ["question", "7"]),
    "empty question": (SOUND | {"question": "  "}, ["question", "not empty"]),
    "nothing but options": (opinion("\n (A) x\n (B) y"), ["question", "before the options"]),
    "answer not among the choices": (SOUND | {MATCHING: " (C)"}, [MATCHING, "' (B)'", "' (C)'"]),
    "answer without the space": (SOUND | {MATCHING: "(A)"}, [MATCHING, "' (A)'"]),
    "no answer in the list": (SOUND | {OTHER: []}, [OTHER, "[]"]),
    "a number in the list": (SOUND | {OTHER: [2]}, [OTHER, "[2]"]),
    "a list in the list": (SOUND | {OTHER: [[" (B)"]]}, [OTHER, "among the choices"]),
    "two answers that match": (SOUND | {MATCHING: [" (A)", " (B)"]}, [MATCHING, "one answer"]),
    "matching also in not matching": (SOUND | {OTHER: [" (B)", " (A)"]}, [OTHER, MATCHING]),
    "a choice without a label": (
        opinion("Which?\n (A) x\n (B) y\n (C) z"),
        [OTHER, "every choice"],
    ),
    "no option lines": (opinion("Which, (A) or (B)?"), ["question", "found none"]),
    "one option": (opinion("Which?\n (A) x"), ["question", "two or more"]),
    "options not from A": (opinion("Which?\n (B) x\n (C) y"), ["question", "'BC'"]),
    "options out of order": (opinion("Which?\n (B) x\n (A) y"), ["question", "'A'"]),
    "a gap between the options": (opinion("Which?\n (A) x\n\n (B) y"), ["question", "'B'"]),
    "options indented differently": (opinion("Which?\n(A) x\n (B) y"), ["question", "indented"]),
    "equal options": (opinion("Which?\n (A) x\n (B) x"), ["question", "different options"]),
    "words after the options": (opinion("Which?\n (A) x\n (B) y\nBe brief."), ["'\\nBe brief.'"]),
    "a list for a record": ([CAKE], ["object"]),
}


def refused(read: Callable[[], object]) -> str:
    """The message with which `read` refuses; it has to be one line."""
    with pytest.raises(InputError) as refusal:
        read()
    message = str(refusal.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("name", BAD_OPINIONS)
def test_a_bad_opinion_is_refused_in_one_line_with_its_place(tmp_path, name):
    record, said = BAD_OPINIONS[name]
    path = json_lines(tmp_path, SOUND, record)
    message = refused(lambda: read_published(path, "anthropic"))
    for part in (str(path), "line 2", "data/public/README.md", *said):
        assert part in message


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"question": "Whi', ["line 1", "valid JSON"]),
        ('{"question": "x", "question": "y"}', ["line 1", "'question'", "twice"]),
        ("", ["found none"]),
        ("\n\n", ["found none"]),
        ('"a word"', ["line 1", "object"]),
    ],
)
def test_a_bad_file_of_lines_is_refused(tmp_path, content, said):
    path = tmp_path / "opinions.jsonl"
    path.write_text(content)
    message = refused(lambda: read_published(path, "anthropic"))
    assert all(part in message for part in (str(path), *said))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('[{"question": "Whi', ["valid JSON"]),
        ('{"question": "x"}', ["list"]),
        ("7", ["list"]),
        ("", ["found none"]),
        ("[]", ["found none"]),
        ('["a word"]', ["record 1", "object"]),
    ],
)
def test_a_bad_file_of_a_list_is_refused(tmp_path, content, said):
    path = tmp_path / "pairs.json"
    path.write_text(content)
    message = refused(lambda: read_published(path, "rimsky"))
    assert all(part in message for part in (str(path), *said))


GROUP = {"group": "Bakers", "agree": "Eat bread.", "disagree": "Eat air.", "bio": "I bake."}
DIALOGUE = {"s_completion": "Yes!", "n_completion": "No.", "prompt": "Human: I jog. AI:"}
MANY = {"question": "Do cats bark?", "options": {"Yes": 0, "No": 1}}


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (opinion(TEA, "A", "B"), [MATCHING, "'(A)'"]),
        (LETTERS_ONLY | {"correct": "(A)"}, ["correct", "incorrect"]),
        (LETTERS_ONLY | {"incorrect": "A"}, ["incorrect", "'A'"]),
        (IN_FULL | {"correct_full_text": "Nope"}, ["correct_full_text", "'Nope'", "'No'"]),
        (IN_FULL | {"incorrect_full_text": "No"}, ["incorrect_full_text"]),
        (RIGHT_ONLY | {"answer_text": "Yes"}, ["answer_text", "'No'"]),
        (RIGHT_ONLY | {"answer": ["(A)", "(B)"]}, ["answer", "one answer"]),
        (RIGHT_ONLY | {"input": BARK + "\n(C) Perhaps"}, ["input", "two options"]),
        (MANY | {"options": {"Yes": 0, "No": 0}}, ["options", "one right option"]),
        (MANY | {"options": {"No": 1}}, ["options", "one right option"]),
        (MANY | {"options": {"Yes": 2, "No": 1}}, ["options", "0 (wrong)"]),
        (MANY | {"options": ["Yes", "No"]}, ["options", "object"]),
        (MANY | {"question": ""}, ["question", "not empty"]),
        (DIALOGUE | {"prompt": "I jog."}, ["prompt", "Human"]),
        (DIALOGUE | {"prompt": "Human:  AI:"}, ["prompt", "Human"]),
        (DIALOGUE | {"n_completion": "Yes!"}, ["n_completion", "other than"]),
        (GROUP | {"disagree": "Eat bread."}, ["different options"]),
        (GROUP | {"agree": "Eat\n(B) bread."}, ["one line"]),
        (GROUP | {"bio": None}, ["bio", "None"]),
        ({"question": BARK, "correct": "(A)"}, ["no reader", "'correct'", "incorrect"]),
        ({}, ["no reader", "[]"]),
    ],
)
def test_a_bad_record_of_a_list_is_refused_in_one_line_with_its_number(tmp_path, record, said):
    path = json_list(tmp_path, RIGHT_ONLY, GROUP, record)
    message = refused(lambda: read_published(path, "rimsky"))
    for part in (str(path), "record 3", *said):
        assert part in message


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([COLUMNS[:-1], ROW[:-1]], ["line 1", "Incorrect Answers"]),
        ([COLUMNS, ROW, ("", *ROW[1:])], ["line 3", "Question"]),
        ([COLUMNS, ROW, (ROW[0], " ", *ROW[2:])], ["line 3", "Best Answer"]),
        ([COLUMNS, (*ROW[:3], "")], ["line 2", "Incorrect Answers", "not empty"]),
        ([COLUMNS, (*ROW[:3], " ; ")], ["line 2", "Incorrect Answers", "other than the best"]),
        ([COLUMNS, (*ROW[:3], "Cats meow")], ["line 2", "Incorrect Answers"]),
        ([COLUMNS_2025, ("Why?", "So", "So", "Not", "So")], ["line 2", "Best Incorrect Answer"]),
        ([COLUMNS, ROW[:-1]], ["line 2", "4 cells", "found 3"]),
        ([COLUMNS, (*ROW, "more")], ["line 2", "4 cells", "found 5"]),
        ([COLUMNS], ["found none"]),
        ([], ["found none"]),
    ],
)
def test_a_bad_table_is_refused(tmp_path, rows, said):
    path = table(tmp_path, *rows)
    for form in ("letters", "free"):
        message = refused(lambda form=form: read_published(path, "truthfulqa", form=form))
        assert all(part in message for part in (str(path), *said))


def test_a_table_that_ends_inside_a_cell_is_refused(tmp_path):
    path = table(tmp_path, COLUMNS)
    path.write_text(path.read_text() + 'Why?,"So')
    assert "valid CSV" in refused(lambda: read_published(path, "truthfulqa"))


def test_a_file_in_another_encoding_is_refused(tmp_path):
    path = table(tmp_path, COLUMNS, ("Café?", *ROW[1:]), encoding="latin-1")
    assert "UTF-8" in refused(lambda: read_published(path, "truthfulqa"))


def test_an_unknown_format_is_refused_with_the_known_ones(tmp_path):
    message = refused(lambda: read_published(json_lines(tmp_path, SOUND), "anthropics"))
    assert "'anthropics'" in message and all(name in message for name in FORMATS)


def test_a_missing_file_is_refused_with_where_to_get_it(tmp_path):
    message = refused(lambda: read_published(tmp_path / "absent.jsonl", "anthropic"))
    assert "absent.jsonl" in message and "data/public/README.md" in message


def test_an_option_that_a_format_does_not_take_is_refused(tmp_path):
    path = json_lines(tmp_path, SOUND)
    assert "'form'" in refused(lambda: read_published(path, "anthropic", form="free"))
    path = table(tmp_path, COLUMNS, ROW)
    assert "'essay'" in refused(lambda: read_published(path, "truthfulqa", form="essay"))


# The public files

LM_EXP, CAA = "rimsky/LM-exp/datasets", "rimsky/SycophancySteering"
ROWS = {
    "anthropic_sycophancy/nlp_survey.jsonl": 623,
    "anthropic_sycophancy/philpapers2020.jsonl": 207,
    "anthropic_sycophancy/political_typology_quiz.jsonl": 6120,
    "truthfulqa/TruthfulQA.csv": 817,
    "truthfulqa/TruthfulQA_2025-01.csv": 790,
    f"{LM_EXP}/sycophancy_2/dataset.json": 453,
    f"{LM_EXP}/sycophancy_2/sycophancy_ab_choice_data.json": 453,
    f"{LM_EXP}/sycophancy_2/sycophancy_agree_disagree_data.json": 906,
    f"{LM_EXP}/sycophancy_2/truthful_qa_ab_eval.json": 1634,
    f"{LM_EXP}/sycophancy_2/truthful_qa_mc.json": 817,
    f"{LM_EXP}/sycophancy_2/truthful_qa_prompts_2.json": 817,
    f"{LM_EXP}/sycophancy_2/truthful_qa_sycophancy.json": 1634,
    f"{LM_EXP}/sycophancy/sycophancy.json": 179,
    f"{CAA}/preprocessed_data/generate_dataset.json": 1080,
    f"{CAA}/preprocessed_data/test_dataset.json": 120,
    f"{CAA}/preprocessed_data/truthful_qa_dataset.json": 817,
    f"{CAA}/llm_generated_data/agree_disagree_dataset.json": 500,
}
"""Records in each file, as its `SOURCES.md` says."""
FORMAT_OF = {".jsonl": "anthropic", ".csv": "truthfulqa", ".json": "rimsky"}


def raw_records(name: str) -> list[dict]:
    text = (SHARED_DATA / name).read_bytes().decode("utf-8-sig")
    if name.endswith(".jsonl"):
        return [json.loads(line) for line in text.split("\n") if line]
    if name.endswith(".csv"):
        return list(csv.DictReader(io.StringIO(text, newline="")))
    return json.loads(text)


def read(name: str, **options: Any) -> QuestionFile:
    return read_published(SHARED_DATA / name, FORMAT_OF[Path(name).suffix], **options)


def raw_lettered(record: dict) -> tuple[str, str]:
    """(published text, letter of the sycophantic answer)."""
    text = record.get("question") or record.get("prompt") or record["input"]
    if "answer" in record:
        return text, {"(A)": "B", "(B)": "A"}[record["answer"]]
    return text, (record.get(MATCHING) or record["incorrect"]).strip(" ()")


def exchanged(text: str) -> str:
    """The text with the words of its last two lettered lines exchanged."""
    lines = text.split("\n")
    a, b = (
        max(i for i, line in enumerate(lines) if line.lstrip()[:4] == m) for m in ("(A) ", "(B) ")
    )
    start = lines[a].index("(A) ") + 4
    lines[a], lines[b] = lines[a][:start] + lines[b][start:], lines[b][:start] + lines[a][start:]
    return "\n".join(lines)


WITHOUT_LETTERS = (
    "truthfulqa/TruthfulQA.csv",
    "truthfulqa/TruthfulQA_2025-01.csv",
    f"{LM_EXP}/sycophancy_2/dataset.json",
    f"{LM_EXP}/sycophancy_2/truthful_qa_mc.json",
    f"{LM_EXP}/sycophancy/sycophancy.json",
    f"{CAA}/llm_generated_data/agree_disagree_dataset.json",
)
LETTERED = [name for name in ROWS if name not in WITHOUT_LETTERS]
"""The files that hold the whole text of a question, options included."""


@needs_public_data
def test_every_public_file_is_tested():
    found = {
        str(path.relative_to(SHARED_DATA))
        for path in SHARED_DATA.rglob("*")
        if path.is_file() and path.suffix in FORMAT_OF and path.name != "UPSTREAM_BLOBS.json"
    }
    # Of sycophancy-eval there are four rows, a sample of its schema.
    assert {name for name in found if not name.startswith("sycophancy_eval/")} == set(ROWS)


@needs_public_data
@pytest.mark.parametrize("name", ROWS)
def test_the_rows_of_a_public_file_are_all_accounted_for(name):
    reading = read(name)
    assert reading.n_records == ROWS[name] == len(raw_records(name))
    assert len(reading.questions) + reading.n_repeated == reading.n_records
    # In these files what repeats a record repeats it in full, but for the name of a group.
    raw = [{k: v for k, v in record.items() if k != "group"} for record in raw_records(name)]
    different = {json.dumps(record, sort_keys=True) for record in raw}
    assert reading.n_repeated == reading.n_records - len(different)
    assert {question.source for question in reading.questions} == {Path(name).stem}


@needs_public_data
@pytest.mark.parametrize("name", ROWS)
def test_a_public_file_is_split_and_balanced_with_every_row_accounted_for(name):
    questions = read(name).questions
    drawn = sample(questions, SplitShares(0.4, 0.25, 0.35, 0), SPLITS, len(questions))
    assert len(drawn.rows) + sum(drawn.left_out.values()) == len(questions)
    splits_of: dict[tuple[str, str], set[str]] = defaultdict(set)
    places = Counter()
    for row in drawn.rows:
        splits_of["item", row.item].add(row.split)
        if row.persona:
            splits_of["persona", row.persona].add(row.split)
        places[row.split, len(row.choices), row.matching] += row.form == "letters"
        assert bool(row.without_user) <= bool(row.persona)
        if row.without_user:
            assert row.persona not in row.without_user[0].content
            assert all(text in row.without_user[0].content for _, text in row.choices)
    assert {len(splits) for splits in splits_of.values()} == {1}
    for split in SPLITS:  # two views of an item alternate apart, so one row each may be left over
        assert abs(places[split, 2, "A"] - places[split, 2, "B"]) <= 2


@needs_public_data
@pytest.mark.parametrize("name", LETTERED)
def test_a_public_text_is_given_back_byte_for_byte_with_its_label(name):
    published = list(dict.fromkeys(raw_lettered(record) for record in raw_records(name)))
    rows = [build_row(question, (0, 1), "test") for question in read(name).questions]
    assert [(row.messages[0].content, row.matching) for row in rows] == published
    spaced = name.endswith(".jsonl")
    assert {row.answers for row in rows} == {(" (A)", " (B)") if spaced else ("(A)", "(B)")}


@needs_public_data
@pytest.mark.parametrize("name", LETTERED)
def test_options_that_change_places_take_the_label_with_them(name):
    published = dict.fromkeys(raw_lettered(record) for record in raw_records(name))
    rows = [build_row(question, (1, 0), "test") for question in read(name).questions]
    assert [(row.messages[0].content, row.matching) for row in rows] == [
        (exchanged(text), {"A": "B", "B": "A"}[letter]) for text, letter in published
    ]


@needs_public_data
@pytest.mark.parametrize(
    ("name", "stem", "end_of_stem", "items"),
    [
        ("nlp_survey", "Do you agree or disagree with the following", " as of 2022? ", 32),
        ("philpapers2020", "What is your view on the following", " topic: ", 56),
    ],
)
def test_the_items_of_a_survey_are_what_follows_its_stem(name, stem, end_of_stem, items):
    name = f"anthropic_sycophancy/{name}.jsonl"
    questions = read(name).questions
    for question, record in zip(questions, raw_records(name), strict=True):
        biography, asked = record["question"].split(stem)
        assert question.persona == biography.rstrip()
        assert question.item == asked.split(end_of_stem)[1].split("\n")[0]
    assert len({question.item for question in questions}) == items


@needs_public_data
def test_the_political_quiz_puts_the_same_17_questions_to_each_of_360_personas():
    questions = read("anthropic_sycophancy/political_typology_quiz.jsonl").questions
    assert Counter(Counter(question.item for question in questions).values()) == {360: 17}
    assert Counter(Counter(question.persona for question in questions).values()) == {17: 360}
    for question in questions:
        stem = words(question).removeprefix(question.persona).split("\n")[0]
        assert question.item.startswith(stem.strip()) and stem.startswith(" ")
    # SOURCES.md: for an item and an affiliation the sycophantic answer never changes.
    raw = raw_records("anthropic_sycophancy/political_typology_quiz.jsonl")
    sides = {
        (question.item, record["user_affiliation"], question.matching)
        for question, record in zip(questions, raw, strict=True)
    }
    assert len(sides) == 17 * 2


@needs_public_data
@pytest.mark.parametrize("name", ["truthfulqa/TruthfulQA.csv", "truthfulqa/TruthfulQA_2025-01.csv"])
@pytest.mark.parametrize("form", ["letters", "free"])
def test_truthfulqa_gives_the_best_and_an_incorrect_answer_of_each_row(name, form):
    questions, records = read(name, form=form).questions, raw_records(name)
    assert len({question.item for question in questions}) == len(records)
    for question, record in zip(questions, records, strict=True):
        right, wrong = question.options
        assert question.matching == 1 and question.form == form
        assert question.item == record["Question"].strip() and right == record["Best Answer"]
        if "Best Incorrect Answer" in record:
            assert wrong == record["Best Incorrect Answer"].strip()
        else:
            assert (record["Incorrect Answers"] + "; ").startswith((f"{wrong}; ", f"{wrong};"))
        shown = f"\n\nChoices:\n (A) {right}\n (B) {wrong}\n\nAnswer:" if form == "letters" else ""
        assert words(question) == question.item + shown


@needs_public_data
@pytest.mark.parametrize("name", [name for name in ROWS if "truthful_qa" in name])
def test_what_rimsky_made_of_truthfulqa_asks_its_817_questions(name):
    questions = read(name).questions
    asked = {r["Question"].strip() for r in raw_records("truthfulqa/TruthfulQA.csv")}
    assert {question.family for question in questions} == {"misconception"}
    assert {question.persona for question in questions} == {""}
    items = {question.item for question in questions}
    # Rimsky used an earlier TruthfulQA: one of its questions has been replaced since.
    assert len(items) == 817 and len(items - asked) == 1


@needs_public_data
def test_the_options_of_truthful_qa_mc_are_the_right_and_the_first_wrong_one():
    name = f"{LM_EXP}/sycophancy_2/truthful_qa_mc.json"
    for question, record in zip(read(name).questions, raw_records(name), strict=True):
        right, wrong = question.options
        assert record["options"][right] == 1 and question.matching == 1
        assert wrong == next(text for text, value in record["options"].items() if not value)
        assert words(question) == record["question"] and question.form == "free"


@needs_public_data
def test_the_oldest_schema_gives_the_words_of_the_user_and_two_completions():
    name = f"{LM_EXP}/sycophancy/sycophancy.json"
    published = {
        (f"Human: {words(q)} AI:", q.options[q.matching], q.options[1 - q.matching])
        for q in read(name).questions
    }
    assert published == {
        (r["prompt"], r["s_completion"], r["n_completion"]) for r in raw_records(name)
    }


@needs_public_data
@pytest.mark.parametrize(
    "name",
    [
        f"{LM_EXP}/sycophancy_2/dataset.json",
        f"{CAA}/llm_generated_data/agree_disagree_dataset.json",
    ],
)
def test_groups_are_written_as_the_published_choices_that_were_made_from_them(name):
    made = raw_records(f"{LM_EXP}/sycophancy_2/sycophancy_ab_choice_data.json")
    labels = {record["question"]: record[MATCHING] for record in made}
    found = 0
    for question in read(name).questions:
        for order in ((0, 1), (1, 0)):
            row = build_row(question, order, "test")
            label = labels.get(row.messages[0].content)
            assert label in (None, f"({row.matching})")
            found += label is not None
    assert found == len(labels)


@needs_public_data
def test_every_schema_occurs_in_the_public_files():
    records = [r for name in ROWS if name.startswith("rimsky/") for r in raw_records(name)[:1]]
    assert all(any(r.keys() >= set(keys) for r in records) for keys in SCHEMAS)
