"""The ceiling on optional content: recorded on the workload, and set in every process of it.

No field of an object holds it. The mark says what was asked for and until when; each process is told the same end and
forgets by itself. A process that began later is told what is left. A ceiling that somebody else set is left alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from foresail.actuators import marks
from foresail.actuators.api import Api, Json
from foresail.actuators.management import PodHttp, control, control_headers, in_parallel, ttl_s
from foresail.actuators.marks import Mark, Value
from foresail.actuators.patching import ABSENT, Patch, find
from foresail.actuators.refusals import ActRefused, RefusalReason, Refused
from foresail.actuators.standing import Plan, Remembered, Stamp, restored, send, written
from foresail.actuators.targets import Endpoint, WorkloadTarget
from foresail.actuators.traffic import pod_ip, with_ip
from policies.decision import SetBrownout

LIFTED = 1.0
_SIGNED = "foresail "  # how reasons of ours begin


@dataclass(frozen=True, slots=True)
class Recorded:
    """The ceiling as the mark has it; there is nothing else to read or write."""

    remembered: Mark | None = None
    key: str = marks.BROWNOUT

    def read(self, seen: Json) -> Value:
        mark = marks.read(seen, self.key) or self.remembered
        return LIFTED if mark is None else mark.written

    def write(self, patch: Patch, value: Value) -> None:
        """The mark is written with every patch, and guarded there."""


@dataclass(slots=True)
class Ceilings:
    """Sets and lifts ceilings, and tells processes that began since. `token_file`: the installation's."""

    api: Api
    http: PodHttp
    memory: Remembered
    find: Callable[[str], WorkloadTarget]
    token_file: Path | None = None
    _told: dict[str, tuple[Mark, frozenset[str]]] = field(default_factory=dict)  # by workload: processes that know

    def set(self, action: SetBrownout, stamp: Stamp) -> list[ActRefused]:
        """Pods that did not take it, when at least one did. Raises `ActRefused` when none did."""
        target = self.find(action.workload)
        if not (math.isfinite(action.ceiling) and 0.0 <= action.ceiling <= LIFTED):
            raise ActRefused(RefusalReason.INVALID, f"{target.key}: a ceiling of {action.ceiling}, it must be 0 to 1")
        endpoint = _endpoint(target)
        headers = control_headers(endpoint.token_file or self.token_file)
        pods = self._pods(target)
        if not pods:
            raise ActRefused(RefusalReason.NO_POD_ANSWERED, f"{target.key} has no running pod")
        if action.ceiling >= LIFTED:
            # The mark goes first: a successor that found it would dim those again that have been told to forget.
            self._told.pop(target.key, None)
            send(self.api, target.path, marks.BROWNOUT, self.memory, lambda seen: restored(seen, Recorded()))
            return _unless_all(forget(self.http, endpoint, pods, headers), pods)
        mark = self._record(target, action.ceiling, stamp)
        return _unless_all(self._tell(target, endpoint, pods, headers, mark, stamp.now_s), pods)

    def tend(self, now_s: float) -> list[Refused]:
        """Ceilings that stand reach the processes that began since. Without one it costs no request."""
        refused: list[Refused] = []
        for mark in self.memory.standing(marks.BROWNOUT, now_s):
            try:
                target = self.find(mark.about)
                endpoint = _endpoint(target)
                headers = control_headers(endpoint.token_file or self.token_file)
                left = self._tell(target, endpoint, self._pods(target), headers, mark, now_s)
                refused += [error.refused for error in left]
            except ActRefused as error:
                refused.append(error.refused)
        return refused

    def _record(self, target: WorkloadTarget, ceiling: float, stamp: Stamp) -> Mark:
        """The mark that stands: a renewal a moment after the last one leaves that in place."""
        path = target.path

        def plan(seen: Json) -> Plan | None:
            recorded = Recorded(self.memory.of(path, marks.BROWNOUT, seen))
            planned = written(seen, path, recorded, ceiling, stamp, self.memory, about=target.key)
            if planned is None:
                self.memory.note(path, marks.BROWNOUT, seen, marks.read(seen, marks.BROWNOUT))
            return planned

        send(self.api, path, marks.BROWNOUT, self.memory, plan)
        return self.memory.marks[(path, marks.BROWNOUT)][1]

    def _tell(
        self,
        target: WorkloadTarget,
        endpoint: Endpoint,
        pods: Sequence[Json],
        headers: dict[str, str],
        mark: Mark,
        now_s: float,
    ) -> list[ActRefused]:
        """What went wrong with processes that do not know yet of this very mark."""
        known_mark, known = self._told.get(target.key, (None, frozenset()))
        known = known if known_mark == mark else frozenset()
        body = {
            "ceiling": mark.written,
            "ttl_s": ttl_s(mark.expires_at_s, now_s),
            "reason": f"{_SIGNED}{mark.decision}"[:200],
        }
        told = set(known)

        def dim(pod: Json) -> ActRefused | None:
            try:
                _check_ours(self.http, endpoint, pod, headers)
                control(self.http, str(pod_ip(pod)), endpoint, "PUT", headers, body)
            except ActRefused as refused:
                return refused
            told.add(_process(pod))
            return None

        failed = in_parallel(dim, [pod for pod in pods if _process(pod) not in known])
        self._told[target.key] = mark, frozenset(told)
        return failed

    def _pods(self, target: WorkloadTarget) -> list[Json]:
        return with_ip(self.api.items(target.pods_path, target.labels))


