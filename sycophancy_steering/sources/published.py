"""Reads public sets of sycophancy questions exactly as they were published.

A format is one function from a path to a `Reading`, registered by name in `FORMATS` at the end.
Each guarantees:

- strict at the door: a record that is not understood raises a `InputError` that names the file, the
  record and the key; no record is mended or skipped;
- nothing is dropped in silence: `len(questions) + repeated == rows`, since in every format one
  record is one question;
- where the file holds the whole text of a question, the text in the published order of the options
  is the published text, byte for byte (`Lettered.find` refuses otherwise).
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.questions.question import LETTERS, Order, Question, Turn
from sycophancy_steering.sources.lettered_options import LetteredText, published_order
from sycophancy_steering.sources.records import (
    REMEDY,
    Record,
    csv_rows,
    json_lines,
    json_list,
    shortened,
)

SPACED = " ({letter})"
"""How Anthropic writes an answer: with the space that follows `Answer:`."""
BARE = "({letter})"
"""How Rimsky writes an answer."""

STEMS = (
    # Anthropic's NLP survey, then PhilPapers, then Rimsky's single statements: the item follows.
    r"(?P<persona>.*)\bDo you agree or disagree with the following claim\b[^?]*\? (?P<item>.+)",
    r"(?P<persona>.*)\bWhat is your view on the following topic: (?P<item>.+)",
    r"(?P<persona>.*)\nAs my AI assistant, do you agree [^\n]*\?\n(?P<item>.+)",
    # Rimsky's pairs of statements: the options are the item.
    r"(?P<persona>.*)\nAs my AI assistant, which of the following choices [^\n]*\?",
    r"(?P<persona>.*)\nHow about you, which option [^\n]*\?",
)
"""Where the biography ends, by the words that follow it. `.*` is greedy: the last place counts, so
a biography may quote the question."""

SENTENCE_START = re.compile(r"(?<=[.!?])[\"')]* +(?=[A-Z\"'])|\n+")


@dataclass(frozen=True)
class QuestionFile:
    """What a file held."""

    questions: list[Question]
    """In the order of the file, without the repeated ones."""
    n_records: int
    """Records in the file."""
    n_repeated: int
    """Records with the words, the options and the sycophantic option of an earlier one: dropped."""


def read_questions(path: Path, records: Iterable[Record], to_question: Callable[[Record], Question]) -> QuestionFile:
    """One question a record; those that repeat an earlier one are counted and left out.

    The sycophantic option is part of what is compared: the same words with another label are a
    contradiction in the data, which is kept, not a repetition.
    """
    first: dict[object, Question] = {}
    rows = 0
    for record in records:
        question = to_question(record)
        words = question.write(published_order(question.options))
        sycophantic = question.options[question.matching]
        first.setdefault((words, frozenset(question.options), sycophantic), question)
        rows += 1
    if not rows:
        raise InputError(f"{path}: expected records, found none; {REMEDY}")
    return QuestionFile(questions=list(first.values()), n_records=rows, n_repeated=rows - len(first))


def user_turns(lettered: LetteredText, order: Order) -> tuple[Turn, ...]:
    """A user who shows the options."""
    return (Turn("user", lettered.write(order)),)


def same_turns(words: str, order: Order) -> tuple[Turn, ...]:
    """A user who shows no options."""
    return (Turn("user", words),)


def option_pair(options: tuple[str, ...]) -> str:
    """The options as one item, whatever the order in which a row shows them."""
    return " / ".join(sorted(option.strip() for option in options))


@dataclass(frozen=True)
class OpinionParts:
    """The words before the options, taken apart."""

    persona: str
    item: str
    """The claim, topic or question that is asked about, without the biography."""
    question_start: int
    """Where, in the words before the options, the biography ends and the question begins."""


def split_opinion(lettered: LetteredText) -> OpinionParts:
    """Who asks, and about what.

    `STEMS` knows the words between the two. Where none of them occurs (the political quiz), the
    last sentence before the options is the question. Its stems recur with other options, so that
    sentence and the options are the item: in the published file this gives its 17 questions. A
    biography that ends without a full stop would run into the question.
    """
    head = lettered.stem
    for stem in STEMS:
        found = re.fullmatch(stem, head, re.DOTALL)
        if found:
            item = found.groupdict().get("item") or option_pair(lettered.options)
            return OpinionParts(found["persona"].strip(), item.strip(), found.end("persona"))
    starts = [found.end() for found in SENTENCE_START.finditer(head.rstrip())]
    start = starts[-1] if starts else 0
    item = f"{head[start:].strip()} {option_pair(lettered.options)}"
    return OpinionParts(head[:start].strip(), item, start)


def options_named(record: Record, key: str, lettered: LetteredText, answer: str) -> tuple[int, ...]:
    """The options that `key` names, as one answer or as a list of answers written as `answer`."""
    known = {answer.format(letter=LETTERS[k]): k for k in range(len(lettered.options))}
    value = record.fields.get(key)
    answers = value if isinstance(value, list) else [value]
    named = [known.get(one) if isinstance(one, str) else None for one in answers]
    if not named or None in named:
        raise record.error(key, f"an answer among the choices {', '.join(map(repr, known))}")
    return tuple(option for option in named if option is not None)


def sycophantic_option(
    record: Record, matching_key: str, other_key: str, lettered: LetteredText, answer: str
) -> int:
    """The option that `matching_key` names; `other_key` has to name every other one."""
    matching = options_named(record, matching_key, lettered, answer)
    others = options_named(record, other_key, lettered, answer)
    if len(matching) != 1:
        raise record.error(matching_key, "one answer")
    if matching[0] in others:
        raise record.error(other_key, f"no answer that is also in {matching_key!r}")
    if len(set(others)) != len(lettered.options) - 1:
        raise record.error(other_key, f"every choice that is not in {matching_key!r}")
    return matching[0]


def lettered_opinion(record: Record, lettered: LetteredText, matching: int, answer: str) -> Question:
    """A user with a view asks for the model's."""
    opinion = split_opinion(lettered)
    plain = replace(lettered, before=lettered.before[opinion.question_start :].lstrip())
    return Question(
        source=record.source,
        family="opinion",
        item=opinion.item,
        persona=opinion.persona,
        options=lettered.options,
        matching=matching,
        write=partial(user_turns, lettered),
        answer_format=answer,
        write_without_user=partial(user_turns, plain) if opinion.persona else None,
    )


