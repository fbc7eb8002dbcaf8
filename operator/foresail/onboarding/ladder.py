"""Which acts are possible for a workload now: the conditions of the acts themselves, asked beforehand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from foresail.actuators import floors, paths, replacement, services, zones
from foresail.actuators.api import Json
from foresail.actuators.refusals import ActRefused, RefusalReason
from foresail.actuators.targets import WorkloadTarget
from foresail.objects.object_state import WorkloadObjects
from foresail.onboarding.findings import RungAnswer
from foresail.onboarding.snapshot import Snapshot
from foresail.resources.bindings import WorkloadBinding
from policies.model import Rung, WorkloadPolicy


@dataclass(frozen=True, slots=True)
class Candidate:
    """A workload under a policy, with everything that its acts are checked on."""

    held: Snapshot
    workload: WorkloadObjects
    target: WorkloadTarget
    policy: WorkloadPolicy
    binding: WorkloadBinding

    def one_pod(self) -> Json | None:
        """A Ready pod in rotation, which an act could be about; else any that is there."""
        namespace = self.target.namespace
        pods = [row for pod in self.workload.pods for row in self.held.of(paths.PODS, namespace, pod.meta.name)]
        return next((pod for pod in pods if services.is_ready(pod)), next(iter(pods), None))


def answers(candidate: Candidate) -> tuple[RungAnswer, ...]:
    """One answer for each rung, the lowest first."""
    return tuple(_answer(candidate, rung, _CHECKS[rung]) for rung in Rung)


def _answer(candidate: Candidate, rung: Rung, check: Callable[[Candidate], str]) -> RungAnswer:
    highest = candidate.policy.healing.highest_rung
    if rung > highest and not (rung is Rung.SHIFT_ZONE and not candidate.binding.zone_shift):
        return RungAnswer(rung, False, f"healing.highestRung of the policy is {highest.name.title().replace('_', '')}")
    try:
        return RungAnswer(rung, True, check(candidate))
    except ActRefused as refused:
        # That one sends people here, where the steps are listed.
        unheard = refused.reason is RefusalReason.NO_SERVICE_LISTENS
        why = "no Service that selects its pods selects by the traffic label yet" if unheard else refused.refused.detail
        return RungAnswer(rung, False, why)


def _observe(candidate: Candidate) -> str:
    return candidate.binding.preset.value


def _pre_scale(candidate: Candidate) -> str:
    _check_served(candidate)
    target, least, most = candidate.target, candidate.policy.scaling.min_replicas, candidate.policy.scaling.max_replicas
    if target.hpa is None and target.scaled_object is None:
        if candidate.workload.record.replicas == 0:
            raise ActRefused(RefusalReason.SCALING_PAUSED, "0 replicas: it is switched off")
        return f"/scale, {least} to {most} pods"
    floors.check_floor(candidate.held, target)
    hpa, scaled = candidate.workload.hpa, candidate.workload.scaled_object
    if scaled is not None:
        return f"ScaledObject {target.scaled_object}, minReplicaCount {scaled.min_replicas} and up"
    ceiling = most if hpa is None or hpa.max_replicas is None else min(most, hpa.max_replicas)
    floor = least if hpa is None else hpa.min_replicas
    if floor >= ceiling:
        detail = f"minReplicas of HPA {target.hpa} is {floor}, the most allowed is {ceiling}: there is no room"
        raise ActRefused(RefusalReason.INVALID, detail)
    return f"HPA {target.hpa}, minReplicas {floor} to {ceiling}"


def _reweight(candidate: Candidate) -> str:
    _check_served(candidate)
    endpoint = candidate.binding.brownout
    if endpoint is None:
        raise ActRefused(RefusalReason.SWITCHED_OFF, "the policy names no brownout of it")
    return f"port {endpoint.port}"


def _drain(candidate: Candidate) -> str:
    _check_served(candidate)
    services.check_leaving(candidate.held, [_pod(candidate)], candidate.target.namespace)
    drain = candidate.binding.drain
    return "by label alone" if drain is None else f"label, then HTTP on port {drain.port}"


def _replace(candidate: Candidate) -> str:
    _check_served(candidate)
    if not candidate.policy.healing.replace_allowed:
        raise ActRefused(RefusalReason.SWITCHED_OFF, "healing.replaceAllowed of the policy is false")
    pod = _pod(candidate)
    replacement.check_replaceable(candidate.held, candidate.target, pod)
    services.check_leaving(candidate.held, [pod], candidate.target.namespace)
    return ""


def _switch_over(candidate: Candidate) -> str:
    database = candidate.binding.database
    if database is None:
        raise ActRefused(RefusalReason.SWITCHED_OFF, "the policy names it as no database")
    return f"{database.scope}, port {database.rest_port}"


def _shift_zone(candidate: Candidate) -> str:
    if not candidate.binding.zone_shift:
        raise ActRefused(RefusalReason.SWITCHED_OFF, "zones.shiftEnabled of the policy is false")
    zones.check_spread(candidate.held, candidate.target)
    if candidate.policy.stateless:
        services.check_leaving(candidate.held, [_pod(candidate)], candidate.target.namespace)
    return "with the chart's zoneShift.enabled"


def _check_served(candidate: Candidate) -> None:
    if not candidate.policy.stateless:
        raise ActRefused(RefusalReason.SWITCHED_OFF, "role Store: only switched over")


def _pod(candidate: Candidate) -> Json:
    pod = candidate.one_pod()
    if pod is None:
        raise ActRefused(RefusalReason.LAST_ENDPOINT, f"{candidate.target.key} has no pod")
    return pod


_CHECKS: dict[Rung, Callable[[Candidate], str]] = {
    Rung.OBSERVE: _observe,
    Rung.PRE_SCALE: _pre_scale,
    Rung.REWEIGHT: _reweight,
    Rung.DRAIN: _drain,
    Rung.REPLACE: _replace,
    Rung.SWITCH_OVER: _switch_over,
    Rung.SHIFT_ZONE: _shift_zone,
}
