"""A model's run over a prompt set: what is not known yet, batch by batch, whatever happens.

In memory are a window of questions and a few batches, never the prompt set.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from tqdm import tqdm

from sycophancy_steering.activations.likelihoods import Asked, likelihoods, references, without_user
from sycophancy_steering.engine.forward import (
    MATERIAL,
    ReadingSettings,
    layers_of,
    read_answers,
    read_batch,
)
from sycophancy_steering.engine.language_model import LanguageModel, Placement
from sycophancy_steering.engine.prefix_tree import Tokens, batches
from sycophancy_steering.foundation.atomic_files import atomic_write
from sycophancy_steering.questions.prompt_table import Reading, each_prompt, reading_of
from sycophancy_steering.questions.question import Row
from sycophancy_steering.storage.activation_shards import RESPONSES, Origin
from sycophancy_steering.storage.activation_store import KEY, Store, key_of
from sycophancy_steering.storage.result_cache import code, digest

WINDOW = 1024
"""Questions in memory, those that begin alike together."""
BATCH_TOKENS = {"cpu": 8192}
BATCH_TOKENS_ELSEWHERE = 32768
WAITING = 1
"""Batches that may be written while the next one runs: what a power cut can cost."""
RESPONSE = [
    ("id", pa.string()),
    ("prompt_tokens", pa.int32()),
    ("continuation", pa.string()),
    ("answer", pa.string()),
    ("logprobs", pa.list_(pa.float64())),
    ("any_logprobs", pa.list_(pa.float64())),
    ("spoken", pa.list_(pa.string())),
]
ASKED = pa.schema([(KEY, pa.string()), ("logprobs", pa.list_(pa.float64()))])
COMPARED_WITH = ["plain_logprobs", "true_logprobs", "false_logprobs"]


Found = TypeVar("Found")


class Run:
    """What one model is asked, and what of it is known."""

    def __init__(
        self,
        language_model: LanguageModel,
        settings: ReadingSettings,
        model: str,
        placement: Placement,
        prompts: Path,
    ):
        self.language_model = language_model
        self.settings = settings
        self.prompts = prompts
        self.wanted = reading_of(prompts)
        reading = reading_key(language_model, settings, placement, self.wanted)
        self.origin = Origin(
            model=model,
            revision=language_model.revision,
            dtype=placement.dtype,
            d_model=language_model.width,
            layers=len(layers_of(language_model, settings)),
            template_hash=language_model.template_hash,
            style=language_model.style,
            reading=reading,
        )
        self.store = Store(reading, pa.schema([(KEY, pa.string()), *RESPONSE]))
        self.keys: list[str] = []
        """Of the rows, in their order."""
        self.asked: dict[str, int] = {}
        """What their answers are compared with (see `compared_with`): key -> a row that has it."""
        self.begins: list[str] = []
        """How each row begins, by which windows are cut."""
        for number, row in enumerate(each_prompt(prompts)):
            self.keys.append(row_key(row))
            self.begins.append("\n".join(turn.content for turn in row.messages)[:200])
            for each in self.compared_with(row):
                if each:
                    self.asked.setdefault(asked_key(each), number)
        self.likelihoods: dict[str, list[float]] = {}
        self.budget = batch_tokens(language_model, settings)
        self.ran = self.batches = self.tokens = self.tokens_run = 0

    def compared_with(self, row: Row) -> tuple[Asked | None, Asked | None]:
        """The question without its user, and alone before its reference answers."""
        if self.wanted == "answers":
            return None, None
        chat = bool(self.language_model.tokenizer.chat_template)
        return without_user(row), references(row, chat)

    def read_rows(self, bar: tqdm) -> None:
        """Reads the rows that are not known, and puts each batch in place while the next runs."""
        missing = set(self.store.missing(self.keys, self.store.known))
        bar.update(len(self.keys) - len(missing))
        with _in_the_background() as later:
            for window in self._windows([n for n, k in enumerate(self.keys) if k in missing]):
                rows = list(each_prompt(self.prompts, {*window}))
                prompts = [self._tokens(row.messages) for row in rows]
                for batch in batches(prompts, self.budget):
                    self._read_batch(
                        [rows[n] for n in batch], [prompts[n] for n in batch], bar, later
                    )

    def _windows(self, rows: list[int]) -> Iterator[list[int]]:
        """Places of rows, those that begin alike together, as many as may be in memory."""
        rows = sorted(rows, key=lambda n: (self.begins[n], self.keys[n]))
        for start in range(0, len(rows), WINDOW):
            yield rows[start : start + WINDOW]

    def _tokens(self, messages: Any) -> Tokens:
        return np.array(self.language_model.write(messages), dtype=np.int32)

    def _read_batch(
        self,
        rows: Sequence[Row],
        prompts: Sequence[Tokens],
        bar: tqdm,
        later: Callable[[Callable[[], None]], None],
    ) -> None:
        """Reads what of a batch is not known, in halves where memory does not suffice."""
        keys = [row_key(row) for row in rows]
        there = [n for n, key in enumerate(keys) if key not in self.store.known]
        bar.update(len(rows) - len(there))
        if not there:
            return
        rows, prompts = [rows[n] for n in there], [prompts[n] for n in there]
        keys = [keys[n] for n in there]
        read = read_answers if self.wanted == "answers" else read_batch
        result = self._within_memory(
            prompts, lambda: read(self.language_model, rows, prompts, self.settings)
        )
        if result is None:
            for part in _halves(len(rows)):
                self._read_batch(rows[part], prompts[part], bar, later)
            return
        held = {
            position: ([rows[n].id for n in kept.rows], kept.states)
            for position, kept in result.states.items()
        }
        said = [asdict(response) for response in result.responses]
        later(lambda: self.store.keep(keys, held, said, self.origin))
        self.ran += len(rows)
        self.batches += 1
        self.tokens += sum(map(len, prompts))
        self.tokens_run += result.prompt_tokens_run
        bar.update(len(rows))

    def _within_memory(self, prompts: Sequence[Tokens], read: Callable[[], Found]) -> Found | None:
        """What `read` finds, or None where half of these prompts should be read at a time."""
        size = len(prompts) * max(map(len, prompts))
        if len(prompts) > 1 and size > self.budget:
            return None
        try:
            return read()
        except (torch.OutOfMemoryError, RuntimeError) as error:
            if len(prompts) == 1 or not _out_of_memory(error):
                raise
        self.budget = max(1, size // 2)
        self.language_model.storage.clear()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        print(f"out of memory: {self.budget} tokens at a time from here", file=sys.stderr)
        return None

    def read_likelihoods(self, bar: tqdm) -> None:
        """Reads what the rows' answers are compared with: much of it is the same for many rows."""
        for path in sorted(self.store.asked.glob("[!.]*.parquet")):
            table = pq.read_table(path)
            found = zip(table[KEY].to_pylist(), table["logprobs"].to_pylist(), strict=True)
            self.likelihoods |= {key: each for key, each in found if key in self.asked}
        bar.update(len(self.likelihoods))
        missing = set(self.store.missing([*self.asked], self.likelihoods))
        for window in self._windows(sorted({self.asked[key] for key in missing})):
            asked = [
                each
                for row in each_prompt(self.prompts, {*window})
                for each in self.compared_with(row)
                if each and asked_key(each) in missing
            ]
            asked = list({asked_key(each): each for each in asked}.values())
            prompts = [self._tokens(turns) for turns, _ in asked]
            for batch in batches(prompts, self.budget):
                self._compare([asked[n] for n in batch], [prompts[n] for n in batch], bar)
        self.store.found([*self.asked])

    def _compare(self, asked: Sequence[Asked], prompts: Sequence[Tokens], bar: tqdm) -> None:
        """Reads how likely answers are, in halves where memory does not suffice, and keeps it."""
        keys = [asked_key(each) for each in asked]
        if all(key in self.likelihoods for key in keys):
            return
        found = self._within_memory(
            prompts, lambda: likelihoods(self.language_model, asked, prompts)
        )
        if found is None:
            for part in _halves(len(asked)):
                self._compare(asked[part], prompts[part], bar)
            return
        path = self.store.asked / f"{key_of(*keys)}.parquet"
        with atomic_write(path) as draft:
            pq.write_table(pa.table({KEY: keys, "logprobs": found}, schema=ASKED), draft)
        self.likelihoods |= dict(zip(keys, found, strict=True))
        bar.update(len(asked))

    def write_compared(self, path: Path) -> None:
        """Keeps what the rows' answers are compared with beside them."""
        keys = sorted(self.likelihoods)
        found = [self.likelihoods[key] for key in keys]
        pq.write_table(pa.table({KEY: keys, "logprobs": found}, schema=ASKED), path)

    def told(self) -> str:
        """What was run, in words."""
        taken = len(self.keys) - self.ran
        if not self.ran:
            return f"none run, all {taken} taken from .work"
        share = max(0.0, 1 - self.tokens_run / self.tokens)  # padding may be more than is shared
        return (
            f"{self.ran} run in {self.batches} batches ({self.tokens} tokens of prompts, "
            f"{share:.0%} shared), {taken} taken from .work"
        )