def lettered_misconception(
    record: Record, item: str, lettered: LetteredText, matching: int, answer: str
) -> Question:
    """A question with a popular wrong answer, the options shown."""
    return Question(
        source=record.source,
        family="misconception",
        item=item.strip(),
        persona="",
        options=lettered.options,
        matching=matching,
        write=partial(user_turns, lettered),
        answer_format=answer,
    )


def free_question(
    record: Record, family: str, words: str, options: tuple[str, str], matching: int
) -> Question:
    """A question that shows no options; its words are the item.

    Also for an opinion: the two completions are written for one user's words, so they tell no more
    than the words about what is asked.
    """
    return Question(
        source=record.source,
        family=family,
        item=words.strip(),
        persona="",
        options=options,
        matching=matching,
        write=partial(same_turns, words),
        form="free",
        answer_format="{text}",
    )


# Anthropic: https://github.com/anthropics/evals, Perez et al. 2022, https://arxiv.org/abs/2212.09251


def labelled(record: Record, answer: str) -> Question:
    """`question` with options in it; the answers that match the user's view and that do not."""
    lettered = LetteredText.parse(record.text("question"), record.location_of("question"))
    matching = sycophantic_option(
        record, "answer_matching_behavior", "answer_not_matching_behavior", lettered, answer
    )
    # Rimsky labelled TruthfulQA with the keys of an opinion; only there the line is "Your ...".
    if lettered.before.endswith("\n\nYour choices:\n"):
        return lettered_misconception(record, lettered.stem, lettered, matching, answer)
    return lettered_opinion(record, lettered, matching, answer)


def anthropic(path: Path) -> QuestionFile:
    """The three files of sycophancy questions, JSON lines.

    Answers are " (A)", a list of them where several do not match (PhilPapers). Other keys, such as
    the political quiz's `user_affiliation`, are not needed: the view is stated in the persona.
    """
    return read_questions(path, json_lines(path), partial(labelled, answer=SPACED))


# TruthfulQA: https://github.com/sylinrl/TruthfulQA, Lin et al. 2022, https://arxiv.org/abs/2109.07958


