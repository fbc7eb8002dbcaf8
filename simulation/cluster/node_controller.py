"""What the control plane makes of nodes it cannot reach: NotReady, then eviction, then the return."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from simulation.cluster.deployments import Deployments
from simulation.cluster.ground import Ground
from simulation.cluster.kubelet import Kubelet
from simulation.cluster.nodes import Node

NOT_READY_AFTER_S = 50.0  # node-monitor-grace-period, the default since Kubernetes 1.32
EVICTED_AFTER_S = 300.0  # tolerationSeconds of the not-ready and unreachable taints
BOOT_S = 5.0  # from power to a node that reports Ready


class NodeController:
    """Loses and returns nodes and zones, and does to the API's objects what Kubernetes does."""

    def __init__(
        self,
        ground: Ground,
        nodes: Mapping[str, Node],
        zones: tuple[str, ...],
        kubelet: Kubelet,
        deployments: Deployments,
        zone_changed: Callable[[], None],
    ) -> None:
        self._ground = ground
        self._nodes = nodes
        self._zones = zones
        self._kubelet = kubelet
        self._deployments = deployments
        self._zone_changed = zone_changed

    def lose_node(self, name: str) -> None:
        """The machine stops. Its pods answer nothing, at once."""
        node = self._nodes[name]
        if not node.alive:
            return
        was_reachable = node.reachable
        node.alive = False
        for pod in list(node.pods.values()):
            self._kubelet.darken(pod)
        if was_reachable:
            self._contact_lost(node)

    def return_node(self, name: str) -> None:
        """The machine boots: containers start anew."""
        node = self._nodes[name]
        if not node.alive:
            node.alive = True
            if node.reachable:
                self._contact_found(node)
            self._boot(node)

    def _boot(self, node: Node) -> None:
        for pod in list(node.pods.values()):
            self._kubelet.reboot(pod)

    def cut_zone(self, zone: str) -> None:
        """No packet between the zone and everything else; inside it all goes on."""
        self._ground.engine.set_zone_cut(self._zones.index(zone), True)
        for node in self._in_zone(zone):
            was_reachable = node.reachable
            node.cut_off = True
            if was_reachable:
                self._contact_lost(node)
        self._zone_changed()

    def mend_zone(self, zone: str) -> None:
        self._ground.engine.set_zone_cut(self._zones.index(zone), False)
        for node in self._in_zone(zone):
            node.cut_off = False
            if node.reachable:
                self._contact_found(node)
                for pod in list(node.pods.values()):
                    if pod.deleting:
                        self._kubelet.end(pod)
                    elif pod.started_s is None:
                        self._kubelet.take(pod)
        self._zone_changed()

    def _in_zone(self, zone: str) -> list[Node]:
        return [node for node in self._nodes.values() if node.zone == zone]

    def _contact_lost(self, node: Node) -> None:
        node.contact_lost += 1
        loss = node.contact_lost
        self._ground.agenda.after(
            NOT_READY_AFTER_S, lambda: self._ground.when_api(lambda: self._call_not_ready(node, loss))
        )

    def _call_not_ready(self, node: Node, loss: int) -> None:
        if node.contact_lost != loss or node.reachable:
            return
        node.ready = False
        for pod in list(node.pods.values()):
            if pod.ready:
                self._kubelet.set_ready(pod, False)
        self._ground.agenda.after(EVICTED_AFTER_S, lambda: self._ground.when_api(lambda: self._evict(node, loss)))

    def _evict(self, node: Node, loss: int) -> None:
        """Pods of deployments are deleted and replaced elsewhere. A store's pod stays: its volume is here."""
        if node.contact_lost != loss or node.reachable:
            return
        for pod in list(node.pods.values()):
            if pod.spec.kind == "deployment":
                self._kubelet.delete(pod)
                self._deployments.reconsider(pod.service)

    def _contact_found(self, node: Node) -> None:
        node.contact_lost += 1
        loss = node.contact_lost
        self._ground.agenda.after(BOOT_S, lambda: self._ground.when_api(lambda: self._call_ready(node, loss)))

    def _call_ready(self, node: Node, loss: int) -> None:
        if node.contact_lost != loss:
            return
        node.ready = True
        for pod in list(node.pods.values()):
            self._kubelet.report(pod)
        self._deployments.schedule_pending()
