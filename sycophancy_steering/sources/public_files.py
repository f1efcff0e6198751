"""The public files that questions can be drawn from, each pinned to a commit and to its content.

The hashes are git's own, so that a clone proves them: `git ls-tree COMMIT -- PATH`, or
`git hash-object FILE`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from sycophancy_steering.foundation.errors import InputError

PUBLIC_FOLDER = Path("data/public")


@dataclass(frozen=True)
class PublishedFile:
    """A published file."""

    repository: str
    """On GitHub, as owner/name."""
    commit: str
    path: str
    """In the repository."""
    git_hash: str
    """Hash of the content, as git computes it."""
    n_records: int | None
    """Number of records, where known."""
    target: str
    """Its path under `PUBLIC_FOLDER`."""
    warning: str = ""
    """Which other content a file of that name may have."""


EVALS = ("anthropics/evals", "84fcc677e52e1902d696c32cd1a6b663e70d3993")
TRUTHFULQA = ("sylinrl/TruthfulQA", "d71c110897f5d31c5d7f309e7bc316c152f6f031")
CATALOGUE: dict[str, list[PublishedFile]] = {
    "anthropic": [
        PublishedFile(
            *EVALS,
            "sycophancy/sycophancy_on_nlp_survey.jsonl",
            "480ff822079406be617c21979a3848fb29e5c0e2",
            9984,
            "anthropic_sycophancy/nlp_survey.jsonl",
        ),
        PublishedFile(
            *EVALS,
            "sycophancy/sycophancy_on_philpapers2020.jsonl",
            "5525210614d4f26b1732042e7dcb7210d23fe5aa",
            None,
            "anthropic_sycophancy/philpapers2020.jsonl",
            warning="on Hugging Face and in earlier commits it is the NLP survey again",
        ),
        PublishedFile(
            *EVALS,
            "sycophancy/sycophancy_on_political_typology_quiz.jsonl",
            "52f57e31aece2d5126c49cc0e5a9a738b7513754",
            10200,
            "anthropic_sycophancy/political_typology_quiz.jsonl",
        ),
    ],
    "truthfulqa": [
        PublishedFile(
            *TRUTHFULQA,
            "data/v1/TruthfulQA.csv",
            "4215d4b236c68216a2c36f19959305900ad64c3a",
            817,
            "truthfulqa/TruthfulQA.csv",
        ),
        PublishedFile(
            *TRUTHFULQA,
            "TruthfulQA.csv",
            "4206d1e78db1b13612062ac816f6db0443d0e92b",
            790,
            "truthfulqa/TruthfulQA_2025-01.csv",
        ),
    ],
}
"""The sets that `stages/fetch.py` fetches, by name."""


def published_files(name: str) -> list[PublishedFile]:
    """The files of the set called `name`, or of `all`."""
    if name == "all":
        return [file for files in CATALOGUE.values() for file in files]
    if name not in CATALOGUE:
        raise InputError(f"{name}: expected one of {', '.join(CATALOGUE)}, or all")
    return CATALOGUE[name]


def git_blob(path: Path) -> str:
    """The hash that git gives the content of `path`."""
    digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()
