"""Endpoints: which pods a Service sends requests to, and how long a change takes to arrive everywhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from simulation.cluster.ground import Ground
from simulation.cluster.pods import Deployment, Pod
from simulation.kernel.engine import PodState
from simulation.streams import between

#: A change of readiness or labels reaches every caller after so long: slice controller and kube-proxy batch about 1 s.
PROPAGATION_S = (0.5, 1.5)


class Endpoints:
    """Publishes each Service's endpoints to the engine, late and in batches as a cluster does."""

    def __init__(
        self,
        ground: Ground,
        services: Mapping[str, Deployment],
        members: Callable[[Deployment], list[Pod]],
        close_slot: Callable[[int], None],
    ) -> None:
        self._ground = ground
        self._services = services
        self._members = members
        self._close_slot = close_slot
        self._published: dict[str, tuple[tuple[int, ...], tuple[float, ...] | None]] = dict.fromkeys(
            services, ((), None)
        )
        self._pending: set[str] = set()
        self._lingering: dict[str, set[int]] = {name: set() for name in services}
        self._changes = dict.fromkeys(services, 0)

    def touch(self, service: str) -> None:
        """Something about the service's pods changed: publish soon."""
        if service in self._pending:
            return
        self._pending.add(service)
        self._changes[service] += 1
        low, high = PROPAGATION_S
        delay_s = between(low, high, self._ground.seed, "propagation", service, self._changes[service])
        self._ground.agenda.after(delay_s, lambda: self._ground.when_api(lambda: self._publish_pending(service)))

    def _publish_pending(self, service: str) -> None:
        self._pending.discard(service)
        self.publish(service)

    def publish(self, service: str) -> None:
        """Make the present members the endpoints now."""
        deployment = self._services[service]
        pods = [pod for pod in self._members(deployment) if pod.slot is not None]
        slots = tuple(pod.slot for pod in pods if pod.slot is not None)
        weights = tuple(deployment.weights.get(pod.name, 1.0) for pod in pods) if deployment.weights else None
        if weights is not None and sum(weights) <= 0.0:
            weights = None  # an all-zero set would answer every request with an error
        if (slots, weights) != self._published[service]:
            self._ground.engine.set_endpoints(service, slots, weights)
            self._published[service] = slots, weights
        for slot in sorted(self._lingering[service].difference(slots)):
            self._lingering[service].discard(slot)
            self._close_slot(slot)

    def retire(self, service: str, slot: int) -> None:
        """The pod of this slot is gone; the slot is free once nobody sends to it any more."""
        if slot in self._published[service][0]:
            self._ground.engine.set_state(slot, PodState.REFUSING)
            self._lingering[service].add(slot)
            self.touch(service)
        else:
            self._close_slot(slot)

    def published(self, service: str) -> tuple[int, ...]:
        """Slots that requests go to now."""
        return self._published[service][0]
