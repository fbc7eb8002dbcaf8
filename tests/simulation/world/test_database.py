from __future__ import annotations

import pytest

STORE = """
topology:
  nodes: [{zone: a, count: 1, cpu: 8}, {zone: b, count: 1, cpu: 8}]
  services:
    - {name: web, replicas: 2, pool_size: 30}
    - name: postgres
      kind: store
      replicas: 2
      concurrency: 100
      cpu_limit: 2
      threads: 2
      startup: {image_pull_s: 2, cached_pull_s: 1, time_s: 5, spread: 0}
      readiness: {period_s: 2}
      liveness: null
      database: {synchronous: true, switchover_s: 4, lease_ttl_s: 30, promote_s: 6, checkpoint_spread: 0}
  operations:
    - {name: web.buy, cpu_ms: 2, calls: [{to: postgres.commit, timeout_s: 2, pool: true}]}
    - {name: postgres.commit, cpu_ms: 2, commits: true}
  classes: [{name: buy, share: 1, operation: web.buy, order: true}]
load: {rps: 20, roughness: 0}
"""
ASYNC = STORE.replace("synchronous: true", "synchronous: false")
LOSS = {"kind": "primary_loss", "service": "postgres", "start_s": 10, "duration_s": 120}


def orders_lost(world) -> int:
    orders = world.engine.orders
    return int((orders.acked & (orders.commits == 0)).sum())


def test_only_the_primary_serves_and_the_standby_follows(world_of) -> None:
    world = world_of(STORE)
    world.advance(60)
    database = world.databases["postgres"]
    primary, standby = database.members

    assert (database.primary, database.sync, database.lag_s) == (primary.name, (standby.name,), 0.0)
    assert world.engine.pods.requests[primary.slot] > 0
    assert world.engine.pods.requests[standby.slot] == 0


def test_a_lost_primary_is_replaced_when_its_lease_has_lapsed(world_of, bad_share) -> None:
    world = world_of(STORE, faults=[LOSS])
    database = world.databases["postgres"]
    world.advance(35.9)  # the lease lapses 20 to 30 s after the loss, the promotion takes 6
    assert database.primary == "postgres-0"
    world.advance(46.1)
    assert (database.primary, database.failovers) == ("postgres-1", 1)
    world.advance(100)
    assert bad_share(world, 15, 35) == 1.0
    assert bad_share(world, 50, 99) == 0.0

    world.advance(160)
    assert database.primary == "postgres-1" and database.sync == ("postgres-0",)


def test_a_synchronous_standby_has_every_acknowledged_order(world_of) -> None:
    world = world_of(STORE, faults=[LOSS])
    world.advance(290)

    assert world.databases["postgres"].failovers == 1
    assert orders_lost(world) == 0
    assert world.engine.orders.acked.sum() > 3000


def test_an_asynchronous_standby_lacks_the_last_orders(world_of) -> None:
    # a lag of 10 s at 20 orders a second: about 200
    lag = {"kind": "replication_lag", "service": "postgres", "start_s": 0, "duration_s": 100, "magnitude": 10}
    world = world_of(ASYNC, faults=[lag, LOSS])
    world.advance(290)

    assert orders_lost(world) == pytest.approx(200, abs=60)


def test_a_standby_that_lags_leaves_the_synchronous_set(world_of) -> None:
    lag = {
        "kind": "replication_lag",
        "service": "postgres",
        "start_s": 0,
        "duration_s": 200,
        "ramp_s": 60,
        "magnitude": 30,
    }
    world = world_of(STORE, faults=[lag])
    database = world.databases["postgres"]
    primary = database.members[0]
    world.advance(4.5)  # 2 s behind: commits wait for it
    assert database.sync == ("postgres-1",)
    assert primary.ailments["lag/postgres"].extra_wait_s == pytest.approx(2.0)
    world.advance(30)  # 15 s behind: dropped, commits are quick and not safe
    assert database.sync == () and database.lag_s == pytest.approx(15.2, abs=0.6)
    assert "lag/postgres" not in primary.ailments
    assert not world.switch_over("postgres", "postgres-1")

    world.advance(210)
    assert database.sync == ("postgres-1",) and database.lag_s == 0.0


