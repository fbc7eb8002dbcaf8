"""The deployment controller: replaces pods, scales in the upstream order, rolls out and back."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from hashlib import blake2b
from math import ceil, floor

from simulation.cluster.ground import Ground
from simulation.cluster.kubelet import Kubelet
from simulation.cluster.nodes import Node, best_node
from simulation.cluster.pods import Deployment, Pod, Stage
from simulation.cluster.usage import Usage
from simulation.streams import uniform

REACTION_S = 0.1  # from an event to the controller's write
SCHEDULING_S = 0.2  # from a pod's creation to its binding
MAX_SURGE_RATIO = MAX_UNAVAILABLE_RATIO = 0.25  # of a rolling update
DRAINED_POD_COST = -1000  # pod-deletion-cost of a pod whose traffic label is off

_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


class Deployments:
    """Keeps every workload at its desired replicas."""

    def __init__(
        self,
        ground: Ground,
        services: Mapping[str, Deployment],
        nodes: Mapping[str, Node],
        kubelet: Kubelet,
        usage: Usage,
    ) -> None:
        self._ground = ground
        self._services = services
        self._nodes = nodes
        self._kubelet = kubelet
        self._usage = usage
        self._due: set[str] = set()

    def start(self) -> None:
        """Every workload has its replicas Ready, as if they had been there for long."""
        for deployment in self._services.values():
            for _ in range(deployment.desired):
                pod = self._new_pod(deployment)
                node = best_node(pod, deployment.pods, self._nodes)
                deployment.pods.append(pod)
                if node is None:
                    continue
                node.bind(pod)
                self._kubelet.take_ready(pod)

    def reconsider(self, service: str) -> None:
        """Something about the workload changed: look at it soon."""
        if service not in self._due:
            self._due.add(service)
            self._ground.agenda.after(REACTION_S, lambda: self._ground.when_api(lambda: self._reconcile_due(service)))

    def _reconcile_due(self, service: str) -> None:
        self._due.discard(service)
        deployment = self._services[service]
        if deployment.rollout_in_progress:
            self._roll(deployment)
        else:
            self._meet(deployment, deployment.owned, deployment.desired)

    def scale(self, service: str, replicas: int) -> None:
        deployment = self._services[service]
        if replicas != deployment.desired:
            deployment.desired = max(0, replicas)
            self.reconsider(service)

    def roll_out(self, service: str, flawed_share: float) -> None:
        """A new revision, a share of whose pods crash a while after they start to listen."""
        deployment = self._services[service]
        deployment.revision += 1
        deployment.generation += 1
        deployment.flawed_share = flawed_share
        deployment.created_in_revision = 0
        deployment.rollout_in_progress = True
        self.reconsider(service)

    def schedule_pending(self) -> None:
        """Room may have appeared: try every pod that is waiting for a node."""
        for deployment in self._services.values():
            for pod in deployment.pods:
                if pod.stage is Stage.UNSCHEDULED and not pod.deleting:
                    self._schedule(pod)

    def _meet(self, deployment: Deployment, owned: list[Pod], wanted: int) -> None:
        for _ in range(wanted - len(owned)):
            self._create(deployment)
        for pod in pods_to_delete(owned, len(owned) - wanted):
            self._kubelet.delete(pod)

    def _create(self, deployment: Deployment) -> None:
        pod = self._new_pod(deployment)
        deployment.pods.append(pod)
        self._ground.agenda.after(SCHEDULING_S, lambda: self._ground.when_api(partial(self._schedule, pod)))

    def _new_pod(self, deployment: Deployment) -> Pod:
        spec = deployment.spec
        if spec.kind == "store":
            taken = {pod.ordinal for pod in deployment.owned}
            ordinal = next(n for n in range(len(taken) + 1) if n not in taken)
            name = f"{spec.name}-{ordinal}"
        else:
            ordinal = deployment.created
            template = _letters(9, "template", spec.name, deployment.revision)
            name = f"{spec.name}-{template}-{_letters(5, 'pod', spec.name, ordinal)}"
        flawed = self._is_flawed(deployment)
        deployment.created += 1
        deployment.created_in_revision += 1
        return Pod(
            name=name,
            service=spec.name,
            spec=spec,
            ordinal=ordinal,
            revision=deployment.revision,
            created_s=self._ground.now_s,
            usage=self._usage,
            flawed=flawed,
        )

    def _is_flawed(self, deployment: Deployment) -> bool:
        """Flawed pods are spread evenly over those of the revision."""
        share = deployment.flawed_share
        offset = uniform(self._ground.seed, "flawed", deployment.name, deployment.revision)
        number = deployment.created_in_revision + offset
        return floor((number + 1) * share) > floor(number * share)

    def _schedule(self, pod: Pod) -> None:
        if pod.stage is not Stage.UNSCHEDULED or pod.deleting:
            return
        node = best_node(pod, self._services[pod.service].pods, self._nodes)
        if node is not None:
            node.bind(pod)
            self._kubelet.take(pod)

    def _roll(self, deployment: Deployment) -> None:
        """One step of a rolling update: 25 % more pods than desired at most, 25 % fewer Ready ones at most."""
        wanted = deployment.desired
        surge = ceil(wanted * MAX_SURGE_RATIO)
        unavailable = floor(wanted * MAX_UNAVAILABLE_RATIO) if surge else 1
        new = [pod for pod in deployment.owned if pod.revision == deployment.revision]
        old = [pod for pod in deployment.owned if pod.revision != deployment.revision]
        if not old and len(new) == wanted and all(pod.ready for pod in new):
            deployment.rollout_in_progress = False
            return
        for pod in pods_to_delete(new, len(new) - wanted):
            self._kubelet.delete(pod)
        for _ in range(min(wanted - len(new), wanted + surge - len(new) - len(old))):
            self._create(deployment)
        needed = wanted - unavailable
        ready_new, ready_old = sum(pod.ready for pod in new), sum(pod.ready for pod in old)
        sick_old = [pod for pod in old if not pod.ready]
        may_be_cleaned_up = len(old) + ready_new - needed
        for pod in pods_to_delete(sick_old, min(len(sick_old), may_be_cleaned_up)):
            self._kubelet.delete(pod)
        for pod in pods_to_delete([pod for pod in old if pod.ready], ready_new + ready_old - needed):
            self._kubelet.delete(pod)


def pods_to_delete(pods: list[Pod], count: int) -> list[Pod]:
    """The pods that a ReplicaSet gives up first, in the upstream order.

    Without a node, Pending, not Ready, lower deletion cost (drained pods), on the more crowded node, Ready for a
    shorter time, restarted more often, younger.
    """
    if count <= 0:
        return []
    on_node: dict[str | None, int] = {}
    for pod in pods:
        on_node[pod.node] = on_node.get(pod.node, 0) + 1

    def rank(pod: Pod) -> tuple[float, ...]:
        return (
            pod.node is not None,
            pod.phase != "Pending",
            pod.ready,
            0 if pod.traffic_on else DRAINED_POD_COST,
            -on_node[pod.node],
            -(pod.ready_changed_s or 0.0) if pod.ready else 0.0,
            -pod.restarts,
            -pod.created_s,
            -pod.ordinal,
        )

    return sorted(pods, key=rank)[:count]


def _letters(count: int, *parts: object) -> str:
    """The kind of letters that Kubernetes puts into names, the same in every run."""
    digest = blake2b("/".join(map(str, parts)).encode(), digest_size=16).digest()
    return "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in digest[:count])
