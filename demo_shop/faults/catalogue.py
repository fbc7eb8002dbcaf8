"""Which faults there are, what their magnitude means, and which roles can be hit by which.

Names, meaning and default magnitudes are those of a scenario file; a test holds them equal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from demo_shop.settings import Role


class FaultName(StrEnum):
    ERROR_BURST = "error_burst"
    SLOW_DEPENDENCY = "slow_dependency"
    LATENCY_CREEP = "latency_creep"
    POOL_CREEP = "pool_creep"
    MEMORY_LEAK = "memory_leak"
    CPU_BURN = "cpu_burn"
    LOCK_CONTENTION = "lock_contention"
    POD_CRASH = "pod_crash"
    CACHE_LOSS = "cache_loss"
    PAYMENT_TIMEOUTS = "payment_timeouts"


@dataclass(frozen=True, slots=True)
class FaultFacts:
    """What a fault does with its magnitude; `greatest` keeps a slip of the finger from taking the machine along."""

    meaning: str
    default_magnitude: float
    greatest: float


FACTS: Mapping[FaultName, FaultFacts] = {
    FaultName.ERROR_BURST: FaultFacts("share of answers that are errors", 0.3, 1.0),
    FaultName.SLOW_DEPENDENCY: FaultFacts("seconds added to each answer", 0.5, 60.0),
    FaultName.LATENCY_CREEP: FaultFacts("seconds added to each answer of the pods hit, at full ramp", 1.0, 60.0),
    FaultName.POOL_CREEP: FaultFacts("connections lost per minute and pod", 2.0, 600.0),
    FaultName.MEMORY_LEAK: FaultFacts("MiB per minute and pod", 20.0, 6_000.0),
    FaultName.CPU_BURN: FaultFacts("cores burnt in each pod hit", 0.5, 16.0),
    FaultName.LOCK_CONTENTION: FaultFacts("seconds a transaction waits for locks, at full ramp", 0.3, 10.0),
    FaultName.POD_CRASH: FaultFacts("pods that crash once", 1.0, 1.0),  # a process is one pod
    FaultName.CACHE_LOSS: FaultFacts("share of the cache that is lost", 1.0, 1.0),
    FaultName.PAYMENT_TIMEOUTS: FaultFacts("share of calls that never answer", 0.5, 1.0),
}

_EVERYWHERE = (
    FaultName.ERROR_BURST,
    FaultName.SLOW_DEPENDENCY,
    FaultName.LATENCY_CREEP,
    FaultName.MEMORY_LEAK,
    FaultName.CPU_BURN,
    FaultName.POD_CRASH,
)

_BESIDES: Mapping[Role, tuple[FaultName, ...]] = {
    Role.GATEWAY: (),
    Role.CATALOG: (FaultName.POOL_CREEP, FaultName.CACHE_LOSS),
    Role.CART: (),
    Role.CHECKOUT: (FaultName.POOL_CREEP,),
    Role.INVENTORY: (FaultName.POOL_CREEP, FaultName.LOCK_CONTENTION),
    Role.PAYMENT: (FaultName.POOL_CREEP, FaultName.PAYMENT_TIMEOUTS),
    Role.RECOMMENDATIONS: (FaultName.POOL_CREEP,),
    Role.PRICING: (FaultName.POOL_CREEP,),
}

Catalogue = Mapping[FaultName, FaultFacts]


def catalogue_of(role: Role) -> Catalogue:
    """The faults that a process of this role can be asked for."""
    names = {*_EVERYWHERE, *_BESIDES[role]}
    return {name: facts for name, facts in FACTS.items() if name in names}
