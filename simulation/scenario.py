"""A scenario: topology, load, faults with seed, magnitude, ramp and duration, and SLOs in one YAML file.

The same file runs in the simulator and on a live cluster. Times are seconds; t = 0 is where scoring begins, what comes
before (history, then warm-up) is part of the scenario.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from simulation.topology import Service, Strict, Topology


class ScenarioInvalid(Exception):
    """A scenario file that cannot be used; the message names file, path inside it and the fix."""


MOST_RPS = 100_000.0  # what a run can carry in memory and time


class FaultKind(StrEnum):
    POD_CRASH = "pod_crash"
    CRASH_LOOP = "crash_loop"
    MEMORY_LEAK = "memory_leak"
    POOL_CREEP = "pool_creep"
    SLOW_DEPENDENCY = "slow_dependency"
    LATENCY_CREEP = "latency_creep"
    NOISY_NEIGHBOUR = "noisy_neighbour"
    NODE_LOSS = "node_loss"
    ZONE_LOSS = "zone_loss"
    ZONE_CUT = "zone_cut"
    PRIMARY_LOSS = "primary_loss"
    ERROR_BURST = "error_burst"
    CPU_BURN = "cpu_burn"
    LOCK_CONTENTION = "lock_contention"
    PAYMENT_TIMEOUTS = "payment_timeouts"
    DISK_FILL = "disk_fill"
    REPLICATION_LAG = "replication_lag"
    CACHE_LOSS = "cache_loss"
    METRICS_OUTAGE = "metrics_outage"
    METRICS_DELAY = "metrics_delay"
    API_OUTAGE = "api_outage"
    CONTROLLER_CRASH = "controller_crash"
    FLASH_SALE = "flash_sale"
    VIRAL_RAMP = "viral_ramp"


#: What `magnitude` means, its default, whether forecasting could know it, and what the fault must name.
FAULT_FACTS: dict[FaultKind, tuple[str, float, bool, tuple[str, ...]]] = {
    FaultKind.POD_CRASH: ("pods that crash once", 1.0, False, ("service",)),
    FaultKind.CRASH_LOOP: ("share of the service's pods that a bad rollout lets crash", 0.5, False, ("service",)),
    FaultKind.MEMORY_LEAK: ("MiB per minute and pod", 20.0, True, ("service",)),
    FaultKind.POOL_CREEP: ("connections lost per minute and pod", 2.0, True, ("service",)),
    FaultKind.SLOW_DEPENDENCY: ("seconds added to each answer", 0.5, False, ("service",)),
    FaultKind.LATENCY_CREEP: ("seconds added to each answer of the pods hit, at full ramp", 1.0, True, ("service",)),
    FaultKind.NOISY_NEIGHBOUR: ("share of a node's CPU that is taken from its pods", 0.6, False, ()),
    FaultKind.NODE_LOSS: ("nodes lost", 1.0, False, ()),
    FaultKind.ZONE_LOSS: ("not used", 1.0, False, ("zone",)),
    FaultKind.ZONE_CUT: ("not used", 1.0, False, ("zone",)),
    FaultKind.PRIMARY_LOSS: ("not used", 1.0, False, ("service",)),
    FaultKind.ERROR_BURST: ("share of answers that are errors", 0.3, False, ("service",)),
    FaultKind.CPU_BURN: ("cores burnt in each pod hit", 0.5, False, ("service",)),
    FaultKind.LOCK_CONTENTION: ("seconds a transaction waits for locks, at full ramp", 0.3, True, ("service",)),
    FaultKind.PAYMENT_TIMEOUTS: ("share of calls that never answer", 0.5, False, ("service",)),
    FaultKind.DISK_FILL: ("MiB per minute on the primary", 200.0, True, ("service",)),
    FaultKind.REPLICATION_LAG: ("seconds of lag at full ramp", 30.0, True, ("service",)),
    FaultKind.CACHE_LOSS: ("share of the cache that is lost", 1.0, False, ("service",)),
    FaultKind.METRICS_OUTAGE: ("not used", 1.0, False, ()),
    FaultKind.METRICS_DELAY: ("seconds of extra scrape lag", 60.0, False, ()),
    FaultKind.API_OUTAGE: ("not used", 1.0, False, ()),
    FaultKind.CONTROLLER_CRASH: ("not used", 1.0, False, ()),
    FaultKind.FLASH_SALE: ("demand is multiplied by this", 3.0, False, ()),
    FaultKind.VIRAL_RAMP: ("demand is multiplied by this at its height", 4.0, True, ()),
}

#: Faults of a service that is a Patroni cluster.
DATABASE_FAULTS = frozenset({FaultKind.PRIMARY_LOSS, FaultKind.DISK_FILL, FaultKind.REPLICATION_LAG})


#: More people than usual: their magnitude multiplies the demand.
CROWDS = frozenset({FaultKind.FLASH_SALE, FaultKind.VIRAL_RAMP})

#: Faults whose magnitude is a share.
SHARE_FAULTS = frozenset(kind for kind, (meaning, *_) in FAULT_FACTS.items() if meaning.startswith("share"))


class Fault(Strict):
    """One thing that goes wrong (or a crowd comes). Reaches `magnitude` after `ramp_s`, ends after `duration_s`."""

    kind: FaultKind
    start_s: float = Field(ge=0)
    duration_s: float = Field(60.0, gt=0)
    ramp_s: float = Field(0.0, ge=0)
    magnitude: float | None = Field(None, ge=0, description="default and unit: see the kind")
    seed: int = 0
    service: str | None = None
    zone: str | None = None
    node: str | None = None
    pods: int | None = Field(
        None, ge=1, description="how many pods of the service are hit; default: all, for pod_crash 1"
    )
    announced: bool = Field(False, description="declared to Foresail as an event beforehand (flash_sale, viral_ramp)")
    announced_multiplier: float | None = Field(None, gt=0, description="what was declared; default: the true magnitude")
    predictable: bool | None = Field(None, description="default: see the kind; announced events are predictable")

    @model_validator(mode="after")
    def _names_its_target(self) -> Fault:
        for field in FAULT_FACTS[self.kind][3]:
            if getattr(self, field) is None:
                raise ValueError(f"a {self.kind.value} needs `{field}`: say which {field} it hits")
        if self.ramp_s > self.duration_s:
            raise ValueError("ramp_s is longer than duration_s: shorten the ramp")
        if self.size > 1.0 and self.kind in SHARE_FAULTS:
            raise ValueError(f"magnitude {self.size:g} of a {self.kind.value} is a share: at most 1")
        if self.announced and self.kind not in CROWDS:
            raise ValueError(f"announced is for crowds ({', '.join(sorted(CROWDS))}): leave it out")
        return self

    @property
    def size(self) -> float:
        return FAULT_FACTS[self.kind][1] if self.magnitude is None else self.magnitude

    @property
    def is_predictable(self) -> bool:
        if self.predictable is not None:
            return self.predictable
        return FAULT_FACTS[self.kind][2] or self.announced

    @property
    def end_s(self) -> float:
        return self.start_s + self.duration_s

    @property
    def label(self) -> str:
        """The fault in words: "memory leak in checkout"."""
        words = self.kind.value.replace("_", " ")
        if self.service is not None:
            return f"{words} in {self.service}"
        if self.node is not None:
            return f"{words} on {self.node}"
        return f"{words} of zone {self.zone}" if self.zone is not None else words

    def level(self, t_s: float) -> float:
        """How far the fault has come, 0..1."""
        if not self.start_s <= t_s < self.end_s:
            return 0.0
        return 1.0 if self.ramp_s == 0 else min(1.0, (t_s - self.start_s) / self.ramp_s)


class Diurnal(Strict):
    """A day's swing: rate × (1 + amplitude × cos) with its peak at `peak_at_s`."""

    period_s: float = Field(86_400.0, ge=1)
    amplitude: float = Field(0.4, ge=0, lt=1)
    peak_at_s: float = 0.0