def answers_in(cell: str) -> list[str]:
    """The answers of a cell, which are joined by "; " and may end in ";"."""
    return [answer.strip() for answer in re.split(r"; |;\s*\Z", cell) if answer.strip()]


def best_and_worst(record: Record) -> tuple[str, str]:
    """The best answer, and the best incorrect one or, where there is none, the first incorrect."""
    best = record.text("Best Answer").strip()
    wrong, column = str(record.fields.get("Best Incorrect Answer", "")).strip(), "Incorrect Answers"
    if wrong:
        column = "Best Incorrect Answer"
    else:
        wrong = next(iter(answers_in(record.text(column))), "")
    if not wrong or wrong == best:
        raise record.error(column, "an answer other than the best one")
    return best, wrong


def truthfulqa_row(record: Record, form: str) -> Question:
    """One row; outer white space is no part of a question or an answer."""
    words = record.text("Question").strip()
    options = best_and_worst(record)
    references = {
        "true_answers": tuple(
            dict.fromkeys([options[0], *answers_in(record.text("Correct Answers"))])
        ),
        "false_answers": tuple(answers_in(record.text("Incorrect Answers"))),
    }
    if form == "free":
        question = free_question(record, "misconception", words, options, matching=1)
        return replace(question, **references)
    lettered = LetteredText.from_parts(
        before=f"{words}\n\nChoices:\n",
        option_format=" ({letter}) {text}",
        options=options,
        after="\n\nAnswer:",
        location=record.location,
    )
    question = lettered_misconception(record, words, lettered, matching=1, answer=SPACED)
    return replace(question, **references)


def truthfulqa(path: Path, form: str = "letters") -> QuestionFile:
    """TruthfulQA.csv, of 2021 or of 2025, whose column of best incorrect answers is used.

    The file holds no prompts. With `letters` the two answers are shown as Anthropic shows options;
    with `free` only the question is asked and an answer is its text.
    """
    if form not in ("letters", "free"):
        raise InputError(f"{path}: expected the form 'letters' or 'free', found {form!r}")
    needed = ("Question", "Best Answer", "Correct Answers", "Incorrect Answers")
    return read_questions(path, csv_rows(path, needed), partial(truthfulqa_row, form=form))


# Rimsky: https://github.com/nrimsky/LM-exp and https://github.com/nrimsky/SycophancySteering


def right_and_wrong(record: Record) -> Question:
    """`question` from TruthfulQA with options in it; letters of the right and the wrong one."""
    lettered = LetteredText.parse(record.text("question"), record.location_of("question"))
    wrong = sycophantic_option(record, "incorrect", "correct", lettered, BARE)
    return lettered_misconception(record, lettered.stem, lettered, wrong, BARE)


def check_text(record: Record, key: str, option: str) -> None:
    """`key` has to repeat the option that the record's letter names."""
    if record.fields.get(key) != option:
        raise record.error(key, f"the words of the option, {shortened(option)}")


def right_and_wrong_in_full(record: Record) -> Question:
    """`prompt` with a request, a question from TruthfulQA, and options; letters and texts."""
    lettered = LetteredText.parse(record.text("prompt"), record.location_of("prompt"))
    wrong = sycophantic_option(record, "incorrect", "correct", lettered, BARE)
    (right,) = options_named(record, "correct", lettered, BARE)
    check_text(record, "incorrect_full_text", lettered.options[wrong])
    check_text(record, "correct_full_text", lettered.options[right])
    # The first line asks for help; the question follows it.
    question = lettered.stem.partition("\n")[2] or lettered.stem
    return lettered_misconception(record, question, lettered, wrong, BARE)


def right_only(record: Record) -> Question:
    """`input` from TruthfulQA with two options in it; `answer` is the letter of the right one."""
    lettered = LetteredText.parse(record.text("input"), record.location_of("input"))
    right = options_named(record, "answer", lettered, BARE)
    if len(right) != 1:
        raise record.error("answer", "one answer")
    if len(lettered.options) != 2:
        raise record.error("input", "two options, so that the wrong one is known")
    check_text(record, "answer_text", lettered.options[right[0]])
    return lettered_misconception(record, lettered.stem, lettered, 1 - right[0], BARE)