def write_responses(path: Path, shards: Sequence[Path], run: Run) -> int:
    """The responses of `shards`, with what they are compared with; how many hold an answer."""
    floats = pa.list_(pa.float64())
    schema = pa.schema([(KEY, pa.string()), *RESPONSE, *((name, floats) for name in COMPARED_WITH)])
    answered, rows = 0, each_prompt(run.prompts)
    with pq.ParquetWriter(path, schema) as writer:
        for shard in shards:
            said = pq.read_table(shard / RESPONSES)
            answered += len(said) - said["answer"].null_count
            compared = [_compared(run, next(rows)) for _ in range(len(said))]
            for name in COMPARED_WITH:
                said = said.append_column(name, pa.array([each[name] for each in compared], floats))
            writer.write_table(said)
    return answered


def _compared(run: Run, row: Row) -> dict[str, list[float] | None]:
    alone, told = run.compared_with(row)
    references = run.likelihoods[asked_key(told)] if told else None
    true = len(row.true_answers)
    return {
        "plain_logprobs": run.likelihoods[asked_key(alone)] if alone else None,
        "true_logprobs": references[:true] if references else None,
        "false_logprobs": references[true:] if references else None,
    }


def reading_key(
    language_model: LanguageModel, settings: ReadingSettings, placement: Placement, wanted: Reading
) -> str:
    """Stands for all that a model's reading of a question depends on, but for the question.

    Not for the device, the batches, and what is shared: these make no difference.
    """
    same = ("batch_tokens", "share_beginnings")
    read = {name: value for name, value in asdict(settings).items() if name not in same}
    held = placement.dtype, placement.four_bit
    written = language_model.template_hash, language_model.style
    parts = [language_model.revision, repr(read), repr(held), repr(written), wanted]
    return digest([*parts, *code("engine.forward", "activations.likelihoods")])[:32]


