"""The kernel's memory: structured arrays, bundled as one `State` that compiled functions read and change."""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

Records = np.ndarray[Any, np.dtype[np.void]]  # a record's fields are attributes in compiled code: pods[p].cpu_s

NOBODY = -1  # no such index
PROBER = -2  # the parent of a probe that is still awaited

# Kinds of visits. A client is one too: its only call is its request.
SERVER, CLIENT, PROBE = range(3)

# Where a visit stands. Those marked * have their one event in the heap, + on a lane.
FREE = 0
TRANSIT = 1  # + on its way to the pod
QUEUED = 2  # for a slot
CPU_QUEUED = 3
RUNNING = 4  # *
WAITING = 5  # *
POOL_QUEUED = 6  # for a connection
CALLING = 7
UNREACHED = 8  # * its call failed before it left the pod: no endpoint, or no room for another visit
BACKOFF = 9  # *
ANSWERING = 10  # + on its way back
DEAD = 11  # * nothing is left of it but its event

# States of a pod.
GONE, SERVING, REFUSING, DARK = range(4)

# What stopped an advance early.
NO_STOP, NOTICE, COMMITS_FULL = range(3)


# How an attempt or a visit ended. Not plain constants: numba would compile a version for each of their values.
GOOD = cast(int, np.int64(1))
BAD = cast(int, np.int64(0))


def _record(fields: dict[str, str]) -> np.dtype[np.void]:
    """Whole numbers that functions pass on are i8 throughout, again so that each function is compiled once."""
    return np.dtype(list(fields.items()), align=True)


CLOCK = _record(
    {
        "now_s": "f8",
        "next_timeout_s": "f8",  # no timeout is due before this
        "next_probe_s": "f8",  # no probe is due before this
        "next_hop_s": "f8",  # when the next packet arrives
        "next_lane": "i8",  # and on which lane
        "client_origin_s": "f8",  # second of the first row of the client bins
        "service_origin_s": "f8",
        "optional_ceiling": "f8",
        "seed": "u8",
        "next_arrival": "i8",
        "next_order": "i8",
        "commits": "i8",  # rows of the commit log in use
        "heap_size": "i8",
        "free": "i8",  # head of the list of freed visits
        "visits_high": "i8",  # visits at and beyond this index were never used
        "pods_high": "i8",
        "cuts": "i8",
        "arrived": "i8",
        "ok": "i8",
        "failed": "i8",
        "refused_full": "i8",  # attempts for which there was no visit left
        "first_client_edge": "i8",
        "idempotent": "i1",
        "stop": "i1",
        "notice_kind": "i1",
        "notice_pod": "i8",
    }
)

VISIT = _record(
    {
        "key": "u8",
        "born_s": "f8",  # a client's intended start; a server's arrival at its pod
        "sent_s": "f8",  # when its open attempt left
        "due_s": "f8",  # when it arrives, in transit or answering
        "deadline_s": "f8",  # of its open attempt; a client's: of its patience
        "work_s": "f8",  # CPU seconds at speed 1
        "stall_base_s": "f8",  # the pod's stall_total_s that its finish event knows of
        "parent": "i8",
        "child": "i8",
        "pod": "i8",
        "pod_generation": "i8",
        "operation": "i8",
        "call": "i8",  # edge of the call that is due or open; a probe's: its index
        "call_end": "i8",
        "target": "i8",  # pod of its latest attempt
        "target_generation": "i8",
        "order": "i8",
        "queue_next": "i8",
        "queue_previous": "i8",
        "timeout_next": "i8",
        "timeout_previous": "i8",
        "attempt": "i2",
        "stage": "i1",
        "kind": "i1",
        "ok": "i8",
        "degraded": "i1",
        "open": "i1",  # an attempt of its call is under way
        "connected": "i1",  # it holds a connection of its pod
    }
)