def right_among_wrong(record: Record) -> Question:
    """`question` from TruthfulQA, `options` as text -> 1 or 0: the right one, the first wrong."""
    options = record.fields.get("options")
    if not isinstance(options, dict) or not all(
        text.strip() and value in (0, 1) for text, value in options.items()
    ):
        raise record.error("options", "an object of texts, each with 1 (right) or 0 (wrong)")
    right = [text for text, value in options.items() if value == 1]
    wrong = [text for text, value in options.items() if value == 0]
    if len(right) != 1 or not wrong:
        raise record.error("options", "one right option and one or more wrong ones")
    words = record.text("question")
    return free_question(record, "misconception", words, (right[0], wrong[0]), matching=1)


def two_completions(record: Record) -> Question:
    """`prompt` as "Human: ... AI:", of which the user's words stay; two ways to go on."""
    spoken = re.fullmatch(r"Human: *(.*\S) *AI:\s*", record.text("prompt"), re.DOTALL)
    if not spoken:
        raise record.error("prompt", "'Human: ... AI:'")
    options = (record.text("s_completion"), record.text("n_completion"))
    if options[0] == options[1]:
        raise record.error("n_completion", "words other than those of 's_completion'")
    return free_question(record, "opinion", spoken[1], options, matching=0)


def group_with_views(record: Record) -> Question:
    """A member of a group, a statement the group agrees with and one it does not.

    Written as `sycophancy_ab_choice_data.json`, which was made from these records, writes them.
    """
    lettered = LetteredText.from_parts(
        before=(
            f"{record.text('bio')}\nAs my AI assistant, which of the following choices do you "
            "think is more correct?\n\nChoices:\n"
        ),
        option_format="({letter}) {text}",
        options=(record.text("agree"), record.text("disagree")),
        after="",
        location=record.location,
    )
    return lettered_opinion(record, lettered, 0, BARE)


SCHEMAS: dict[tuple[str, ...], Callable[[Record], Question]] = {
    ("question", "answer_matching_behavior", "answer_not_matching_behavior"): partial(
        labelled, answer=BARE
    ),
    ("question", "correct", "incorrect"): right_and_wrong,
    (
        "prompt",
        "correct",
        "incorrect",
        "correct_full_text",
        "incorrect_full_text",
    ): right_and_wrong_in_full,
    ("input", "answer", "answer_text"): right_only,
    ("question", "options"): right_among_wrong,
    ("prompt", "s_completion", "n_completion"): two_completions,
    ("group", "agree", "disagree", "bio"): group_with_views,
}
"""The reader of a record by the keys that it needs."""


def by_keys(record: Record) -> Question:
    """The question of a record of any of the `SCHEMAS`."""
    for keys, read in SCHEMAS.items():
        if record.fields.keys() >= set(keys):
            return read(record)
    nearest = max(SCHEMAS, key=lambda keys: len(record.fields.keys() & set(keys)))
    raise InputError(
        f"{record.location}: no reader for the keys {shortened(sorted(record.fields), 120)}; "
        f"expected for example {', '.join(nearest)} (all readers: SCHEMAS in {__name__})"
    )


def rimsky(path: Path) -> QuestionFile:
    """A list of JSON records, each read by its keys (see `SCHEMAS`)."""
    return read_questions(path, json_list(path), by_keys)


FORMATS: dict[str, Callable[..., QuestionFile]] = {
    "anthropic": anthropic,
    "truthfulqa": truthfulqa,
    "rimsky": rimsky,
}
"""The readers by name."""


def read_published(path: Path, format: str, **options: str) -> QuestionFile:
    """The questions of the file at `path`, published in `format` (a name in `FORMATS`).

    Raises `InputError` for an unknown format or option, a missing file, or a bad record.
    """
    if format not in FORMATS:
        raise InputError(f"{path}: expected a format among {', '.join(FORMATS)}, found {format!r}")
    reader = FORMATS[format]
    try:
        inspect.signature(reader).bind(path, **options)
    except TypeError as error:
        raise InputError(
            f"{path}: the format {format!r} does not take these options, {error}"
        ) from None
    if not path.is_file():
        raise InputError(
            f"{path}: expected a file, found none; fetch it (see data/public/README.md)"
        )
    return reader(path, **options)
