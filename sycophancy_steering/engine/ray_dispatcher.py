"""The process between a stage and Ray: it hands tasks to workers and their results back.

    python -m sycophancy_steering.engine.ray_dispatcher DESCRIPTOR

DESCRIPTOR is that of an open connection to the stage (`ray_process.py`), which first sends
`compute` of params.yaml, and then what loads the model.

Workers take a task whenever they are free, so a slow one takes fewer, and have the next at hand, so
that they need not wait while a result is sent. One that dies costs the task that it was doing,
which another does; a task that takes much longer than others at the end is done by a second worker
too, and the first result counts. Where Ray's head dies, so does this process,
and the stage starts another (`ray_workers.py`). It never loads a model, nor torch.
"""

from __future__ import annotations

import logging
import os
import statistics
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from multiprocessing.connection import Connection
from queue import Empty, SimpleQueue
from signal import SIG_IGN, SIGINT, signal
from threading import Thread
from typing import Any

from sycophancy_steering.config.compute import ComputeSettings

IS_INSTALLED = find_spec("ray") is not None
WAIT_S = 0.05
"""Between looks for new tasks while all workers are busy."""
MAX_DEATHS = 3
"""Of workers that did the same task, or loaded the model, before it is given up."""
AT_HAND = 2
"""Tasks that a worker has: one that it does, and the next."""
SLOW = 3
"""A task that takes as many times as long as the median is done by a second worker, if one is
free."""


@dataclass
class Job:
    """A task on its way."""

    number: int
    payload: Any
    """In Ray's object store, as a reference."""
    deaths: int = 0
    started: dict[int, float] = field(default_factory=dict)
    """Worker -> when it began the task, or was given it."""


@dataclass
class Call:
    """What an actor was asked to do."""

    result: Any
    """A reference to it."""
    job: Job | None
    """None for loading the model."""


@dataclass
class Worker:
    """An actor and what it does, in this order."""

    actor: Any
    calls: deque[Call]
    host: str = "?"

    @property
    def is_loaded(self) -> bool:
        """Whether it has the model."""
        return not self.calls or self.calls[0].job is not None


