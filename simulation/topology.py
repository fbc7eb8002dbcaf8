"""The shape of a storefront: nodes, services, operations and classes of requests, as scenarios write it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

MOST_PODS = 2000  # of one service

_NUMBERS = (int, float, int | None, float | None)

#: Names of services, zones and classes: they become parts of others (service.operation) and fields of CSV files.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=63)]


class Strict(BaseModel):
    """Unknown keys are refused: a typo must not silently change an experiment. Nor may infinity or NaN pass for a
    number, or `yes` for 1."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _truth_is_no_number(cls, raw: Any) -> Any:
        for name, value in raw.items() if isinstance(raw, dict) else ():
            field = cls.model_fields.get(name)
            if isinstance(value, bool) and field is not None and field.annotation in _NUMBERS:
                raise ValueError(f"{name} is {str(value).lower()}: give a number")
        return raw


class NodeGroup(Strict):
    """Nodes of one zone with what pods may use of them."""

    zone: Name
    count: int = Field(1, ge=1, le=500)
    cpu: float = Field(4.0, gt=0, description="allocatable cores of each")
    memory_mib: float = Field(8192.0, gt=0, description="allocatable MiB of each")


class Startup(Strict):
    """From scheduled to able to serve."""

    image_pull_s: float = Field(8.0, ge=0, description="first pod of the service on a node")
    cached_pull_s: float = Field(1.0, ge=0, description="further pods on the same node")
    time_s: float = Field(15.0, ge=0, description="median time to start once the container runs")
    spread: float = Field(0.15, ge=0, le=1, description="sigma of the lognormal around time_s")
    cpu_cores: float = Field(0.8, ge=0, description="cores used while starting (capped by the CPU limit)")
    warm_up_s: float = Field(0.0, ge=0, description="after start the pod speeds up linearly over this time")
    cold_speed: float = Field(1.0, gt=0, le=1, description="CPU speed at the beginning of the warm-up")


class Probe(Strict):
    """A kubelet probe; it goes through the pod's own queue and CPU."""

    period_s: float = Field(10.0, ge=0.1)
    timeout_s: float = Field(1.0, ge=0.001)
    failure_threshold: int = Field(3, ge=1)
    success_threshold: int = Field(1, ge=1)
    initial_delay_s: float = Field(0.0, ge=0)
    cpu_ms: float = Field(0.5, ge=0)


_METRIC_TARGETS = {
    "Resource": ("Utilization", "AverageValue"),
    "ContainerResource": ("Utilization", "AverageValue"),
    "Pods": ("AverageValue",),
    "Object": ("Value", "AverageValue"),
    "External": ("Value", "AverageValue"),
}


class MetricSpec(Strict):
    """One HPA metric, as in autoscaling/v2. `demand` is the offered requests per second of the service."""

    type: Literal["Resource", "ContainerResource", "Pods", "Object", "External"] = "Resource"
    name: str = Field("cpu", description="cpu or memory for resources; default of the others: requests_per_second")
    target_type: Literal["Utilization", "AverageValue", "Value"] = Field(
        "Utilization", description="default where there is no utilization: AverageValue"
    )
    target: float = Field(
        80.0, gt=0, description="percent for Utilization, cores or MiB or requests per second otherwise"
    )

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_the_type(cls, raw: Any) -> Any:
        if isinstance(raw, dict) and raw.get("type") in ("Pods", "Object", "External"):
            return {"name": "requests_per_second", "target_type": "AverageValue", **raw}
        return raw

    @model_validator(mode="after")
    def _as_the_api_allows(self) -> MetricSpec:
        targets = _METRIC_TARGETS[self.type]
        if self.target_type not in targets:
            raise ValueError(f"a {self.type} metric has no target_type {self.target_type}: use {' or '.join(targets)}")
        if "Utilization" in targets and self.name not in ("cpu", "memory"):
            raise ValueError(f"there is no resource {self.name!r}: use cpu or memory")
        return self


class ScalingRule(Strict):
    type: Literal["Pods", "Percent"]
    value: int = Field(ge=0)
    period_s: int = Field(ge=1, le=1800)


class ScalingRules(Strict):
    stabilization_window_s: int | None = Field(None, ge=0, le=3600)
    select_policy: Literal["Max", "Min", "Disabled"] = "Max"
    policies: tuple[ScalingRule, ...] = ()
    tolerance: float | None = Field(None, ge=0)


class Behavior(Strict):
    scale_up: ScalingRules | None = None
    scale_down: ScalingRules | None = None


class Hpa(Strict):
    """The workload's own HorizontalPodAutoscaler."""

    min_replicas: int = Field(1, ge=0)
    max_replicas: int = Field(20, ge=1, le=MOST_PODS)
    metrics: tuple[MetricSpec, ...] = Field(default_factory=lambda: (MetricSpec(),), min_length=1)
    behavior: Behavior | None = None

    @model_validator(mode="after")
    def _bounds(self) -> Hpa:
        if self.min_replicas > self.max_replicas:
            raise ValueError("min_replicas is above max_replicas: lower the first or raise the second")
        return self


