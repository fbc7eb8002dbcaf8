"""Which injector makes which fault, and what a cluster's verbs are enough for."""

from __future__ import annotations

from collections.abc import Mapping

from chaos.experiments.fault_checks import BY_ENDPOINT
from chaos.experiments.injecting.control import SwitchedOff
from chaos.experiments.injecting.injector import Injection, Injector
from chaos.experiments.injecting.machines import NodeLoss, ZoneFault
from chaos.experiments.injecting.pods import CrashLoop, PodCrash
from chaos.experiments.injecting.sick_pods import SickPods
from chaos.experiments.injecting.stage import SWITCHED, Stage, Verbs
from chaos.experiments.injecting.stores import PrimaryLoss
from simulation.scenario import Fault, FaultKind

_HOW: Mapping[FaultKind, type[Injection]] = {
    FaultKind.POD_CRASH: PodCrash,
    FaultKind.CRASH_LOOP: CrashLoop,
    **dict.fromkeys(BY_ENDPOINT, SickPods),
    FaultKind.CACHE_LOSS: SickPods,
    FaultKind.NODE_LOSS: NodeLoss,
    FaultKind.ZONE_LOSS: ZoneFault,
    FaultKind.ZONE_CUT: ZoneFault,
    FaultKind.PRIMARY_LOSS: PrimaryLoss,
    **dict.fromkeys(SWITCHED, SwitchedOff),
}
INJECTABLE = frozenset(_HOW)


def injector(fault: Fault, index: int, stage: Stage) -> Injector:
    """The injector of a fault that a plan has let through."""
    return _HOW[fault.kind](fault, index, stage)


def abilities(verbs: Verbs) -> frozenset[FaultKind]:
    """The faults that can be made with these verbs."""
    able = set(verbs.switches) & set(SWITCHED)
    if verbs.shop_faults is not None:
        able |= BY_ENDPOINT | {FaultKind.POD_CRASH, FaultKind.CRASH_LOOP, FaultKind.CACHE_LOSS}
    if verbs.machines is not None:
        able |= {FaultKind.NODE_LOSS, FaultKind.ZONE_LOSS, FaultKind.ZONE_CUT}
    if verbs.databases is not None:
        able.add(FaultKind.PRIMARY_LOSS)
    return frozenset(able)
