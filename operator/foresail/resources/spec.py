"""The spec of a ResiliencePolicy. Defaults are the decision core's own, except that a policy only observes."""

from __future__ import annotations

from pydantic import Field

from foresail.resources.acting import GuardrailsSpec, Healing, HighestRung, Scaling, Zones
from foresail.resources.endpoints import Brownout, Database, Drain
from foresail.resources.events import Event
from foresail.resources.metric_sources import FailureSignal, Metrics
from foresail.resources.sections import Rule, Section, list_map
from foresail.resources.targets import Objectives, Role, ScalingOfTarget, Target
from policies.model import Mode


def _own_or_common(spec: Spec, own: ScalingOfTarget, field: str) -> int | None:
    """A bound of a target, from `spec.scaling` where it says nothing itself."""
    value: int | None = getattr(own, field)
    common: int | None = getattr(spec.scaling, field)
    return common if value is None else value


def _within_most(spec: Spec, field: str) -> bool:
    """Whether `field` of every target that has bounds of its own lies within its maxReplicas."""
    own = [target.scaling for target in spec.targets if target.scaling is not None]
    pairs = [(_own_or_common(spec, one, field), _own_or_common(spec, one, "max_replicas")) for one in own]
    return all(value is None or most is None or value <= most for value, most in pairs)


def _names(spec: Spec, *roles: Role) -> set[str]:
    return {target.name for target in spec.targets if target.role in (roles or tuple(Role))}


class Spec(Section):
    """What the storefront consists of, what counts as up, and how far Foresail may go to keep it so."""

    rules = (
        Rule(
            cel="self.targets.all(t, !has(t.drivenBy) || self.targets.exists(e, e.name == t.drivenBy && e.role =="
            " 'Entry'))",
            message="drivenBy names no target of role Entry: use the name of one",
            field="targets",
            holds=lambda s: {t.driven_by for t in s.targets if t.driven_by is not None} <= _names(s, Role.ENTRY),
        ),
        Rule(
            cel="self.targets.all(t, !has(t.scaling) || (has(t.scaling.minReplicas) ? t.scaling.minReplicas :"
            " self.scaling.minReplicas) <= (has(t.scaling.maxReplicas) ? t.scaling.maxReplicas :"
            " self.scaling.maxReplicas))",
            message="minReplicas of a target is above its maxReplicas (what it leaves out comes from spec.scaling):"
            " lower minReplicas or raise maxReplicas",
            field="targets",
            holds=lambda s: _within_most(s, "min_replicas"),
        ),
        Rule(
            cel="self.targets.all(t, !has(t.scaling) || !has(t.scaling.safeReplicas) && !has(self.scaling.safeReplicas)"
            " || (has(t.scaling.safeReplicas) ? t.scaling.safeReplicas : self.scaling.safeReplicas) <="
            " (has(t.scaling.maxReplicas) ? t.scaling.maxReplicas : self.scaling.maxReplicas))",
            message="safeReplicas of a target is above its maxReplicas (what it leaves out comes from spec.scaling):"
            " lower safeReplicas or raise maxReplicas",
            field="targets",
            holds=lambda s: _within_most(s, "safe_replicas"),
        ),
        Rule(
            cel="self.failureSignals.all(f, f.target == '' || self.targets.exists(t, t.name == f.target))",
            message="target of a failure signal is not among targets: use the name of a target or leave it empty",
            field="failureSignals",
            holds=lambda s: {f.target for f in s.failure_signals} - {""} <= _names(s),
        ),
        Rule(
            cel="self.databases.all(d, self.targets.exists(t, t.name == d.target && t.role == 'Store'))",
            message="target of a database names no target of role Store: use the name of one",
            field="databases",
            holds=lambda s: {d.target for d in s.databases} <= _names(s, Role.STORE),
        ),
        Rule(
            cel="!has(self.brownout) || self.targets.exists(t, t.name == self.brownout.target && t.role != 'Store')",
            message="target of brownout names no target of role Entry or Driven: use the name of one",
            field="brownout",
            holds=lambda s: s.brownout is None or s.brownout.target in _names(s, Role.ENTRY, Role.DRIVEN),
        ),
        Rule(
            cel="self.events.all(e, e.targets.all(n, self.targets.exists(t, t.name == n)))",
            message="targets of an event are not all among targets: use names of targets or leave them empty",
            field="events",
            holds=lambda s: {name for event in s.events for name in event.targets} <= _names(s),
        ),
        Rule(
            cel="!self.zones.shiftEnabled || self.healing.highestRung == 'SwitchOver'",
            message="zones.shiftEnabled goes further than healing.highestRung: set highestRung to SwitchOver or leave"
            " zone shift off",
            field="zones",
            holds=lambda s: not s.zones.shift_enabled or s.healing.highest_rung is HighestRung.SWITCH_OVER,
        ),
    )

    mode: Mode = Field(
        Mode.OBSERVE,
        description="`Observe`: computes and shows. `Recommend`: also writes Events and patches to apply. `Enforce`:"
        " acts.",
    )
    targets: tuple[Target, ...] = Field(
        min_length=1,
        max_length=64,
        description="The workloads that this policy is about. One workload belongs to one policy.",
        json_schema_extra=list_map("name"),
    )
    objectives: Objectives = Field(default_factory=Objectives, description="What counts as up.")
    metrics: Metrics = Field(default_factory=Metrics, description="Where demand, errors and latency are read.")
    scaling: Scaling = Field(default_factory=Scaling, description="Bounds, costs and pace of floors.")
    failure_signals: tuple[FailureSignal, ...] = Field(
        (),
        max_length=64,
        description="Limits of failure signals where the workload itself does not say them. Signals that are not"
        " listed are used wherever their limit is known.",
        json_schema_extra=list_map("kind", "target"),
    )
    healing: Healing = Field(default_factory=Healing, description="What is done about failures that are expected.")
    zones: Zones = Field(default_factory=Zones, description="What may be done when a zone fails.")
    databases: tuple[Database, ...] = Field(
        (),
        max_length=8,
        description="Patroni clusters that may be switched over.",
        json_schema_extra=list_map("target"),
    )
    brownout: Brownout | None = Field(None, description="Where optional content can be dimmed. Left out: it never is.")
    drain: Drain | None = Field(
        None,
        description="Where pods can be told to let go of connections. Left out: requests in flight are only waited"
        " for.",
    )
    events: tuple[Event, ...] = Field(
        (), max_length=32, description="What is known ahead.", json_schema_extra=list_map("name")
    )
    guardrails: GuardrailsSpec = Field(default_factory=GuardrailsSpec, description="The brakes.")
