"""Extracts a model's activations and responses on a prompt set, running only uncached questions.

A window of questions and a few batches are in memory, never the whole prompt set. A run that is
killed at any moment resumes after its last batch and ends with the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from tqdm import tqdm

from sycophancy_steering.activations.cache_keys import chat_key, extraction_key, row_key
from sycophancy_steering.activations.own_answers import OwnAnswers
from sycophancy_steering.activations.prompts import chat_tokens, to_prompt, to_response
from sycophancy_steering.activations.reference_logprobs import (
    ChatAnswers,
    chat_answer_logprobs,
    counterfactual_chats,
    reference_chat,
)
from sycophancy_steering.activations.responses import write_reference_logprobs, write_responses
from sycophancy_steering.activations.token_budget import TokenBudget, halves
from sycophancy_steering.config.activations import ActivationSettings
from sycophancy_steering.config.model import ModelSettings
from sycophancy_steering.engine.forward import (
    extract_batch,
    extract_without_generating,
    extracted_layers,
)
from sycophancy_steering.engine.generated_texts import generated_texts
from sycophancy_steering.engine.language_model import LanguageModel
from sycophancy_steering.engine.prefix_tree import plan_batches
from sycophancy_steering.engine.prompt import Prompt, TokenIds
from sycophancy_steering.foundation.atomic_files import atomic_write
from sycophancy_steering.questions.prompt_table import ROW_GROUP_SIZE, iter_prompts, read_extract
from sycophancy_steering.questions.question import Row
from sycophancy_steering.schemas.activations import BLOCK_SCHEMA, COUNTERFACTUALS
from sycophancy_steering.storage.activation_shards import Origin
from sycophancy_steering.storage.activation_store import ActivationStore, read_responses

REFERENCE = "reference"
"""The name of the question before its reference answers."""
WINDOW = 1024
"""Questions in memory, sorted so that those that start alike are together."""
WRITES_PENDING = 1
"""Batches that may be written while the next one runs: what a power cut can cost."""


@dataclass(frozen=True)
class StudiedModel:
    """A loaded model, and the settings that its activations depend on."""

    name: str
    language_model: LanguageModel
    settings: ActivationSettings
    model_settings: ModelSettings


class ExtractionRun:
    """The extraction of one prompt set by one model; several runs can share the loaded model."""

    def __init__(self, model: StudiedModel, prompts: Path):
        self.language_model, self.settings = model.language_model, model.settings
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
        self.budget = TokenBudget(self.language_model, self.settings)
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
        for batch in plan_batches(prompts, self.budget.tokens) if prompts else ():
            self._run_own_answers([missing[n] for n in batch], [prompts[n] for n in batch], bar)
        for index, row in enumerate(self._rows()):
            for chat in self.reference_chats(row).values():
                self.reference_rows.setdefault(chat_key(chat), index)

    def _run_own_answers(self, keys: Sequence[str], prompts: Sequence[TokenIds], bar: tqdm) -> None:
        """Generates own turns, in halves where memory runs out."""
        most = self.settings.max_new_tokens
        texts = self.budget.try_batch(
            prompts, lambda: generated_texts(self.language_model, prompts, most)
        )
        if texts is None:
            for half in halves(len(keys)):
                self._run_own_answers(keys[half], prompts[half], bar)
            return
        self.own_answers.texts |= dict(zip(keys, texts, strict=True))
        bar.update(len(keys))

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
        uncached = set(self.store.uncached_keys(self.row_keys, self.store.blocks))
        bar.update(len(self.row_keys) - len(uncached))
        rows = [n for n, key in enumerate(self.row_keys) if key in uncached]
        wordings = self.settings.answer_wordings if self.extract == "everything" else "written"
        with _background_writer() as write_in_background:
            for window in self._windows(rows):
                questions = list(self._rows({*window}))
                prompts = [to_prompt(self.language_model, row, wordings) for row in questions]
                for batch in plan_batches([p.token_ids for p in prompts], self.budget.tokens):
                    pairs = [(questions[n], prompts[n]) for n in batch]
                    self._run_batch(pairs, bar, write_in_background)
                self.after_window()

    def after_window(self) -> None:
        """Called after each window of questions; most of its answers are stored by then."""

    def _windows(self, rows: list[int]) -> Iterator[list[int]]:
        """Indices of rows in windows; rows that start alike are in the same one."""
        rows = sorted(rows, key=lambda n: (self._first_words[n], self.row_keys[n]))
        for start in range(0, len(rows), WINDOW):
            yield rows[start : start + WINDOW]

    def _run_batch(
        self,
        pairs: Sequence[tuple[Row, Prompt]],
        bar: tqdm,
        write_in_background: Callable[[Callable[[], None]], None],
    ) -> None:
        """Runs the uncached questions of a batch, in halves where memory runs out."""
        keys = [row_key(row) for row, _ in pairs]
        uncached = [n for n, key in enumerate(keys) if key not in self.store.blocks]
        bar.update(len(pairs) - len(uncached))
        if not uncached:
            return
        pairs, keys = [pairs[n] for n in uncached], [keys[n] for n in uncached]
        prompts = [prompt for _, prompt in pairs]
        token_ids = [prompt.token_ids for prompt in prompts]
        generates = self.extract in ("everything", "chats")
        extract = extract_batch if generates else extract_without_generating
        result = self.budget.try_batch(
            token_ids, lambda: extract(self.language_model, prompts, self.settings)
        )
        if result is None:
            for half in halves(len(pairs)):
                self._run_batch(pairs[half], bar, write_in_background)
            return
        activations = {
            position: ([prompts[n].id for n in at.rows], at.activations)
            for position, at in result.activations.items()
        }
        responses = [
            asdict(to_response(self.language_model, row, prompt, output, self.settings))
            for (row, prompt), output in zip(pairs, result.outputs, strict=True)
        ]
        write_in_background(lambda: self.store.add_block(keys, activations, responses, self.origin))
        self.n_run += len(pairs)
        self.n_batches += 1
        self.tokens += sum(map(len, token_ids))
        self.tokens_run += result.prompt_tokens_run
        bar.update(len(pairs))

    def run_references(self, bar: tqdm) -> None:
        """Runs the uncached reference chats; many rows share one."""
        self.reference_logprobs = self.store.read_references({*self.reference_rows})
        bar.update(len(self.reference_logprobs))
        all_keys = [*self.reference_rows]
        uncached = set(self.store.uncached_keys(all_keys, self.reference_logprobs))
        for window in self._windows(sorted({self.reference_rows[key] for key in uncached})):
            chats = {
                chat_key(chat): chat
                for row in self._rows({*window})
                for chat in self.reference_chats(row).values()
                if chat_key(chat) in uncached
            }
            items = [*chats.items()]
            prompts = [chat_tokens(self.language_model, turns) for _, (turns, _) in items]
            for batch in plan_batches(prompts, self.budget.tokens):
                self._run_reference_batch(
                    [items[n] for n in batch], [prompts[n] for n in batch], bar
                )
        self.store.forget_plan(all_keys)

    def _run_reference_batch(
        self, chats: Sequence[tuple[str, ChatAnswers]], prompts: Sequence[TokenIds], bar: tqdm
    ) -> None:
        """Runs reference chats (key, chat) and stores them, in halves where memory runs out."""
        keys = [key for key, _ in chats]
        if all(key in self.reference_logprobs for key in keys):
            return
        logprobs = self.budget.try_batch(
            prompts,
            lambda: chat_answer_logprobs(self.language_model, [chat for _, chat in chats], prompts),
        )
        if logprobs is None:
            for half in halves(len(chats)):
                self._run_reference_batch(chats[half], prompts[half], bar)
            return
        self.store.add_references(keys, logprobs)
        self.reference_logprobs |= dict(zip(keys, logprobs, strict=True))
        bar.update(len(chats))

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
