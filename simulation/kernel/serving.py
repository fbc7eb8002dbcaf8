"""The pod's side of a visit: admitted, queued or refused; finished and answered.

Nothing in this module or in `calling` calls itself, directly or by a detour: what would is an event at the present
moment instead.
"""

from __future__ import annotations

from simulation.kernel.compiled import inner
from simulation.kernel.counting import commit
from simulation.kernel.cpu import ask_for_cpu
from simulation.kernel.draws import work_multiple
from simulation.kernel.histogram import bucket
from simulation.kernel.probing import judge
from simulation.kernel.queues import free_visit, hop, join_slot_queue, leave_slot_queue
from simulation.kernel.tables import ANSWERING, BAD, CLIENT, DARK, NOBODY, PROBER, QUEUED, SERVER, SERVING, State


@inner
def is_cut(s: State, caller: int, target: int) -> bool:
    """Whether packets between the two are lost: a cut zone reaches nothing but itself. Clients are in no zone."""
    if s.clock[0].cuts == 0:
        return False
    zone = s.pods[target].zone
    if s.visits[caller].kind == CLIENT:
        return s.zone_cut[zone] != 0
    from_zone = s.pods[s.visits[caller].pod].zone
    return zone != from_zone and (s.zone_cut[zone] != 0 or s.zone_cut[from_zone] != 0)


@inner
def reply(s: State, w: int, ok: int, now_s: float) -> None:
    """Sends the answer on its way, if somebody awaits it and it can get there."""
    visit = s.visits[w]
    caller = visit.parent
    if caller == PROBER:
        judge(s, visit.call, ok)
        free_visit(s, w)
    elif caller == NOBODY:
        free_visit(s, w)
    elif is_cut(s, caller, visit.pod):
        s.visits[caller].child = NOBODY
        free_visit(s, w)
    else:
        visit.stage = ANSWERING
        visit.ok = ok
        hop(s, s.operations[visit.operation].service, w, now_s)


@inner
def admit(s: State, w: int, now_s: float) -> None:
    """Gives the visit a slot or a place in the queue; with neither left it is rejected at once."""
    visit = s.visits[w]
    p = visit.pod
    pod = s.pods[p]
    service = s.services[pod.service]
    visit.born_s = now_s
    if visit.kind == SERVER:
        operation = s.operations[visit.operation]
        mean_s = operation.cpu_s * operation.work_factor
        visit.work_s = mean_s * work_multiple(visit.key, operation.distribution, operation.sigma)
    if pod.in_progress < service.concurrency:
        pod.in_progress += 1
        ask_for_cpu(s, p, w, now_s)
    elif pod.queued < service.queue:
        visit.stage = QUEUED
        join_slot_queue(s, p, w)
    else:
        if visit.kind == SERVER:
            pod.requests += 1
            pod.errors += 1
            pod.rejected += 1
        reply(s, w, BAD, now_s)


@inner
def arrive(s: State, w: int, now_s: float) -> None:
    """A visit reaches its pod: takes a slot, waits for one, or is refused."""
    visit = s.visits[w]
    p = visit.pod
    pod = s.pods[p]
    if pod.generation != visit.pod_generation or pod.state == DARK:
        if visit.parent >= 0:
            s.visits[visit.parent].child = NOBODY
        free_visit(s, w)
    elif pod.state == SERVING:
        admit(s, w, now_s)
    else:
        reply(s, w, BAD, now_s)


@inner
def finish(s: State, v: int, ok: int, now_s: float) -> None:
    """The pod is done with the visit: counts it, answers, and gives its slot to the next one."""
    visit = s.visits[v]
    p = visit.pod
    pod = s.pods[p]
    if visit.kind == SERVER:
        latency_s = now_s - visit.born_s
        pod.requests += 1
        pod.errors += 1 - ok
        pod.latency_sum_s += latency_s
        s.pod_latency[p, bucket(latency_s)] += 1
        if ok and visit.order >= 0 and s.operations[visit.operation].commits:
            commit(s, visit.order, now_s)
    reply(s, v, ok, now_s)
    pod.in_progress -= 1
    while pod.slot_head >= 0:
        w = leave_slot_queue(s, p)
        if s.visits[w].parent != NOBODY:
            pod.in_progress += 1
            ask_for_cpu(s, p, w, now_s)
            return
        pod.dropped += 1  # nobody waits for it any more
        free_visit(s, w)
