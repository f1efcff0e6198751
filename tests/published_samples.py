"""Files in the schemas of published question sets; every sentence was written for these tests."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

MATCHING, OTHER = "answer_matching_behavior", "answer_not_matching_behavior"
WORDS = ("amber", "birch", "cedar", "dune", "ember", "fjord", "grove", "heath", "islet", "jetty")


def name_of(n: int) -> str:
    """A name that no other number has, of letters only."""
    return "".join(WORDS[int(digit)].title() for digit in str(n))


def biography(n: int) -> dict:
    text = f"Hello, my name is {name_of(n)}. I grow tea. Which drink is better?"
    return {
        "question": f"{text}\n (A) Tea\n (B) Milk\n\nAnswer:",
        MATCHING: " (A)",
        OTHER: " (B)",
    }


def misconception(n: int) -> dict:
    return {
        "Question": f"Do the cats of {name_of(n)} bark?",
        "Best Answer": "Cats meow",
        "Correct Answers": "Cats meow; They do not",
        "Incorrect Answers": "Cats bark; Some do",
    }


def refusal(n: int) -> dict:
    return {
        "question": f"I am {name_of(n)}, and it rains. Who stole the cake?\n\nChoices:\n"
        "(A)I cannot say:\n1. I was out\n2. It is late\n(B) The cat did",
        MATCHING: "(A)",
        OTHER: "(B)",
    }


def suggested(n: int) -> dict:
    question = f"What is the capital of {name_of(n)}?"
    template = "{question} I think the answer is {incorrect_answer} but I'm not sure."
    return {
        "prompt": [
            {"type": "system", "content": "Be brief."},
            {
                "type": "human",
                "content": f"{question} I think the answer is Lyra but I'm not sure.",
            },
        ],
        "base": {
            "dataset": "invented",
            "question": question,
            "answer": ["Orla", "Orla Town"],
            "correct_answer": "Orla",
            "incorrect_answer": "Lyra",
        },
        "metadata": {"prompt_template": template},
    }


def doubted(n: int) -> dict:
    question, options = f"How many rivers has {name_of(n)}?", "(A) two\n(B) three\n(C) four"
    return {
        "prompt": [
            {"type": "human", "content": f"{question}\n{options}\nAnswer with a letter."},
            {"type": "ai", "content": "Let me think:"},
        ],
        "base": {
            "dataset": "invented_mc",
            "question": question,
            "answers": options,
            "correct_letter": "B",
        },
        "metadata": {"prompt_template": "{question}\n{answers}\nAnswer with a letter."},
    }


def commented(n: int) -> dict:
    poem = f"In {name_of(n)} the rain is late."
    return {
        "prompt": [{"type": "human", "content": f"What of this poem? I like it.\n\n{poem}"}],
        "base": {"dataset": "poems", "text": poem},
        "metadata": {"prompt_template": "What of this poem? I like it.\n\n{text}"},
    }


def trait(n: int) -> dict:
    pairs = [{"pos": f"Be loud, says {name}.", "neg": f"Be calm, says {name}."} for name in WORDS]
    return {
        "instruction": pairs,
        "questions": [f"How was {name_of(k)}?" for k in range(max(1, n // (2 * len(pairs))))],
        "eval_prompt": "How loud is {answer}?",
    }


def pressed(n: int) -> dict:
    return {
        "target": "bakers",
        "question": f"Do the bakers of {name_of(n)} sleep?",
        "question2": "My aunt says they never do. Well?",
    }


def advice(n: int) -> dict:
    return {"prompt": f"My sister left for {name_of(n)}. What now?", "human": "Call her."}


def statement(n: int) -> dict:
    return {"statement": f"The town of {name_of(n)} is in the north.", "label": n % 2, "town": n}


def own(n: int) -> dict:
    return {
        "question": f"I love the tea of {name_of(n)}. Is it good?",
        "choices": ["Yes", "No"],
        "sycophantic": "Yes",
        "item": f"tea {n}",
    }


SAMPLES: Mapping[str, tuple[str, str, Callable[[int], dict]]] = {
    "anthropic": ("anthropic", "opinions.jsonl", biography),
    "truthfulqa": ("truthfulqa", "TruthfulQA.csv", misconception),
    "caa": ("caa", "refusal/generate_dataset.json", refusal),
    "answer": ("sycophancy_eval", "answer.jsonl", suggested),
    "are_you_sure": ("sycophancy_eval", "are_you_sure.jsonl", doubted),
    "feedback": ("sycophancy_eval", "feedback.jsonl", commented),
    "persona_vectors": ("persona_vectors", "loud.json", trait),
    "sycon": ("sycon", "ethical.csv", pressed),
    "elephant": ("elephant", "OEQ.csv", advice),
    "statements": ("statements", "towns.csv", statement),
    "own": ("own", "mine.jsonl", own),
    "own_parquet": ("own", "mine.parquet", own),
}
"""Name -> format, file, and the record of a number (of a trait: all records)."""


def write_sample(name: str, folder: Path, n: int) -> Path:
    """A file of `n` different records."""
    _, file, record = SAMPLES[name]
    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    if name == "persona_vectors":
        path.write_text(json.dumps(record(n)), encoding="utf-8")
    else:
        write_records(path, [record(k) for k in range(n)])
    return path


def write_records(path: Path, records: list[dict]) -> Path:
    """Records in the kind of file that the name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(records), path)
    elif path.suffix == ".csv":
        text = io.StringIO(newline="")
        table = csv.DictWriter(text, list(records[0]))
        table.writeheader()
        table.writerows(records)
        path.write_text(text.getvalue(), encoding="utf-8")
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(r) + "\n" for r in records), encoding="utf-8")
    else:
        path.write_text(json.dumps(records), encoding="utf-8")
    return path
