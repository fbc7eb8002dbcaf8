"""The arms of a live experiment as data: what is installed, with which values. Adapters carry it out.

Names and tuned settings are the simulator's, so that a live run and a simulated one differ in nothing but the world.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from chaos.experiments.problems import ArmUnknown, PlanRefused
from simulation.arms import ArmSettings, arm_settings
from simulation.topology import Behavior, ScalingRules, Topology

#: How Foresail runs beside the arm's autoscaler. `persistence`: all of it, but the present value stands for the future.
Operator = Literal["none", "forecast", "persistence"]

OPERATOR_PODS = 2
OPERATOR_CPU_CORES = 0.1  # each asks for, as the chart says
KEDA_CPU_CORES = 0.2  # operator and metrics adapter ask for 100m each; admission webhooks are not installed

PROFILE = "experiment"
_UP_PERIOD_S, _DOWN_PERIOD_S = 15, 60


@dataclass(frozen=True, slots=True)
class LiveArm:
    """Who scales the shop in a run. `own_cpu_cores` is what the arm's controllers ask for, charged to it as pods."""

    name: str
    autoscaler: Literal["hpa", "keda"]
    operator: Operator
    settings: ArmSettings
    own_cpu_cores: float

    @property
    def knows_events(self) -> bool:
        """Whether announcements are told to it: who only knows current values knows none."""
        return self.operator == "forecast"


#: Every arm that `--arms` knows. KEDA aims at the share of a pod's capacity that its simulated cousins were tuned to.
_ARMS: Mapping[str, tuple[Literal["hpa", "keda"], Operator, str]] = {
    "hpa-default": ("hpa", "none", "hpa-default"),
    "hpa-tuned": ("hpa", "none", "hpa-tuned"),
    "hpa-tuned-fast-lane": ("hpa", "persistence", "hpa-tuned-fast-lane"),
    "foresail": ("hpa", "forecast", "foresail"),
    "keda": ("keda", "none", "predict-linear"),
}
ARM_NAMES: tuple[str, ...] = tuple(_ARMS)


def live_arm(name: str) -> LiveArm:
    """Raises `ArmUnknown`."""
    if name not in _ARMS:
        raise ArmUnknown(f"no live arm is called {name!r}: use one of {', '.join(ARM_NAMES)}")
    autoscaler, operator, tuned_as = _ARMS[name]
    own = OPERATOR_PODS * OPERATOR_CPU_CORES if operator != "none" else KEDA_CPU_CORES if autoscaler == "keda" else 0.0
    return LiveArm(name, autoscaler, operator, arm_settings(tuned_as), own)


def own_pods(arm: LiveArm, topology: Topology) -> float:
    """What the arm's controllers cost, in pods of the shop's mean CPU request."""
    requests = [service.cpu_request for service in topology.services]
    return arm.own_cpu_cores / (sum(requests) / len(requests))


def hpa_values(arm: LiveArm, topology: Topology) -> dict[str, Any]:
    """Values of the demo shop's chart: the arm's HPA, as the simulator would make it from the topology's.

    Raises `PlanRefused` where services' HPAs differ in more than their bounds: the chart has one profile for all.
    """
    if arm.autoscaler == "keda":
        return {"hpa": {"enabled": False}}
    own = _shared_hpa(topology)
    settings = arm.settings
    profile: dict[str, Any] = {
        "targetCPUUtilizationPercentage": round(own[0] if settings.hpa_target_pct is None else settings.hpa_target_pct)
    }
    behavior = _behavior(own[1], settings)
    if behavior:
        profile["behavior"] = behavior
    return {"hpa": {"enabled": True, "profile": PROFILE, "profiles": {PROFILE: profile}}}


def _shared_hpa(topology: Topology) -> tuple[float, Behavior | None]:
    """CPU target and behaviour that all HPAs of the topology have."""
    found: dict[tuple[float, Behavior | None], str] = {}
    for service in topology.services:
        if service.hpa is None:
            continue
        metric = service.hpa.metrics[0]
        if len(service.hpa.metrics) > 1 or (metric.type, metric.name, metric.target_type) != (
            "Resource",
            "cpu",
            "Utilization",
        ):
            raise PlanRefused(f"topology: the HPA of {service.name} scales on more than CPU utilisation: not live yet")
        found.setdefault((metric.target, service.hpa.behavior), service.name)
    if len(found) > 1:
        raise PlanRefused(f"topology: the HPAs of {' and '.join(found.values())} differ: live, all have one profile")
    if not found:
        raise PlanRefused("topology: no service has an HPA: there is nothing to compare")
    return next(iter(found))


def _behavior(own: Behavior | None, settings: ArmSettings) -> dict[str, Any]:
    up = _rules(None if own is None else own.scale_up)
    down = _rules(None if own is None else own.scale_down)
    if settings.hpa_up_pct is not None:
        up["policies"] = [_policy("Pods", 4, _UP_PERIOD_S), _policy("Percent", settings.hpa_up_pct, _UP_PERIOD_S)]
    if settings.hpa_up_window_s is not None:
        up["stabilizationWindowSeconds"] = round(settings.hpa_up_window_s)
    if settings.hpa_down_pct is not None:
        down["policies"] = [_policy("Percent", settings.hpa_down_pct, _DOWN_PERIOD_S)]
    if settings.hpa_down_window_s is not None:
        down["stabilizationWindowSeconds"] = round(settings.hpa_down_window_s)
    return {name: rules for name, rules in (("scaleUp", up), ("scaleDown", down)) if rules}


def _rules(rules: ScalingRules | None) -> dict[str, Any]:
    if rules is None:
        return {}
    said: dict[str, Any] = {"selectPolicy": rules.select_policy}
    if rules.stabilization_window_s is not None:
        said["stabilizationWindowSeconds"] = rules.stabilization_window_s
    if rules.policies:
        said["policies"] = [_policy(p.type, p.value, p.period_s) for p in rules.policies]
    if rules.tolerance is not None:
        said["tolerance"] = rules.tolerance
    return said


def _policy(kind: str, value: float, period_s: int) -> dict[str, Any]:
    return {"type": kind, "value": round(value), "periodSeconds": period_s}
