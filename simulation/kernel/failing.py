"""What becomes of a pod's work when the pod dies."""

from __future__ import annotations

import math

from simulation.kernel.calling import end_attempt
from simulation.kernel.compiled import inner
from simulation.kernel.cpu import book
from simulation.kernel.queues import forget_deadline, free_visit, hop, new_visit
from simulation.kernel.tables import (
    ANSWERING,
    BACKOFF,
    BAD,
    CALLING,
    CLIENT,
    CPU_QUEUED,
    DEAD,
    NOBODY,
    POOL_QUEUED,
    PROBE,
    QUEUED,
    RUNNING,
    UNREACHED,
    WAITING,
    State,
)


@inner
def _is_at_pod(stage: int) -> bool:
    return stage in (QUEUED, CPU_QUEUED, RUNNING, WAITING, POOL_QUEUED, CALLING, UNREACHED, BACKOFF)


@inner
def _tell_caller(s: State, v: int, now_s: float) -> None:
    """The connection breaks: the caller has a failure after one hop."""
    visit = s.visits[v]
    caller = visit.parent
    w = new_visit(s)
    if w < 0:
        s.clock[0].refused_full += 1
        s.visits[caller].child = NOBODY  # it finds out at its timeout
        return
    news = s.visits[w]
    news.kind = visit.kind
    news.parent = caller
    news.pod = visit.pod
    news.pod_generation = visit.pod_generation
    news.operation = visit.operation
    news.stage = ANSWERING
    news.ok = BAD
    s.visits[caller].child = w
    hop(s, s.operations[visit.operation].service, w, now_s)


@inner
def _lose_visit(s: State, v: int, is_heard: bool, now_s: float) -> None:
    visit = s.visits[v]
    if visit.stage in (CALLING, UNREACHED, POOL_QUEUED):
        forget_deadline(s, v)
    visit.connected = 0
    if visit.open:
        end_attempt(s, v, BAD, now_s)
    if visit.kind == PROBE:
        if visit.parent != NOBODY:
            s.probes[visit.call].visit = NOBODY  # it fails at its own timeout
    elif visit.parent >= 0:
        if is_heard:
            _tell_caller(s, v, now_s)
        else:
            s.visits[visit.parent].child = NOBODY
    if visit.stage in (RUNNING, WAITING, UNREACHED, BACKOFF):  # its event is still in the heap
        visit.stage = DEAD
    else:
        free_visit(s, v)


@inner
def lose_work(s: State, p: int, is_heard: bool, now_s: float) -> None:
    """Ends everything in progress or queued at the pod. Callers hear of it at once, or never."""
    book(s, p, now_s)
    pod = s.pods[p]
    pod.slot_head = pod.slot_tail = NOBODY
    pod.cpu_head = pod.cpu_tail = NOBODY
    pod.pool_head = pod.pool_tail = NOBODY
    pod.running = 0
    pod.throttle_due_s = math.inf
    pod.in_progress = pod.queued = pod.pool_in_use = pod.pool_waiting = 0
    for v in range(s.clock[0].visits_high):
        visit = s.visits[v]
        if visit.kind != CLIENT and visit.pod == p and _is_at_pod(visit.stage):
            _lose_visit(s, v, is_heard, now_s)
