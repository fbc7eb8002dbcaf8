"""Undo as data, carried out: the verbs that journals may hold, and what each does to a cluster."""

from __future__ import annotations

from chaos.experiments.injecting.stage import Verbs
from chaos.experiments.problems import VerbFailed
from chaos.experiments.rollback import Undo
from simulation.scenario import FaultKind

END_FAULT, START_NODE, START_ZONE, HEAL_ZONE, SWITCH_ON = (
    "end_fault",
    "start_node",
    "start_zone",
    "heal_zone",
    "switch_on",
)


def perform(undo: Undo, verbs: Verbs) -> None:
    """Raises `VerbFailed`, also where this cluster has no such verb: then the journal is of another one."""
    machines = verbs.machines
    if undo.verb == END_FAULT and verbs.shop_faults is not None:
        verbs.shop_faults.end(undo.target, undo.detail)
    elif undo.verb == START_NODE and machines is not None:
        machines.start_node(undo.target)
    elif undo.verb == START_ZONE and machines is not None:
        machines.start_zone(undo.target)
    elif undo.verb == HEAL_ZONE and machines is not None:
        machines.heal_zone(undo.target)
    elif undo.verb == SWITCH_ON and undo.target in verbs.switches:
        verbs.switches[FaultKind(undo.target)].on()
    else:
        raise VerbFailed(f"this cluster has nothing that could {undo}: give the cluster of the experiment")
