"""CPU work on a pod: a FIFO queue before its workers, and Linux's CFS quota over them.

A limit of `cores` is a quota of `cores * period` CPU seconds per period, drawn by all workers together. A pod that
has used it up stalls until the period ends. With no more workers than cores that cannot happen.
"""

from __future__ import annotations

import math

from simulation.kernel.compiled import inner
from simulation.kernel.queues import join_cpu_queue, leave_cpu_queue, push, restore_heap
from simulation.kernel.tables import CPU_QUEUED, RUNNING, State

_SLACK_S = 1e-9  # rounding: work that ends as the quota does has ended


@inner
def book(s: State, p: int, now_s: float) -> None:
    """Books the pod's CPU use up to now. Comes before every change of the number of running workers."""
    pod = s.pods[p]
    since_s = max(pod.cpu_at_s, pod.stalled_until_s)
    spent_s = pod.running * max(now_s - since_s, 0.0)
    pod.cpu_s += spent_s
    pod.cpu_at_s = now_s
    if not pod.limited:
        return
    if now_s < pod.period_end_s:
        pod.used_s += spent_s
        return
    periods = math.floor((now_s - pod.period_end_s) / pod.period_s) + 1
    pod.period_end_s += periods * pod.period_s
    begun_s = max(since_s, pod.period_end_s - pod.period_s)
    pod.used_s = pod.running * max(now_s - begun_s, 0.0)


@inner
def foresee_throttling(s: State, p: int, now_s: float) -> None:
    """Plans the event at which the running workers will have used up the quota, unless an earlier one is planned."""
    pod = s.pods[p]
    if not pod.limited or pod.running == 0:
        return
    due_s = max(now_s, pod.stalled_until_s) + max(pod.quota_s - pod.used_s, 0.0) / pod.running
    if due_s >= pod.period_end_s:
        if pod.running <= pod.cores:
            return
        due_s = pod.period_end_s + pod.quota_s / pod.running
    if due_s < pod.throttle_due_s:
        pod.throttle_due_s = due_s
        push(s, due_s, -1 - p)


@inner
def throttle(s: State, p: int, now_s: float) -> None:
    """Stalls the pod to the end of its period if its quota is used up."""
    pod = s.pods[p]
    if now_s != pod.throttle_due_s:
        return  # planned before things changed
    pod.throttle_due_s = math.inf
    book(s, p, now_s)
    if pod.running > 0 and pod.used_s >= pod.quota_s - _SLACK_S:
        stall_s = pod.period_end_s - now_s
        pod.stall_from_s = now_s
        pod.stall_before_s = pod.stall_total_s
        pod.stall_total_s += stall_s
        pod.stalled_until_s = pod.period_end_s
        pod.period_end_s += pod.period_s
        pod.used_s = 0.0
    foresee_throttling(s, p, now_s)


@inner
def run(s: State, p: int, v: int, now_s: float) -> None:
    """Puts the visit on a worker. CPU use has been booked."""
    pod = s.pods[p]
    visit = s.visits[v]
    visit.stage = RUNNING
    visit.stall_base_s = pod.stall_total_s
    pod.running += 1
    push(s, max(now_s, pod.stalled_until_s) + visit.work_s / pod.speed, v)
    foresee_throttling(s, p, now_s)


@inner
def ask_for_cpu(s: State, p: int, v: int, now_s: float) -> None:
    pod = s.pods[p]
    if pod.running >= s.services[pod.service].threads:
        s.visits[v].stage = CPU_QUEUED
        join_cpu_queue(s, p, v)
        return
    book(s, p, now_s)
    run(s, p, v, now_s)


@inner
def leave_cpu(s: State, v: int, now_s: float) -> bool:
    """Whether the visit's work is done at its finish event; if the pod has stalled meanwhile, it ends later."""
    visit = s.visits[v]
    p = visit.pod
    pod = s.pods[p]
    late_s = pod.stall_total_s - visit.stall_base_s
    if late_s > 0.0 and not (visit.stall_base_s == pod.stall_before_s and now_s <= pod.stall_from_s + _SLACK_S):
        visit.stall_base_s = pod.stall_total_s
        push(s, now_s + late_s, v)
        return False
    book(s, p, now_s)
    pod.running -= 1
    if pod.cpu_head >= 0:
        run(s, p, leave_cpu_queue(s, p), now_s)
    return True


@inner
def change_speed(s: State, p: int, speed: float, now_s: float) -> None:
    """The pod's CPU runs at another speed from now on; work under way keeps what it has done."""
    pod = s.pods[p]
    slower = pod.speed / speed
    pod.speed = speed
    resumed_s = max(now_s, pod.stalled_until_s)
    for i in range(s.clock[0].heap_size):
        event = s.heap[i]
        if event.index < 0:
            continue
        visit = s.visits[event.index]
        if visit.stage == RUNNING and visit.pod == p:
            left_s = max(event.time_s + pod.stall_total_s - visit.stall_base_s - resumed_s, 0.0)
            event.time_s = resumed_s + left_s * slower
            visit.stall_base_s = pod.stall_total_s
    restore_heap(s)
