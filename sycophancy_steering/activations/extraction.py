"""Extracts a model's activations and responses on a prompt set, running only uncached questions.

Some windows of questions and a few batches are in memory, never the whole prompt set. A run that is
killed at any moment resumes after its last batch and ends with the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

from tqdm import tqdm

from sycophancy_steering.activations.cache_keys import chat_key, extraction_key, row_key
from sycophancy_steering.activations.model_work import (
    extract_questions,
    logprobs_of_chats,
    own_turns,
)
from sycophancy_steering.activations.own_answers import OwnAnswers
from sycophancy_steering.activations.prompts import chat_tokens, to_prompt
from sycophancy_steering.activations.reference_logprobs import (
    ChatAnswers,
    counterfactual_chats,
    reference_chat,
)
from sycophancy_steering.activations.responses import write_reference_logprobs, write_responses
from sycophancy_steering.config.activations import ActivationSettings
from sycophancy_steering.config.model import ModelSettings
from sycophancy_steering.engine.forward import extracted_layers
from sycophancy_steering.engine.prefix_tree import plan_batches
from sycophancy_steering.engine.workers import Task, Workers
from sycophancy_steering.foundation.atomic_files import atomic_write
from sycophancy_steering.questions.prompt_table import ROW_GROUP_SIZE, iter_prompts, read_extract
from sycophancy_steering.questions.question import Row
from sycophancy_steering.schemas.activations import BLOCK_SCHEMA, COUNTERFACTUALS
from sycophancy_steering.storage.activation_shards import Origin
from sycophancy_steering.storage.activation_store import ActivationStore, read_responses

REFERENCE = "reference"
"""The name of the question before its reference answers."""
WINDOW = 1024
"""Questions that are sorted, so that those that start alike are together, and cut into batches."""
WINDOWS_AT_ONCE = 16
"""Windows in memory: to read some, the whole prompt set is read."""
WRITES_PENDING = 1
"""Batches that may be written while the next one runs: what a power cut can cost."""


@dataclass(frozen=True)
class StudiedModel:
    """A model, and the settings that its activations depend on."""

    name: str
    workers: Workers
    settings: ActivationSettings
    model_settings: ModelSettings


class ExtractionRun:
    """The extraction of one prompt set by one model; several runs can share the loaded model."""

    def __init__(self, model: StudiedModel, prompts: Path):
        self.workers, self.settings = model.workers, model.settings
        self.language_model = model.workers.language_model
        self.prompts = prompts
        self.extract = read_extract(prompts)
        key = extraction_key(self.language_model, self.settings, model.model_settings, self.extract)
        self.origin = Origin(
            model=model.name,
            revision=self.language_model.revision,
            dtype=model.model_settings.dtype,
            d_model=self.language_model.d_model,
            n_layers=len(extracted_layers(self.language_model, self.settings)),
            template_hash=self.language_model.template_hash,
            prompt_style=self.language_model.prompt_style,
            extraction_key=key,
        )
        self.store = ActivationStore(key, BLOCK_SCHEMA)
        self.row_keys: list[str] = []
        """In the order of the rows."""
        self._first_words: list[str] = []
        self.own_answers = OwnAnswers()
        for row in iter_prompts(prompts):
            key = row_key(row)
            self.row_keys.append(key)
            self._first_words.append("\n".join(turn.content for turn in row.messages)[:200])
            self.own_answers.add(key, row)
        self.reference_rows: dict[str, int] = {}
        """Key of a reference chat -> index of a row that has it (see `reference_chats`)."""
        self.reference_logprobs: dict[str, list[float]] = {}
        self.n_run = self.n_batches = self.tokens = self.tokens_run = 0

    def import_cached_output(self, files: dict[str, Path]) -> None:
        """Imports the shards of an earlier output of this prompt set, if questions are missing and
        it was extracted in the same way. `files` are its paths by file name."""
        if any(key not in self.store.blocks for key in self.row_keys):
            self.store.import_shards(files)

    def run_own_answers(self, bar: tqdm) -> None:
        """Generates the model's own turns, unless a cached question has them."""
        self.own_answers.take_over(self.store.own_answers(self.own_answers.questions))
        missing = self.own_answers.missing()
        bar.update(len(self.own_answers.texts))
        prompts = [chat_tokens(self.language_model, self.own_answers.chats[key]) for key in missing]
        batches = plan_batches(prompts, self.workers.batch_tokens) if prompts else []
        tasks = []
        for planned in batches:
            keys = [missing[n] for n in planned]
            of_batch = [prompts[n] for n in planned], self.settings.max_new_tokens
            tasks.append(Task(of_batch, keys, keys))
        for task, (rows, texts) in self.workers.run(own_turns, tasks):
            self.own_answers.texts |= dict(zip(task.about[rows], texts, strict=True))
            bar.update(len(texts))
        for index, row in enumerate(self._rows()):
            for chat in self.reference_chats(row).values():
                self.reference_rows.setdefault(chat_key(chat), index)

    def _rows(self, indices: Collection[int] | None = None) -> Iterator[Row]:
        """The questions, or those at `indices`, with the model's own turns filled in."""
        for row in iter_prompts(self.prompts, indices):
            yield self.own_answers.fill(row_key(row), row)

    def reference_chats(self, row: Row) -> dict[str, ChatAnswers]:
        """Counterfactual versions of the question, and the question before its reference answers
        (`REFERENCE`)."""
        if self.extract != "everything":
            return {}
        has_chat_template = bool(self.language_model.tokenizer.chat_template)
        reference = reference_chat(row, has_chat_template)
        return counterfactual_chats(row) | ({REFERENCE: reference} if reference else {})

    def run_prompts(self, bar: tqdm) -> None:
        """Runs the uncached questions, and stores each batch while the next one runs."""
        with _background_writer() as write_in_background:
            tasks = self._prompt_tasks(bar)
            for task, (rows, extracted) in self.workers.run(extract_questions, tasks):
                part = task.about[rows]
                keys = [row_key(row) for row, _ in part]
                write_in_background(
                    partial(
                        self.store.add_block,
                        keys,
                        extracted.activations,
                        extracted.responses,
                        self.origin,
                    )
                )
                self.n_run += len(part)
                self.n_batches += 1
                self.tokens += sum(len(prompt.token_ids) for _, prompt in part)
                self.tokens_run += extracted.prompt_tokens_run
                bar.update(len(part))
                self.after_batch()

    def after_batch(self) -> None:
        """Called after each batch; those before it are stored by then."""

    def _prompt_tasks(self, bar: tqdm) -> Iterator[Task]:
        """The batches of uncached questions, each about its questions and prompts."""
        uncached = set(self.store.uncached_keys(self.row_keys, self.store.blocks))
        bar.update(len(self.row_keys) - len(uncached))
        rows = [n for n, key in enumerate(self.row_keys) if key in uncached]
        generates = self.extract in ("everything", "chats")
        wordings = self.settings.answer_wordings if self.extract == "everything" else "written"
        for questions in self.read_windows([*self._windows(rows)]):
            prompts = [to_prompt(self.language_model, row, wordings) for row in questions]
            token_ids = [prompt.token_ids for prompt in prompts]
            for planned in plan_batches(token_ids, self.workers.batch_tokens):
                batch = [
                    (questions[n], prompts[n])
                    for n in planned
                    if row_key(questions[n]) not in self.store.blocks
                ]
                bar.update(len(planned) - len(batch))
                if batch:
                    ids = [row.id for row, _ in batch]
                    yield Task((batch, self.settings, generates), ids, batch)

    def _windows(self, rows: list[int]) -> Iterator[list[int]]:
        """Indices of rows in windows; rows that start alike are in the same one."""
        rows = sorted(rows, key=lambda n: (self._first_words[n], self.row_keys[n]))
        for start in range(0, len(rows), WINDOW):
            yield rows[start : start + WINDOW]

    def read_windows(self, windows: Sequence[list[int]]) -> Iterator[list[Row]]:
        """The questions of each window, in the order of the prompt set."""
        for start in range(0, len(windows), WINDOWS_AT_ONCE):
            some = windows[start : start + WINDOWS_AT_ONCE]
            indices = sorted({*chain(*some)})
            rows = dict(zip(indices, self._rows({*indices}), strict=True))
            for window in some:
                yield [rows[n] for n in sorted(window)]

    def run_references(self, bar: tqdm) -> None:
        """Runs the uncached reference chats; many rows share one."""
        self.reference_logprobs = self.store.read_references({*self.reference_rows})
        bar.update(len(self.reference_logprobs))
        all_keys = [*self.reference_rows]
        uncached = set(self.store.uncached_keys(all_keys, self.reference_logprobs))
        tasks = self._reference_tasks(uncached)
        for task, (rows, logprobs) in self.workers.run(logprobs_of_chats, tasks):
            keys = task.about[rows]
            self.store.add_references(keys, logprobs)
            self.reference_logprobs |= dict(zip(keys, logprobs, strict=True))
            bar.update(len(keys))
        self.store.forget_plan(all_keys)

    def _reference_tasks(self, uncached: Collection[str]) -> Iterator[Task]:
        """Batches of the reference chats in `uncached`, each about their keys."""
        windows = [*self._windows(sorted({self.reference_rows[key] for key in uncached}))]
        for rows in self.read_windows(windows):
            chats = {
                chat_key(chat): chat
                for row in rows
                for chat in self.reference_chats(row).values()
                if chat_key(chat) in uncached
            }
            keys = [*chats]
            prompts = [chat_tokens(self.language_model, turns) for turns, _ in chats.values()]
            for planned in plan_batches(prompts, self.workers.batch_tokens):
                batch = [keys[n] for n in planned]
                if any(key not in self.reference_logprobs for key in batch):
                    of_batch = [chats[key] for key in batch], [prompts[n] for n in planned]
                    yield Task(of_batch, batch, batch)

    def write(self, output: Path) -> int:
        """Writes shards, responses and reference log-probabilities; how many questions have an
        answer."""
        starts = range(0, len(self.row_keys), ROW_GROUP_SIZE)
        shards = [self.store.shard(self.row_keys[n : n + ROW_GROUP_SIZE]) for n in starts]
        with atomic_write(output) as draft:
            draft.mkdir()
            self.store.link_shards(shards, draft)
            write_reference_logprobs(draft, self.reference_logprobs)
            references = self.references_of(self._rows())
            answered = write_responses(draft, map(read_responses, shards), references)
        self.store.remove_merged_blocks(self.row_keys, shards)
        return answered

    def references_of(self, rows: Iterable[Row]) -> Iterator[dict[str, list[float] | None]]:
        """The columns of reference log-probabilities of each row."""
        for row in rows:
            logprobs = {
                name: self.reference_logprobs[chat_key(chat)]
                for name, chat in self.reference_chats(row).items()
            }
            reference, n_true = logprobs.get(REFERENCE), len(row.true_answers)
            yield {name: logprobs.get(name) for name in COUNTERFACTUALS} | {
                "true_logprobs": reference[:n_true] if reference else None,
                "false_logprobs": reference[n_true:] if reference else None,
            }

    def summary(self) -> str:
        """How many questions were run and how many were cached, in words."""
        cached = len(self.row_keys) - self.n_run
        if not self.n_run:
            return f"none run, all {cached} taken from .work"
        share = max(0.0, 1 - self.tokens_run / self.tokens)  # padding can outweigh what is shared
        return (
            f"{self.n_run} run in {self.n_batches} batches ({self.tokens} prompt tokens, "
            f"{share:.0%} shared), {cached} taken from .work"
        )


@contextmanager
def _background_writer() -> Iterator[Callable[[Callable[[], None]], None]]:
    """Within the context, writes run in order in a thread; at most `WRITES_PENDING` wait."""
    pending: list[Future[None]] = []

    def submit(write: Callable[[], None]) -> None:
        pending.append(thread.submit(write))
        while len(pending) > WRITES_PENDING:
            pending.pop(0).result()

    with ThreadPoolExecutor(max_workers=1) as thread:
        yield submit
        for write in pending:
            write.result()
