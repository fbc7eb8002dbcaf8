"""The traffic label of a pod, by two acts that may overlap: the drain of one pod, and the shift of its zone.

The label goes back on when the last of them ends. With a drain goes the lowest deletion cost, so that a scale-down
takes the pod that serves nobody, and the HTTP drain, which makes kept-alive connections leave.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from foresail.actuators import marks, services
from foresail.actuators.api import Api, Json
from foresail.actuators.management import PodHttp, control, control_headers, ttl_s
from foresail.actuators.marks import Value
from foresail.actuators.patching import ABSENT, Patch, find, label
from foresail.actuators.refusals import ActRefused, RefusalReason
from foresail.actuators.standing import Plan, Remembered, Stamp, restored, send, written
from foresail.actuators.targets import WorkloadTarget
from policies.decision import SetTraffic

DELETION_COST = {"controller.kubernetes.io/pod-deletion-cost": "-1000"}
MOST_REASON = 200  # characters of the drain's reason


@dataclass(frozen=True, slots=True)
class TrafficField:
    """The label as one of the two acts sees it: as if the other did not stand."""

    key: str

    def read(self, seen: Json) -> Value:
        current, other = label(seen, marks.TRAFFIC_LABEL), self._other(seen)
        if other is None or current != other.written or marks.read(seen, self.key) is not None:
            return current
        return other.original

    def write(self, patch: Patch, value: Value) -> None:
        held = self._other(patch.seen)
        if held is not None and value != marks.OFF:
            patch.keep("metadata", "labels", marks.TRAFFIC_LABEL)
        else:
            patch.label(marks.TRAFFIC_LABEL, value)

    def _other(self, seen: Json) -> marks.Mark | None:
        return marks.read(seen, marks.SHIFTED if self.key == marks.DRAINED else marks.DRAINED)


DRAINED = TrafficField(marks.DRAINED)
SHIFTED = TrafficField(marks.SHIFTED)


def set_traffic(
    api: Api,
    target: WorkloadTarget,
    action: SetTraffic,
    stamp: Stamp,
    memory: Remembered,
    http: PodHttp,
    token_file: Path | None,
) -> list[ActRefused]:
    """What did not work beside the label (the HTTP drain is a help, not a condition). Raises `ActRefused`."""
    if action.on:
        return traffic_on(api, target.pod_path(action.pod), target, memory, http, token_file)
    path = target.pod_path(action.pod)
    pod = api.get(path)
    check_pod(pod, target)
    if label(pod, marks.TRAFFIC_LABEL) != marks.OFF:
        services.check_leaving(api, [pod], target.namespace)
    label_off(api, path, DRAINED, stamp, memory, DELETION_COST, about=target.key)
    return _http_drain(pod, target, stamp, http, token_file)


def traffic_on(
    api: Api,
    path: str,
    target: WorkloadTarget | None,
    memory: Remembered,
    http: PodHttp | None,
    token_file: Path | None,
) -> list[ActRefused]:
    """Ends one pod's drain. Raises `NOT_OURS` where somebody else took the pod out."""
    seen: list[Json] = []

    def plan(pod: Json) -> Plan | None:
        seen[:] = [pod]
        return restored(pod, DRAINED)

    done = send(api, path, marks.DRAINED, memory, plan)
    if not done and label(seen[0], marks.TRAFFIC_LABEL) == marks.OFF and marks.read(seen[0], marks.SHIFTED) is None:
        name = seen[0]["metadata"]["name"]
        raise ActRefused(RefusalReason.NOT_OURS, f"{name}: its traffic label was switched off by somebody else")
    if not done or target is None or http is None:
        return []
    return _end_http_drain(seen[0], target, http, token_file)


def label_off(
    api: Api, path: str, field: TrafficField, stamp: Stamp, memory: Remembered, also: dict[str, str], about: str
) -> bool:
    """Whether something had to be written."""

    def plan(pod: Json) -> Plan | None:
        if services.is_leaving(pod):
            raise ActRefused(RefusalReason.POD_LEAVING, f"{pod['metadata']['name']} is being deleted")
        return written(pod, path, field, marks.OFF, stamp, memory, also, about)

    return send(api, path, field.key, memory, plan)


def check_pod(pod: Json, target: WorkloadTarget) -> None:
    """Raises unless the pod is one of the workload's and stays for now."""
    name = pod["metadata"]["name"]
    if services.is_leaving(pod):
        raise ActRefused(RefusalReason.POD_LEAVING, f"{name} is being deleted")
    if target.selector.is_empty or not target.selector.matches(pod["metadata"].get("labels") or {}):
        raise ActRefused(RefusalReason.NOT_THIS_WORKLOADS, f"{name} is no pod of {target.key}")


def pod_ip(pod: Json) -> str | None:
    found = find(pod, "status", "podIP")
    return found if isinstance(found, str) and found else None


def with_ip(pods: Sequence[Json]) -> list[Json]:
    """Pods that can be asked at all."""
    running = [
        pod for pod in pods if not services.is_leaving(pod) and find(pod, "status", "phase") in ("Running", ABSENT)
    ]
    return [pod for pod in running if pod_ip(pod) is not None]


def _http_drain(
    pod: Json, target: WorkloadTarget, stamp: Stamp, http: PodHttp, token_file: Path | None
) -> list[ActRefused]:
    body = {"ttl_s": ttl_s(stamp.expires_at_s, stamp.now_s), "reason": f"foresail {stamp.decision}"[:MOST_REASON]}
    return _control(pod, target, "PUT", body, http, token_file)


def _end_http_drain(pod: Json, target: WorkloadTarget, http: PodHttp, token_file: Path | None) -> list[ActRefused]:
    return _control(pod, target, "DELETE", None, http, token_file)


def _control(
    pod: Json, target: WorkloadTarget, method: str, body: object, http: PodHttp, token_file: Path | None
) -> list[ActRefused]:
    ip = pod_ip(pod)
    if target.drain is None or ip is None:
        return []
    try:
        control(http, ip, target.drain, method, control_headers(target.drain.token_file or token_file), body)
    except ActRefused as refused:
        return [refused]
    return []
