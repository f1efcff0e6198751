"""Workers that Ray starts, on this machine or on many.

The stage never joins the cluster itself. A process beside it does (`ray_process.py`): where that
ends with Ray's head, another is started, which waits for the head to come back and gets the tasks
that were under way.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sycophancy_steering.config.compute import ComputeSettings
from sycophancy_steering.engine import ray_dispatcher
from sycophancy_steering.engine.language_model import LanguageModel
from sycophancy_steering.engine.model_outline import load_outline
from sycophancy_steering.engine.ray_actor import pickled, unpickled
from sycophancy_steering.engine.ray_process import RayProcess
from sycophancy_steering.engine.workers import HeldModel, Task, Work
from sycophancy_steering.foundation.errors import InputError

HEAD_PATIENCE_S = 600
"""How long a cluster may be gone."""
RETRY_S = 5
TASKS_READY = 1
"""Tasks a worker that wait for it beside those that it has, so that it need not."""


@dataclass
class _Sent:
    """A task that was sent, to be sent again if need be."""

    payload: bytes
    task: Task


@dataclass
class RayWorkers:
    """Processes with a model each; `close` ends them."""

    folder: Path
    """The model's."""
    compute: ComputeSettings
    loader: Callable[[], HeldModel]
    """Loads the model in a worker."""
    root: str
    """The repository, at the same path on all machines."""
    process: RayProcess | None = None
    """One that was started already."""
    _sent: dict[int, _Sent] = field(default_factory=dict)
    _outline: LanguageModel | None = None
    _n_sent: int = 0
    _n_workers: int = 0
    _batch_tokens: int = 0
    _gone_since: float = 0
    _reason: str = ""

    def __post_init__(self) -> None:
        self._start(self.process or RayProcess(self.compute))

    @property
    def language_model(self) -> LanguageModel:
        """The model without its weights."""
        if self._outline is None:
            self._outline = load_outline(self.folder)
        return self._outline

    @property
    def n_workers(self) -> int:
        """How many workers were asked for."""
        while not self._n_workers:
            self._receive()
        return self._n_workers

    @property
    def batch_tokens(self) -> int:
        """Prompt tokens that a worker has in memory at a time; waits for the first."""
        while not self._batch_tokens:
            self._receive()
        return self._batch_tokens

    def run(self, work: Work, tasks: Iterable[Task]) -> Iterator[tuple[Task, Any]]:
        """Yields the results of each task together, as it is done."""
        waiting = enumerate(tasks, self._n_sent)
        at_most = self.n_workers * (ray_dispatcher.AT_HAND + TASKS_READY)
        while True:
            while len(self._sent) < at_most and (following := next(waiting, None)):
                number, task = following
                self._n_sent = number + 1  # never used again: a late result is of its own task
                self._sent[number] = _Sent(pickled((work, task.arguments)), task)
                self._send(number)
            if not self._sent:
                return
            if done := self._receive():
                number, payload = done
                task = self._sent.pop(number).task
                for result in unpickled(payload):
                    yield task, result

    def close(self) -> None:
        """Ends the workers, and Ray if it was started here."""
        self._current.close()

    def _start(self, process: RayProcess) -> None:
        self._current, self._connection = process, process.connection
        with suppress(BrokenPipeError, ConnectionResetError):  # as in `_send`
            self._connection.send((pickled(self.loader), self.root))

    def _send(self, number: int) -> None:
        # `_receive` finds out, and sends all again.
        with suppress(BrokenPipeError, ConnectionResetError):
            self._connection.send(number)
            self._connection.send_bytes(self._sent[number].payload)

    def _receive(self) -> tuple[int, bytes] | None:
        """The next message: of a task that is done, its number and pickled results."""
        try:
            kind, number = self._connection.recv()
            if kind == "done":
                return (number, self._connection.recv_bytes())
            content = self._connection.recv()
        except (EOFError, ConnectionResetError):
            self._start_again()
            return None
        if kind == "started":
            self._n_workers = content["n_workers"]
            self._gone_since = 0
            print(_started(content), file=sys.stderr, flush=True)
        elif kind == "loaded":
            self._batch_tokens = self._batch_tokens or content["batch_tokens"]
        elif kind == "died":
            self._mourn(number, content)
        elif kind == "unreachable":
            self._reason = f" ({content})"
        elif kind == "error":
            raise InputError(f"params.yaml: compute: {content}")
        else:
            self._fail(number, content)
        return None

    def _mourn(self, number: int, content: dict[str, Any]) -> None:
        """Says that a worker died. Raises InputError where it is not the first to die of this."""
        what = "while it loaded the model"
        if number in self._sent:
            questions = self._sent[number].task.questions
            what = f"while it ran {_named(questions)}"
        line = f"a worker on {content['host']} died {what} ({content['reason']})"
        if content["deaths"] >= ray_dispatcher.MAX_DEATHS:
            raise InputError(
                f"{line}, as {ray_dispatcher.MAX_DEATHS - 1} did before; its memory may be too "
                "small: see the workers' logs, or lower activations.batch_tokens"
            )
        print(f"{line}; another takes over", file=sys.stderr, flush=True)

    def _fail(self, number: int, content: dict[str, Any]) -> None:
        """Raises what went wrong in a worker."""
        if content["is_input"]:
            raise InputError(content["error"])
        sent = self._sent.get(number)
        what = f" on {_named(sent.task.questions)}" if sent else ""
        raise RuntimeError(f"a worker on {content['host']} failed{what}:\n{content['error']}")

    def _start_again(self) -> None:
        """Starts another dispatcher, and sends it what was under way. Raises InputError where the
        cluster stays away."""
        now = time.monotonic()
        place = self.compute.address or "this machine"
        if not self._gone_since:
            self._gone_since = now
            print(
                f"Ray on {place} is gone or not there{self._reason}; waiting up to "
                f"{HEAD_PATIENCE_S // 60} minutes for it",
                file=sys.stderr,
                flush=True,
            )
        elif now - self._gone_since > HEAD_PATIENCE_S:
            raise InputError(
                f"params.yaml: compute.address: no Ray cluster at {place}; start one (`ray start "
                "--head`), or set compute.engine to local"
            )
        else:
            time.sleep(RETRY_S)
        self._current.close()
        self._start(RayProcess(self.compute))
        for number in self._sent:
            self._send(number)


def _started(content: dict[str, Any]) -> str:
    """`ray: 8 workers on 2 machines; dashboard: http://...`"""
    workers, hosts = content["n_workers"], content["n_hosts"]
    dashboard = f"; dashboard: http://{content['dashboard']}" if content["dashboard"] else ""
    return (
        f"ray: {workers} worker{'' if workers == 1 else 's'} on {hosts} "
        f"machine{'' if hosts == 1 else 's'}{dashboard}"
    )


def _named(questions: tuple[str, ...] | Any) -> str:
    """`24 questions (ID, ID, ID, ...)`"""
    first = ", ".join(questions[:3])
    more = ", ..." if len(questions) > 3 else ""
    return f"{len(questions)} question{'' if len(questions) == 1 else 's'} ({first}{more})"
