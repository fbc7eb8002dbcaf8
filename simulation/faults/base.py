"""What all faults have in common: when they grow, whom they hit, and what the record says about them."""

from __future__ import annotations

import numpy as np

from simulation.cluster.pods import Pod
from simulation.faults.parts import Parts
from simulation.result import FaultTruth
from simulation.scenario import Fault
from simulation.streams import generator


class RunningFault:
    """One fault of the scenario in one world. Subclasses say what begins, grows each second, and ends."""

    grows = False  # needs `step` each second even when its ramp is over

    def __init__(self, fault: Fault, index: int, parts: Parts) -> None:
        self.fault = fault
        self.index = index
        self.parts = parts
        self._targets: dict[str, None] = {}  # in the order they were hit
        if fault.service is not None:
            self.hit(fault.service)

    def begin(self) -> None:
        """The fault starts."""

    def step(self) -> None:
        """A second has passed."""

    def end(self) -> None:
        """The fault is over: everything it did is undone."""

    def pod_started(self, pod: Pod) -> None:
        """A container of any service listens from now on."""

    @property
    def now_s(self) -> float:
        return self.parts.ground.now_s

    @property
    def level(self) -> float:
        return self.fault.level(self.now_s)

    @property
    def magnitude(self) -> float:
        """The fault's size as far as it has come."""
        return self.fault.size * self.level

    def accumulated_s(self, since_s: float) -> float:
        """Seconds at full level that have built up since then: the integral of a ramp that begins there."""
        elapsed_s = max(0.0, self.now_s - max(since_s, self.fault.start_s))
        ramp_s = self.fault.ramp_s
        return elapsed_s**2 / (2.0 * ramp_s) if elapsed_s < ramp_s else elapsed_s - ramp_s / 2.0

    def rng(self, purpose: str) -> np.random.Generator:
        return generator(self.parts.ground.seed, purpose, self.index, self.fault.seed)

    def hit(self, *targets: str) -> None:
        """Record whom it has really hit."""
        self._targets.update(dict.fromkeys(targets))

    def truth(self) -> FaultTruth:
        fault = self.fault
        return FaultTruth(
            index=self.index,
            kind=fault.kind.value,
            label=fault.label,
            start_s=fault.start_s,
            end_s=fault.end_s,
            predictable=fault.is_predictable,
            targets=tuple(self._targets),
        )

    def victims(self, count: int) -> list[Pod]:
        """So many pods of the service, chosen by seed, those that serve first."""
        assert self.fault.service is not None
        pods = [p for p in self.parts.services[self.fault.service].pods if not p.deleting and p.slot is not None]
        order = self.rng("victims").permutation(len(pods))
        ranked = sorted((not pods[i].ready, place) for place, i in enumerate(order))
        return [pods[order[place]] for _, place in ranked[:count]]