def forget(http: PodHttp, endpoint: Endpoint, pods: Sequence[Json], headers: dict[str, str]) -> list[ActRefused]:
    """Lifts the ceilings that are ours; what went wrong. A process that does not answer forgets in its own time."""

    def lift(pod: Json) -> ActRefused | None:
        try:
            _check_ours(http, endpoint, pod, headers)
            control(http, str(pod_ip(pod)), endpoint, "DELETE", headers)
        except ActRefused as refused:
            return refused
        return None

    return in_parallel(lift, pods)


def end(
    api: Api,
    path: str,
    target: WorkloadTarget | None,
    memory: Remembered,
    http: PodHttp | None,
    token_file: Path | None,
    lasts: bool,
) -> str:
    """Takes the mark away, and a ceiling that still lasts: `restored`, or `forgotten` where it has to run out."""
    send(api, path, marks.BROWNOUT, memory, lambda seen: restored(seen, Recorded()))
    if not lasts or api.dry_run:
        return "restored"  # each process forgot at the mark's own end
    if target is None or http is None:
        return "forgotten"
    try:
        pods = with_ip(api.items(target.pods_path, target.labels))
        endpoint = _endpoint(target)
        failed = forget(http, endpoint, pods, control_headers(endpoint.token_file or token_file))
    except ActRefused:
        return "forgotten"
    return "forgotten" if failed else "restored"


def _endpoint(target: WorkloadTarget) -> Endpoint:
    if target.brownout is None:
        raise ActRefused(RefusalReason.SWITCHED_OFF, f"{target.key}: its policy names no brownout endpoint")
    return target.brownout


def _check_ours(http: PodHttp, endpoint: Endpoint, pod: Json, headers: dict[str, str]) -> None:
    """Raises `NOT_OURS` where somebody else's ceiling stands."""
    state = control(http, str(pod_ip(pod)), endpoint, "GET", headers).body
    ceiling, reason = find(state, "ceiling"), find(state, "reason")
    dimmed = isinstance(ceiling, int | float) and ceiling < LIFTED
    if dimmed and isinstance(reason, str) and not reason.startswith(_SIGNED):
        detail = f"{pod['metadata']['name']}: somebody else holds its ceiling at {ceiling:g} ({reason})"
        raise ActRefused(RefusalReason.NOT_OURS, detail)


def _process(pod: Json) -> str:
    """Another one whenever any of the pod's containers was started anew."""
    statuses = find(pod, "status", "containerStatuses")
    started = [str(entry.get("containerID")) for entry in (() if statuses is ABSENT else statuses)]
    return " ".join([pod["metadata"]["uid"], *started])


def _unless_all(failed: list[ActRefused], pods: Sequence[Json]) -> list[ActRefused]:
    if failed and len(failed) == len(pods):
        raise failed[0]
    return failed
