"""The caller's side of a visit: its calls, their attempts, and what becomes of them."""

from __future__ import annotations

import math

import numpy as np

from simulation.kernel.compiled import inner
from simulation.kernel.counting import count_attempt_end, count_client_end, count_offered
from simulation.kernel.draws import (
    DIMMED,
    ENDPOINT,
    ERROR,
    MADE,
    PURPOSES,
    SECOND_ENDPOINT,
    WAIT,
    attempt_key,
    exponential,
    uniform,
)
from simulation.kernel.queues import (
    await_deadline,
    forget_deadline,
    free_visit,
    hop,
    join_pool_queue,
    leave_pool_queue,
    new_visit,
    push,
)
from simulation.kernel.serving import finish, is_cut
from simulation.kernel.tables import (
    BACKOFF,
    BAD,
    CALLING,
    CLIENT,
    DEAD,
    GOOD,
    NOBODY,
    POOL_QUEUED,
    PROBE,
    SERVER,
    TRANSIT,
    UNREACHED,
    WAITING,
    State,
)

RETRY_FLOOR_RPS = 3.0  # retries that a service may always make
RETRY_BURST = 30.0  # ten seconds of them


@inner
def _drawn_endpoint(s: State, service: int, u: float) -> int:
    """Position of an endpoint, drawn by weight."""
    count = s.services[service].endpoints
    if not s.services[service].weighted:
        return min(int(u * count), count - 1)
    i = 0
    while i < count - 1 and s.endpoint_weights[service, i] <= u:
        i += 1
    return i


@inner
def _chosen_endpoint(s: State, service: int, key: np.uint64, attempt: int, previous: int) -> int:
    """The pod that an attempt goes to, another than the attempt before if there is one; NOBODY without endpoints."""
    count = s.services[service].endpoints
    if count == 0:
        return NOBODY
    i = _drawn_endpoint(s, service, uniform(key, ENDPOINT))
    if s.services[service].least_requests:
        j = _drawn_endpoint(s, service, uniform(key, SECOND_ENDPOINT))
        if s.pods[s.endpoints[service, j]].outstanding < s.pods[s.endpoints[service, i]].outstanding:
            i = j
    if attempt > 0 and s.endpoints[service, i] == previous:
        i = (i + 1) % count
    return s.endpoints[service, i]


@inner
def _send(s: State, v: int, now_s: float) -> None:
    """The visit's call leaves for a pod."""
    visit = s.visits[v]
    edge = s.edges[visit.call]
    s.services[edge.service].attempts += 1
    visit.open = 1
    visit.sent_s = now_s
    key = attempt_key(visit.key, visit.call, visit.attempt)
    p = _chosen_endpoint(s, edge.service, key, visit.attempt, visit.target)
    visit.target = p
    if p < 0:
        visit.stage = UNREACHED
        push(s, now_s, v)
        return
    pod = s.pods[p]
    pod.outstanding += 1
    visit.target_generation = pod.generation
    visit.stage = CALLING
    if is_cut(s, v, p):
        return  # the caller finds out at its timeout
    w = new_visit(s)
    if w < 0:
        s.clock[0].refused_full += 1
        visit.stage = UNREACHED
        push(s, now_s, v)
        return
    visit.child = w
    callee = s.visits[w]
    operation = s.operations[edge.operation]
    callee.kind = SERVER
    callee.stage = TRANSIT
    callee.key = key
    callee.parent = v
    callee.pod = p
    callee.pod_generation = pod.generation
    callee.operation = edge.operation
    callee.call = operation.first_call
    callee.call_end = operation.call_end
    callee.order = visit.order
    hop(s, edge.service, w, now_s)


@inner
def start_attempt(s: State, v: int, now_s: float) -> None:
    """Tries the visit's call, once it has the connection it needs."""
    visit = s.visits[v]
    edge = s.edges[visit.call]
    if visit.kind == CLIENT:  # its patience is already running
        _send(s, v, now_s)
        return
    await_deadline(s, v, now_s + edge.timeout_s)
    if edge.pool:
        pod = s.pods[visit.pod]
        size = s.services[pod.service].pool_size
        if size > 0:
            if pod.pool_in_use + pod.pool_leak >= size:
                visit.stage = POOL_QUEUED
                join_pool_queue(s, visit.pod, v)
                return
            pod.pool_in_use += 1
            visit.connected = 1
    _send(s, v, now_s)


@inner
def admit_to_pool(s: State, p: int, now_s: float) -> None:
    """Hands the pod's free connections to the calls that wait for one."""
    pod = s.pods[p]
    size = s.services[pod.service].pool_size
    while pod.pool_head >= 0 and pod.pool_in_use + pod.pool_leak < size:
        v = pod.pool_head
        leave_pool_queue(s, p, v)
        pod.pool_in_use += 1
        s.visits[v].connected = 1
        _send(s, v, now_s)