def test_a_planned_switchover_stops_writes_for_its_gap_only(world_of, bad_share) -> None:
    world = world_of(STORE)
    database = world.databases["postgres"]
    world.advance(10)
    assert world.switch_over("postgres", "postgres-1")
    assert database.switching and not world.switch_over("postgres", "postgres-1")
    world.advance(13.9)
    assert database.switching
    world.advance(14.1)
    assert (database.switching, database.primary) == (False, "postgres-1")
    world.advance(60)

    assert bad_share(world, 11, 13) == 1.0
    assert bad_share(world, 15, 59) == 0.0
    assert database.sync == ("postgres-0",)
    assert orders_lost(world) == 0


def test_only_a_healthy_standby_may_take_over(world_of) -> None:
    world = world_of(STORE, faults=[{"kind": "zone_loss", "zone": "b", "start_s": 0, "duration_s": 100}])
    world.advance(20)

    assert not world.switch_over("postgres", "postgres-1")
    assert not world.switch_over("postgres", "postgres-0")
    assert not world.switch_over("postgres", "nobody")


def test_a_lost_standby_stalls_commits_for_one_look_of_patroni(world_of, bad_share) -> None:
    world = world_of(STORE, faults=[{"kind": "zone_loss", "zone": "b", "start_s": 10, "duration_s": 200}])
    world.advance(10.5)
    primary = world.databases["postgres"].members[0]
    assert 0 < primary.ailments["stall/postgres"].extra_wait_s <= 10
    world.advance(21)
    assert "stall/postgres" not in primary.ailments


def test_a_crashed_primary_that_is_back_before_its_lease_lapses_stays_primary(world_of) -> None:
    crash = {"kind": "pod_crash", "service": "postgres", "start_s": 10, "duration_s": 1}
    worlds = [world_of(STORE, seed=seed, faults=[crash]) for seed in range(4)]
    for world in worlds:
        world.advance(120)

    # container after 1 s, listening 5 s later: within the 20 s that a lease lasts at least
    assert {world.databases["postgres"].primary for world in worlds} == {"postgres-0"}
    assert all(world.databases["postgres"].failovers == 0 for world in worlds)


def test_a_full_disk_fails_every_write_until_a_switchover(world_of, bad_share) -> None:
    # 6,144 of 20,480 MiB used; 12,000 a minute fill the rest in 71.7 s
    fill = {"kind": "disk_fill", "service": "postgres", "start_s": 0, "duration_s": 250, "magnitude": 12_000}
    world = world_of(STORE, faults=[fill])
    database = world.databases["postgres"]
    world.advance(60)
    assert database.disk_of("postgres-0") == pytest.approx(6144 + 12_000, abs=250)
    assert database.disk_of("postgres-1") == pytest.approx(6144, abs=10)
    assert bad_share(world, 0, 59) == 0.0
    world.advance(100)
    assert database.disk_used_mib == 20_480
    assert bad_share(world, 75, 99) == 1.0

    assert world.switch_over("postgres", "postgres-1")
    world.advance(150)
    assert bad_share(world, 110, 149) == 0.0
    world.advance(260)
    assert database.disk_of("postgres-0") < 6200


def test_a_store_waits_for_its_node(world_of) -> None:
    world = world_of(
        STORE, duration_s=700, faults=[{"kind": "zone_loss", "zone": "b", "start_s": 10, "duration_s": 500}]
    )
    world.advance(450)
    assert [(pod.name, pod.zone) for pod in world.services["postgres"].pods] == [
        ("postgres-0", "a"),
        ("postgres-1", "b"),
    ]
    assert {pod.zone for pod in world.services["web"].owned} == {"a"}

    world.advance(560)
    assert world.services["postgres"].ready_replicas == 2
    assert world.databases["postgres"].sync == ("postgres-1",)


def test_an_evicted_store_pod_comes_back_under_its_name(world_of) -> None:
    world = world_of(STORE)
    world.advance(0)
    standby = world.databases["postgres"].members[1]
    assert world.evict(standby)
    world.advance(60)

    members = world.databases["postgres"].members
    assert [pod.name for pod in members] == ["postgres-0", "postgres-1"]
    assert members[1] is not standby and members[1].ready