class Trace(Strict):
    """A measured request rate that replaces the generated load."""

    file: str
    step_s: float = Field(1.0, ge=0.001, le=86_400)
    column: str | None = Field(None, description="CSV column; default: the only one, or Value")
    mean_rps: float | None = Field(None, gt=0, le=MOST_RPS)
    peak_rps: float | None = Field(None, gt=0, le=MOST_RPS)

    @model_validator(mode="after")
    def _one_scale(self) -> Trace:
        if self.mean_rps is not None and self.peak_rps is not None:
            raise ValueError("mean_rps and peak_rps are both given: choose one")
        return self


class Load(Strict):
    """Offered load: base rate × day × knots × crowds, Poisson arrivals around it."""

    rps: float = Field(50.0, ge=0, le=MOST_RPS)
    diurnal: Diurnal | None = None
    knots: tuple[tuple[float, float], ...] = Field((), description="(t_s, factor) points, joined by lines")
    staircase: tuple[float, ...] = Field(
        (), description="factors of equal duration one after the other: finds peak_rps"
    )
    roughness: float = Field(0.05, ge=0, le=2, description="sigma of the slow lognormal noise on the rate")
    roughness_tau_s: float = Field(120.0, gt=0, description="how long that noise remembers")
    trace: Trace | None = None

    @model_validator(mode="after")
    def _knots_in_order(self) -> Load:
        times = [t for t, _ in self.knots]
        if times != sorted(times):
            raise ValueError("knots are not in order of time: sort them")
        if any(factor < 0 for _, factor in self.knots) or any(factor < 0 for factor in self.staircase):
            raise ValueError("a load factor is negative: use 0 for no load")
        if self.rps * max((factor for _, factor in self.knots), default=0.0) > MOST_RPS or (
            self.rps * max(self.staircase, default=0.0) > MOST_RPS
        ):
            raise ValueError(f"a load factor asks for more than {MOST_RPS:g} requests/s: lower it or rps")
        return self


