"""What adapters have to know of a workload beside its policy: where its metrics are, and whom to ask for what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from foresail.resources.metric_sources import FailureSignalKind, MetricPreset, MetricSignal
from foresail.resources.problems import PolicyName
from foresail.resources.spec import Spec
from foresail.resources.targets import Target
from policies.model import SignalKind


@dataclass(frozen=True, slots=True)
class PatroniBinding:
    """A Patroni cluster. `credentials_file` is a path below the operator's secrets folder."""

    scope: str
    members: Mapping[str, str]  # labels that its members' pods bear, if they do
    service: str | None  # None: pods are asked by their own address
    rest_port: int
    credentials_file: str | None


@dataclass(frozen=True, slots=True)
class EndpointBinding:
    """An endpoint that every pod of a workload serves. `token_file` is a path below the operator's secrets folder."""

    port: int
    path: str
    token_file: str | None


@dataclass(frozen=True, slots=True)
class WorkloadBinding:
    """One workload's share of the outside world."""

    workload: str  # "namespace/name"
    kind: str
    policy: PolicyName
    target: str
    preset: MetricPreset
    expressions: Mapping[MetricSignal, str] = field(default_factory=dict)
    #: Declared limits; a kind that is missing here takes its limit from the workload itself.
    signal_limits: Mapping[SignalKind, float] = field(default_factory=dict)
    signals_off: frozenset[SignalKind] = frozenset()
    database: PatroniBinding | None = None
    brownout: EndpointBinding | None = None
    drain: EndpointBinding | None = None
    zone_shift: bool = False


def binding_of(policy: PolicyName, spec: Spec, target: Target, workload: str, kind: str) -> WorkloadBinding:
    """What the policy says of one workload that belongs to `target`."""
    limits, off = _signals(spec, target)
    brownout = spec.brownout
    drain = spec.drain
    return WorkloadBinding(
        workload=workload,
        kind=kind,
        policy=policy,
        target=target.name,
        preset=spec.metrics.preset,
        expressions={expression.signal: expression.promql for expression in spec.metrics.expressions},
        signal_limits=limits,
        signals_off=off,
        database=_database(policy, spec, target),
        brownout=None
        if brownout is None or brownout.target != target.name
        else EndpointBinding(brownout.port, "/-/brownout", _file(policy, brownout.token_file)),
        drain=None if drain is None else EndpointBinding(drain.port, drain.path, _file(policy, drain.token_file)),
        zone_shift=spec.zones.shift_enabled,
    )


def _signals(spec: Spec, target: Target) -> tuple[dict[SignalKind, float], frozenset[SignalKind]]:
    """Declared limits, and the signals that are switched off. The target's own entry goes before the common one."""
    limits: dict[SignalKind, float] = {}
    off: set[SignalKind] = set()
    entries = {(signal.kind, signal.target): signal for signal in spec.failure_signals}
    for kind in FailureSignalKind:
        entry = entries.get((kind, target.name)) or entries.get((kind, ""))
        if entry is None:
            continue
        if not entry.enabled:
            off.add(kind.kind)
        elif entry.limit is not None:
            limits[kind.kind] = entry.limit
    return limits, frozenset(off)


def _database(policy: PolicyName, spec: Spec, target: Target) -> PatroniBinding | None:
    database = next((database for database in spec.databases if database.target == target.name), None)
    if database is None:
        return None
    return PatroniBinding(
        scope=database.scope,
        # Longer than this it is no label's value, so nobody can bear it.
        members={**database.labels, database.scope_label: database.scope} if len(database.scope) <= 63 else {},
        service=database.service,
        rest_port=database.rest_port,
        credentials_file=_file(policy, database.credentials_file),
    )


def _file(policy: PolicyName, name: str | None) -> str | None:
    """Every namespace has a folder of its own, so that a policy can only lend out what its own namespace was given."""
    return None if name is None else f"{policy.namespace}/{name}"