class Dispatcher:
    """Workers, and the tasks that wait for one."""

    def __init__(self, connection: Connection, compute: ComputeSettings):
        self.connection, self.compute = connection, compute
        self.waiting: deque[Job] = deque()
        self.jobs: dict[int, Job] = {}
        self.workers: dict[int, Worker] = {}
        self.seconds: list[float] = []
        """Of finished tasks."""
        self.load_deaths = 0
        self._n_started = 0

    def connect(self) -> int:
        """Connects to Ray, or starts it here; how many workers there will be."""
        import ray
        from ray.exceptions import RayError

        address = self.compute.address
        n_here = self.compute.workers if self.compute.workers != "auto" else 1
        n_cpus = None if address else max(os.cpu_count() or 1, n_here)
        try:
            context = ray.init(address or "local", num_cpus=n_cpus, logging_level=logging.WARNING)
        except (OSError, RuntimeError, RayError) as error:
            self.send("unreachable", str(error).partition("\n")[0])
            raise SystemExit from None
        hosts = [node for node in ray.nodes() if node["Alive"]]
        resources = ray.cluster_resources()
        gpus = self.compute.gpus_per_worker
        n_possible = int(resources.get("GPU", 0) // gpus) if gpus else len(hosts)
        n_workers = n_possible if self.compute.workers == "auto" else self.compute.workers
        if not n_workers:
            self.send("error", f"no GPU for a worker among {len(hosts)} machines of the cluster")
            raise SystemExit
        url = getattr(context, "dashboard_url", "")
        self.send(
            "started",
            {"n_workers": n_workers, "n_hosts": len(hosts), "dashboard": url or ""},
        )
        # No more than the smallest machine has, or workers would wait for room beside free GPUs.
        least = min(host["Resources"].get("CPU", 0) or 1 for host in hosts)
        cpus_of_one = 1 if gpus else min(resources.get("CPU", 1) / n_workers, least)
        self.cpus = int(cpus_of_one) if cpus_of_one >= 1 else cpus_of_one
        return n_workers

    def start(self, n_workers: int, loader: bytes, root: str) -> None:
        """Asks for the workers. `loader` is what `ModelActor.load` takes, `root` the repository."""
        self.loader, self.root = loader, root
        for _ in range(n_workers):
            self.add_worker()

    def add_worker(self) -> None:
        """Asks Ray for a worker, which loads the model as soon as there is room for it."""
        import ray

        from sycophancy_steering.engine.ray_actor import ModelActor

        options = {"num_cpus": self.cpus, "num_gpus": self.compute.gpus_per_worker}
        remote: Any = ray.remote(ModelActor)
        n_threads = int(os.environ.get("OMP_NUM_THREADS", 0)) or max(1, int(self.cpus))
        actor = remote.options(**options).remote(self.root, n_threads)
        loading = Call(actor.load.remote(self.loader), None)
        self.workers[self._n_started] = Worker(actor, deque([loading]))
        self._n_started += 1

    def send(self, kind: str, content: Any, number: int = -1) -> None:
        """Tells the stage something."""
        self.connection.send((kind, number))
        if isinstance(content, bytes):
            self.connection.send_bytes(content)
        else:
            self.connection.send(content)

    def accept(self, number: int, payload: bytes) -> None:
        """Takes a task from the stage."""
        import ray

        job = Job(number, ray.put(payload))
        self.jobs[number] = job
        self.waiting.append(job)

    def assign(self) -> None:
        """Gives workers the tasks that wait, those first that have none; and those that have none
        what takes another worker too long."""
        for n_calls in range(AT_HAND):
            for name, worker in self.workers.items():
                is_next = worker.is_loaded and len(worker.calls) == n_calls
                if is_next and (job := self._next_job(is_idle=not n_calls)):
                    job.started[name] = time.monotonic()
                    worker.calls.append(Call(worker.actor.run.remote(job.payload), job))

    def _next_job(self, is_idle: bool) -> Job | None:
        if self.waiting:
            return self.waiting.popleft()
        if not (is_idle and self.seconds):
            return None
        now, most = time.monotonic(), SLOW * statistics.median(self.seconds)
        late = [
            job
            for job in self.jobs.values()
            if len(job.started) == 1 and now - min(job.started.values()) > most
        ]
        return min(late, key=lambda job: min(job.started.values()), default=None)

    def collect(self) -> None:
        """Waits a little for a worker, and passes on what it has done."""
        import ray
        from ray.exceptions import RayError

        busy = {w.calls[0].result: name for name, w in self.workers.items() if w.calls}
        done, _ = ray.wait([*busy], num_returns=1, timeout=WAIT_S)
        for reference in done:
            name = busy[reference]
            try:
                result = ray.get(reference)
            except RayError as error:
                self._bury(name, error)
                continue
            worker = self.workers[name]
            job = worker.calls.popleft().job
            if job is None:
                self._loaded(worker, result)
            else:
                self._finished(name, job, result)

    def _loaded(self, worker: Worker, result: dict[str, Any]) -> None:
        worker.host = result["host"]
        if "error" in result:
            self.send("failed", result)
            raise SystemExit
        self.load_deaths = 0
        self.send("loaded", result)

    def _finished(self, name: int, job: Job, result: bytes | dict[str, Any]) -> None:
        now, started = time.monotonic(), job.started.pop(name)
        for call in self.workers[name].calls:
            assert call.job, "a model is loaded before all else"
            call.job.started[name] = now
        if self.jobs.pop(job.number, None) is None:
            return  # another worker was faster
        self.seconds.append(now - started)
        kind = "done" if isinstance(result, bytes) else "failed"
        self.send(kind, result, job.number)

    def _bury(self, name: int, error: Exception) -> None:
        """Puts another worker in the place of one that died, and its tasks first in the queue."""
        worker = self.workers.pop(name)
        reason = str(error).strip().partition("\n")[0]
        job = worker.calls[0].job
        if job is None:
            self.load_deaths += 1
        else:
            job.deaths += 1
        for call in reversed(worker.calls):
            if call.job and call.job.number in self.jobs:
                del call.job.started[name]
                if not call.job.started:
                    self.waiting.appendleft(call.job)
        deaths = job.deaths if job else self.load_deaths
        death = {"host": worker.host, "reason": reason, "deaths": deaths}
        self.send("died", death, job.number if job else -1)
        if deaths >= MAX_DEATHS:
            raise SystemExit
        self.add_worker()


def dispatch(connection: Connection) -> None:
    """Runs until the stage closes the connection."""
    signal(SIGINT, SIG_IGN)  # Ctrl-C is for the stage, which then closes the connection
    dispatcher = Dispatcher(connection, connection.recv())
    n_workers = dispatcher.connect()
    dispatcher.start(n_workers, *connection.recv())
    incoming: SimpleQueue[tuple[int, bytes] | None] = SimpleQueue()
    Thread(target=_receive, args=(connection, incoming), daemon=True).start()
    while True:
        dispatcher.assign()
        is_busy = any(worker.calls for worker in dispatcher.workers.values())
        if is_busy:
            dispatcher.collect()
        for message in _drained(incoming, block=not is_busy):
            if message is None:
                return
            dispatcher.accept(*message)


def _receive(connection: Connection, incoming: SimpleQueue[tuple[int, bytes] | None]) -> None:
    """Puts what the stage sends into a queue; None at its end."""
    try:
        while True:
            number = connection.recv()
            incoming.put((number, connection.recv_bytes()))
    except (EOFError, OSError):
        incoming.put(None)


def _drained(
    incoming: SimpleQueue[tuple[int, bytes] | None], block: bool
) -> Iterator[tuple[int, bytes] | None]:
    """All messages that are there; with `block`, at least one."""
    try:
        while True:
            yield incoming.get(block=block)
            block = False
    except Empty:
        return


if __name__ == "__main__":
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):  # the stage has ended
        dispatch(Connection(int(sys.argv[1])))