class History(Strict):
    """Demand that monitoring already knows at the start of the warm-up (computed from the load, not simulated)."""

    hours: float = Field(3.0, ge=0, le=336)
    days_remembered: int = Field(1, ge=0, le=14, description="earlier days for same-time-yesterday; 0: a new shop")


class Slo(Strict):
    latency_s: float = Field(1.0, gt=0)
    availability: float = Field(0.999, gt=0, lt=1)


#: Evidence for forecasting comes from the predictable ones alone.
Group = Literal["predictable", "mixed", "unforeseeable", "fault-free"]


class Scenario(Strict):
    """One experiment."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    description: str = ""
    role: Literal["reported", "tuning"] = "reported"
    fault_free: bool = Field(False, description="no fault and nothing unusual: disruptive acts in it are false")
    predictable: bool | None = Field(None, description="could a forecast know what comes? default: as its faults say")
    duration_s: float = Field(gt=0, le=14 * 86_400)
    warm_up_s: float = Field(600.0, ge=0, le=14 * 86_400)
    starts_at: str = Field("12:00", pattern=r"^([01]\d|2[0-3]):[0-5]\d$", description="clock time of t = 0")
    topology: Topology
    load: Load = Load()
    history: History = History()
    slo: Slo = Slo()
    faults: tuple[Fault, ...] = ()
    restart_controller_at_s: tuple[float, ...] = ()

    @property
    def group(self) -> Group:
        """What a forecast could know of it: all that happens, some of it, or nothing; fault-free stands apart."""
        if self.fault_free:
            return "fault-free"
        known = {fault.is_predictable for fault in self.faults} or {not self.load.staircase}
        if self.predictable is not None:
            known = {self.predictable}
        if len(known) == 2:
            return "mixed"
        return "predictable" if True in known else "unforeseeable"

    @model_validator(mode="before")
    @classmethod
    def _preset(cls, raw: Any) -> Any:
        """`topology: shop` stands for the shipped topology of that name."""
        if isinstance(raw, dict) and isinstance(raw.get("topology"), str):
            return {**raw, "topology": topology_preset(raw["topology"])}
        return raw

    @model_validator(mode="after")
    def _targets_exist(self) -> Scenario:
        services = {s.name for s in self.topology.services}
        for i, at_s in enumerate(self.restart_controller_at_s):
            if not -self.warm_up_s <= at_s < self.duration_s:
                raise ValueError(f"restart_controller_at_s.{i}: {at_s:g} is not in the run")
        for i, fault in enumerate(self.faults):
            if fault.service is not None and fault.service not in services:
                raise ValueError(f"faults.{i}.service: no service {fault.service!r}; there are {sorted(services)}")
            if fault.zone is not None and fault.zone not in self.topology.zones:
                raise ValueError(f"faults.{i}.zone: no zone {fault.zone!r}; there are {list(self.topology.zones)}")
            if fault.node is not None and fault.node not in self.topology.node_groups:
                raise ValueError(
                    f"faults.{i}.node: no node {fault.node!r}; there are {list(self.topology.node_groups)}"
                )
            if fault.service is not None:
                self._can_hit(i, fault, self.topology.service(fault.service))
            if fault.start_s >= self.duration_s:
                raise ValueError(f"faults.{i}.start_s: {fault.start_s:g} is after the end ({self.duration_s:g})")
            if fault.kind in CROWDS and self.load.rps * fault.size > MOST_RPS:
                raise ValueError(f"faults.{i}.magnitude: more than {MOST_RPS:g} requests/s come: lower it or load.rps")
        return self

    def _can_hit(self, i: int, fault: Fault, service: Service) -> None:
        """A fault that could do nothing to its service is a mistake."""
        databases = [s.name for s in self.topology.services if s.database is not None]
        if fault.kind in DATABASE_FAULTS and service.name not in databases:
            raise ValueError(f"faults.{i}.service: a {fault.kind.value} needs a database; there are {databases}")
        if fault.kind is FaultKind.CACHE_LOSS and not self._misses_of(service):
            raise ValueError(
                f"faults.{i}.service: nothing falls back from {service.name!r}: an operation that calls it first and "
                "then another with a probability below 1 would"
            )
        if fault.kind is FaultKind.POOL_CREEP and service.pool_size == 0:
            raise ValueError(f"faults.{i}.service: {service.name!r} has no connection pool: give it a pool_size")

    def _misses_of(self, cache: Service) -> bool:
        """Whether some operation asks the cache first and then, with a probability below 1, something behind it."""
        for operation in self.topology.operations:
            asked = [call.to.partition(".")[0] == cache.name for call in operation.calls]
            if True in asked and any(
                0.0 < call.probability < 1.0 and not call.optional for call in operation.calls[asked.index(True) + 1 :]
            ):
                return True
        return False


TOPOLOGIES = Path(__file__).parent / "topologies"
SCENARIOS = Path(__file__).parent / "scenarios"


def topology_preset(name: str) -> Any:
    """The shipped topology called `name`, as written."""
    path = TOPOLOGIES / f"{name}.yaml"
    if not path.is_file():
        known = sorted(p.stem for p in TOPOLOGIES.glob("*.yaml"))
        raise ValueError(f"no topology is called {name!r}: use one of {known} or write it out")
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def load_topology(path: Path | str) -> Topology:
    """The topology in a file of its own, or the shipped one of that name.

    Raises `ScenarioInvalid` with file, path inside the file and the fix.
    """
    try:
        raw = yaml.safe_load(Path(path).read_text(encoding="utf-8")) if Path(path).is_file() else _shipped(str(path))
        return Topology.model_validate(raw)
    except yaml.YAMLError as error:
        raise ScenarioInvalid(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioInvalid(f"{path}: cannot be read as text: {error}") from None
    except ValidationError as error:
        raise ScenarioInvalid(_explain(error, str(path))) from None


def _shipped(name: str) -> Any:
    try:
        return topology_preset(name)
    except ValueError as error:
        raise ScenarioInvalid(f"{name}: no such file, and {error}") from None


def shipped_scenarios(folders: Sequence[Path] = (SCENARIOS,)) -> tuple[str, ...]:
    return tuple(sorted(p.stem for folder in folders for p in folder.glob("*.yaml")))


def load_scenario(path: Path | str, folders: Sequence[Path] = (SCENARIOS,)) -> Scenario:
    """The scenario in a file, or the one of that name that is shipped in the folders.

    Raises `ScenarioInvalid` with file, path inside the file and the fix.
    """
    file = Path(path)
    if not file.is_file():
        file = next((named for folder in folders if (named := folder / f"{path}.yaml").is_file()), file)
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        shipped = ", ".join(shipped_scenarios(folders))
        raise ScenarioInvalid(
            f"{path}: no such file. Give a path, or one of the shipped scenarios: {shipped}"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioInvalid(f"{path}: cannot be read as text: {error}") from None
    return parse_scenario(text, str(path))


def parse_scenario(text: str, source: str) -> Scenario:
    """The scenario written in `text`; `source` is how messages name it."""
    try:
        raw = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ScenarioInvalid(f"{source}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(raw, dict):
        raise ScenarioInvalid(f"{source}: a scenario is a mapping with name, duration_s, topology, load, …")
    return scenario_of(raw, source)


def scenario_of(raw: Any, source: str) -> Scenario:
    """The scenario in a mapping, as YAML would have given it; `source` is how messages name it."""
    try:
        return Scenario.model_validate(raw)
    except ValidationError as error:
        raise ScenarioInvalid(_explain(error, source)) from None


def ending_at(scenario: Scenario, duration_s: float, source: str) -> Scenario:
    """The scenario with another end, checked as if it had been written so. What would come later does not happen."""
    raw = scenario.model_dump(mode="json", exclude_unset=True)
    raw["duration_s"] = duration_s
    raw["faults"] = [fault for fault in raw.get("faults", ()) if fault["start_s"] < duration_s]
    raw["restart_controller_at_s"] = [t for t in scenario.restart_controller_at_s if t < duration_s]
    return scenario_of(raw, source)


def trace_of(raw: Any, source: str) -> Trace:
    """A trace given in parts, checked like one in a scenario file."""
    try:
        return Trace.model_validate(raw)
    except ValidationError as error:
        raise ScenarioInvalid(_explain(error, source)) from None


def _explain(error: ValidationError, source: str) -> str:
    lines = []
    for problem in error.errors():
        path = ".".join(str(part) for part in problem["loc"]) or "(top)"
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            message = "unknown key: remove it or correct its spelling"
        elif problem["type"] == "missing":
            message = "required key is missing: add it"
        elif not isinstance(problem["input"], dict | list | tuple):
            message = f"{message} (is {problem['input']!r})"
        lines.append(f"{source}: {path}: {message}")
    return "\n".join(lines)


def scenario_json_schema() -> str:
    """JSON Schema of scenario files, for editors."""
    return json.dumps(Scenario.model_json_schema(), indent=2) + "\n"
