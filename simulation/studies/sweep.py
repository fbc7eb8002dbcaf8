"""Many runs at once: every scenario × seed × arm, spread over processes by joblib."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import joblib
import numpy as np

from simulation.reporting.files import RunFiles, run_files
from simulation.reporting.run_view import RunView, run_view
from simulation.run import run
from simulation.scenario import Scenario
from simulation.scoring.scoreboard import Score, score
from simulation.scoring.summary import Failure

ROUND = 4  # jobs per thread that are sent to Dask at once

Backend = Literal["local", "dask"]


class BackendUnavailable(Exception):
    """The runs cannot be spread as asked; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Job:
    """One run, and what is wanted of it besides its figures."""

    scenario: Scenario
    arm: str
    seed: int
    settings: Mapping[str, Any] | None = None
    with_files: bool = False
    with_view: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a job: a score, or why there is none."""

    job: Job
    score: Score | None = None
    failure: Failure | None = None
    files: RunFiles | None = None
    view: RunView | None = None


def paired_jobs(
    scenarios: Sequence[Scenario], arms: Sequence[str], seeds: Sequence[int], with_files: bool = False
) -> tuple[Job, ...]:
    """All arms of a scenario and seed one after the other, in an order drawn for each pair; the first seed is shown.

    The order is drawn from the seed, so that an experiment is the same each time.
    """
    jobs: list[Job] = []
    for scenario in scenarios:
        for seed in seeds:
            order = np.random.default_rng([seed, len(jobs)]).permutation(len(arms))
            jobs += [
                Job(scenario, arms[i], seed, with_files=with_files, with_view=with_files and seed == seeds[0])
                for i in order
            ]
    return tuple(jobs)


def perform(job: Job) -> Done:
    """The job done here and now. Whatever goes wrong in a run is its result: one broken run must not end a sweep."""
    gc.collect()  # a finished world is a ring of objects that nothing else frees: 30 MB a run
    try:
        result = run(job.scenario, job.arm, job.seed, job.settings)
        return Done(
            job,
            score=score(result),
            files=run_files(result) if job.with_files else None,
            view=run_view(result) if job.with_view else None,
        )
    except Exception as error:  # noqa: BLE001 – outermost loop of a worker; the failure is reported, not hidden
        return Done(job, failure=_failure(job, error))


def sweep(
    jobs: Sequence[Job], workers: int | None = None, backend: Backend = "local", scheduler: str | None = None
) -> Iterator[Done]:
    """Yields what came of each job, in their order. `workers`: local processes, default one per core.

    Raises `BackendUnavailable` when the Dask extra or scheduler is missing.
    """
    if backend == "dask":
        with _dask(scheduler) as threads:
            # joblib's Dask backend returns lists only: several rounds, so that results arrive while others still run.
            for first in range(0, len(jobs), ROUND * threads):
                some = jobs[first : first + ROUND * threads]
                yield from _spread(some, joblib.Parallel(n_jobs=-1))
        return
    count = min(workers or os.cpu_count() or 1, len(jobs))
    if count <= 1:
        yield from map(perform, jobs)
        return
    compile_kernels(jobs[0].scenario)
    yield from _spread(
        jobs, joblib.Parallel(n_jobs=count, backend="loky", return_as="generator", pre_dispatch=2 * count)
    )


def compile_kernels(scenario: Scenario) -> None:
    """Fills numba's cache here once; else every worker would compile the same for itself."""
    perform(Job(scenario.model_copy(update={"duration_s": 1.0, "warm_up_s": 1.0, "faults": ()}), "hpa-default", 0))


def _spread(jobs: Sequence[Job], parallel: Any) -> Iterator[Done]:
    """A lost worker breaks the pool, not what was done before: what is left is reported as failed."""
    finished = 0
    try:
        for done in parallel(joblib.delayed(perform)(job) for job in jobs):
            finished += 1
            yield done
    except Exception as error:  # noqa: BLE001 – loky, Dask and the network each have their own errors for a lost worker
        for job in jobs[finished:]:
            yield Done(job, failure=_failure(job, error))


def _failure(job: Job, error: Exception) -> Failure:
    return Failure(job.scenario.name, job.arm, job.seed, f"{type(error).__name__}: {error}")


@contextmanager
def _dask(scheduler: str | None) -> Iterator[int]:
    """Makes Dask joblib's backend meanwhile; yields how many threads the cluster has."""
    if not scheduler:
        raise BackendUnavailable("--backend dask needs --scheduler ADDRESS, for instance tcp://10.0.0.5:8786")
    try:
        from distributed import Client
    except ImportError:
        raise BackendUnavailable("--backend dask needs the extra: pip install 'foresail[dask]'") from None
    try:
        client = Client(scheduler, timeout="10s", set_as_default=True)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise BackendUnavailable(f"no Dask scheduler answers at {scheduler}: {error}") from None
    with client, joblib.parallel_config(backend="dask"):
        yield max(sum(client.nthreads().values()), 1)  # type: ignore[no-untyped-call]
