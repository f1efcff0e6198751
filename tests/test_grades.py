"""Grades by hand and by judges: written blind, read strictly, carried into labels."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from email.message import Message
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from chat_server import chat_server
from conftest import run_stage

from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.labels.grades import (
    COLUMNS,
    Grader,
    grade_id,
    majority_labels,
    pairwise_kappas,
    write_grading_sheet,
)
from sycophancy_steering.labels.judging import judge_prompt, parse_grade, request_reply
from sycophancy_steering.labels.rubrics import Grade


def rows_of(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def save(path: Path, grades: dict[str, str]) -> None:
    lines = [f"{question},{grade}" for question, grade in grades.items()]
    path.write_text("\n".join(["id,grade", *lines]) + "\n")


def answer_ids(study: Path) -> list[str]:
    asked = pl.read_parquet(study / "data/prompts/pairs.parquet")["id"]
    said = pl.read_parquet(study / "data/activations/tiny/pairs/responses.parquet")["continuation"]
    return [grade_id(question, answer) for question, answer in zip(asked, said, strict=True)]


def use(study: Path, source: str) -> None:
    params = study / "params.yaml"
    params.write_text(params.read_text().replace("source: logprob", f"source: {source}"))


def labels_of(study: Path) -> pl.DataFrame:
    done = run_stage(study, "labels", "tiny", "pairs")
    assert done.returncode == 0, done.stderr
    return pl.read_parquet(study / "data/labels/tiny/pairs.parquet")


def test_what_is_to_be_graded_is_blind_shuffled_and_shrinks(study):
    path = study / "data/grades/tiny-pairs.ann.todo.csv"
    assert run_stage(study, "grade", "tiny", "pairs", "ann").returncode == 0
    first = rows_of(path)
    ids = answer_ids(study)
    assert tuple(first[0]) == COLUMNS
    assert sorted(row["id"] for row in first) == sorted(ids)
    assert [row["id"] for row in first] not in (ids, sorted(ids))
    assert all(row["grade"] == "" for row in first)
    save(study / "data/grades/tiny-pairs.ann.csv", {ids[0]: "other", ids[1]: "unclear", ids[2]: ""})
    assert run_stage(study, "grade", "tiny", "pairs", "ann").returncode == 0
    again = rows_of(path)  # all of them, so that the file can take the place of ann's
    assert {row["id"]: row["grade"] for row in again[-2:]} == {ids[0]: "other", ids[1]: "unclear"}
    assert {row["id"] for row in again[:-2] if row["grade"] == ""} == set(ids[2:])
    bad = run_stage(study, "grade", "tiny", "pairs", "../ann")
    assert bad.stderr.startswith("error: '../ann': expected a grader's name")


def test_a_models_words_are_no_formula(tmp_path):
    row = dict.fromkeys(COLUMNS, "fine") | {"answer": "=cmd()"}
    write_grading_sheet(tmp_path / "todo.csv", [row], 0)
    assert rows_of(tmp_path / "todo.csv")[0]["answer"] == "'=cmd()"


def test_hand_grades_become_labels_and_their_worth_is_reported(study):
    ids = answer_ids(study)
    grades = ["sycophantic", "other", "unclear", "other"]
    save(study / "data/grades/tiny-pairs.ann.csv", dict(zip(ids, grades, strict=False)))
    save(study / "data/grades/tiny-pairs.bo.csv", dict(zip(ids, ["sycophantic"] * 2, strict=False)))
    use(study, "hand")
    labels = labels_of(study)
    assert labels["label"].to_list()[:5] == [1, None, None, 0, None]  # they differ on the second
    tables = study / "reports/label_tables/tiny"
    ann = pl.read_csv(tables / "pairs.graders.csv").row(0, named=True)
    assert ann == {"grader": "ann", "n_graded": 4, "n_ungraded": 8, "n_unclear": 1}
    (agreement,) = pl.read_csv(tables / "pairs.grader_agreement.csv").to_dicts()
    assert agreement == {"one": "ann", "other": "bo", "n": 2, "kappa": 0}


def test_the_label_is_what_most_graders_say():
    graders = [
        Grader("a", {"x": "sycophantic", "y": "other", "z": "unclear"}),
        Grader("b", {"x": "sycophantic", "y": "sycophantic", "z": "unclear"}),
        Grader("c", {"x": "other", "y": "unclear"}),
    ]
    assert majority_labels(graders, ["x", "y", "z", "w"]) == [1, None, None, None]
    assert pairwise_kappas(graders)["a", "b"][0] == 3


def test_a_model_of_the_study_can_judge(study):
    params = study / "params.yaml"
    params.write_text(
        params.read_text().replace("judge: {}", "judge: {odd: {kind: model, model: tiny}}")
    )
    done = run_stage(study, "judge", "tiny", "pairs", "odd")
    assert done.returncode == 0, done.stderr
    # A random model says nothing that can be read, and then no file of empty grades is left.
    assert "0 of 12 answers graded, 12 replies unreadable" in done.stdout
    assert not (study / "data/grades/tiny-pairs.judge-odd.csv").exists()


class Judge:
    """Grades by the length of what it is asked; busy at first, and unreadable once."""

    def __init__(self) -> None:
        self.busy, self.asked = 1, 0

    def reply(self, question: Mapping[str, Any], headers: Message) -> str | int:
        assert headers["Authorization"] == "Bearer secret"
        assert question["model"] == "judge-7b" and question["temperature"] == 0
        if self.busy:
            self.busy -= 1
            return 429
        self.asked += 1
        return "Hard to say" if self.asked == 3 else "(A)" if self.asked % 2 else " B."


@pytest.fixture
def judge() -> Judge:
    return Judge()


@pytest.fixture
def address(judge) -> Iterator[str]:
    with chat_server(judge.reply) as found:
        yield found


def test_a_judge_behind_an_address_grades_and_its_errors_widen_the_interval(study, judge, address):
    params = study / "params.yaml"
    params.write_text(
        params.read_text().replace("judge: {}", "judge: {far: {kind: address, model: judge-7b}}")
    )
    done = run_stage(study, "judge", "tiny", "pairs", "far")
    assert done.stderr == (
        "error: params.local.yaml: not found; run this from the top of the repository\n"
    )
    local = study / "params.local.yaml"
    local.write_text(f"judge: {{far: {{address: {address}, key: secret}}}}\n")
    done = run_stage(study, "judge", "tiny", "pairs", "far")
    assert done.returncode == 0, done.stderr
    assert "11 of 12 answers graded, 1 replies unreadable" in done.stdout
    again = run_stage(study, "judge", "tiny", "pairs", "far")  # asks only what has no grade
    assert "12 of 12 answers graded, 0 replies unreadable" in again.stdout
    assert judge.asked == 13
    use(study, "judge")
    labels = labels_of(study)
    assert labels["label"].null_count() == 0
    hands = {answer: "sycophantic" for answer in answer_ids(study)[:6]}
    save(study / "data/grades/tiny-pairs.ann.csv", hands)
    labels_of(study)
    from sycophancy_steering.storage.label_files import read_grader_error

    noise = read_grader_error(study / "data/labels/tiny/pairs.parquet")
    assert noise is not None
    judged = labels["judge"].to_list()[:6]
    assert (noise.positive, noise.positive_wrong) == (judged.count(1), 0)
    assert (noise.negative, noise.negative_wrong) == (judged.count(0), judged.count(0))


def test_grades_of_another_judge_are_not_mixed_in(study):
    path = study / "data/grades/tiny-pairs.judge-odd.csv"
    path.write_text(f"id,grade,by\n{answer_ids(study)[0]},other,giant\n")
    params = study / "params.yaml"
    params.write_text(
        params.read_text().replace("judge: {}", "judge: {odd: {kind: model, model: tiny}}")
    )
    done = run_stage(study, "judge", "tiny", "pairs", "odd")
    assert "grades by giant, but params.yaml: judge.odd.model is tiny" in done.stderr
    path.write_text(f"id,grade,by,score\n{answer_ids(study)[0]}, Other,tiny,much\n")
    done = run_stage(study, "judge", "tiny", "pairs", "odd")
    assert done.stderr.startswith("error: ") and "column 'score': expected numbers" in done.stderr


def test_a_set_for_contrast_pairs_needs_no_grades(study):
    use(study, "hand")
    assert labels_of(study)["label"].null_count() == 12
    done = run_stage(study, "labels", "tiny", "held_out")
    assert "label_source: 'hand' labels no answer of tiny to held_out" in done.stderr
    done = run_stage(study, "vectors", "tiny", "pairs")
    assert done.returncode == 0, done.stderr


def test_a_judge_that_is_not_there_is_one_line():
    with pytest.raises(InputError, match=r"/v1/chat/completions: the judge cannot be reached"):
        request_reply("http://127.0.0.1:9/v1/", "", "m", "?", wait=0)


def test_local_settings_and_what_is_to_be_graded_are_not_committed(study):
    from conftest import run

    for name in ("params.local.yaml", "data/grades/tiny-pairs.ann.todo.csv"):
        assert run(study, "git", "check-ignore", name).returncode == 0, name


@pytest.mark.parametrize(
    ("reply", "grade"),
    [("(A)", "sycophantic"), ("B", "other"), ("C. Neither", "unclear"), ("I think so", None)],
)
def test_a_reply_is_read_strictly(reply, grade):
    answers = (dict.fromkeys(COLUMNS, "") | {"id": n} for n in "abcdef")
    straight = next(a for a in answers if parse_grade("A", a) == Grade("sycophantic"))
    assert parse_grade(reply, straight) == (None if grade is None else Grade(grade))


def test_the_sycophantic_answer_comes_first_for_half_of_the_questions():
    firsts = 0
    for n in range(200):
        answer = dict.fromkeys(COLUMNS, "text") | {
            "id": str(n),
            "rubric": "",
            "sycophantic_answer": "yes",
            "other_answers": "no",
        }
        first = "first: yes" in judge_prompt(answer)
        assert parse_grade("(A)", answer) == Grade("sycophantic" if first else "other")
        assert parse_grade("(C)", answer) == Grade("unclear")
        firsts += first
    assert 80 < firsts < 120


def test_a_judge_is_not_told_which_answer_is_the_sycophantic_one():
    prompt = judge_prompt(dict.fromkeys(COLUMNS, "text") | {"rubric": ""})
    assert "sycophan" not in prompt.lower()
