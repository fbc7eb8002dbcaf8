"""Faults of stores and third parties."""

from __future__ import annotations

from math import exp

from simulation.cluster.pods import Pod
from simulation.database import Database
from simulation.faults.base import RunningFault
from simulation.plans import third_party_operation

#: A lost cache refills exponentially; at the fault's end so many time constants have passed.
REFILLS_IN = 3.0


class DatabaseFault(RunningFault):
    """A fault of a Patroni cluster."""

    def database(self) -> Database:
        assert self.fault.service is not None
        return self.parts.databases[self.fault.service]

    def primary(self) -> Pod | None:
        database = self.database()
        return next((pod for pod in database.members if pod.name == database.primary), None)


class PrimaryLoss(DatabaseFault):
    """The primary's container stops for the whole fault; then it comes back, as a standby if another leads."""

    def begin(self) -> None:
        self._pod = self.primary()
        if self._pod is not None:
            self.hit(self._pod.name)
            self.parts.kubelet.hold_down(self._pod)

    def end(self) -> None:
        if self._pod is not None:
            self.parts.kubelet.let_up(self._pod)


class DiskFill(DatabaseFault):
    """Something fills the volume of the member that is primary when it begins; at the end it is cleaned up."""

    grows = True

    def begin(self) -> None:
        self._member = self.database().primary
        if self._member is not None:
            self.hit(self._member)

    def step(self) -> None:
        if self._member is not None:
            filled_mib = self.fault.size * self.accumulated_s(self.fault.start_s) / 60.0
            self.database().fill_disk(self._member, filled_mib)

    def end(self) -> None:
        if self._member is not None:
            self.database().fill_disk(self._member, 0.0)


class ReplicationLag(DatabaseFault):
    """Standbys fall behind."""

    def begin(self) -> None:
        self.hit(*(pod.name for pod in self.database().standbys))
        self.step()

    def step(self) -> None:
        self.database().set_extra_lag(self.magnitude)

    def end(self) -> None:
        self.database().set_extra_lag(0.0)


class CacheLoss(RunningFault):
    """A share of the cache is empty: calls that follow a call to it with a probability below 1 are misses."""

    grows = True

    def begin(self) -> None:
        self._misses: list[tuple[str, str, float]] = []
        for operation in self.parts.topology.operations:
            asked = False
            for call in operation.calls:
                if call.to.partition(".")[0] == self.fault.service:
                    asked = True
                elif asked and 0.0 < call.probability < 1.0 and not call.optional:
                    self._misses.append((operation.name, call.to, call.probability))
                    self.hit(operation.name.partition(".")[0], call.to.partition(".")[0])
        self.step()

    def step(self) -> None:
        """Every miss puts something back."""
        refill_s = self.fault.duration_s / REFILLS_IN
        self._set(min(1.0, self.fault.size) * exp(-(self.now_s - self.fault.start_s) / refill_s))

    def end(self) -> None:
        self._set(0.0)

    def _set(self, lost_share: float) -> None:
        for operation, callee, ordinary in self._misses:
            probability = ordinary + (1.0 - ordinary) * lost_share
            self.parts.ground.engine.set_call_probability(operation, callee, probability)


class PaymentTimeouts(RunningFault):
    """A third party behind the service never answers a share of its calls; each holds its slot until it gives up."""

    def begin(self) -> None:
        self.step()

    def step(self) -> None:
        self._set(min(1.0, self.magnitude))

    def end(self) -> None:
        self._set(0.0)

    def _set(self, share: float) -> None:
        for operation in self.parts.topology.operations:
            if operation.name.partition(".")[0] == self.fault.service:
                self.parts.ground.engine.set_call_probability(operation.name, third_party_operation(), share)
