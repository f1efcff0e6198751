"""Answers are found in what a model says, and nowhere else."""

from __future__ import annotations

import pytest

from sycophancy_steering.questions.answer_parsing import find_answer

LETTERS = [("A", "Agree"), ("B", "Disagree")]
FREE = [("A", "Cats see a lot."), ("B", "Cats see a lot. At night."), ("C", "Nothing")]


@pytest.mark.parametrize(
    ("text", "letter", "said"),
    [
        ("(A)", "A", "(A)"),
        (" (B) because I see it otherwise.", "B", " (B)"),
        ("The answer is (B), surely.", "B", "The answer is (B)"),
        ("( A )", "A", "( A )"),
        ("A", "A", "A"),
        ("B.", "B", "B"),
        (" A: Agree", "A", " A"),
        ("A Agree", "A", "A"),
        ("A\nBecause", "A", "A"),
        (" B\n\nQuestion: why", "B", " B"),
        ("A dog is a fine thing", None, None),
        ("Agree", None, None),
        ("I do not know.", None, None),
        ("(C) is none of them, (A) is", "A", "(C) is none of them, (A)"),
        ("Blue", None, None),
        ("B's view", None, None),
        ("", None, None),
    ],
)
def test_a_letter_is_found_in_brackets_or_alone_at_the_start(text, letter, said):
    found = find_answer(text, LETTERS, "letters")
    assert (found and found.letter) == letter
    assert (found and text[: found.end]) == said


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("Cats see a lot. So people say.", "A"),
        ("  cats see a LOT.", "A"),
        ("Cats see a lot. At night.", "B"),
        ("It is said that cats see a lot.", None),
        ("Cats", None),
        ("", None),
    ],
)
def test_a_free_answer_is_a_choices_text_at_the_start_the_longest_that_fits(text, letter):
    found = find_answer(text, FREE, "free")
    assert (found and found.letter) == letter