def row_key(row: Row) -> str:
    """Stands for all of a question that makes a difference to how it is read."""
    return key_of(
        row.id,
        [[turn.role, turn.content] for turn in row.messages],
        row.choices,
        row.matching,
        row.not_matching,
        row.answers,
        row.form,
        row.split == MATERIAL,
    )


def asked_key(asked: Asked) -> str:
    """Stands for a chat and the answers that may follow it."""
    turns, texts = asked
    return key_of([[turn.role, turn.content] for turn in turns], texts)


def batch_tokens(language_model: LanguageModel, settings: ReadingSettings) -> int:
    """Tokens of prompts in memory at a time."""
    if settings.batch_tokens != "auto":
        return settings.batch_tokens
    return BATCH_TOKENS.get(language_model.model.device.type, BATCH_TOKENS_ELSEWHERE)


def _halves(count: int) -> tuple[slice, slice]:
    return slice(count // 2), slice(count // 2, None)


def _out_of_memory(error: Exception) -> bool:
    text = str(error)
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in text


@contextmanager
def _in_the_background() -> Iterator[Callable[[Callable[[], None]], None]]:
    """Within the context, work is done in its order while other work goes on."""
    waiting: list[Future[None]] = []

    def later(work: Callable[[], None]) -> None:
        waiting.append(thread.submit(work))
        while len(waiting) > WAITING:
            waiting.pop(0).result()

    with ThreadPoolExecutor(max_workers=1) as thread:
        yield later
        for each in waiting:
            each.result()