class DatabaseSpec(Strict):
    """Makes a service a Patroni cluster: one primary serves, a standby follows."""

    synchronous: bool = True
    switchover_s: float = Field(4.0, gt=0, description="writes stop for so long in a planned switchover")
    lease_ttl_s: float = Field(30.0, gt=0, description="an unplanned failover starts when the leader's lease lapses")
    promote_s: float = Field(6.0, gt=0, description="from the lapse to a serving primary")
    checkpoint_spread: float = Field(0.3, ge=0, le=1)
    disk_mib: float = Field(20_480.0, gt=0)
    disk_used_mib: float = Field(6_144.0, ge=0)
    disk_growth_mib_per_hour: float = Field(100.0, ge=0)


class Service(Strict):
    """A Deployment, or a store."""

    name: Name
    kind: Literal["deployment", "store"] = "deployment"
    replicas: int = Field(2, ge=0, le=MOST_PODS, description="at the beginning of the warm-up")
    cpu_request: float = Field(0.5, gt=0, description="cores; default: at most the limit")
    cpu_limit: float = Field(1.0, gt=0, description="cores; a CFS quota in 100 ms periods when threads exceed it")
    cpu_idle: float = Field(0.0, ge=0, description="cores that a serving pod uses without requests: checks, metrics")
    memory_request_mib: float = Field(256.0, gt=0, description="default: at most the limit")
    memory_limit_mib: float = Field(512.0, gt=0)
    memory_base_mib: float = Field(160.0, gt=0)
    memory_per_request_mib: float = Field(0.2, ge=0, description="for each request in progress")
    threads: int = Field(1, ge=1, le=256, description="CPU workers of a pod")
    concurrency: int = Field(64, ge=1, le=100_000, description="requests in progress per pod")
    queue: int = Field(128, ge=0, le=1_000_000, description="requests waiting per pod; more are rejected")
    pool_size: int = Field(0, ge=0, le=100_000, description="connections of a pod for its pooled calls; 0: no pool")
    retry_budget: float = Field(0.2, ge=0, description="retries allowed as a share of calls")
    balancing: Literal["random", "least_requests"] = "random"
    hop_ms: float = Field(0.5, ge=0)
    startup: Startup = Startup()
    readiness: Probe = Probe()
    liveness: Probe | None = Probe(period_s=10.0, failure_threshold=6)
    pre_stop_s: float = Field(5.0, ge=0)
    termination_grace_s: float = Field(30.0, ge=0)
    hpa: Hpa | None = None
    database: DatabaseSpec | None = None
    cpu_ms: float | None = Field(
        None, gt=0, le=600_000, description="short form: this service has one operation of this CPU work"
    )
    distribution: Literal["constant", "exponential", "lognormal"] = "exponential"
    optional: bool = Field(False, description="content that brownout may dim")

    @model_validator(mode="before")
    @classmethod
    def _requests_follow_limits(cls, raw: Any) -> Any:
        """A request that is not written is no more than the limit that is, as Kubernetes sets it."""
        if not isinstance(raw, dict):
            return raw
        given = dict(raw)
        for request, limit in (("cpu_request", "cpu_limit"), ("memory_request_mib", "memory_limit_mib")):
            most = raw.get(limit)
            if request not in raw and isinstance(most, int | float) and 0 < most < cls.model_fields[request].default:
                given[request] = most
        return given

    @model_validator(mode="after")
    def _a_pod_can_live(self) -> Service:
        if self.cpu_request > self.cpu_limit:
            raise ValueError(
                "cpu_request is above cpu_limit: Kubernetes refuses such pods; lower it or raise the limit"
            )
        if self.cpu_idle >= self.cpu_limit:
            raise ValueError("cpu_idle reaches cpu_limit: nothing would be left for requests; raise the limit")
        if self.memory_request_mib > self.memory_limit_mib:
            raise ValueError("memory_request_mib is above memory_limit_mib: lower it or raise the limit")
        if self.memory_base_mib >= self.memory_limit_mib:
            raise ValueError("memory_base_mib reaches memory_limit_mib: idle pods would be OOM killed; raise the limit")
        return self


class CallSpec(Strict):
    to: str = Field(description="service.operation")
    timeout_s: float = Field(2.0, gt=0)
    retries: int = Field(0, ge=0, le=5)
    retry_backoff_s: float = Field(0.05, ge=0)
    optional: bool = False
    probability: float = Field(1.0, ge=0, le=1)
    pool: bool = False


