"""The extraction of a prompt set of whose activations only statistics are kept."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from sycophancy_steering.activations.cache_keys import row_key
from sycophancy_steering.activations.extraction import ExtractionRun, StudiedModel
from sycophancy_steering.activations.folding import FoldedAnswer, Folding
from sycophancy_steering.activations.responses import write_reference_logprobs, write_responses
from sycophancy_steering.foundation.atomic_files import atomic_write
from sycophancy_steering.questions.answer_labels import label_group
from sycophancy_steering.questions.prompt_table import (
    ROW_GROUP_SIZE,
    KeptStatistics,
    read_kept_statistics,
)
from sycophancy_steering.questions.question import Row
from sycophancy_steering.schemas.activations import (
    BLOCK_SCHEMA,
    REFERENCE_LOGPROBS,
    RESPONSES,
    STATISTICS,
)
from sycophancy_steering.storage.activation_statistics import StatisticsIndex, read_index
from sycophancy_steering.storage.activation_store import ActivationStore, hash_of, link_or_copy

RESPONSES_AT_ONCE = 64 * ROW_GROUP_SIZE
"""Responses in memory while they are put in the order of the prompt set."""


def extraction_run(model: StudiedModel, prompts: Path) -> ExtractionRun:
    """The extraction of a prompt set by a model, which keeps what the set says."""
    statistics = read_kept_statistics(prompts)
    return (
        StatisticsRun(model, prompts, statistics) if statistics else ExtractionRun(model, prompts)
    )


class StatisticsRun(ExtractionRun):
    """An extraction that folds activations into statistics as it goes.

    It shares no question with other prompt sets, as their activations are deleted. References are
    to be run before prompts: labels may depend on them.
    """

    def __init__(self, model: StudiedModel, prompts: Path, statistics: KeptStatistics):
        super().__init__(model, prompts)
        self._windows_of_rows = [*self._windows([*range(len(self.row_keys))])]
        windows = [[self.row_keys[n] for n in window] for window in self._windows_of_rows]
        index = StatisticsIndex(
            self.origin, **asdict(statistics), questions=hash_of(*windows), n_windows=0, counts={}
        )
        name = f"{self.origin.extraction_key}-{hash_of(index.questions, asdict(statistics))}"
        self.store = ActivationStore(name, BLOCK_SCHEMA)
        self.folding = Folding(self.store, windows, index, self._answers)

    def import_cached_output(self, files: dict[str, Path]) -> None:
        """Imports an earlier output, if it is of the same questions, extracted in the same way, and
        none of them was run here."""
        is_begun = self.folding.index.n_windows or self.store.blocks
        if is_begun or not {STATISTICS, RESPONSES, REFERENCE_LOGPROBS} <= files.keys():
            return
        complete = replace(self.folding.index, n_windows=len(self.folding.windows))
        if replace(read_index(files[STATISTICS]), counts={}) != complete:
            return
        responses = pq.read_table(files[RESPONSES], columns=BLOCK_SCHEMA.names)
        for number, window in enumerate(self._windows_of_rows):
            with atomic_write(self.folding.responses_of(number)) as draft:
                draft.mkdir()
                pq.write_table(responses.take(pa.array(window)), draft / RESPONSES)
        self.store.reference_folder.mkdir(exist_ok=True)
        references = files[REFERENCE_LOGPROBS]
        shutil.copyfile(references, self.store.reference_folder / f"{references.name}.parquet")
        with atomic_write(self.folding.statistics_of(complete.n_windows)) as draft:
            draft.mkdir()
            for name in files.keys() - {RESPONSES, REFERENCE_LOGPROBS}:
                # Not a link, through which a file in DVC's cache could be changed.
                shutil.copyfile(files[name], draft / name)
        self.folding = Folding(self.store, self.folding.windows, complete, self._answers)

    def run_prompts(self, bar: tqdm) -> None:
        """Runs the uncached questions, and folds those that are stored."""
        super().run_prompts(bar)
        self.folding.fold_complete()

    def after_batch(self) -> None:
        """Folds what is stored."""
        self.folding.fold_complete()

    def _answers(self, windows: Sequence[int]) -> Iterator[list[FoldedAnswer]]:
        """The answers of each window, in its order."""
        read = self.read_windows([self._windows_of_rows[window] for window in windows])
        for window, questions in zip(windows, read, strict=True):
            keys = self.folding.windows[window]
            responses = dict(zip(keys, self.store.responses(keys).to_pylist(), strict=True))
            rows = {row_key(row): row for row in questions}
            yield [self._folded_answer(rows[key], responses[key]) for key in keys]

    def _folded_answer(self, row: Row, response: dict[str, Any]) -> FoldedAnswer:
        answer = asdict(row) | response | next(self.references_of([row]))
        answer["choices"] = [{"letter": letter, "text": text} for letter, text in row.choices]
        has_letters = row.form == "letters" and row.choices
        return FoldedAnswer(
            row.id,
            label_group(answer, self.folding.index.grouped_by),
            row.matching if has_letters else "",
            row.not_matching[0] if has_letters else "",
        )

    def write(self, output: Path) -> int:
        """Writes statistics, responses and reference log-probabilities; how many questions have an
        answer."""
        with atomic_write(output) as draft:
            draft.mkdir()
            assert self.folding.folder  # no prompt set is empty
            for path in sorted(self.folding.folder.iterdir()):
                link_or_copy(path, draft / path.name)
            write_reference_logprobs(draft, self.reference_logprobs)
            references = self.references_of(self._rows())
            answered = write_responses(draft, self._responses(), references)
        self.store.forget_plan(self.row_keys)
        return answered

    def _responses(self) -> Iterator[pa.Table]:
        """The responses in the order of the prompt set, a row group at a time."""
        for start in range(0, len(self.row_keys), RESPONSES_AT_ONCE):
            keys: Sequence[str] = self.row_keys[start : start + RESPONSES_AT_ONCE]
            table = self.store.responses(keys)
            for offset in range(0, len(keys), ROW_GROUP_SIZE):
                yield table.slice(offset, ROW_GROUP_SIZE)
