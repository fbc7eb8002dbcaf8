"""A live run as a `RunResult`: from here on nothing knows that it was not simulated."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from chaos.experiments.arms import LiveArm, own_pods
from chaos.experiments.injecting.injections import InjectionRecord
from chaos.experiments.measured.client_seconds import accounting, client_seconds
from chaos.experiments.measured.decisions import Told, acts_of
from chaos.experiments.measured.series import Span
from chaos.experiments.measured.service_seconds import (
    Rows,
    actual_demand,
    jain_index,
    pod_hours,
    resizes,
    service_seconds,
)
from chaos.load.records import Record
from simulation.faults.around_pods import called_from_outside
from simulation.result import FaultTruth, OrderLedger, RunResult
from simulation.scenario import CROWDS, Fault, Scenario


@dataclass(frozen=True, slots=True)
class Measured:
    """Everything that a run left behind. `load_began_s` and `zero_s` are Unix seconds."""

    records: Iterable[Record]
    rows: Rows
    told: Told
    orders: OrderLedger
    injections: Sequence[InjectionRecord]
    load_began_s: float
    zero_s: float


def live_result(scenario: Scenario, arm: LiveArm, seed: int, measured: Measured) -> RunResult:
    """Raises `RunFailed` when something is missing without which the run cannot be judged."""
    topology = scenario.topology
    span = Span(measured.zero_s, max(1, int(scenario.duration_s)))
    client = client_seconds(measured.records, scenario, measured.zero_s - measured.load_began_s)
    services = service_seconds(measured.rows, topology, span)
    load = scenario.load
    return RunResult(
        scenario=scenario,
        arm=arm.name,
        seed=seed,
        client=client,
        services=services,
        jain_index=jain_index(measured.rows.pods, topology, span),
        pod_hours=pod_hours(services, own_pods(arm, topology)),
        orders=measured.orders,
        faults=fault_truths(scenario, measured.injections),
        decisions=measured.told.decisions,
        resizes=resizes(measured.rows.workloads, topology, span, with_floors=arm.operator != "none"),
        acts=acts_of(measured.told),
        forecasts=(),
        actual_demand_rps=actual_demand(services.offered_rps),
        accounting=accounting(client),
        staircase_s=scenario.duration_s / len(load.staircase) if load.staircase else None,
        refusals=measured.told.refusals,
    )


def fault_truths(scenario: Scenario, injections: Sequence[InjectionRecord]) -> tuple[FaultTruth, ...]:
    """Every fault of the scenario as it really was: crowds as planned, the others when they were made and whom they
    hit. One that never began is not there."""
    made = {record.index: record for record in injections}
    truths = []
    for index, fault in enumerate(scenario.faults):
        if fault.kind in CROWDS:
            truths.append(_truth(index, fault, fault.start_s, fault.end_s, called_from_outside(scenario.topology)))
            continue
        record = made.get(index)
        if record is not None and record.began_s is not None:
            end_s = fault.end_s if record.ended_s is None else record.ended_s
            truths.append(_truth(index, fault, record.began_s, end_s, record.targets))
    return tuple(truths)


def _truth(index: int, fault: Fault, start_s: float, end_s: float, targets: tuple[str, ...]) -> FaultTruth:
    return FaultTruth(index, fault.kind.value, fault.label, start_s, end_s, fault.is_predictable, targets)
