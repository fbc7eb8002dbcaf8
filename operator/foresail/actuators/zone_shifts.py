"""Zones out of rotation, for as long as they are: begun, kept empty, gone on with by a successor, and ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from foresail.actuators import zones
from foresail.actuators.api import Api
from foresail.actuators.intents import Intent, Intents, intent_of
from foresail.actuators.refusals import ActRefused, RefusalReason, Refused
from foresail.actuators.standing import Remembered, Stamp
from foresail.actuators.targets import WorkloadTarget
from policies.decision import ShiftZone


@dataclass(frozen=True, slots=True)
class ZoneShifts:
    """The intent of a shift stands as long as the shift: it knows whose pods are to be kept out of the zone."""

    api: Api
    intents: Intents
    memory: Remembered
    find: Callable[[str], WorkloadTarget]
    allowed: bool  # whether we were given the right to cordon

    def begin(self, action: ShiftZone, stamp: Stamp) -> list[ActRefused]:
        """What did not work beside the act. Raises `ActRefused` where it was not begun."""
        if not self.allowed:
            detail = "zone shifts need the right to cordon, which the chart did not give"
            raise ActRefused(RefusalReason.SWITCHED_OFF, detail)
        targets = [self.find(workload) for workload in action.workloads]
        zones.check_shift(self.api, action.zone, targets)
        self.intents.begin(intent_of(_key(action.zone), action, stamp))
        return list(zones.shift(self.api, action.zone, targets, stamp, self.memory).left)

    def end(self, zone: str, workloads: tuple[str, ...]) -> list[ActRefused]:
        """The intent goes last, so that an interrupted return is gone on with."""
        done = zones.restore(self.api, zone, [self.find(workload) for workload in workloads], self.memory)
        if not done.left:
            self.intents.finish(_key(zone))
        return list(done.left)

    def tend(self, now_s: float) -> list[Refused]:
        """Shifted zones that have expired go back; in the others, what is missing is done and new pods go out."""
        refused: list[Refused] = []
        for intent in [intent for intent in self.intents.open.values() if intent.act == ShiftZone.__name__]:
            try:
                zone, workloads = str(intent.action["zone"]), tuple(intent.action["workloads"])
                expires_at_s = float(intent.action["expires_at_s"])
                if now_s >= expires_at_s:
                    left = self.end(zone, workloads)
                else:
                    stamp = Stamp(now_s, expires_at_s, self.api.fence.epoch, intent.decision)
                    targets = [self.find(workload) for workload in workloads]
                    left = list(zones.shift(self.api, zone, targets, stamp, self.memory).left)
                refused.extend(error.refused for error in left)
            except ActRefused as error:
                refused.append(error.refused)
        return refused

    def resume(self, intent: Intent, now_s: float) -> None:
        """Does the rest of what a predecessor began. A refusal here is met again by `tend`, which reports it."""
        try:
            action = ShiftZone(**(intent.action | {"workloads": tuple(intent.action["workloads"])}))
            if now_s < action.expires_at_s:
                stamp = Stamp(now_s, action.expires_at_s, self.api.fence.epoch, intent.decision)
                targets = [self.find(workload) for workload in action.workloads]
                zones.shift(self.api, action.zone, targets, stamp, self.memory)
        except (ActRefused, KeyError, TypeError):
            return


def _key(zone: str) -> str:
    return f"zone/{zone}"
