"""From created to gone: scheduling, start-up, probes, crashes, memory and graceful ends."""

from __future__ import annotations

import pytest

from simulation.cluster.pods import Pod, Stage
from simulation.world import World

ONE = """
topology:
  nodes: [{zone: a, count: 1, cpu: 8}]
  services:
    - name: web
      cpu_ms: 10
      replicas: 1
      startup: {image_pull_s: 8, cached_pull_s: 1, time_s: 15, spread: 0, cpu_cores: 0.5}
load: {rps: 5, roughness: 0}
"""


def pods(world: World, service: str = "web") -> list[Pod]:
    return list(world.services[service].pods)


def youngest(world: World, service: str = "web") -> Pod:
    return max(pods(world, service), key=lambda pod: (pod.created_s, pod.ordinal))


def test_a_world_begins_with_its_replicas_ready(world_of) -> None:
    world = world_of(ONE)

    (pod,) = pods(world)

    assert world.now_s == -60
    assert (pod.phase, pod.ready, pod.created_s, pod.ready_changed_s) == ("Running", True, -60, -60)


def test_a_new_pod_takes_reaction_scheduling_pull_and_start_and_a_probe(world_of) -> None:
    world = world_of(ONE)
    world.advance(0)
    world.scale("web", 2)

    # controller 0.1 + scheduler 0.2 + cached image 1 + start 15 = 16.3; a probe every 10 s finds it by 26.3
    world.advance(1.29)
    pod = youngest(world)
    assert (pod.phase, pod.created_s, pod.started_s) == ("Pending", pytest.approx(0.1), pytest.approx(0.3))
    world.advance(16.29)
    assert (pod.phase, pod.stage, pod.ready) == ("Running", Stage.STARTING, False)
    world.advance(16.31)
    assert (pod.stage, pod.ready) == (Stage.SERVING, False)
    world.advance(26.4)
    assert pod.ready


def test_a_new_pod_gets_requests_only_after_its_endpoint_has_spread(world_of) -> None:
    world = world_of(ONE)
    world.advance(0)
    world.scale("web", 2)
    while not youngest(world).ready or len(pods(world)) < 2:
        world.advance(world.now_s + 0.05)
    pod = youngest(world)

    world.advance(pod.ready_changed_s + 0.49)
    assert world.engine.pods.requests[pod.slot] == 0
    world.advance(pod.ready_changed_s + 5.0)
    assert world.engine.pods.requests[pod.slot] > 0


def test_the_first_pod_on_a_node_pulls_its_image(world_of) -> None:
    world = world_of(ONE.replace("count: 1", "count: 2"))
    world.advance(0)
    world.scale("web", 2)
    world.advance(30)

    # 0.3 + 8 instead of 0.3 + 1
    assert youngest(world).container_started_s == pytest.approx(8.3)


def test_starting_up_uses_cpu(world_of) -> None:
    world = world_of(ONE)
    world.advance(0)
    world.scale("web", 2)
    world.advance(11.3)

    # container since 1.3, 10 s × 0.5 cores
    assert world.cpu_used_s()[youngest(world).slot] == pytest.approx(5.0, abs=0.01)


def test_idle_work_is_used_cpu_and_leaves_less_for_requests(world_of) -> None:
    # 40 requests/s of 10 ms on one pod: 0.4 of its 0.5 cores. Another 0.2 for idle work, and they pile up.
    busy = ONE.replace("rps: 5", "rps: 40").replace("cpu_ms: 10", "cpu_ms: 10\n      cpu_limit: 0.5")
    light, heavy = world_of(busy), world_of(busy.replace("cpu_ms: 10", "cpu_ms: 10\n      cpu_idle: 0.2"))
    for world in (light, heavy):
        world.advance(60)

    used_s = [world.cpu_used_s()[pods(world)[0].slot] for world in (light, heavy)]
    waiting = [int(world.engine.pods.in_progress[pods(world)[0].slot]) for world in (light, heavy)]

    # Over 120 s: Poisson arrivals, 0.4 ± 0.01 cores; then all that the limit allows.
    assert used_s == pytest.approx([0.4 * 120, 0.5 * 120], rel=0.06)
    assert waiting[0] < 20 < waiting[1]


def test_cold_pods_are_slow_at_first(world_of) -> None:
    cold = ONE.replace("cpu_cores: 0.5", "cpu_cores: 0.5, warm_up_s: 20, cold_speed: 0.5")
    world = world_of(cold)
    world.advance(0)
    world.scale("web", 2)
    world.advance(16.4)
    assert youngest(world).warmth == 0.5
    world.advance(26.4)
    assert youngest(world).warmth == pytest.approx(0.75)
    world.advance(37)
    assert youngest(world).warmth == pytest.approx(1.0)


def test_a_pod_that_fits_nowhere_waits_until_there_is_room(world_of) -> None:
    full = ONE.replace("cpu: 8", "cpu: 1").replace(
        "    - name: web", "    - {name: other, replicas: 1, cpu_ms: 1}\n    - name: web"
    )
    world = world_of(full)  # 1 core holds one pod of each at 0.5
    world.advance(0)
    assert world.room_for("web") == 0
    world.scale("web", 2)
    world.advance(30)
    waiting = youngest(world)
    assert (waiting.phase, waiting.node, waiting.slot) == ("Pending", None, None)

    world.scale("other", 0)
    world.advance(90)

    assert waiting.node is not None and waiting.ready


