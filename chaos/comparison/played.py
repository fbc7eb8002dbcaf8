"""A scenario as it was played live: what the simulator has to do differently to do the same."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from chaos.experiments.problems import FolderInvalid
from simulation.result import ClientSeconds
from simulation.scenario import Scenario, scenario_of
from simulation.topology import Topology
from simulation.traffic import Beside, Traffic

#: Fields of a service that the live shop was given, as the scenario says; everything else is the shop's own.
CONFIGURED = (
    "kind",
    "replicas",
    "cpu_request",
    "cpu_limit",
    "memory_request_mib",
    "memory_limit_mib",
    "pool_size",
    "hpa",
)

#: What a probe asks for, by the name of the class that it is in the simulator: its cart is filled, and ordered.
PROBES = {"probe-line": "gateway.cart", "probe-order": "gateway.checkout"}
NO_SHARE = 1e-12  # of the load's own requests


@dataclass(frozen=True, slots=True)
class Played:
    """How an experiment deviated from its scenario files."""

    scale: float  # of every rate
    warm_up_s: float
    probe_hz: float = 0.0  # orders that a probe placed beside the load


def as_played(scenario: Scenario, played: Played, measured: Topology | None = None) -> Scenario:
    """The scenario with the warm-up that was played, without history, and with as many pods at its beginning as the
    HPAs' minimum: nobody gives a live shop more. Its load is not scaled here: see `played_traffic`. Where a probe ran,
    its requests are the last classes.

    `measured` tells what the shop's requests cost and how fast its pods start. Raises `FolderInvalid` when that is not
    the scenario's shop, `ScenarioInvalid` when both do not go together.
    """
    topology = scenario.topology if measured is None else with_measured(scenario.topology, measured)
    raw: dict[str, Any] = scenario.model_dump(mode="json", exclude_unset=True)
    raw["topology"] = topology.model_dump(mode="json", exclude_unset=True)
    for service in raw["topology"]["services"]:
        if service.get("hpa") is not None:
            service["replicas"] = topology.service(service["name"]).hpa.min_replicas  # type: ignore[union-attr]
    raw["topology"]["classes"] += _probe_classes(topology) if played.probe_hz > 0.0 else []
    raw["warm_up_s"] = played.warm_up_s
    raw["history"] = {"hours": 0, "days_remembered": 0}
    return scenario_of(raw, f"{scenario.name} as it was played")


def played_traffic(scenario: Scenario, seed: int, played: Played, measured: Topology | None = None) -> Traffic:
    """Clients that come at the rates of the live load, second by second, and the requests of its probe."""
    simulated = as_played(scenario, played, measured)
    return Traffic(
        simulated,
        seed,
        scale=played.scale,
        noise_from_s=-scenario.warm_up_s,
        beside=[
            Beside(index, played.probe_hz)
            for index, one in enumerate(simulated.topology.classes)
            if one.name in PROBES and index >= len(scenario.topology.classes)
        ],
    )


def without_probes(client: ClientSeconds, scenario: Scenario) -> ClientSeconds:
    """What the scenario's own clients saw. Latencies are theirs already."""
    own = slice(len(scenario.topology.classes))
    return replace(
        client,
        classes=client.classes[own],
        arrived=client.arrived[own],
        ok=client.ok[own],
        slow=client.slow[own],
        failed=client.failed[own],
        degraded=None if client.degraded is None else client.degraded[own],
    )


def _probe_classes(topology: Topology) -> list[dict[str, Any]]:
    there = {operation.name for operation in topology.operations}
    return [{"name": name, "share": NO_SHARE, "operation": one} for name, one in PROBES.items() if one in there]


def with_measured(topology: Topology, measured: Topology) -> Topology:
    """What was configured is the scenario's; nodes, operations, the shares of classes and everything else of services
    are as measured. Raises `FolderInvalid` when the two are not of the same services and classes."""
    for what, own, other in (
        ("services", {s.name for s in topology.services}, {s.name for s in measured.services}),
        ("classes", {c.name for c in topology.classes}, {c.name for c in measured.classes}),
    ):
        if own != other:
            raise FolderInvalid(
                f"--topology: its {what} are {', '.join(sorted(other))}, those of the experiment "
                f"{', '.join(sorted(own))}: give the topology that `foresail calibrate` wrote for it"
            )
    services = [_configured_as(service, topology, measured) for service in topology.model_dump()["services"]]
    shares = {c.name: c.share for c in measured.classes}
    classes = [{**c.model_dump(exclude_unset=True), "share": shares[c.name]} for c in topology.classes]
    return Topology.model_validate(
        {**measured.model_dump(exclude_unset=True), "services": services, "classes": classes}
    )


def _configured_as(service: dict[str, Any], topology: Topology, measured: Topology) -> dict[str, Any]:
    name = service["name"]
    own = topology.service(name).model_dump(exclude_unset=True)
    other = measured.service(name).model_dump(exclude_unset=True)
    kept = {field: own[field] for field in CONFIGURED if field in own}
    return {**{field: value for field, value in other.items() if field not in CONFIGURED}, **kept}
