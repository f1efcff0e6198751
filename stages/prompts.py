"""Samples prompt sets: questions from their sources, split by item and persona, in both orders.

    python stages/prompts.py [opinion_pairs]

Reads `prompt_sets`, `prompt_set`, `split` and `source` of params.yaml; writes
data/prompts/SET.parquet for each of `prompt_sets`, or for the set given.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from sycophancy_steering.config.prompt_set import PromptSetSettings
from sycophancy_steering.config.reading import read_names, read_section
from sycophancy_steering.config.split import SplitShares
from sycophancy_steering.foundation.atomic_files import atomic_write
from sycophancy_steering.foundation.command_line import command
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.questions.prompt_table import write_prompts
from sycophancy_steering.questions.question import Row
from sycophancy_steering.questions.splits import sample
from sycophancy_steering.sources.registry import read_source


@command(
    __doc__,
    prompt_set="an entry of prompt_set in params.yaml; without it, all of prompt_sets",
)
def main(prompt_set: str = "") -> None:
    for name in [prompt_set] if prompt_set else read_names("prompt_sets"):
        sample_prompts(name)


def sample_prompts(prompt_set: str) -> None:
    """Samples one prompt set and writes it."""
    wanted = read_section(PromptSetSettings, "prompt_set", prompt_set)
    shares = read_section(SplitShares, "split")

    rows: list[Row] = []
    for source, limit in wanted.sources.items():
        drawn = sample(read_source(source, shares.seed), shares, wanted.splits, limit)
        if not drawn.rows:
            raise InputError(
                f"params.yaml: prompt_set.{prompt_set}: no question of {source} is left to draw"
            )
        held = {row.id for row in rows}
        new = [row for row in drawn.rows if row.id not in held]
        rows += new
        print(f"{prompt_set}: {len(new)} questions of {source}", *described(new), sep="\n  ")
        for why, count in drawn.left_out.items():
            print(f"  left out: {count} ({why})")
        if len(new) < len(drawn.rows):
            print(f"  left out: {len(drawn.rows) - len(new)} (in another source too)")
    with atomic_write(Path(f"data/prompts/{prompt_set}.parquet")) as draft:
        write_prompts(draft, rows, wanted.extract)


def described(rows: list[Row]) -> list[str]:
    """A line for each split: items, personas, where the sycophantic answer stands."""
    lines = []
    for split in dict.fromkeys(row.split for row in rows):
        held = [row for row in rows if row.split == split]
        places = Counter(row.matching for row in held)
        shown = ", ".join(f"{letter} {count}" for letter, count in sorted(places.items()))
        lines.append(
            f"{split}: {len(held)} rows, {len({row.item for row in held})} items, "
            f"{len({row.persona for row in held if row.persona})} personas, sycophantic at {shown}"
        )
    return lines


if __name__ == "__main__":
    main()
