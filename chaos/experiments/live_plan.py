"""From a scenario file to what is done live: load, faults and what is different there, or a refusal with reasons."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chaos.clusters.plan import ZONE_LABEL, NodePlace
from chaos.experiments.fault_checks import refused_fault
from chaos.experiments.places import Places, places_of
from chaos.experiments.problems import PlanRefused
from chaos.experiments.shop_map import ENTRY, ROLES, STORES, VISITS, live_mix, merged, shop_values
from chaos.load.mix import Mix
from chaos.load.plan import MOST_ARRIVALS
from chaos.load.shapes import LoadShape
from simulation.scenario import CROWDS, Fault, FaultKind, Scenario

LEAST_WARM_UP_S = 60.0


@dataclass(frozen=True, slots=True)
class LiveLimits:
    """What may be asked of a live cluster. `scale` multiplies the scenario's rate; `warm_up_s` None: its own.

    `settle_s`: the load that comes before the warm-up, while controllers only look on.
    """

    max_rps: float
    machines: tuple[NodePlace, ...]
    abilities: frozenset[FaultKind]
    scale: float = 1.0
    warm_up_s: float | None = None
    settle_s: float = 0.0
    longest_s: float = 7200.0


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that is not as in the simulator, by the field of the scenario that it is about."""

    field: str
    what: str

    def __str__(self) -> str:
        return f"{self.field}: {self.what}"


@dataclass(frozen=True, slots=True)
class PlannedFault:
    """A fault that has to be injected; crowds are in the load already."""

    index: int  # in scenario.faults
    fault: Fault


@dataclass(frozen=True, slots=True)
class LivePlan:
    """One scenario under one seed on a live cluster; every arm gets the same."""

    scenario: Scenario
    seed: int
    shape: LoadShape
    warm_up_s: float
    mix: Mix
    faults: tuple[PlannedFault, ...]
    places: Places
    values: Mapping[str, Any]  # of the demo shop's chart
    differences: tuple[Difference, ...]

    @property
    def load_s(self) -> float:
        return self.shape.duration_s

    @property
    def zero_s(self) -> float:
        """When t = 0 is, after the load's start."""
        return self.shape.zero_s

    @property
    def settle_s(self) -> float:
        return self.shape.settle_s

    @property
    def peak_rps(self) -> float:
        return _peak(self.shape)[1]


def live_plan(scenario: Scenario, seed: int, limits: LiveLimits) -> LivePlan:
    """Raises `PlanRefused` with every field that cannot be done live, not only the first."""
    warm_up_s = _warm_up_s(scenario, limits)
    shape = LoadShape(scenario, seed, scale=limits.scale, lead_in_s=warm_up_s, settle_s=limits.settle_s)
    places = places_of(scenario.topology, limits.machines)
    refused = [*_refused_topology(scenario), *_refused_load(scenario, shape, limits)]
    for index, fault in enumerate(scenario.faults):
        why = refused_fault(fault, scenario.topology, places, limits.abilities)
        refused += [Difference(f"faults.{index}.{field}", reason) for field, reason in why]
    if refused:
        lines = "\n".join(f"  {line}" for line in refused)
        raise PlanRefused(f"{scenario.name} cannot be carried out live:\n{lines}")
    return LivePlan(
        scenario=scenario,
        seed=seed,
        shape=shape,
        warm_up_s=warm_up_s,
        mix=live_mix(scenario.topology),
        faults=tuple(PlannedFault(i, f) for i, f in enumerate(scenario.faults) if f.kind not in CROWDS),
        places=places,
        values=merged(
            shop_values(scenario.topology, scenario.slo.latency_s, scenario.slo.availability), _redis_apart(places)
        ),
        differences=tuple(_differences(scenario, warm_up_s, limits)),
    )


def _redis_apart(places: Places) -> dict[str, Any]:
    """Redis is a single pod, and the scheduler may put it anywhere. In the last zone, faults of the others do not take
    all carts along in one run and none in the next."""
    if len(places.zones) < 2:
        return {}
    return {"redis": {"nodeSelector": {ZONE_LABEL: list(places.zones.values())[-1]}}}


def _warm_up_s(scenario: Scenario, limits: LiveLimits) -> float:
    wanted = scenario.warm_up_s if limits.warm_up_s is None else min(limits.warm_up_s, scenario.warm_up_s)
    return max(wanted, min(LEAST_WARM_UP_S, scenario.warm_up_s))


