"""Everything that came is accounted for at every moment, and the same run twice is the same run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from simulation.kernel.engine import Engine, PodState, ProbeKind
from simulation.kernel.plan import Call, Operation, Plan, RequestClass, ServicePlan

PLAN = Plan(
    services=(
        ServicePlan("front", 30, 20, threads=4, balancing="least_requests"),
        ServicePlan("middle", 8, 10, threads=2, pool_size=3),
        ServicePlan("store", 6, 30, threads=2),
    ),
    operations=(
        Operation("buy", "front", 0.003, calls=(Call("take", 0.3, 1), Call("advise", 0.05, optional=True))),
        Operation(
            "take", "middle", 0.004, calls=(Call("write", 0.2, 2, 0.01, pool=True), Call("write", 0.1, pool=True))
        ),
        Operation("advise", "middle", 0.005, "lognormal", 1.5),
        Operation("write", "store", 0.004, wait_s=0.01, commits=True),
    ),
    classes=(
        RequestClass("buyer", "buy", 1.0, 0.1, retries=2, retry_backoff_s=0.2, order=True),
        RequestClass("visitor", "advise", 0.5, 0.05),
    ),
    max_pods=10,
    seed=21,
    duration_s=20.0,
    idempotent_orders=False,
)


def _start() -> tuple[Engine, list[int]]:
    engine = Engine(PLAN, -2.0)
    pods = [
        engine.add_pod(service, cores, zone)
        for service, cores in (("front", 1.0), ("middle", 0.8), ("store", 2.0))
        for zone in range(2)
    ]
    for i, service in enumerate(("front", "middle", "store")):
        engine.set_endpoints(service, pods[2 * i : 2 * i + 2])
    for pod in pods:
        engine.set_probe(pod, ProbeKind.READINESS, 0.5, 0.1, 2, 1, first_at_s=-1.9)
        engine.set_probe(pod, ProbeKind.LIVENESS, 0.7, 0.1, 3, 1, first_at_s=-1.8)
    rng = np.random.default_rng(22)
    times_s = np.sort(rng.uniform(-2.0, 19.0, 3500))
    engine.add_arrivals(times_s, rng.integers(2, size=3500), np.arange(3500))
    return engine, pods


def _disturb(engine: Engine, pods: list[int], rng: np.random.Generator) -> None:
    """Something happens to somebody."""
    pod = int(rng.choice(pods))
    match int(rng.integers(9)):
        case 0:
            engine.set_state(pod, PodState.DARK)
        case 1:
            engine.set_state(pod, PodState.REFUSING)
        case 2 | 3:
            engine.set_state(pod, PodState.SERVING)
        case 4:
            engine.set_speed(pod, float(rng.uniform(0.3, 2.0)))
        case 5:
            engine.set_zone_cut(0, bool(rng.integers(2)))
        case 6:
            engine.set_pool_leak(pod, int(rng.integers(4)))
        case 7:
            engine.set_extra_wait(pod, float(rng.choice([0.0, 0.15])))
        case 8:
            engine.set_optional_ceiling(float(rng.uniform()))


def _run(seed: int, *, check: bool) -> Engine:
    engine, pods = _start()
    rng = np.random.default_rng(seed)
    for time_s in np.sort(rng.uniform(-2.0, 20.0, 200)).tolist():
        while engine.now_s < time_s:
            engine.advance(time_s)
        _disturb(engine, pods, rng)
        if check:
            accounting = engine.accounting()
            assert accounting.is_balanced(), accounting
            _assert_pods_add_up(engine)
    return engine


def _assert_pods_add_up(engine: Engine) -> None:
    pods = engine.pods
    assert (pods.in_progress >= 0).all() and (pods.queued >= 0).all()
    assert (pods.pool_in_use >= 0).all() and (pods.pool_waiting >= 0).all()
    assert (pods.pool_in_use <= 3).all()
    assert (pods.errors <= pods.requests).all() and (pods.rejected <= pods.errors).all()
    assert (pods.latency.sum(axis=1) == pods.requests - pods.rejected).all()


@pytest.mark.parametrize("seed", range(5))
def test_arrived_is_served_plus_failed_plus_in_flight_at_every_moment(seed: int) -> None:
    engine = _run(seed, check=True)

    for pod in range(6):
        engine.set_state(pod, PodState.SERVING)
        engine.set_pool_leak(pod, 0)
    engine.set_zone_cut(0, False)
    while engine.now_s < 40.0:
        engine.advance(40.0)

    accounting = engine.accounting()
    clients = engine.clients
    assert accounting.clients.arrived == 3500
    assert accounting.clients.in_flight == 0
    assert all(service.in_flight == 0 for service in accounting.services.values())
    assert (clients.arrived == clients.ok + clients.failed).all()
    assert (clients.slow <= clients.ok).all() and (clients.abandoned <= clients.failed).all()
    assert clients.latency.sum() == clients.ok.sum() + clients.abandoned.sum()
    assert engine.orders.acked.sum() == clients.ok[0].sum()
    assert (engine.pods.in_progress == 0).all() and (engine.pods.queued == 0).all()
    assert (engine.pods.pool_in_use == 0).all() and (engine.pods.pool_waiting == 0).all()


def _everything(engine: Engine) -> list[NDArray[np.generic]]:
    pods, clients, orders = engine.pods, engine.clients, engine.orders
    return [
        *(pods.cpu_s, pods.throttled_s, pods.requests, pods.errors, pods.latency_sum_s, pods.latency),
        *(clients.ok, clients.slow, clients.failed, clients.degraded, clients.latency),
        *(orders.acked_s, orders.committed_s, orders.commits, engine.services.attempts),
    ]


def test_the_same_seed_gives_the_same_run() -> None:
    for first, second in zip(_everything(_run(3, check=False)), _everything(_run(3, check=False)), strict=True):
        assert np.array_equal(first, second)


def test_looking_more_often_changes_nothing() -> None:
    plain, _ = _start()
    watched, _ = _start()

    while plain.now_s < 19.0:
        plain.advance(19.0)
    for time_s in np.linspace(-1.99, 19.0, 777).tolist():
        while watched.now_s < time_s:
            watched.advance(time_s)
        watched.drain_service_bins(time_s)

    assert np.array_equal(plain.clients.latency, watched.clients.latency)
    assert np.array_equal(plain.orders.acked_s, watched.orders.acked_s)
    assert watched.pods.cpu_s == pytest.approx(plain.pods.cpu_s)


def test_demands_do_not_depend_on_what_else_happens() -> None:
    # Plenty of room, so that all CPU time is the demand of the same requests, whoever serves them.
    free = replace(
        PLAN,
        services=tuple(
            replace(service, concurrency=10_000, threads=64, pool_size=0, hop_s=0.0) for service in PLAN.services
        ),
        operations=tuple(replace(operation, calls=()) for operation in PLAN.operations),
    )
    used_s = []
    for copies in (1, 3):
        engine = Engine(free, 0.0)
        for service in ("front", "middle", "store"):
            engine.set_endpoints(service, [engine.add_pod(service, 64.0, 0) for _ in range(copies)])
        engine.add_arrivals(np.linspace(0.0, 9.0, 1000), np.arange(1000) % 2, np.arange(1000))
        engine.advance(30.0)
        used_s.append(float(engine.pods.cpu_s.sum()))

    assert used_s[0] == pytest.approx(used_s[1])


def test_service_bins_come_once_and_add_up() -> None:
    engine, _ = _start()
    drained = []

    for until_s in (-1.5, 0.0, 3.25, 11.0, 20.0, 30.0):
        while engine.now_s < until_s:
            engine.advance(until_s)
        drained.append(engine.drain_service_bins(until_s))

    assert [bins.first_s for bins in drained] == [-2, -2, 0, 3, 11, 20]
    assert [len(bins.ok) for bins in drained] == [0, 2, 3, 8, 9, 10]
    for name in ("offered", "ok", "failed"):
        total = np.concatenate([getattr(bins, name) for bins in drained]).sum(axis=0)
        assert np.array_equal(total, getattr(engine.services, name)), name
    ended = sum(int(bins.ok.sum() + bins.failed.sum()) for bins in drained)
    assert sum(int(bins.latency.sum()) for bins in drained) == ended


def test_undrained_service_bins_are_kept() -> None:
    engine, _ = _start()

    while engine.now_s < 500.0:
        engine.advance(500.0)
    bins = engine.drain_service_bins(500.0)

    assert bins.ok.shape == (502, 3)
    assert np.array_equal(bins.ok.sum(axis=0), engine.services.ok)
