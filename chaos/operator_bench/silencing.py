"""Pods and nodes of a bare cluster made to fall silent, and given their voice back."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from chaos.clusters.bare.pod_processes import container_processes
from chaos.clusters.cluster import Cluster
from chaos.operator_bench.live_shop import LiveShop
from chaos.operator_bench.rotation import RotationFailed


def victim(shop: LiveShop) -> str:
    """A node whose loss the shop can survive, without the leader of the operator. Raises `RotationFailed`."""
    fit = shop.nodes() - shop.irreplaceable()
    chosen = sorted(fit - {shop.leaders_node()}) or sorted(fit)
    if not chosen:
        raise RotationFailed("every node holds Redis or the primary")
    return chosen[0]


@contextmanager
def stopped(uid: str) -> Iterator[None]:
    """The pod's processes stand still, with their connections open."""
    pids = container_processes(uid)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):  # the kubelet may have lost patience
                os.kill(pid, signal.SIGCONT)


@contextmanager
def powerless(cluster: Cluster, node: str) -> Iterator[None]:
    cluster.kill_node(node)
    try:
        yield
    finally:
        cluster.start_node(node)
