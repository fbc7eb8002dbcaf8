"""Every kind of fault does its harm while it lasts, says whom it hit, and leaves nothing behind."""

from __future__ import annotations

import pytest
import yaml

from simulation.scenario import FaultKind, ScenarioInvalid, parse_scenario

SMALL_SHOP = """
topology:
  nodes: [{zone: a, count: 2}, {zone: b, count: 2}]
  services:
    - {name: web, replicas: 4, startup: &quick {image_pull_s: 2, cached_pull_s: 1, time_s: 5}, readiness: {period_s: 2}}
    - name: shop
      replicas: 4
      pool_size: 4
      concurrency: 32
      startup: *quick
      readiness: {period_s: 2}
    - {name: pay, replicas: 2, concurrency: 16, startup: *quick, readiness: {period_s: 2}}
    - {name: cache, kind: store, replicas: 1, startup: *quick, concurrency: 500, liveness: null}
    - name: db
      kind: store
      replicas: 2
      startup: *quick
      liveness: null
      database: {lease_ttl_s: 20, promote_s: 3}
  operations:
    - {name: web.buy, cpu_ms: 10, calls: [{to: shop.order, timeout_s: 3}]}
    - name: shop.order
      cpu_ms: 10
      calls:
        - {to: cache.get, timeout_s: 0.5}
        - {to: db.read, timeout_s: 2, probability: 0.1, pool: true}
        - {to: pay.charge, timeout_s: 2}
        - {to: db.commit, timeout_s: 2, pool: true}
    - {name: cache.get, cpu_ms: 0.2}
    - {name: pay.charge, cpu_ms: 5}
    - {name: db.read, cpu_ms: 20}
    - {name: db.commit, cpu_ms: 3, commits: true}
  classes: [{name: buy, share: 1, operation: web.buy, order: true}]
load: {rps: 60, roughness: 0}
duration_s: 480
"""

# magnitudes that are large for so small a shop, and the least share of bad requests they cause in (60, 180]
HARMFUL = [
    pytest.param({"kind": "pod_crash", "service": "web", "pods": 4}, 0.04, id="pod_crash"),
    pytest.param({"kind": "crash_loop", "service": "web", "magnitude": 1.0}, 0.02, id="crash_loop"),
    pytest.param({"kind": "memory_leak", "service": "shop", "magnitude": 500}, 0.02, id="memory_leak"),
    pytest.param({"kind": "pool_creep", "service": "shop", "magnitude": 4}, 0.3, id="pool_creep"),
    pytest.param({"kind": "slow_dependency", "service": "pay", "magnitude": 1.5}, 0.9, id="slow_dependency"),
    pytest.param(
        {"kind": "latency_creep", "service": "shop", "magnitude": 3, "ramp_s": 60, "pods": 2}, 0.2, id="latency_creep"
    ),
    pytest.param({"kind": "noisy_neighbour", "service": "web", "magnitude": 0.97}, 0.05, id="noisy_neighbour"),
    pytest.param({"kind": "node_loss", "node": "node-a-1"}, 0.1, id="node_loss"),
    pytest.param({"kind": "zone_loss", "zone": "a"}, 0.2, id="zone_loss"),
    pytest.param({"kind": "zone_cut", "zone": "a"}, 0.2, id="zone_cut"),
    pytest.param({"kind": "primary_loss", "service": "db"}, 0.1, id="primary_loss"),
    pytest.param({"kind": "error_burst", "service": "pay", "magnitude": 0.3}, 0.25, id="error_burst"),
    pytest.param({"kind": "cpu_burn", "service": "web", "magnitude": 0.9}, 0.5, id="cpu_burn"),
    pytest.param(
        {"kind": "lock_contention", "service": "db", "magnitude": 1.5, "ramp_s": 30}, 0.5, id="lock_contention"
    ),
    pytest.param({"kind": "payment_timeouts", "service": "pay", "magnitude": 0.3}, 0.3, id="payment_timeouts"),
    pytest.param({"kind": "disk_fill", "service": "db", "magnitude": 20_000}, 0.5, id="disk_fill"),
    pytest.param(
        {"kind": "replication_lag", "service": "db", "magnitude": 9, "ramp_s": 100}, 0.1, id="replication_lag"
    ),
    pytest.param({"kind": "cache_loss", "service": "cache"}, 0.1, id="cache_loss"),
    pytest.param({"kind": "flash_sale", "magnitude": 8}, 0.3, id="flash_sale"),
    pytest.param({"kind": "viral_ramp", "magnitude": 10, "ramp_s": 80}, 0.3, id="viral_ramp"),
]
HARMLESS = [
    FaultKind.METRICS_OUTAGE,
    FaultKind.METRICS_DELAY,
    FaultKind.API_OUTAGE,
    FaultKind.CONTROLLER_CRASH,
]


