"""The event loop, and the one compiled entry into it."""

from __future__ import annotations

import math
from collections.abc import Callable

from simulation.kernel.calling import admit_to_pool, answered, deliver, make_calls, start_attempt, time_out, worked
from simulation.kernel.compiled import entry, inner, sources_digest
from simulation.kernel.counting import count_offered
from simulation.kernel.cpu import book, change_speed, leave_cpu, throttle
from simulation.kernel.draws import request_key
from simulation.kernel.failing import lose_work
from simulation.kernel.pointer import state_at
from simulation.kernel.probes import attend_to_probes
from simulation.kernel.queues import arrived, await_deadline, free_visit, new_visit, pop
from simulation.kernel.serving import arrive
from simulation.kernel.tables import (
    BACKOFF,
    BAD,
    CLIENT,
    DEAD,
    NO_STOP,
    NOBODY,
    RUNNING,
    TRANSIT,
    UNREACHED,
    WAITING,
    State,
)

# What the entry is asked to do.
ADVANCE, FAIL_WORK, LOSE_WORK, ADMIT_TO_POOL, CHANGE_SPEED = range(5)


@inner
def _take_client(s: State, now_s: float) -> None:
    """The next client asks."""
    clock = s.clock[0]
    arrival = s.arrivals[clock.next_arrival]
    clock.next_arrival += 1
    kind = arrival.kind
    clock.arrived += 1
    s.client_bins[kind, int(now_s - clock.client_origin_s)].arrived += 1
    edge = clock.first_client_edge + kind
    count_offered(s, s.edges[edge].service, now_s)
    order = NOBODY
    if s.classes[kind].order:
        order = clock.next_order
        clock.next_order = order + 1
        s.orders[order].arrived = True
    v = new_visit(s)
    if v < 0:
        clock.refused_full += 1
        clock.failed += 1
        s.client_bins[kind, int(now_s - clock.client_origin_s)].failed += 1
        return
    client = s.visits[v]
    client.kind = CLIENT
    client.key = request_key(clock.seed, arrival.id)
    client.born_s = now_s
    client.parent = NOBODY
    client.pod = NOBODY
    client.call = edge
    client.call_end = edge + 1
    client.order = order
    await_deadline(s, v, now_s + s.edges[edge].timeout_s)
    start_attempt(s, v, now_s)


@inner
def _take_event(s: State, now_s: float) -> None:
    index = pop(s)
    if index < 0:
        throttle(s, -1 - index, now_s)
        return
    stage = s.visits[index].stage
    if stage == RUNNING:
        if leave_cpu(s, index, now_s):
            worked(s, index, now_s)
    elif stage == WAITING:
        make_calls(s, index, now_s)
    elif stage == UNREACHED:
        answered(s, index, BAD, now_s)
    elif stage == BACKOFF:
        start_attempt(s, index, now_s)
    elif stage == DEAD:
        free_visit(s, index)


@inner
def _take_packet(s: State, now_s: float) -> None:
    v = arrived(s)
    if s.visits[v].stage == TRANSIT:
        arrive(s, v, now_s)
    else:
        deliver(s, v, now_s)


@inner
def _take_timeouts(s: State, now_s: float) -> None:
    """Ends every attempt and every client's patience that is due by now."""
    next_s = math.inf
    for e in range(len(s.edges)):
        edge = s.edges[e]
        while edge.timeout_head >= 0 and s.visits[edge.timeout_head].deadline_s <= now_s:
            time_out(s, edge.timeout_head, now_s)
        if edge.timeout_head >= 0:
            next_s = min(next_s, s.visits[edge.timeout_head].deadline_s)
    s.clock[0].next_timeout_s = next_s


@inner
def _advance(s: State, until_s: float) -> None:
    """Takes events in the order of time up to and including `until_s`, or to the first stop."""
    clock = s.clock[0]
    clock.stop = NO_STOP
    arrivals = len(s.arrivals)
    while clock.stop == NO_STOP:
        event_s = s.heap[0].time_s if clock.heap_size > 0 else math.inf
        arrival_s = s.arrivals[clock.next_arrival].time_s if clock.next_arrival < arrivals else math.inf
        hop_s = clock.next_hop_s
        beat_s = min(clock.next_timeout_s, clock.next_probe_s)
        if min(event_s, hop_s, arrival_s, beat_s) > until_s:
            clock.now_s = until_s
            break
        if hop_s < event_s and hop_s <= arrival_s and hop_s <= beat_s:
            clock.now_s = hop_s
            _take_packet(s, hop_s)
        elif event_s <= arrival_s and event_s <= beat_s:
            clock.now_s = event_s
            _take_event(s, event_s)
        elif arrival_s < beat_s:
            clock.now_s = arrival_s
            _take_client(s, arrival_s)
        elif clock.next_timeout_s <= clock.next_probe_s:
            clock.now_s = clock.next_timeout_s
            _take_timeouts(s, clock.now_s)
        else:
            clock.now_s = clock.next_probe_s
            attend_to_probes(s, clock.now_s)
    for p in range(clock.pods_high):
        if s.pods[p].running > 0:
            book(s, p, clock.now_s)


def _entry(digest: str) -> Callable[[int, int, int, float], None]:
    @entry
    def enter(address: int, command: int, pod: int, value: float) -> None:
        digest  # noqa: B018 - makes the digest part of the key under which this function is cached
        s = state_at(address)
        now_s = s.clock[0].now_s
        if command == ADVANCE:
            _advance(s, value)
        elif command == FAIL_WORK:
            lose_work(s, pod, True, now_s)
        elif command == LOSE_WORK:
            lose_work(s, pod, False, now_s)
        elif command == ADMIT_TO_POOL:
            admit_to_pool(s, pod, now_s)
        elif command == CHANGE_SPEED:
            change_speed(s, pod, value, now_s)

    return enter


enter = _entry(sources_digest())
