"""Independent jobs in several processes, each with one BLAS thread.

The matrices of the analyses are small: with several threads, BLAS spends most of its time on
waiting (up to ten times that of one thread). One thread also makes results independent of the
number of processes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits

Result = TypeVar("Result")
JOBS_VARIABLE = "SYCOPHANCY_JOBS"
THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def run_jobs(function: Callable[..., Result], arguments: Iterable[tuple[Any, ...]]) -> list[Result]:
    """`function(*job)` for each job of `arguments`, in their order, `job_count` at a time: with 1,
    in this process.

    Jobs start in the order given: put the longest first. `function` and its arguments are pickled.
    An exception of a job is raised here, and the jobs that have not started are cancelled.
    """
    jobs = list(arguments)
    n_processes = min(job_count(), len(jobs))
    if n_processes <= 1:
        with _one_thread(), threadpool_limits(1):
            return [function(*job) for job in jobs]
    with (
        _one_thread(),
        ProcessPoolExecutor(n_processes, mp_context=get_context("spawn")) as pool,
    ):
        futures = [pool.submit(function, *job) for job in jobs]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def job_count() -> int:
    """Jobs at a time: as many as this process may use cores, or as `SYCOPHANCY_JOBS` says."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return int(os.environ.get(JOBS_VARIABLE, cores or 1))


@contextmanager
def _one_thread():
    """Within the context, processes are started with one BLAS thread."""
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
