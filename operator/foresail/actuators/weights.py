"""Weights of the backends of a Gateway API HTTPRoute. Off unless the installation asks for it.

A route knows Services, not pods: a backend's weight is the mean of its pods' weights. Gateways drop requests when
routes are rewritten often or when every backend has weight 0, so writes are coarse and rare, and never all zero.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from foresail.actuators import marks, paths, services
from foresail.actuators.api import Api, Json
from foresail.actuators.marks import Value
from foresail.actuators.patching import ABSENT, Patch, find
from foresail.actuators.refusals import ActRefused, RefusalReason
from foresail.actuators.standing import Plan, Remembered, Stamp, restored, send, written
from foresail.actuators.targets import WorkloadTarget
from policies.decision import SetWeights

FULL = 100  # a weight of 1.0
STEP = 5
LEAST_PERIOD_S = 5.0
DEFAULT = 1  # of a backendRef without a weight


@dataclass(frozen=True, slots=True)
class RouteField:
    """Weights of all backends, rule by rule, with the names that they belong to."""

    key: str = marks.WEIGHTS

    def read(self, seen: Json) -> Value:
        return [[[ref.get("name"), ref.get("weight")] for ref in _refs(rule)] for rule in _rules(seen)]

    def write(self, patch: Patch, value: Value) -> None:
        for i, rule in enumerate(value):
            for j, (_, weight) in enumerate(rule):
                ref = ("spec", "rules", i, "backendRefs", j)
                patch.keep(*ref, "name")
                patch.put((*ref, "weight"), ABSENT if weight is None else weight)


ROUTE = RouteField()


def set_weights(api: Api, target: WorkloadTarget, action: SetWeights, stamp: Stamp, memory: Remembered) -> bool:
    """Whether something was written. Raises `ActRefused`."""
    if target.route is None:
        raise ActRefused(RefusalReason.NO_ROUTE, f"{target.key}: its policy names no HTTPRoute")
    if any(not math.isfinite(weight) or weight < 0.0 for weight in action.weights.values()):
        raise ActRefused(RefusalReason.INVALID, f"{target.key}: weights must be finite and not negative")
    path = paths.path(paths.ROUTES, target.namespace, target.route)
    if all(weight == 1.0 for weight in action.weights.values()):
        return send(api, path, marks.WEIGHTS, memory, lambda seen: restored(seen, ROUTE))
    backends = _backend_weights(api, target, action.weights)

    def plan(seen: Json) -> Plan | None:
        wanted = [[[name, _scaled(weight, backends.get(name))] for name, weight in rule] for rule in _originals(seen)]
        for rule in wanted:
            if rule and all(weight == 0 for _, weight in rule):
                raise ActRefused(RefusalReason.ALL_ZERO, f"{target.key}: a rule of {target.route} would lead nowhere")
        return written(seen, path, ROUTE, wanted, stamp, memory)

    return send(api, path, marks.WEIGHTS, memory, plan)


def _originals(seen: Json) -> Value:
    """What the weights are relative to: theirs, not ours of a moment ago."""
    mark, current = marks.read(seen, marks.WEIGHTS), ROUTE.read(seen)
    return mark.original if mark is not None and mark.written == current else current


def _scaled(original: int | None, share: float | None) -> int | None:
    """In whole steps. An untouched backend keeps its proportion to those that change."""
    base = (DEFAULT if original is None else original) * FULL
    if share is None:
        return base
    return round(base * min(1.0, share) / STEP) * STEP


def _backend_weights(api: Api, target: WorkloadTarget, weights: Mapping[str, float]) -> dict[str, float]:
    """Mean weight of the pods behind each Service of the namespace that has any of this workload's."""
    pods = api.items(target.pods_path, target.labels)
    ready = [pod for pod in pods if services.is_ready(pod)]
    found: dict[str, float] = {}
    for service in api.items(paths.path(paths.SERVICES, target.namespace)):
        behind = [weights.get(pod["metadata"]["name"], 1.0) for pod in ready if services.selects(service, pod)]
        if behind:
            found[service["metadata"]["name"]] = sum(behind) / len(behind)
    return found


def _rules(seen: Json) -> list[Json]:
    found = find(seen, "spec", "rules")
    return [] if found is ABSENT else found


def _refs(rule: Json) -> list[Json]:
    return rule.get("backendRefs") or []
