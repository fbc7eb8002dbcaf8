"""How long clients are still sent to a pod that answers nobody: hung, or gone with its node.

    python -m chaos.operator_bench.rotation_command --cluster NAME --how hung --times 10

Counted from the failure until no EndpointSlice of its Service offers the pod any more. Failures come at random moments
of the second in which probes are sent.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from chaos.operator_bench.failover import Clocks
from chaos.shop_bench.figure import Figure, quantile

PROBE_PERIOD_S = 1.0
LOOK_S = 0.02
LIMIT_S = 75.0  # Kubernetes by itself gives a silent node up after 50 s
SETTLE_S = 400.0  # until everything is as it was
AT_LEAST_S, AIM_S = 8.0, 3.0


class How(StrEnum):
    """How a pod falls silent."""

    HUNG = "hung"  # its processes are stopped; the kernel still takes connections
    DEAD_NODE = "dead-node"  # the power of its node is cut


@dataclass(frozen=True, slots=True, order=True)
class Endpoint:
    """A pod that gets a Service's traffic."""

    service: str
    pod: str
    node: str


class Shop(Protocol):
    """`chaos.operator_bench.live_shop.LiveShop`."""

    def endpoints(self) -> frozenset[Endpoint]: ...

    def missing(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Departure:
    """`left_s` None: it was still sent traffic after `LIMIT_S`. `last`: its Service had no other endpoint."""

    how: How
    service: str
    pod: str
    node: str
    last: bool
    left_s: float | None


class RotationFailed(Exception):
    """The shop did not come to rest before a measurement; the text says what it lacked."""


#: Makes endpoints fall silent for as long as the block lasts.
Fault = Callable[[], AbstractContextManager[None]]


def settled(shop: Shop, clocks: Clocks, limit_s: float = SETTLE_S) -> None:
    """Returns when the shop is as installed. Raises `RotationFailed`."""
    began_s = clocks.now_s()
    while (missing := shop.missing()) is not None:
        if clocks.now_s() - began_s > limit_s:
            raise RotationFailed(f"the shop is not as installed after {limit_s:g} s: {missing}")
        clocks.sleep(1.0)


def departures(
    shop: Shop, how: How, failing: frozenset[Endpoint], fault: Fault, rng: random.Random, clocks: Clocks
) -> Iterator[Departure]:
    """When each of the endpoints that the fault silences left rotation. The shop has to be at rest."""
    before = shop.endpoints()
    alone = {one.service for one in before} - {one.service for one in before - failing}
    clocks.sleep(rng.uniform(0.0, PROBE_PERIOD_S))
    left_s: dict[Endpoint, float] = {}
    began_s = clocks.now_s()
    with fault():
        while len(left_s) < len(failing) and clocks.now_s() - began_s < LIMIT_S:
            there = shop.endpoints()
            passed_s = clocks.now_s() - began_s
            for gone in failing - there - left_s.keys():
                left_s[gone] = passed_s
            clocks.sleep(LOOK_S)
    for one in sorted(failing):
        yield Departure(how, one.service, one.pod, one.node, one.service in alone, left_s.get(one))


def hung_one(shop: Shop, rng: random.Random) -> Endpoint:
    """Of a Service that has another endpoint: the last one always stays."""
    there = sorted(shop.endpoints())
    services = [one.service for one in there]
    return rng.choice([one for one in there if services.count(one.service) > 1])


def figure(found: list[Departure], how: How) -> Figure:
    """The 95th percentile over pods that had a peer; one that never left counts as the limit."""
    seconds = [LIMIT_S if one.left_s is None else one.left_s for one in found if not one.last]
    detail = {
        "pods": len(seconds),
        "seconds": [round(value, 2) for value in seconds],
        "median_s": round(quantile(seconds, 0.5), 2) if seconds else None,
        "without_a_peer_s": [one.left_s and round(one.left_s, 2) for one in found if one.last],
    }
    name = f"{how.value}: pod out of rotation, p95 of {len(seconds)}"
    return Figure(name, quantile(seconds, 0.95) if seconds else None, "s", AT_LEAST_S, AIM_S, detail=detail)
