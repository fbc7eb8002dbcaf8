"""Weights of the backends of a Gateway API HTTPRoute. Off unless the installation asks for it.

A route knows Services, not pods: a backend's weight is the mean of its pods' weights. Gateways drop requests when
routes are rewritten often or when every backend has weight 0, so writes are coarse and rare, and never all zero.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from foresail.actuators import marks, paths, services
from foresail.actuators.api import Api, Json
from foresail.actuators.marks import Value
from foresail.actuators.patching import ABSENT, Patch, find
from foresail.actuators.refusals import ActRefused, RefusalReason
from foresail.actuators.standing import Plan, Remembered, Stamp, restored, send, written
from foresail.actuators.targets import WorkloadTarget
from foresail.objects.parsing import leads_to_service
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
    """Whether something was written to any of its routes. Raises `ActRefused` for the first that does not take it."""
    if not target.routes:
        raise ActRefused(RefusalReason.NO_ROUTE, f"{target.key}: no HTTPRoute leads to a Service of it")
    if any(not math.isfinite(weight) or weight < 0.0 for weight in action.weights.values()):
        raise ActRefused(RefusalReason.INVALID, f"{target.key}: weights must be finite and not negative")
    ways = [paths.path(paths.ROUTES, target.namespace, route) for route in target.routes]
    if all(weight == 1.0 for weight in action.weights.values()):
        back = [send(api, path, marks.WEIGHTS, memory, lambda seen: restored(seen, ROUTE)) for path in ways]
        return any(back)
    shares = _shares(api, target, action.weights)
    dividing = [path for path in ways if _divides(api.get(path), shares)]
    if not dividing:
        detail = f"{target.key}: no rule of {', '.join(target.routes)} divides traffic between faster and slower pods"
        raise ActRefused(RefusalReason.NO_ROUTE, detail)

    def plan(path: str, seen: Json) -> Plan | None:
        wanted = _wanted(seen, shares)
        for rule in wanted:
            if rule and all(weight == 0 for _, weight in rule):
                name = seen["metadata"]["name"]
                raise ActRefused(RefusalReason.ALL_ZERO, f"{target.key}: a rule of {name} would lead nowhere")
        return written(seen, path, ROUTE, wanted, stamp, memory)

    done = [send(api, path, marks.WEIGHTS, memory, partial(plan, path)) for path in dividing]
    return any(done)


def _divides(seen: Json, shares: Mapping[str, float]) -> bool:
    """Whether a rule leads to backends that are to weigh differently: weights of a single one change nothing."""
    for rule in _rules(seen):
        found = [_share(seen, ref, shares) for ref in _refs(rule)]
        asked = {1.0 if share is None else share for share in found}
        if len(asked) > 1 or asked == {0.0}:
            return True
    return False


def _wanted(seen: Json, shares: Mapping[str, float]) -> Value:
    """Weights of all backends, in the order in which they stand."""
    return [
        [
            [name, _scaled(weight, _share(seen, ref, shares))]
            for (name, weight), ref in zip(rule, _refs(standing), strict=True)
        ]
        for rule, standing in zip(_originals(seen), _rules(seen), strict=True)
    ]


def _share(seen: Json, ref: Json, shares: Mapping[str, float]) -> float | None:
    """None: no Service with pods of this workload."""
    if not leads_to_service(ref, seen["metadata"]["namespace"]):
        return None
    return shares.get(ref.get("name", ""))


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


def _shares(api: Api, target: WorkloadTarget, weights: Mapping[str, float]) -> dict[str, float]:
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
