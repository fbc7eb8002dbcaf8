"""The two lines that let a pod leave its Services and live: a label of the pod template, then of the selectors.

The order is everything. A Service that selects by a label that no pod carries has no endpoints; a ReplicaSet that does
would lose its pod when the label goes off; a StatefulSet's governing Service would take the pod's name away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from foresail.actuators import marks, paths, services
from foresail.actuators.api import Json
from foresail.objects.fields import at, flag, strings, text
from foresail.objects.object_state import ObjectState, WorkloadObjects
from foresail.objects.workload_views import rollout_in_progress
from foresail.onboarding.findings import Change, Finding, Step, Weight
from foresail.onboarding.snapshot import Snapshot

LABEL = marks.TRAFFIC_LABEL
PAIR: Mapping[str, str] = {LABEL: marks.ON}


class Entrance(Enum):
    """What a Service is to the pods behind it."""

    TRAFFIC = auto()  # requests come through it
    NAMES = auto()  # it governs a StatefulSet: pods have their names from it
    ROLL_CALL = auto()  # headless, unready pods included: whoever asks wants all of them


@dataclass(frozen=True, slots=True)
class Service:
    """A Service of the workload's pods, as they are or will be."""

    name: str
    entrance: Entrance
    selects_by_label: bool
    others: tuple[str, ...]  # other workloads behind it whose template lacks the label


def services_of(held: Snapshot, state: ObjectState, workload: WorkloadObjects) -> tuple[Service, ...]:
    """Services that select the workload's pods, the traffic label left aside: one that came too early counts too."""
    namespace = workload.record.meta.namespace
    labels = workload.record.template.labels
    found = []
    for row in held.of(paths.SERVICES, namespace):
        wanted = strings(row, "spec", "selector")
        rest = {key: value for key, value in wanted.items() if key != LABEL}
        if not rest or not rest.items() <= labels.items():
            continue
        others = [
            other
            for other in state.workloads.values()
            if other.record.meta.namespace == namespace
            and other.key != workload.key
            and rest.items() <= other.record.template.labels.items()
            and other.record.template.labels.get(LABEL) != marks.ON
        ]
        names = tuple(sorted(f"{other.kind.lower()}/{other.record.meta.name}" for other in others))
        found.append(Service(row["metadata"]["name"], _entrance(held, row), LABEL in wanted, names))
    return tuple(sorted(found, key=lambda service: service.name))


def steps_towards(held: Snapshot, workload: WorkloadObjects, entrances: Sequence[Service]) -> tuple[Step, ...]:
    """What is left to do, in the safe order; empty when all is done, or when no Service brings it traffic."""
    entered = [service for service in entrances if service.entrance is Entrance.TRAFFIC]
    if not entered:
        return ()
    meta, kind = workload.record.meta, workload.kind
    steps = []
    labelled = workload.record.template.labels.get(LABEL) == marks.ON
    if not labelled:
        patch = {"spec": {"template": {"metadata": {"labels": dict(PAIR)}}}}
        change = Change(kind, meta.namespace, meta.name, patch)
        steps.append(Step("Label the pod template. This rolls the pods.", change, change.command))
    to_select = [service for service in entered if not service.selects_by_label]
    waits = _unlabelled(held, workload)
    if not labelled or (held.live and (waits or rollout_in_progress(workload)) and to_select):
        command = f"kubectl -n {meta.namespace} rollout status {kind.lower()}/{meta.name}"
        steps.append(Step("Wait until every pod carries the label.", None, command))
    for service in to_select:
        change = Change("Service", meta.namespace, service.name, {"spec": {"selector": dict(PAIR)}})
        too_early = _too_early(service, labelled, waits, len(_serving(held, workload)))
        steps.append(Step(f"Let Service {service.name} select by it.", change, change.command, too_early))
    return tuple(steps)


def label_findings(
    held: Snapshot, workload: WorkloadObjects, entrances: Sequence[Service], own: Json
) -> tuple[Finding, ...]:
    """What steps alone do not mend: labels where they do harm, and Services that came too early."""
    found = []
    name, namespace = workload.record.meta.name, workload.record.meta.namespace
    if _selected_by_owner(own):
        said = f"the {workload.kind}'s own selector names {LABEL}: a pod taken out of rotation would be orphaned"
        fix = "selectors cannot be changed: make the workload anew without the label in spec.selector"
        found.append(Finding(Weight.MISSING, "label", said, fix))
    for service in entrances:
        if service.entrance is Entrance.NAMES and service.selects_by_label:
            said = f"Service {service.name} gives the pods their names and selects by {LABEL}: a drained pod loses its"
            fix = _unselecting(namespace, service.name)
            found.append(Finding(Weight.MISSING, "label", f"{said} name", fix))
        waits, serving = _unlabelled(held, workload), _serving(held, workload)
        if service.entrance is Entrance.TRAFFIC and service.selects_by_label and waits and held.live:
            said = (
                f"Service {service.name} selects by {LABEL}, but {waits} of {len(serving)} Ready pods do not carry it"
            )
            fix = f"at once: {_unselecting(namespace, service.name)}; then take the steps in their order"
            found.append(Finding(Weight.MISSING, "label", f"{said}: they get no traffic now", fix))
    if not entrances:
        said = f"no Service selects the pods of {name}: there is no rotation to take one out of"
        fix = "nothing, where it takes no requests; else a Service with the label in its selector"
        found.append(Finding(Weight.ADVICE, "label", said, fix))
    return tuple(found)


def _entrance(held: Snapshot, service: Json) -> Entrance:
    name, namespace = service["metadata"]["name"], service["metadata"]["namespace"]
    headless = text(service, "spec", "clusterIP") == "None"
    sets = held.of(paths.STATEFUL_SETS, namespace)
    if headless and any(text(row, "spec", "serviceName") == name for row in sets):
        return Entrance.NAMES
    if headless and flag(service, "spec", "publishNotReadyAddresses"):
        return Entrance.ROLL_CALL
    return Entrance.TRAFFIC


def _too_early(service: Service, labelled: bool, waits: int, serving: int) -> str | None:
    if service.others:
        return f"{', '.join(service.others)} behind it would be cut off: label their templates first"
    if waits and waits == serving:
        return f"none of {serving} Ready pods carries the label: Service {service.name} would have no endpoints"
    if waits:
        return f"{waits} of {serving} Ready pods do not carry the label: they would get no more traffic"
    return None if labelled else f"new pods would be born without it: Service {service.name} would lose its endpoints"


def _serving(held: Snapshot, workload: WorkloadObjects) -> list[Json]:
    namespace = workload.record.meta.namespace
    pods = [row for pod in workload.pods for row in held.of(paths.PODS, namespace, pod.meta.name)]
    return [row for row in pods if services.is_ready(row)]


def _unlabelled(held: Snapshot, workload: WorkloadObjects) -> int:
    """Ready pods without the label. One that is off was taken out on purpose."""
    return sum(LABEL not in strings(row, "metadata", "labels") for row in _serving(held, workload))


def _selected_by_owner(own: Json) -> bool:
    pairs = strings(own, "spec", "selector", "matchLabels")
    listed = at(own, "spec", "selector", "matchExpressions")
    return LABEL in pairs or any(text(entry, "key") == LABEL for entry in (listed if isinstance(listed, list) else ()))


def _unselecting(namespace: str, service: str) -> str:
    return Change("Service", namespace, service, {"spec": {"selector": {LABEL: None}}}).command