@pytest.mark.parametrize(
    ("crashes_s", "container_started_s"),
    [
        pytest.param([10], 11.0, id="first-restart-at-once"),
        pytest.param([10, 50], 61.0, id="second-after-10-s"),
        pytest.param([10, 50, 100], 121.0, id="third-after-20-s"),
        pytest.param([10, 50, 700], 701.0, id="forgotten-after-10-min"),
    ],
)
def test_crash_back_off(world_of, crashes_s: list[float], container_started_s: float) -> None:
    crashes = [{"kind": "pod_crash", "service": "web", "start_s": t, "duration_s": 1} for t in crashes_s]
    world = world_of(ONE, duration_s=900, faults=crashes)

    world.advance(800)

    (pod,) = pods(world)
    assert pod.restarts == len(crashes_s)
    assert pod.container_started_s == pytest.approx(container_started_s)


def test_a_crash_takes_the_pod_out_at_once_and_back_after_its_start(world_of) -> None:
    crash = {"kind": "pod_crash", "service": "web", "start_s": 10, "duration_s": 1}
    world = world_of(ONE, faults=[crash])
    world.advance(12)
    (pod,) = pods(world)
    assert not pod.ready and pod.ready_changed_s == 10

    world.advance(40)  # container 11, listens 26, probe by 36
    assert pod.ready
    assert world.fault_truths[0].targets == ("web", pod.name)


def test_memory_above_the_limit_kills_the_container_and_frees_it(world_of) -> None:
    # 160 MiB and 60 more a minute ± 20 %: above 200 after 33 to 50 s
    leak = {"kind": "memory_leak", "service": "web", "start_s": 0, "duration_s": 200, "magnitude": 60}
    world = world_of(ONE.replace("cpu_ms: 10", "cpu_ms: 10\n      memory_limit_mib: 200"), faults=[leak])
    (pod,) = pods(world)
    world.advance(30)
    assert 184 <= pod.memory_mib <= 200
    world.advance(52)

    assert pod.restarts == 1
    assert pod.memory_mib < 175


def test_memory_grows_with_requests_in_progress(world_of) -> None:
    hungry = ONE.replace("cpu_ms: 10", "cpu_ms: 10\n      memory_per_request_mib: 5\n      liveness: null")
    world = world_of(hungry, load={"rps": 200, "roughness": 0})
    (pod,) = pods(world)
    world.advance(-1)

    # 200/s onto 100/s: 64 in progress and some of 128 waiting, at 5 MiB each above 160; 512 is the limit
    assert pod.restarts > 0 or pod.memory_mib > 400


def test_a_pod_that_leaves_finishes_its_work_first(world_of) -> None:
    world = world_of(ONE.replace("replicas: 1", "replicas: 3"), load={"rps": 150, "roughness": 0})
    world.advance(0)
    world.scale("web", 2)
    world.advance(120)

    assert len(pods(world)) == 2
    assert world.engine.clients.failed.sum() == 0


def test_work_that_outlasts_the_grace_is_lost(world_of) -> None:
    slow = """
topology:
  nodes: [{zone: a, count: 1, cpu: 8}]
  services: [{name: web, replicas: 2, pre_stop_s: 2, termination_grace_s: 10, concurrency: 500}]
  operations: [{name: web.report, cpu_ms: 1, wait_ms: 60000}]
  classes: [{name: report, share: 1, operation: web.report, patience_s: 1000, slo_s: 1000}]
load: {rps: 2, roughness: 0}
"""
    world = world_of(slow, warm_up_s=30)
    world.advance(0)
    leaving = pods(world)[1]
    world.scale("web", 1)
    world.advance(5)
    doomed = int(world.engine.pods.in_progress[leaving.slot])
    assert doomed > 10 and world.engine.accounting().clients.failed == 0

    world.advance(11)  # deleted at 0.1, killed 10 s later

    assert leaving.stage is Stage.GONE
    assert world.engine.accounting().clients.failed >= doomed - 5


def test_slots_are_used_again(world_of) -> None:
    world = world_of(ONE, duration_s=4000)
    for minute in range(30):
        world.advance(minute * 120)
        world.scale("web", 3 if minute % 2 else 1)
    world.advance(3900)

    used = [pod.slot for pod in pods(world)]
    assert len(set(used)) == len(used) <= 3
    assert max(used) < 8


def test_overload_fails_readiness_in_turns(world_of) -> None:
    """Two pods of 20 requests/s each, 150 s old, are stepped from 10 to 45 under the default probes."""
    step = """
topology:
  services: [{name: web, cpu_ms: 50, cpu_limit: 1, replicas: 2}]
load: {rps: 10, knots: [[0, 1.0], [0, 4.5]], roughness: 0}
"""
    world = world_of(step, warm_up_s=150)
    world.advance(0)
    first, second = pods(world)
    assert first.ready_changed_s == second.ready_changed_s == -150
    turned: dict[str, set[float]] = {first.name: set(), second.name: set()}
    fewest = 2
    for second_s in range(1, 300):
        world.advance(second_s)
        for pod in (first, second):
            turned[pod.name].add(pod.ready_changed_s)
        fewest = min(fewest, sum(pod.endpoint for pod in (first, second)))

    assert all(len(changes) >= 5 for changes in turned.values())
    assert fewest == 0
    clients = world.engine.clients
    span = slice(40 - clients.first_s, 160 - clients.first_s)
    good = clients.ok[0, span].sum() - clients.slow[0, span].sum()
    assert good / clients.arrived[0, span].sum() < 0.35


def test_liveness_restarts_a_pod_that_does_not_answer(world_of) -> None:
    world = world_of(ONE, load={"rps": 400, "roughness": 0})
    world.advance(200)

    assert pods(world)[0].restarts > 0