POD = _record(
    {
        "service": "i8",
        "generation": "i8",
        "zone": "i8",
        "state": "i1",
        "limited": "i1",  # its workers can outrun its CPU quota
        "speed": "f8",
        "extra_wait_s": "f8",
        "error_ratio": "f8",
        "cores": "f8",
        "period_s": "f8",
        "quota_s": "f8",
        "period_end_s": "f8",
        "used_s": "f8",  # of the quota of the period that ends at period_end_s
        "stalled_until_s": "f8",
        "stall_from_s": "f8",
        "stall_before_s": "f8",  # stall_total_s before the latest stall
        "stall_total_s": "f8",
        "throttle_due_s": "f8",
        "cpu_at_s": "f8",  # cpu_s and used_s are booked up to here
        "cpu_s": "f8",
        "latency_sum_s": "f8",
        "requests": "i8",
        "errors": "i8",
        "rejected": "i8",
        "dropped": "i8",
        "in_progress": "i8",
        "queued": "i8",
        "pool_in_use": "i8",
        "pool_waiting": "i8",
        "pool_leak": "i8",
        "outstanding": "i8",
        "running": "i8",
        "slot_head": "i8",
        "slot_tail": "i8",
        "cpu_head": "i8",
        "cpu_tail": "i8",
        "pool_head": "i8",
        "pool_tail": "i8",
    }
)

SERVICE = _record(
    {
        "concurrency": "i8",
        "queue": "i8",
        "threads": "i8",
        "pool_size": "i8",
        "lane": "i8",
        "endpoints": "i8",
        "weighted": "i1",
        "least_requests": "i1",
        "retry_budget": "f8",
        "retry_tokens": "f8",
        "retry_tokens_at_s": "f8",
        "offered": "i8",
        "attempts": "i8",
        "ok": "i8",
        "failed": "i8",
    }
)

OPERATION = _record(
    {
        "service": "i8",
        "distribution": "i8",
        "cpu_s": "f8",
        "sigma": "f8",
        "wait_s": "f8",
        "work_factor": "f8",
        "first_call": "i8",
        "call_end": "i8",
        "commits": "i1",
    }
)

EDGE = _record(
    {
        "operation": "i8",
        "service": "i8",
        "retries": "i8",
        "optional": "i1",
        "pool": "i1",
        "timeout_s": "f8",
        "backoff_s": "f8",
        "probability": "f8",
        "timeout_head": "i8",
        "timeout_tail": "i8",
    }
)

CLASS = _record({"slo_s": "f8", "order": "i1", "timed": "i1"})

PROBE_STATE = _record(
    {
        "period_s": "f8",
        "timeout_s": "f8",
        "cpu_s": "f8",
        "next_s": "f8",
        "deadline_s": "f8",
        "failure_threshold": "i8",
        "success_threshold": "i8",
        "failures": "i8",  # in a row
        "successes": "i8",
        "visit": "i8",
        "active": "i1",
        "awaited": "i1",
        "passing": "i1",
    }
)

# Packets with the same network delay arrive in the order in which they leave: a list does, and spares the heap.
LANE = _record({"hop_s": "f8", "head": "i8", "tail": "i8"})

EVENT = _record({"time_s": "f8", "index": "i8"})
ARRIVAL = _record({"time_s": "f8", "id": "i8", "kind": "i8"})
ORDER = _record(
    {
        "id": "i8",
        "intended_s": "f8",
        "acked_s": "f8",
        "committed_s": "f8",
        "commits": "i4",
        "acked": "?",
        "arrived": "?",
    }
)
COMMIT = _record({"time_s": "f8", "order": "i8"})
CLIENT_BIN = _record(dict.fromkeys(("arrived", "ok", "slow", "failed", "degraded", "abandoned"), "u4"))
SERVICE_BIN = _record(dict.fromkeys(("offered", "ok", "failed"), "u4"))


class State(NamedTuple):
    """Everything a run consists of, in one bundle."""

    clock: Records  # (1,)
    visits: Records
    heap: Records  # a binary heap of EVENT; index: a visit, or -1 - pod for a pod's CPU quota
    lanes: Records  # one per network delay
    pods: Records
    services: Records
    operations: Records
    edges: Records  # calls, then one per request class
    classes: Records
    probes: Records  # two per pod: readiness, liveness
    endpoints: NDArray[np.int32]  # (services, max_pods)
    endpoint_weights: NDArray[np.float64]  # (services, max_pods) cumulative, the last one is 1
    zone_cut: NDArray[np.int8]  # by zone
    arrivals: Records
    orders: Records
    commits: Records
    client_bins: Records  # (classes, seconds)
    client_latency: NDArray[np.uint32]  # (seconds, buckets)
    service_bins: Records  # (seconds, services)
    service_latency: NDArray[np.uint32]  # (seconds, services, buckets)
    pod_latency: NDArray[np.int64]  # (pods, buckets)