class OperationSpec(Strict):
    name: str = Field(description="service.operation")
    cpu_ms: float = Field(gt=0, le=600_000)
    distribution: Literal["constant", "exponential", "lognormal"] = "exponential"
    cv: float = Field(1.0, ge=0)
    wait_ms: float = Field(0.0, ge=0, description="latency that holds no CPU")
    calls: tuple[CallSpec, ...] = ()
    commits: bool = False


class RequestClassSpec(Strict):
    name: Name
    share: float = Field(gt=0)
    operation: str = Field(description="entry operation, service.operation")
    patience_s: float = Field(10.0, gt=0)
    slo_s: float | None = Field(None, gt=0, description="default: the scenario's slo.latency_s")
    retries: int = Field(0, ge=0, le=5)
    retry_backoff_s: float = Field(1.0, ge=0)
    order: bool = False


class Topology(Strict):
    """Nodes and services. Without `operations` every service has one and the first is the entry."""

    nodes: tuple[NodeGroup, ...] = Field(
        default_factory=lambda: (NodeGroup(zone="a", count=2), NodeGroup(zone="b", count=2)), min_length=1
    )
    services: tuple[Service, ...] = Field(min_length=1)
    operations: tuple[OperationSpec, ...] = ()
    classes: tuple[RequestClassSpec, ...] = ()
    idempotent_orders: bool = True

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, raw: Any) -> Any:
        if not isinstance(raw, dict) or raw.get("operations") or not raw.get("services"):
            return raw
        given = raw["services"]
        if not isinstance(given, list | tuple) or not all(isinstance(s, dict | Service) for s in given):
            return raw  # the fields' own checks say what is wrong
        services = [s if isinstance(s, dict) else s.model_dump() for s in given]
        operations = [
            {
                "name": f"{s['name']}.request",
                "cpu_ms": s["cpu_ms"],
                "distribution": s.get("distribution", "exponential"),
            }
            for s in services
            if s.get("name") and s.get("cpu_ms")
        ]
        if not operations:
            return raw
        classes = raw.get("classes") or [{"name": "request", "share": 1.0, "operation": operations[0]["name"]}]
        return {**raw, "operations": operations, "classes": classes}

    @model_validator(mode="after")
    def _references(self) -> Topology:
        if not self.operations or not self.classes:
            raise ValueError(
                "no operations: give `operations` and `classes`, or `cpu_ms` to a service for the short form"
            )
        services = {s.name for s in self.services}
        if len(services) != len(self.services):
            raise ValueError("two services have the same name: rename one")
        operations = {o.name for o in self.operations}
        for operation in self.operations:
            if operation.name.partition(".")[0] not in services:
                raise ValueError(f"operation {operation.name!r} belongs to no service: name it service.operation")
            for call in operation.calls:
                if call.to not in operations:
                    raise ValueError(f"operation {operation.name!r} calls unknown {call.to!r}: add it to operations")
        if len({c.name for c in self.classes}) != len(self.classes):
            raise ValueError("two classes have the same name: rename one")
        for request_class in self.classes:
            if request_class.operation not in operations:
                raise ValueError(
                    f"class {request_class.name!r} enters at unknown operation {request_class.operation!r}"
                )
        self._refuse_cycles()
        for service in self.services:
            self._fits_a_node(service)
        return self

    def _fits_a_node(self, service: Service) -> None:
        if not any(
            service.cpu_request <= node.cpu and service.memory_request_mib <= node.memory_mib for node in self.nodes
        ):
            raise ValueError(
                f"a pod of {service.name!r} asks for {service.cpu_request:g} cores and "
                f"{service.memory_request_mib:g} MiB, more than any node has: ask for less or give a larger node"
            )

    def _refuse_cycles(self) -> None:
        calls = {o.name: [c.to for c in o.calls] for o in self.operations}
        done: set[str] = set()

        def visit(name: str, path: tuple[str, ...]) -> None:
            if name in path:
                raise ValueError(f"operations call each other in a circle: {' → '.join((*path, name))}")
            if name not in done:
                for callee in calls[name]:
                    visit(callee, (*path, name))
                done.add(name)

        for name in calls:
            visit(name, ())

    @property
    def zones(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(group.zone for group in self.nodes))

    @property
    def node_groups(self) -> dict[str, NodeGroup]:
        """Every node's name (node-zone-number, counted over groups) and the group it belongs to."""
        named: dict[str, NodeGroup] = {}
        count = dict.fromkeys(self.zones, 0)
        for group in self.nodes:
            for _ in range(group.count):
                count[group.zone] += 1
                named[f"node-{group.zone}-{count[group.zone]}"] = group
        return named

    @property
    def entry_service(self) -> str:
        """The gateway: where requests of clients arrive."""
        return self.classes[0].operation.partition(".")[0]

    def service(self, name: str) -> Service:
        return next(s for s in self.services if s.name == name)