def _refused_topology(scenario: Scenario) -> Iterator[Difference]:
    topology = scenario.topology
    for i, service in enumerate(topology.services):
        if service.name not in (*ROLES, *STORES):
            yield Difference(
                f"topology.services.{i}.name",
                f"the demo shop has no {service.name!r}; it has {', '.join((*ROLES, *STORES))}",
            )
    if topology.entry_service != ENTRY:
        yield Difference("topology.classes.0.operation", f"clients of the demo shop come to {ENTRY}")
    for i, request_class in enumerate(topology.classes):
        if request_class.operation not in VISITS:
            yield Difference(
                f"topology.classes.{i}.operation",
                f"no page of the demo shop is {request_class.operation!r}: use {', '.join(VISITS)}",
            )
    if len({c.operation for c in topology.classes}) < len(topology.classes):
        yield Difference(
            "topology.classes", "two classes enter at one operation: live requests could not be told apart"
        )
    if scenario.restart_controller_at_s:
        yield Difference("restart_controller_at_s", "use a controller_crash among the faults")


def _refused_load(scenario: Scenario, shape: LoadShape, limits: LiveLimits) -> Iterator[Difference]:
    if scenario.duration_s > limits.longest_s:
        yield Difference(
            "duration_s", f"{scenario.duration_s:g} s is longer than {limits.longest_s:g} s, the longest run"
        )
        return
    at_s, peak = _peak(shape)
    if peak > limits.max_rps:
        fitting = limits.scale * limits.max_rps / peak
        yield Difference(
            "load",
            f"peaks at {peak:.0f} requests/s at t = {at_s - shape.zero_s:.0f} s, --max-rps allows "
            f"{limits.max_rps:g}: lower it, or play all of it at --scale {fitting:.2g}",
        )
    requests = float(shape.rates_rps()(_seconds(shape)).sum())
    if requests > MOST_ARRIVALS:
        yield Difference("load", f"is {requests:,.0f} requests, at most {MOST_ARRIVALS:,} can be sent in one run")


def _peak(shape: LoadShape) -> tuple[float, float]:
    """When the rate is highest, from the start of the load, and how high."""
    seconds = _seconds(shape)
    rates = shape.rates_rps()(seconds)
    highest = int(np.argmax(rates))
    return float(seconds[highest]), float(rates[highest])


def _seconds(shape: LoadShape) -> Any:
    return np.arange(0.0, shape.duration_s, 1.0)


def _differences(scenario: Scenario, warm_up_s: float, limits: LiveLimits) -> Iterator[Difference]:
    if warm_up_s < scenario.warm_up_s:
        yield Difference("warm_up_s", f"shortened from {scenario.warm_up_s:g} to {warm_up_s:g} s")
    if scenario.history.hours > 0 or scenario.history.days_remembered > 0:
        yield Difference(
            "history",
            f"{scenario.history.hours:g} h and {scenario.history.days_remembered} earlier days are not played: "
            f"forecasts know the {limits.settle_s + warm_up_s:g} s of load before t = 0 only",
        )
    yield Difference("starts_at", f"{scenario.starts_at} in the report; the cluster's clock is not turned")
    if limits.settle_s > 0.0:
        yield Difference(
            "load",
            f"begins {limits.settle_s:g} s before the warm-up, from nothing, while Foresail only observes; the "
            "simulator's shop is settled when its warm-up begins",
        )
    if limits.scale != 1.0:
        yield Difference("load", f"every rate is multiplied by {limits.scale:g}")
    pools = {s.pool_size for s in scenario.topology.services if s.name in ROLES and s.pool_size > 0}
    if len(pools) > 1:
        yield Difference("topology.services", f"pools of {sorted(pools)} connections: the chart's one size is used")
    grown = [s.name for s in scenario.topology.services if s.hpa is not None and s.replicas != s.hpa.min_replicas]
    if grown:
        yield Difference(
            "topology.services", f"{', '.join(grown)} begin with minReplicas: the warm-up is all that HPAs have to grow"
        )
    yield from _fault_differences(scenario.faults)
    yield from _node_differences(scenario, limits.machines)


def _fault_differences(faults: Sequence[Fault]) -> Iterator[Difference]:
    said = {
        FaultKind.PRIMARY_LOSS: "the pod is killed once and comes back by its StatefulSet; the simulator holds it down",
        FaultKind.CRASH_LOOP: "pods are killed again and again, no rollout is made",
        FaultKind.CACHE_LOSS: "look-ups miss as long as it runs; the simulator lets the cache refill",
    }
    for i, fault in enumerate(faults):
        if fault.kind in said:
            yield Difference(f"faults.{i}", said[fault.kind])


def _node_differences(scenario: Scenario, machines: Sequence[NodePlace]) -> Iterator[Difference]:
    wanted = len(scenario.topology.node_groups)
    if wanted != len(machines):
        yield Difference("topology.nodes", f"{wanted} in the scenario, {len(machines)} in the cluster")
