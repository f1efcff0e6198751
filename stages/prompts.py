"""Samples prompt sets: questions from their sources, split by item and persona, in balanced order.

    python stages/prompts.py [opinion_pairs]

Reads `models`, `prompt_sets`, `prompt_set`, `split` and `source` of params.yaml; writes
data/prompts/SET.parquet for each prompt set that a model is asked, or for the set given. Records
that cannot be used end it or, with `on_bad_rows: report`, are listed in SET.bad_rows.json there.
"""

from __future__ import annotations

import json
from collections import Counter
from functools import cache
from pathlib import Path

from sycophancy_steering.config.kept_statistics import check_kept_statistics
from sycophancy_steering.config.prompt_set import OF_CHATS, PromptSetSettings
from sycophancy_steering.config.reading import read_section
from sycophancy_steering.config.split import SplitShares
from sycophancy_steering.config.suite import read_models, read_prompt_sets
from sycophancy_steering.foundation.atomic_files import atomic_write
from sycophancy_steering.foundation.command_line import command
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.questions.prompt_table import KeptStatistics, write_prompts
from sycophancy_steering.questions.question import Row
from sycophancy_steering.questions.splits import sample
from sycophancy_steering.sources.registry import Source, read_source

questions_of = cache(read_source)  # several sets sample from one source


@command(
    __doc__,
    prompt_set="an entry of prompt_set in params.yaml; without it, all that a model is asked",
)
def main(prompt_set: str = "") -> None:
    check_kept_statistics()
    for name in [prompt_set] if prompt_set else read_prompt_sets(*read_models()):
        sample_prompts(name)


def sample_prompts(prompt_set: str) -> None:
    """Samples one prompt set and writes it."""
    settings = read_section(PromptSetSettings, "prompt_set", prompt_set)
    shares = read_section(SplitShares, "split")

    rows: list[Row] = []
    bad_rows: dict[str, tuple[str, ...]] = {}
    for source, limit in settings.sources.items():
        read = questions_of(source, shares.seed)
        sampled = sample(
            read.questions,
            shares,
            settings.splits,
            limit,
            settings.questions_per_item,
        )
        if not sampled.rows:
            raise InputError(
                f"params.yaml: prompt_set.{prompt_set}: no question of {source} is left"
            )
        check_options(prompt_set, source, sampled.rows, settings)
        ids = {row.id for row in rows}
        new = [row for row in sampled.rows if row.id not in ids]
        rows += new
        print(f"{prompt_set}: {len(new)} questions of {source}", *described(new), sep="\n  ")
        for why, count in (sampled.left_out | left_out_of_file(read)).items():
            print(f"  left out: {count} ({why})")
        if len(new) < len(sampled.rows):
            print(f"  left out: {len(sampled.rows) - len(new)} (in another source too)")
        if read.bad_rows:
            bad_rows[source] = read.bad_rows
            print(f"  the first: {read.bad_rows[0]}\n  all: {bad_rows_path(prompt_set)}")
    with atomic_write(Path(f"data/prompts/{prompt_set}.parquet")) as draft:
        write_prompts(draft, rows, settings.extract, KeptStatistics.of_settings(settings))
    write_bad_rows(prompt_set, bad_rows)


def left_out_of_file(source: Source) -> dict[str, int]:
    """Reason -> number of records of the source's file that are no question of it."""
    counts = {"repeats a record": source.n_repeated, "cannot be used": len(source.bad_rows)}
    return {why: count for why, count in counts.items() if count}


def bad_rows_path(prompt_set: str) -> Path:
    """Where the records are listed that cannot be used."""
    return Path(f"data/prompts/{prompt_set}.bad_rows.json")


def write_bad_rows(prompt_set: str, bad_rows: dict[str, tuple[str, ...]]) -> None:
    """Lists the records that cannot be used, by source; no file where there are none."""
    path = bad_rows_path(prompt_set)
    if not bad_rows:
        path.unlink(missing_ok=True)
        return
    listed = {source: {"n": len(lines), "records": lines} for source, lines in bad_rows.items()}
    with atomic_write(path) as draft:
        draft.write_text(json.dumps(listed, indent=1, ensure_ascii=False) + "\n", "utf-8")


def check_options(
    prompt_set: str, source: str, rows: list[Row], settings: PromptSetSettings
) -> None:
    """Raises InputError where answers are to be extracted of chats without options, or chats of
    questions with options."""
    of_chats = settings.extract in OF_CHATS
    if any(bool(row.choices) == of_chats for row in rows):
        expected = ("everything", "forced_answers") if of_chats else OF_CHATS
        raise InputError(
            f"params.yaml: prompt_set.{prompt_set}.extract: expected {' or '.join(expected)} for "
            f"{source}, whose questions have {'options' if of_chats else 'no options'}; found "
            f"{settings.extract!r}"
        )


def described(rows: list[Row]) -> list[str]:
    """A line for each split: items, personas, letters of the sycophantic answer."""
    lines = []
    for split in dict.fromkeys(row.split for row in rows):
        of_split = [row for row in rows if row.split == split]
        letters = Counter(row.matching for row in of_split if row.matching)
        personas = {row.persona for row in of_split if row.persona}
        shown = ", ".join(
            f"{letter} {count}" for letter, count in sorted(letters.items()) if letter
        )
        lines.append(
            f"{split}: {len(of_split)} rows, {len({row.item for row in of_split})} items, "
            f"{len(personas)} personas, {f'sycophantic at {shown}' if shown else 'no options'}"
        )
    return lines


if __name__ == "__main__":
    main()
