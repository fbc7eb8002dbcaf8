"""The event heap, the free list of visits, and the linked lists that queues and timeouts are kept in."""

from __future__ import annotations

import math

from simulation.kernel.compiled import inner
from simulation.kernel.tables import FREE, NOBODY, State


@inner
def push(s: State, time_s: float, index: int) -> None:
    heap = s.heap
    i = s.clock[0].heap_size
    s.clock[0].heap_size = i + 1
    while i > 0:
        above = (i - 1) >> 1
        if heap[above].time_s <= time_s:
            break
        heap[i].time_s = heap[above].time_s
        heap[i].index = heap[above].index
        i = above
    heap[i].time_s = time_s
    heap[i].index = index


@inner
def _sink(s: State, i: int, time_s: float, index: int) -> None:
    """Places an event at or below position `i`, whose own event has been taken out."""
    heap = s.heap
    n = s.clock[0].heap_size
    while True:
        below = 2 * i + 1
        if below >= n:
            break
        below += int(heap[below + 1].time_s < heap[below].time_s)  # beyond the last event there is one at infinity
        if heap[below].time_s >= time_s:
            break
        heap[i].time_s = heap[below].time_s
        heap[i].index = heap[below].index
        i = below
    heap[i].time_s = time_s
    heap[i].index = index


@inner
def pop(s: State) -> int:
    """Takes the first event off the heap; its index. The heap is not empty."""
    heap = s.heap
    first = heap[0].index
    last = s.clock[0].heap_size - 1
    s.clock[0].heap_size = last
    time_s, index = heap[last].time_s, heap[last].index
    heap[last].time_s = math.inf
    _sink(s, 0, time_s, index)
    return first


@inner
def restore_heap(s: State) -> None:
    """Makes the heap a heap again after times in it were changed."""
    heap = s.heap
    for i in range(s.clock[0].heap_size // 2 - 1, -1, -1):
        _sink(s, i, heap[i].time_s, heap[i].index)


@inner
def hop(s: State, service: int, v: int, now_s: float) -> None:
    """Sets the visit on its way to the service, or back from it."""
    visit = s.visits[v]
    index = s.services[service].lane
    lane = s.lanes[index]
    visit.due_s = now_s + lane.hop_s
    visit.queue_next = NOBODY
    if lane.tail >= 0:
        s.visits[lane.tail].queue_next = v
    else:
        lane.head = v
    lane.tail = v
    if visit.due_s < s.clock[0].next_hop_s:
        s.clock[0].next_hop_s = visit.due_s
        s.clock[0].next_lane = index


@inner
def arrived(s: State) -> int:
    """Takes the visit whose hop ends first off its lane. There is one."""
    clock = s.clock[0]
    lane = s.lanes[clock.next_lane]
    v = lane.head
    lane.head = s.visits[v].queue_next
    if lane.head < 0:
        lane.tail = NOBODY
    clock.next_hop_s = math.inf
    for i in range(len(s.lanes)):
        head = s.lanes[i].head
        if head >= 0 and s.visits[head].due_s < clock.next_hop_s:
            clock.next_hop_s = s.visits[head].due_s
            clock.next_lane = i
    return v


@inner
def new_visit(s: State) -> int:
    """A visit with no ties to anything; NOBODY when all are in use."""
    clock = s.clock[0]
    v = clock.free
    if v >= 0:
        clock.free = s.visits[v].queue_next
    elif clock.visits_high < len(s.visits):
        v = clock.visits_high
        clock.visits_high = v + 1
    else:
        return NOBODY
    visit = s.visits[v]
    visit.child = NOBODY
    visit.target = NOBODY
    visit.order = NOBODY
    visit.attempt = 0
    visit.ok = 0
    visit.degraded = 0
    visit.open = 0
    visit.connected = 0
    return v


@inner
def free_visit(s: State, v: int) -> None:
    visit = s.visits[v]
    visit.stage = FREE
    visit.queue_next = s.clock[0].free
    s.clock[0].free = v


@inner
def join_slot_queue(s: State, p: int, v: int) -> None:
    pod = s.pods[p]
    s.visits[v].queue_next = NOBODY
    if pod.slot_tail >= 0:
        s.visits[pod.slot_tail].queue_next = v
    else:
        pod.slot_head = v
    pod.slot_tail = v
    pod.queued += 1


@inner
def leave_slot_queue(s: State, p: int) -> int:
    """The visit that waited longest; the queue is not empty."""
    pod = s.pods[p]
    v = pod.slot_head
    pod.slot_head = s.visits[v].queue_next
    if pod.slot_head < 0:
        pod.slot_tail = NOBODY
    pod.queued -= 1
    return v


@inner
def join_cpu_queue(s: State, p: int, v: int) -> None:
    pod = s.pods[p]
    s.visits[v].queue_next = NOBODY
    if pod.cpu_tail >= 0:
        s.visits[pod.cpu_tail].queue_next = v
    else:
        pod.cpu_head = v
    pod.cpu_tail = v


@inner
def leave_cpu_queue(s: State, p: int) -> int:
    pod = s.pods[p]
    v = pod.cpu_head
    pod.cpu_head = s.visits[v].queue_next
    if pod.cpu_head < 0:
        pod.cpu_tail = NOBODY
    return v


@inner
def join_pool_queue(s: State, p: int, v: int) -> None:
    pod = s.pods[p]
    visit = s.visits[v]
    visit.queue_next = NOBODY
    visit.queue_previous = pod.pool_tail
    if pod.pool_tail >= 0:
        s.visits[pod.pool_tail].queue_next = v
    else:
        pod.pool_head = v
    pod.pool_tail = v
    pod.pool_waiting += 1


@inner
def leave_pool_queue(s: State, p: int, v: int) -> None:
    pod = s.pods[p]
    visit = s.visits[v]
    if visit.queue_previous >= 0:
        s.visits[visit.queue_previous].queue_next = visit.queue_next
    else:
        pod.pool_head = visit.queue_next
    if visit.queue_next >= 0:
        s.visits[visit.queue_next].queue_previous = visit.queue_previous
    else:
        pod.pool_tail = visit.queue_previous
    pod.pool_waiting -= 1


@inner
def await_deadline(s: State, v: int, deadline_s: float) -> None:
    """Joins the list of the visit's call. A call's timeout is constant, so that the list stays sorted."""
    visit = s.visits[v]
    edge = s.edges[visit.call]
    visit.deadline_s = deadline_s
    visit.timeout_next = NOBODY
    visit.timeout_previous = edge.timeout_tail
    if edge.timeout_tail >= 0:
        s.visits[edge.timeout_tail].timeout_next = v
    else:
        edge.timeout_head = v
    edge.timeout_tail = v
    if deadline_s < s.clock[0].next_timeout_s:
        s.clock[0].next_timeout_s = deadline_s


@inner
def forget_deadline(s: State, v: int) -> None:
    visit = s.visits[v]
    edge = s.edges[visit.call]
    if visit.timeout_previous >= 0:
        s.visits[visit.timeout_previous].timeout_next = visit.timeout_next
    else:
        edge.timeout_head = visit.timeout_next
    if visit.timeout_next >= 0:
        s.visits[visit.timeout_next].timeout_previous = visit.timeout_previous
    else:
        edge.timeout_tail = visit.timeout_previous