@pytest.mark.parametrize(("fault", "harm"), HARMFUL)
def test_a_fault_hurts_while_it_lasts_and_ends(world_of, bad_share, fault: dict[str, object], harm: float) -> None:
    world = world_of(SMALL_SHOP, faults=[{"start_s": 60, "duration_s": 120, **fault}])
    world.advance(480)

    assert bad_share(world, 0, 57) < 0.001
    assert bad_share(world, 60, 180) > harm
    assert bad_share(world, 300, 470) < 0.001
    for deployment in world.services.values():
        assert deployment.ready_replicas == deployment.desired
        assert all(not pod.ailments for pod in deployment.pods)
    assert all(node.ready and node.alive and not node.thieves for node in world.nodes.values())
    (truth,) = world.fault_truths
    assert truth.targets and (truth.start_s, truth.end_s) == (60, 180)


@pytest.mark.parametrize("kind", HARMLESS)
def test_blindness_alone_hurts_nobody(world_of, bad_share, kind: FaultKind) -> None:
    world = world_of(SMALL_SHOP, faults=[{"kind": kind.value, "start_s": 60, "duration_s": 120}])
    world.advance(240)

    assert bad_share(world, 0, 230) < 0.001


def test_every_kind_is_tested() -> None:
    harmful = {str(param.id) for param in HARMFUL}

    assert harmful | {kind.value for kind in HARMLESS} == {kind.value for kind in FaultKind}


def test_controllers_are_told_what_they_cannot_do(world_of) -> None:
    faults = [
        {"kind": "metrics_outage", "start_s": 10, "duration_s": 10},
        {"kind": "metrics_delay", "start_s": 30, "duration_s": 20, "ramp_s": 10, "magnitude": 60},
        {"kind": "api_outage", "start_s": 60, "duration_s": 10},
        {"kind": "controller_crash", "start_s": 80, "duration_s": 10},
    ]
    world = world_of(SMALL_SHOP, faults=faults)
    answers = {}
    for t in (5, 15, 35, 45, 65, 85, 95):
        world.advance(t)
        answers[t] = (
            world.metrics_available(),
            world.metrics_extra_lag_s(),
            world.api_available(),
            world.controller_alive(),
        )

    assert answers == {
        5: (True, 0, True, True),
        15: (False, 0, True, True),
        35: (True, 30, True, True),  # half-way up the ramp
        45: (True, 60, True, True),
        65: (True, 0, False, True),
        85: (True, 0, True, False),
        95: (True, 0, True, True),
    }


def test_a_fault_of_some_pods_is_gone_with_them(world_of) -> None:
    burst = {"kind": "error_burst", "service": "pay", "start_s": 10, "duration_s": 400, "pods": 1, "magnitude": 1.0}
    world = world_of(SMALL_SHOP, faults=[burst])
    world.advance(20)
    (sick,) = [pod for pod in world.services["pay"].pods if pod.ailments]
    assert world.fault_truths[0].targets == ("pay", sick.name)
    world.evict(sick)
    world.advance(100)

    assert all(not pod.ailments for pod in world.services["pay"].pods)


def test_a_fault_of_a_service_hits_its_new_pods_too(world_of) -> None:
    burst = {"kind": "error_burst", "service": "pay", "start_s": 10, "duration_s": 400, "magnitude": 1.0}
    world = world_of(SMALL_SHOP, faults=[burst])
    world.advance(20)
    world.scale("pay", 4)
    world.advance(60)

    assert all(pod.ailments["fault/0"].error_ratio == 1.0 for pod in world.services["pay"].pods)
    assert len(world.fault_truths[0].targets) == 5  # the service and its four pods


def test_a_leak_begins_anew_in_a_new_container(world_of) -> None:
    leak = {"kind": "memory_leak", "service": "pay", "start_s": 0, "duration_s": 400, "magnitude": 60}
    world = world_of(SMALL_SHOP, faults=[leak])
    world.advance(60)
    # 160 and 60 ± 20 % after a minute
    assert all(208 <= pod.memory_mib <= 232 for pod in world.services["pay"].pods)
    world.scale("pay", 3)
    world.advance(90)

    youngest = max(world.services["pay"].pods, key=lambda pod: pod.created_s)
    assert youngest.memory_mib < 160 + 72 * 0.5 + 1


def test_a_container_short_of_memory_is_slow_before_it_dies(world_of) -> None:
    leak = {"kind": "memory_leak", "service": "web", "start_s": 0, "duration_s": 400, "magnitude": 100}
    world = world_of(SMALL_SHOP, faults=[leak])
    pod = world.services["web"].pods[0]

    def busy_s_per_request(seconds: float) -> float:
        counters = world.engine.pods
        busy_s, requests = counters.cpu_s[pod.slot], counters.requests[pod.slot]
        world.advance(world.now_s + seconds)
        return float((counters.cpu_s[pod.slot] - busy_s) / (counters.requests[pod.slot] - requests))

    at_ease_s = busy_s_per_request(60)
    while pod.memory_mib < 0.94 * pod.spec.memory_limit_mib:
        world.advance(world.now_s + 1.0)
    under_pressure_s = busy_s_per_request(10)

    # 60 % of the way from 0.85 to the limit: speed 1 - 0.6 × 0.6 = 0.64, and less from then on
    assert pod.restarts == 0
    assert under_pressure_s > 1.3 * at_ease_s


