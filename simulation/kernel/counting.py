"""What is counted when: per second for clients and services, cumulatively for services."""

from __future__ import annotations

from simulation.kernel.compiled import inner
from simulation.kernel.histogram import bucket
from simulation.kernel.tables import COMMITS_FULL, State


@inner
def count_offered(s: State, service: int, now_s: float) -> None:
    """A first attempt: what the service is asked for, however often callers try again."""
    s.services[service].offered += 1
    s.service_bins[int(now_s - s.clock[0].service_origin_s), service].offered += 1


@inner
def count_attempt_end(s: State, service: int, sent_s: float, ok: int, now_s: float) -> None:
    second = int(now_s - s.clock[0].service_origin_s)
    if ok:
        s.services[service].ok += 1
        s.service_bins[second, service].ok += 1
    else:
        s.services[service].failed += 1
        s.service_bins[second, service].failed += 1
    s.service_latency[second, service, bucket(now_s - sent_s)] += 1


@inner
def count_client_end(s: State, v: int, ok: int, abandoned: bool, now_s: float) -> None:
    """The client has its answer, or wants none any more."""
    clock = s.clock[0]
    client = s.visits[v]
    kind = client.call - clock.first_client_edge
    second = int(client.born_s - clock.client_origin_s)
    row = s.client_bins[kind, second]
    latency_s = now_s - client.born_s
    # How fast a failure came says nothing about the time clients wait.
    if s.classes[kind].timed and (ok or abandoned):
        s.client_latency[second, bucket(latency_s)] += 1
    if not ok:
        clock.failed += 1
        row.failed += 1
        row.abandoned += abandoned
        return
    clock.ok += 1
    row.ok += 1
    if latency_s > s.classes[kind].slo_s:
        row.slow += 1
    if client.degraded:
        row.degraded += 1
    if client.order >= 0:
        order = s.orders[client.order]
        order.acked = True
        order.acked_s = now_s


@inner
def commit(s: State, index: int, now_s: float) -> None:
    """Stores the order: once if orders are idempotent, else once more."""
    clock = s.clock[0]
    order = s.orders[index]
    if order.commits > 0 and clock.idempotent:
        return
    if order.commits == 0:
        order.committed_s = now_s
    order.commits += 1
    s.commits[clock.commits].time_s = now_s
    s.commits[clock.commits].order = index
    clock.commits += 1
    if clock.commits == len(s.commits):
        clock.stop = COMMITS_FULL  # an event commits at most once, so that there is time to make room