@inner
def end_attempt(s: State, v: int, ok: int, now_s: float) -> None:
    """The caller's open attempt is over for it; a callee that still works does so for nobody."""
    visit = s.visits[v]
    if visit.child >= 0:
        s.visits[visit.child].parent = NOBODY
        visit.child = NOBODY
    if visit.target >= 0 and s.pods[visit.target].generation == visit.target_generation:
        s.pods[visit.target].outstanding -= 1
    visit.open = 0
    count_attempt_end(s, s.edges[visit.call].service, visit.sent_s, ok, now_s)
    if visit.connected:
        visit.connected = 0
        s.pods[visit.pod].pool_in_use -= 1
        admit_to_pool(s, visit.pod, now_s)


@inner
def _spend_retry(s: State, v: int, now_s: float) -> bool:
    """Whether the calling service's budget has a retry left; it is spent. Clients have none to keep."""
    visit = s.visits[v]
    if visit.kind == CLIENT:
        return True
    service = s.services[s.pods[visit.pod].service]
    earned = service.retry_tokens + RETRY_FLOOR_RPS * (now_s - service.retry_tokens_at_s)
    service.retry_tokens = min(earned, RETRY_BURST)
    service.retry_tokens_at_s = now_s
    if service.retry_tokens < 1.0:
        return service.retry_budget == math.inf
    service.retry_tokens -= 1.0
    return True


@inner
def make_calls(s: State, v: int, now_s: float) -> None:
    """Makes the visit's next call; when none is left, the visit is done."""
    visit = s.visits[v]
    while visit.call < visit.call_end:
        edge = s.edges[visit.call]
        purposes = (visit.call + 1) * PURPOSES
        if edge.probability < 1.0 and uniform(visit.key, purposes + MADE) >= edge.probability:
            visit.call += 1
        elif edge.optional and uniform(visit.key, purposes + DIMMED) >= s.clock[0].optional_ceiling:
            visit.degraded = 1
            visit.call += 1
        else:
            visit.attempt = 0
            count_offered(s, edge.service, now_s)
            if edge.retries > 0:
                service = s.services[s.pods[visit.pod].service]
                service.retry_tokens = min(service.retry_tokens + service.retry_budget, RETRY_BURST)
            start_attempt(s, v, now_s)
            return
    finish(s, v, GOOD, now_s)


@inner
def answered(s: State, v: int, ok: int, now_s: float) -> None:
    """The caller learns how its attempt went: goes on, tries again, or fails."""
    visit = s.visits[v]
    edge = s.edges[visit.call]
    if visit.kind != CLIENT:
        forget_deadline(s, v)
    if visit.open:
        end_attempt(s, v, ok, now_s)
    if not ok and visit.attempt < edge.retries and _spend_retry(s, v, now_s):
        visit.attempt += 1
        if edge.backoff_s > 0.0:
            visit.stage = BACKOFF
            push(s, now_s + edge.backoff_s, v)
        else:
            start_attempt(s, v, now_s)
        return
    if visit.kind == CLIENT:
        forget_deadline(s, v)
        count_client_end(s, v, ok, False, now_s)
        free_visit(s, v)
    elif ok or edge.optional:
        visit.degraded |= 1 - ok
        visit.call += 1
        visit.target = NOBODY
        make_calls(s, v, now_s)
    else:
        finish(s, v, BAD, now_s)


@inner
def time_out(s: State, v: int, now_s: float) -> None:
    """The visit's deadline has come: a client gives up for good, a server's attempt has failed."""
    visit = s.visits[v]
    if visit.kind != CLIENT:
        if visit.stage == POOL_QUEUED:
            leave_pool_queue(s, visit.pod, v)
        answered(s, v, BAD, now_s)
        return
    forget_deadline(s, v)
    has_event = visit.stage == BACKOFF or visit.stage == UNREACHED
    if visit.open:
        end_attempt(s, v, BAD, now_s)
    count_client_end(s, v, BAD, True, now_s)
    if has_event:
        visit.stage = DEAD
    else:
        free_visit(s, v)


@inner
def worked(s: State, v: int, now_s: float) -> None:
    """The visit's CPU work is done."""
    visit = s.visits[v]
    if visit.kind == PROBE:
        finish(s, v, GOOD, now_s)
        return
    pod = s.pods[visit.pod]
    if pod.error_ratio > 0.0 and uniform(visit.key, ERROR) < pod.error_ratio:
        finish(s, v, BAD, now_s)
        return
    wait_s = pod.extra_wait_s
    mean_s = s.operations[visit.operation].wait_s
    if mean_s > 0.0:
        wait_s += mean_s * exponential(visit.key, WAIT)
    if wait_s > 0.0:
        visit.stage = WAITING
        push(s, now_s + wait_s, v)
    else:
        make_calls(s, v, now_s)


@inner
def deliver(s: State, w: int, now_s: float) -> None:
    """The answer reaches the caller."""
    visit = s.visits[w]
    caller, ok = visit.parent, visit.ok
    free_visit(s, w)
    if caller < 0:
        return
    s.visits[caller].child = NOBODY
    if ok:
        s.visits[caller].degraded |= visit.degraded
    answered(s, caller, ok, now_s)
