"""One live run and the same run simulated, each reduced to what is compared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import joblib
import numpy as np

from chaos.comparison.hard_minutes import hard_seconds, p99_ms_in
from chaos.comparison.played import Played, as_played, played_traffic, without_probes
from chaos.experiments.ended import FinishedRun, LeftOut
from chaos.experiments.experiment import LoadPlayed
from chaos.experiments.jobs import RunKey
from chaos.experiments.problems import ExperimentError
from chaos.experiments.run_folder import probes_sent_s, read_facts, read_run
from chaos.experiments.shop_map import service_of
from chaos.load.ledger import LedgerInvalid
from forecasting.forecast import Floats
from simulation.arms import ARM_NAMES
from simulation.result import RunResult
from simulation.run import TooManyInProgress, run
from simulation.scenario import Scenario
from simulation.scoring.scoreboard import score
from simulation.topology import Topology


@dataclass(frozen=True, slots=True)
class Seen:
    """One run, in one of the two worlds. Replicas are `(scaled services, seconds)`, NaN where nobody saw them."""

    requests: float
    downtime_s: float
    mttr_s: float | None
    p99_hard_ms: float | None
    pod_hours: float
    desired: Floats
    ready: Floats


@dataclass(frozen=True, slots=True)
class Pair:
    key: RunKey
    live: Seen
    simulated: Seen


@dataclass(frozen=True, slots=True)
class Twin:
    """A live run that has been read, and how it is to be simulated."""

    scenario: Scenario  # as its file says
    key: RunKey
    played: Played
    live: Seen


def twins(runs: Iterable[FinishedRun], load: LoadPlayed) -> Iterator[Twin | LeftOut]:
    """Every finished run as a twin, or why it has none."""
    for one in runs:
        if one.key.arm not in ARM_NAMES:
            yield LeftOut(one.key, f"the simulator has no arm {one.key.arm!r}")
            continue
        try:
            facts = read_facts(one.folder)
            before_s = round(facts.zero_s - facts.load_began_s, 3)
            probe_hz = len(probes_sent_s(one.folder)) / (before_s + one.scenario.duration_s)
            # A simulated shop is settled when its warm-up begins.
            played = Played(load.scale, before_s - load.settle_s, probe_hz)
            result = read_run(one.folder, one.scenario, one.key, service_of)
        except (ExperimentError, LedgerInvalid, OSError) as error:
            yield LeftOut(one.key, f"unreadable: {error}")
            continue
        yield Twin(one.scenario, one.key, played, seen(result, one.scenario, played))


def pairs(
    found: Sequence[Twin], measured: Topology | None = None, workers: int | None = None
) -> Iterator[Pair | LeftOut]:
    """Each twin beside its simulation, under its own arm and seed, in their order. `workers`: local processes.

    Raises `FolderInvalid` when `measured` is the topology of another shop, `ScenarioInvalid` when a scenario cannot be
    played on it.
    """
    for twin in found:
        as_played(twin.scenario, twin.played, measured)
    count = max(1, min(workers or joblib.cpu_count(), len(found)))
    if count == 1:
        yield from (_paired(twin, measured) for twin in found)
        return
    spread = joblib.Parallel(n_jobs=count, backend="loky", return_as="generator")
    yield from spread(joblib.delayed(_paired)(twin, measured) for twin in found)


def seen(result: RunResult, scenario: Scenario, played: Played) -> Seen:
    """What is compared of a run. `scenario` is the one of the file."""
    figures = score(result).figures
    middles = np.arange(result.client.arrived.shape[1], dtype=np.float64) + 0.5
    rates = played_traffic(scenario, result.seed, played).rate_rps(middles)
    rows = [result.services.services.index(name) for name in scaled_services(scenario.topology)]
    return Seen(
        requests=figures.requests,
        downtime_s=figures.downtime_s,
        mttr_s=figures.mttr_s,
        p99_hard_ms=p99_ms_in(result.client, hard_seconds(scenario, rates)),
        pod_hours=figures.pod_hours,
        desired=result.services.replicas_desired[rows],
        ready=result.services.replicas_ready[rows],
    )


def scaled_services(topology: Topology) -> tuple[str, ...]:
    """Those whose replicas change, in the topology's order."""
    return tuple(service.name for service in topology.services if service.hpa is not None)


def _paired(twin: Twin, measured: Topology | None) -> Pair | LeftOut:
    try:
        result = run(
            as_played(twin.scenario, twin.played, measured),
            twin.key.arm,
            twin.key.seed,
            traffic=played_traffic(twin.scenario, twin.key.seed, twin.played, measured),
        )
    except TooManyInProgress as error:
        return LeftOut(twin.key, f"cannot be simulated: {error}")
    result = replace(result, client=without_probes(result.client, twin.scenario))
    return Pair(twin.key, twin.live, seen(result, twin.scenario, twin.played))
