"""The services of a live run, second by second: replicas by the API server, requests and CPU by Prometheus."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from chaos.experiments.measured.rows import PodRow, ServiceRow, WorkloadRow
from chaos.experiments.measured.series import Span, by_service, over_steps, standing
from chaos.experiments.problems import RunFailed
from forecasting.forecast import Floats
from simulation.balance import BIN_S
from simulation.recorder import DEMAND_BIN_S
from simulation.result import Resize, ServiceSeconds
from simulation.topology import Topology


@dataclass(frozen=True, slots=True)
class Rows:
    """Everything that was taken down about services; `step_s` is Prometheus' step."""

    workloads: Sequence[WorkloadRow]
    services: Sequence[ServiceRow]
    pods: Sequence[PodRow]
    step_s: float


def service_seconds(rows: Rows, topology: Topology, span: Span) -> ServiceSeconds:
    """One row per service of the topology. Stores serve no HTTP: their requests are unknown."""
    names = tuple(service.name for service in topology.services)
    workloads, services = by_service(rows.workloads, names), by_service(rows.services, names)

    def counted(field: str) -> Floats:
        return np.stack(
            [standing([r.at_s for r in workloads[n]], [getattr(r, field) for r in workloads[n]], span) for n in names]
        )

    def asked(field: str) -> Floats:
        return np.stack(
            [
                over_steps([r.at_s for r in services[n]], [getattr(r, field) for r in services[n]], rows.step_s, span)
                for n in names
            ]
        )

    offered, failed = asked("offered_rps"), asked("failed_rps")
    # Without a failure there is no series of failures.
    failed = np.where(np.isfinite(offered) & np.isnan(failed), 0.0, failed)
    pods = counted("pods")
    return ServiceSeconds(
        services=names,
        offered_rps=offered,
        ok_rps=offered - failed,
        failed_rps=failed,
        p50_ms=asked("p50_ms"),
        p99_ms=asked("p99_ms"),
        cpu_utilization=_cpu(rows, topology, span),
        replicas_desired=counted("desired"),
        replicas_ready=counted("ready"),
        pods=pods,
    )


def pod_hours(seen: ServiceSeconds, own_pods: float) -> float:
    """Pods of all services and of the arm's controllers over the run; a second that nobody saw counts as the mean of
    the others. Raises `RunFailed` when nothing of a service was seen."""
    seconds = seen.pods.shape[1]
    unseen = [name for name, pods in zip(seen.services, seen.pods, strict=True) if not np.isfinite(pods).any()]
    if unseen:
        raise RunFailed(f"no pod counts of {', '.join(unseen)}: the API server was not read")
    return float((np.nanmean(seen.pods, axis=1).sum() + own_pods) * seconds / 3600.0)


def resizes(rows: Sequence[WorkloadRow], topology: Topology, span: Span, with_floors: bool) -> tuple[Resize, ...]:
    """Every change of a Deployment's replicas in order of time, and who asked for it.

    A rise to exactly the HPA's minReplicas, which had risen, is the floor's (`with_floors`: somebody sets floors);
    everything else the HPA's.
    """
    scaled = tuple(service.name for service in topology.services if service.hpa is not None)
    found = []
    for name, seen in by_service(rows, scaled).items():
        ordered = sorted(seen, key=lambda row: row.at_s)
        own_floor = ordered[0].floor if ordered else None
        for before, after in pairwise(ordered):
            if before.desired == after.desired:
                continue
            raised = after.floor is not None and own_floor is not None and after.floor > own_floor
            by_floor = with_floors and raised and before.desired < after.desired == after.floor
            at_s = after.at_s - span.zero_s
            found.append(Resize(at_s, name, before.desired, after.desired, "floor" if by_floor else "hpa"))
    return tuple(sorted(found, key=lambda resize: resize.at_s))


def actual_demand(offered_rps: Floats) -> Floats:
    """`(services, 15 s bins)`: the mean of what is known in each; NaN where nothing is."""
    bins = offered_rps.shape[1] // DEMAND_BIN_S
    whole = offered_rps[:, : bins * DEMAND_BIN_S].reshape(offered_rps.shape[0], bins, DEMAND_BIN_S)
    known = np.isfinite(whole)
    counts = known.sum(axis=2)
    sums = np.where(known, whole, 0.0).sum(axis=2)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def jain_index(pods: Sequence[PodRow], topology: Topology, span: Span) -> Floats:
    """`(services, 30 s bins)` of Jain's index over the requests that pods answered; pods of a service are alike.

    NaN below two pods that answered in the first and the last step of the bin, or without load.
    """
    names = tuple(service.name for service in topology.services)
    index = np.full((len(names), -(-span.seconds // BIN_S)), np.nan)
    for row, seen in enumerate(by_service(pods, names).values()):
        bins: dict[int, dict[str, list[PodRow]]] = defaultdict(lambda: defaultdict(list))
        for one in seen:
            if one.answered_rps is not None:
                bins[int((one.at_s - span.zero_s - 1e-6) // BIN_S)][one.pod].append(one)
        for column, by_pod in bins.items():
            if 0 <= column < index.shape[1]:
                index[row, column] = _jain(by_pod)
    return index


def _jain(by_pod: dict[str, list[PodRow]]) -> float:
    """Of the pods that were there in as many steps as any."""
    most = max(len(rows) for rows in by_pod.values())
    loads = np.array([sum(r.answered_rps or 0.0 for r in rows) for rows in by_pod.values() if len(rows) == most])
    squares = float((loads**2).sum())
    return float(loads.sum() ** 2 / (loads.size * squares)) if loads.size >= 2 and squares > 0.0 else float("nan")


def _cpu(rows: Rows, topology: Topology, span: Span) -> Floats:
    """CPU used over CPU requested, of the pods whose use is known at a step."""
    requests = {service.name: service.cpu_request for service in topology.services}
    shares = []
    for name, seen in by_service(rows.pods, tuple(requests)).items():
        used: dict[float, list[float]] = defaultdict(list)
        for row in seen:
            if row.cpu_cores is not None:
                used[row.at_s].append(row.cpu_cores)
        means: list[float | None] = [sum(cores) / len(cores) / requests[name] for cores in used.values()]
        shares.append(over_steps(list(used), means, rows.step_s, span))
    return np.stack(shares)
