"""Readers of the case format of `replay`: JSON in, the values of this package out.

Ages are seconds before the moment of evaluation, which is t = 0 here. Absent optional fields take the defaults of the
controller; what must be there and is not raises `HpaCasesInvalid` with the case, the field and the fix.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from simulation.hpa.values import (
    Behavior,
    ControllerSettings,
    PodPhase,
    PodSample,
    PodStatus,
    PolicyType,
    Readiness,
    Recommendation,
    Requests,
    ScaleEvent,
    ScalingPolicy,
    ScalingRules,
    SelectPolicy,
    Tolerance,
)

NOW_S = 0.0
#: Age of Go's zero time. All zeros are one instant, about 2,000 years ago.
ZERO_AGE_S = 6.3e10


#: Amounts are 64-bit integers upstream.
_BEYOND = 2**63

Option = TypeVar("Option")


class HpaCasesInvalid(Exception):
    """A case file that cannot be replayed; the message names case, field and fix."""


class Fields:
    """The fields of one JSON object, read with their names so that an error can say where it is."""

    def __init__(self, where: str, data: object) -> None:
        if not isinstance(data, Mapping):
            raise HpaCasesInvalid(f"{where}: expected an object with named fields, found {_shown(data)}")
        self.where = where
        self.data: Mapping[str, Any] = data

    def has(self, name: str) -> bool:
        return self.data.get(name) is not None

    def wrong(self, name: str, expected: str) -> HpaCasesInvalid:
        found = _shown(self.data[name]) if name in self.data else "nothing"
        return HpaCasesInvalid(f"{self.where}, field {name}: expected {expected}, found {found}")

    def integer(self, name: str, default: int | None = None) -> int:
        value = self.data.get(name)
        if value is None and default is not None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not _is_whole(value):
            raise self.wrong(name, "a whole number")
        return int(value)

    def positive(self, name: str) -> int:
        value = self.integer(name)
        if value <= 0:
            raise self.wrong(name, "a whole number above zero")
        return value

    def number(self, name: str, default: float | None = None) -> float:
        value = self.data.get(name)
        if value is None and default is not None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not _is_finite(value):
            raise self.wrong(name, "a number")
        return float(value)

    def text(self, name: str, default: str | None = None) -> str:
        value = self.data.get(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, str):
            raise self.wrong(name, "a text")
        return value

    def time_s(self, name: str) -> float | None:
        """When something `name` seconds old happened; None where it never did."""
        value = self.data.get(name)
        if value is None or value == "absent":
            return None
        if value == "zero":
            return NOW_S - ZERO_AGE_S
        if isinstance(value, bool) or not isinstance(value, int | float) or not _is_finite(value):
            raise self.wrong(name, 'an age in seconds, "zero" or "absent"')
        return NOW_S - float(value)

    def items(self, name: str) -> Sequence[Any]:
        """A list; empty where the field is absent or null."""
        value = self.data.get(name)
        if value is None:
            return ()
        if not isinstance(value, list):
            raise self.wrong(name, "a list")
        return value

    def objects(self, name: str) -> list[Fields]:
        return [Fields(f"{self.where}, {name}[{i}]", item) for i, item in enumerate(self.items(name))]

    def amounts(self, name: str) -> list[int | None]:
        """A list of whole numbers, null where nothing was reported."""
        return [
            None if item is None else Fields(f"{self.where}, {name}", {f"[{i}]": item}).integer(f"[{i}]")
            for i, item in enumerate(self.items(name))
        ]

    def inner(self, name: str) -> Fields:
        return Fields(f"{self.where}, {name}", self.data.get(name))

    def choice(self, name: str, options: Mapping[str, Option]) -> Option:
        value = self.data.get(name)
        if not isinstance(value, str) or value not in options:
            raise self.wrong(name, "one of " + ", ".join(options))
        return options[value]


_PHASES = {phase.value: phase for phase in PodPhase}
_READINESS = {readiness.value: readiness for readiness in Readiness}
_SELECT = {select.value: select for select in SelectPolicy}
_POLICY_TYPES = {kind.value: kind for kind in PolicyType}
NO_REQUESTS = Requests({"container1": {}})


def settings_of(fields: Fields, constants: ControllerSettings) -> ControllerSettings:
    return ControllerSettings(
        tolerance=constants.tolerance,
        cpu_initialization_period_s=fields.number("cpu_initialization_period_s", constants.cpu_initialization_period_s),
        initial_readiness_delay_s=fields.number("initial_readiness_delay_s", constants.initial_readiness_delay_s),
        downscale_stabilization_s=fields.number("downscale_stabilization_s", constants.downscale_stabilization_s),
    )


def tolerance_in(fields: Fields, settings: ControllerSettings) -> Tolerance:
    if not fields.has("tolerance"):
        return Tolerance(settings.tolerance, settings.tolerance)
    sides = fields.inner("tolerance")
    return Tolerance(sides.number("down", settings.tolerance), sides.number("up", settings.tolerance))


def pods_in(fields: Fields, resource: str = "cpu") -> list[PodStatus]:
    return [_pod(pod, resource) for pod in fields.objects("pods")]


def _pod(pod: Fields, resource: str) -> PodStatus:
    ready = pod.data.get("ready")
    return PodStatus(
        name=pod.text("name"),
        phase=pod.choice("phase", _PHASES) if pod.has("phase") else PodPhase.RUNNING,
        ready=None if ready is None or ready == "absent" else pod.choice("ready", _READINESS),
        started_at_s=pod.time_s("start_age_s"),
        ready_changed_at_s=pod.time_s("ready_transition_age_s"),
        deleting=bool(pod.data.get("deleted", False)),
        requests=_requests(pod, resource),
    )


def _requests(pod: Fields, resource: str) -> Requests:
    """Containers are named container1, container2, … in the order of their requests."""
    amounts_m = pod.amounts("container_requests_m")
    if not amounts_m:
        return NO_REQUESTS
    return Requests(
        {f"container{i + 1}": {} if amount_m is None else {resource: amount_m} for i, amount_m in enumerate(amounts_m)}
    )


def container_samples_in(fields: Fields, pods: Sequence[PodStatus], container: str | None) -> dict[str, PodSample]:
    """Samples per pod of the whole pod, or of one container.

    A pod with a container that reported nothing has no sample at all, as in upstream's metrics client.
    """
    containers = {pod.name: list(pod.requests.containers) for pod in pods}
    samples: dict[str, PodSample] = {}
    for metric in fields.objects("metrics"):
        name = metric.text("pod")
        usage_m = metric.amounts("container_usage_m")
        names = [f"container{i + 1}" for i in range(max(len(usage_m), len(containers.get(name, ()))))]
        wanted = names if container is None else [container]
        reported = {f"container{i + 1}": amount for i, amount in enumerate(usage_m) if amount is not None}
        if usage_m and all(one in reported for one in wanted):
            total_m = sum(reported[one] for one in wanted)
            samples[name] = _sample(metric, total_m)
    return samples


def group_samples_in(fields: Fields) -> dict[str, PodSample]:
    """The samples that pods carry themselves in `group_pods` cases."""
    samples = {}
    for pod in fields.objects("pods"):
        if pod.has("metric"):
            metric = pod.inner("metric")
            samples[pod.text("name")] = _sample(metric, metric.integer("value", 0))
    return samples


def level_samples_in(fields: Fields, pods: Sequence[PodStatus]) -> dict[str, PodSample]:
    """Level i belongs to pod i; levels without a pod belong to pods that are gone."""
    names = [pod.name for pod in pods]
    samples = {}
    for i, level_m in enumerate(fields.amounts("levels_m")):
        if level_m is not None:
            samples[names[i] if i < len(names) else f"gone-{i}"] = PodSample(level_m, NOW_S, 60.0)
    return samples


def _sample(metric: Fields, usage_m: int) -> PodSample:
    at_s = metric.time_s("timestamp_age_s")
    return PodSample(usage_m, NOW_S if at_s is None else at_s, metric.number("window_s", 60.0))


def recommendations_in(fields: Fields) -> tuple[Recommendation, ...]:
    return tuple(
        Recommendation(item.integer("replicas"), NOW_S - item.number("age_s"))
        for item in fields.objects("recommendations")
    )


def events_in(fields: Fields, name: str) -> tuple[ScaleEvent, ...]:
    return tuple(
        ScaleEvent(item.integer("change"), NOW_S - item.number("age_s"), bool(item.data.get("outdated", False)))
        for item in fields.objects(name)
    )


def policies_in(fields: Fields, name: str = "policies") -> tuple[ScalingPolicy, ...] | None:
    if not fields.has(name):
        return None
    return tuple(
        ScalingPolicy(item.choice("type", _POLICY_TYPES), item.integer("value"), item.integer("period_s"))
        for item in fields.objects(name)
    )


def rules_in(fields: Fields, name: str) -> ScalingRules:
    if not fields.has(name):
        return ScalingRules()
    rules = fields.inner(name)
    return ScalingRules(
        policies=policies_in(rules),
        select=rules.choice("select", _SELECT) if rules.has("select") else SelectPolicy.MAX,
        window_s=rules.number("window_s") if rules.has("window_s") else None,
        tolerance=rules.number("tolerance") if rules.has("tolerance") else None,
    )


def behavior_in(fields: Fields) -> Behavior | None:
    if fields.data.get("behavior") is None:
        return None
    behavior = fields.inner("behavior")
    return Behavior(rules_in(behavior, "scale_up"), rules_in(behavior, "scale_down"))


def _is_finite(value: float) -> bool:
    return abs(value) < _BEYOND


def _is_whole(value: float) -> bool:
    return _is_finite(value) and int(value) == value


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