def test_pods_leak_at_rates_of_their_own(world_of) -> None:
    leak = {"kind": "memory_leak", "service": "web", "start_s": 0, "duration_s": 400, "magnitude": 60}
    world = world_of(SMALL_SHOP, faults=[leak])
    world.advance(60)

    assert len({round(pod.memory_mib) for pod in world.services["web"].pods}) >= 3


def test_a_ramp_reaches_its_magnitude_and_the_victims_hang_on_the_seed(world_of) -> None:
    creep = {
        "kind": "latency_creep",
        "service": "web",
        "start_s": 0,
        "duration_s": 100,
        "ramp_s": 50,
        "pods": 1,
        "magnitude": 1.0,
    }
    victims = set()
    for seed in range(8):
        world = world_of(SMALL_SHOP, faults=[{**creep, "seed": seed}])
        world.advance(25)
        (pod,) = [pod for pod in world.services["web"].pods if pod.ailments]
        assert pod.ailments["fault/0"].extra_wait_s == pytest.approx(0.5, abs=0.025)
        world.advance(60)
        assert pod.ailments["fault/0"].extra_wait_s == 1.0
        victims.add(pod.name)

    assert len(victims) > 1


def test_flawed_pods_of_a_rollout_crash_again_and_again(world_of) -> None:
    loop = {"kind": "crash_loop", "service": "web", "start_s": 0, "duration_s": 250, "magnitude": 0.5}
    world = world_of(SMALL_SHOP, faults=[loop])
    world.advance(240)
    web = world.services["web"]
    flawed = [pod for pod in web.pods if pod.flawed]

    assert len(flawed) == pytest.approx(0.5 * len(web.pods), abs=1)
    assert all(pod.restarts >= 2 for pod in flawed)
    assert all(pod.restarts == 0 for pod in web.pods if not pod.flawed)
    assert set(world.fault_truths[0].targets) >= {"web", *(pod.name for pod in flawed)}


def test_two_faults_on_one_pod_add_up(world_of) -> None:
    slow = {"kind": "slow_dependency", "service": "pay", "start_s": 0, "duration_s": 100, "magnitude": 0.2}
    world = world_of(SMALL_SHOP, faults=[slow, {**slow, "duration_s": 50}])
    pod = world.services["pay"].pods[0]
    world.advance(20)
    both = world.engine.pods.latency_sum_s[pod.slot] / world.engine.pods.requests[pod.slot]
    assert sum(a.extra_wait_s for a in pod.ailments.values()) == pytest.approx(0.4)
    world.advance(60)
    assert sum(a.extra_wait_s for a in pod.ailments.values()) == pytest.approx(0.2)
    assert both > 0.05


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        pytest.param({"kind": "disk_fill", "service": "web"}, "needs a database; there are ['db']", id="no-database"),
        pytest.param({"kind": "pool_creep", "service": "web"}, "'web' has no connection pool", id="no-pool"),
        pytest.param({"kind": "node_loss", "node": "node-z-1"}, "no node 'node-z-1'", id="no-such-node"),
    ],
)
def test_a_fault_that_could_do_nothing_is_refused(fault: dict[str, object], message: str) -> None:
    raw = {"name": "t", **yaml.safe_load(SMALL_SHOP), "faults": [{"start_s": 1, **fault}]}

    with pytest.raises(ScenarioInvalid) as refused:
        parse_scenario(yaml.safe_dump(raw), "t.yaml")

    assert message in str(refused.value) and "faults.0" in str(refused.value)


def test_burnt_cpu_shows_in_what_a_pod_uses(world_of) -> None:
    # 60 requests/s of 10 ms on four pods: 0.15 cores each, and 0.6 of its one core burn in one of them.
    world = world_of(
        SMALL_SHOP,
        faults=[{"kind": "cpu_burn", "service": "web", "pods": 1, "magnitude": 0.6, "start_s": 60, "duration_s": 200}],
    )
    world.advance(100)
    before_s = world.usage.cpu_s(world.now_s)
    world.advance(160)
    used_cores = (world.usage.cpu_s(world.now_s) - before_s) / 60.0

    cores = sorted(used_cores[pod.slot] for pod in world.services["web"].pods)

    assert cores[:3] == pytest.approx([0.15] * 3, abs=0.03)
    assert cores[3] == pytest.approx(0.75, abs=0.03)
