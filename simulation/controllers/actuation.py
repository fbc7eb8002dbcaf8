"""Hands of the control loop in the simulator: the `Cluster` port over the world.

It keeps what `foresail revert --expired` would find on the objects: every reversible write has its expiry, and goes
back by itself even when the controller is dead.
"""

from __future__ import annotations

from collections.abc import Callable

from policies.acts import is_undo, workloads_of
from policies.decision import (
    Action,
    Decision,
    DetachPod,
    EvictPod,
    ReattachPod,
    RestoreZone,
    SetBrownout,
    SetFloor,
    SetScale,
    SetTraffic,
    SetWeights,
    ShiftZone,
    SwitchOver,
)
from simulation.cluster.pods import Pod
from simulation.controllers.floors import Floors, StandingValue
from simulation.controllers.run_log import RunLog
from simulation.world import World


class SimulatedCluster:
    """Applies actions to the world. Every write is refused while the API server is away."""

    def __init__(self, world: World, floors: Floors, log: RunLog) -> None:
        self._world = world
        self._floors = floors
        self._log = log
        #: Called with the time before anything is written: memory is checkpointed before acts.
        self.before_write: Callable[[float], None] | None = None
        self._scales: dict[str, StandingValue] = {}
        self._drained: dict[str, tuple[str, float]] = {}  # pod → (service, expiry)
        self._detached: dict[str, tuple[str, float]] = {}
        self._shifted: dict[str, tuple[tuple[str, ...], float]] = {}  # zone → (services, expiry)
        self._ceiling: tuple[float, float] | None = None  # (ceiling, expiry)
        self._weights: dict[str, float] = {}  # service → expiry

    @property
    def outstanding(self) -> bool:
        """Some reversible act besides floors is in force."""
        return bool(self._drained or self._detached or self._shifted or self._ceiling or self._weights)

    @property
    def shifted_zones(self) -> frozenset[str]:
        """Zones whose nodes we cordoned."""
        return frozenset(self._shifted)

    def apply(self, action: Action, decision: Decision, now_s: float) -> bool:
        """False: the API server is away, the object is not as the action assumes, or the act would be over by now."""
        done = self._world.api_available() and self._can_be(action, now_s) and self._write(action, decision, now_s)
        if not done:
            self._log.refused(decision, type(action).__name__)
        return done

    def _can_be(self, action: Action, now_s: float) -> bool:
        expires_at_s = getattr(action, "expires_at_s", None)
        over = expires_at_s is not None and expires_at_s <= now_s and not is_undo(action)
        return not over and all(name in self._world.services for name in workloads_of(action))

    def _write(self, action: Action, decision: Decision, now_s: float) -> bool:
        if self.before_write is not None:
            self.before_write(now_s)
        match action:
            case SetFloor():
                return self._set_floor(action, decision, now_s)
            case SetScale():
                return self._set_scale(action, decision, now_s)
            case SetTraffic():
                return self._set_traffic(action, decision, now_s)
            case DetachPod() | ReattachPod() | EvictPod():
                return self._replace(action, decision, now_s)
            case ShiftZone():
                return self._shift(action, decision, now_s)
            case RestoreZone():
                return self._restore(action.zone, decision, now_s)
            case SwitchOver():
                done = self._world.switch_over(action.database, action.candidate)
                if done:
                    self._log.acted(now_s, decision, "SwitchOver", action.candidate, disruptive=True)
                return done
            case SetBrownout():
                return self._dim(action, decision, now_s)
            case SetWeights():
                self._world.set_weights(action.workload, action.weights)
                self._weights[action.workload] = action.expires_at_s
                self._log.acted(now_s, decision, "SetWeights", action.workload, disruptive=False)
                return True

    def settle(self, now_s: float) -> None:
        """Take back what has expired, and keep shifted zones empty of traffic. Needs the API server."""
        if not self._world.api_available():
            return
        self._floors.settle(now_s)
        for service in list(self._scales):
            self._settle_scale(service, now_s)
        for pod, (service, expires_at_s) in list(self._drained.items()):
            if now_s >= expires_at_s or self._pod(service, pod) is None:
                self._undrain(service, pod)
        for pod, (service, expires_at_s) in list(self._detached.items()):
            if now_s >= expires_at_s or self._pod(service, pod) is None:
                self._reattach(service, pod)
        for zone, (services, expires_at_s) in list(self._shifted.items()):
            if now_s >= expires_at_s:
                self._restore(zone, None, now_s)
            else:
                self._empty(zone, services)
        if self._ceiling is not None and now_s >= self._ceiling[1]:
            self._world.set_ceiling(1.0)
            self._ceiling = None
        for service in [name for name, expires_at_s in self._weights.items() if now_s >= expires_at_s]:
            self._world.set_weights(service, {})
            del self._weights[service]

    def _set_floor(self, action: SetFloor, decision: Decision, now_s: float) -> bool:
        hpa = self._world.services[action.workload].spec.hpa
        if hpa is None:
            return False
        before = self._floors.minimum(action.workload, hpa.min_replicas)
        floor = min(action.floor, hpa.max_replicas)  # an API server takes no other
        self._floors.write(action.workload, hpa.min_replicas, floor, action.expires_at_s)
        if before != floor:
            self._log.acted(now_s, decision, "SetFloor", action.workload, disruptive=False)
        return True

    def _set_scale(self, action: SetScale, decision: Decision, now_s: float) -> bool:
        deployment = self._world.services[action.workload]
        if action.workload in self._scales:
            self._scales[action.workload].renew(action.replicas, action.expires_at_s)
        else:
            self._scales[action.workload] = StandingValue(deployment.desired, action.replicas, action.expires_at_s)
        if deployment.desired != action.replicas:
            self._log.acted(now_s, decision, "SetScale", action.workload, disruptive=False)
            self._resize(action.workload, action.replicas, now_s)
        return True

    def _settle_scale(self, service: str, now_s: float) -> None:
        standing = self._scales[service]
        over = standing.settle(now_s)
        if self._world.services[service].desired != standing.value:
            self._resize(service, standing.value, now_s)
        if over:
            del self._scales[service]

    def _resize(self, service: str, replicas: int, now_s: float) -> None:
        self._log.resized(now_s, service, self._world.services[service].desired, replicas, "floor")
        self._world.scale(service, replicas)

    def _set_traffic(self, action: SetTraffic, decision: Decision, now_s: float) -> bool:
        pod = self._pod(action.workload, action.pod)
        if pod is None:
            return False
        if action.on:
            self._undrain(action.workload, action.pod)
        elif action.pod not in self._drained or pod.traffic_on:
            self._world.set_traffic(pod, False)
        if not action.on:
            renewed = action.pod in self._drained
            expires_at_s = now_s if action.expires_at_s is None else action.expires_at_s
            self._drained[action.pod] = (action.workload, expires_at_s)
            if renewed:
                return True
        # The drain of a pod that is being replaced is part of the replacement, not an act of its own.
        disruptive = not action.on and action.pod not in self._detached
        self._log.acted(now_s, decision, "SetTraffic", action.pod, disruptive=disruptive)
        return True

    def _replace(self, action: DetachPod | ReattachPod | EvictPod, decision: Decision, now_s: float) -> bool:
        pod = self._pod(action.workload, action.pod)
        if pod is None:
            return False
        if isinstance(action, DetachPod):
            self._world.detach(pod)
            self._detached[action.pod] = (action.workload, action.expires_at_s)
        elif isinstance(action, ReattachPod):
            self._reattach(action.workload, action.pod)
        elif not self._world.evict(pod):
            return False
        disruptive = isinstance(action, DetachPod)
        self._log.acted(now_s, decision, type(action).__name__, action.pod, disruptive=disruptive)
        return True

    def _shift(self, action: ShiftZone, decision: Decision, now_s: float) -> bool:
        renewed = action.zone in self._shifted
        self._shifted[action.zone] = (action.workloads, action.expires_at_s)
        for node in self._world.nodes.values():
            if node.zone == action.zone and not node.cordoned:
                self._world.cordon(node.name, True)
        self._empty(action.zone, action.workloads)
        if not renewed:
            self._log.acted(now_s, decision, "ShiftZone", action.zone, disruptive=True)
        return True

    def _empty(self, zone: str, services: tuple[str, ...]) -> None:
        """Traffic off for every pod of the zone, those born meanwhile too."""
        for service in services:
            for pod in self._world.services[service].pods:
                if pod.zone == zone and pod.traffic_on and not pod.deleting:
                    self._world.set_traffic(pod, False)

    def _restore(self, zone: str, decision: Decision | None, now_s: float) -> bool:
        if zone not in self._shifted:
            return False
        services, _ = self._shifted.pop(zone)
        for node in self._world.nodes.values():
            if node.zone == zone:
                self._world.cordon(node.name, False)
        for service in services:
            for pod in self._world.services[service].pods:
                if pod.zone == zone and pod.name not in self._drained:
                    self._world.set_traffic(pod, True)
        if decision is not None:
            self._log.acted(now_s, decision, "RestoreZone", zone, disruptive=False)
        return True

    def _dim(self, action: SetBrownout, decision: Decision, now_s: float) -> bool:
        before = 1.0 if self._ceiling is None else self._ceiling[0]
        self._world.set_ceiling(action.ceiling)
        self._ceiling = None if action.ceiling >= 1.0 else (action.ceiling, action.expires_at_s)
        if action.ceiling != before:
            dimmed = action.ceiling < before
            self._log.acted(now_s, decision, "SetBrownout", action.workload, disruptive=dimmed)
        return True

    def _undrain(self, service: str, pod_name: str) -> None:
        self._drained.pop(pod_name, None)
        pod = self._pod(service, pod_name)
        if pod is not None and pod.zone not in self._shifted:
            self._world.set_traffic(pod, True)

    def _reattach(self, service: str, pod_name: str) -> None:
        self._detached.pop(pod_name, None)
        pod = self._pod(service, pod_name)
        if pod is not None:
            self._world.reattach(pod)

    def _pod(self, service: str, name: str) -> Pod | None:
        if service not in self._world.services:
            return None
        return next((pod for pod in self._world.services[service].pods if pod.name == name and not pod.deleting), None)
