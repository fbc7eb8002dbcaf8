import pytest

from chaos.experiments.injecting.injections import Injections
from chaos.experiments.injecting.registry import INJECTABLE, abilities
from chaos.experiments.injecting.stage import Verbs
from chaos.experiments.injecting.undoing import perform
from chaos.experiments.live_plan import PlannedFault
from chaos.experiments.problems import InjectionFailed, VerbFailed
from chaos.experiments.rollback import Undo
from simulation.scenario import CROWDS, Fault, FaultKind

LEAK = {"kind": "memory_leak", "service": "catalog", "magnitude": 20, "seed": 3}


# -- pods ----------------------------------------------------------------------------------------------------------


def test_as_many_pods_crash_as_asked_for_and_the_same_ones_under_the_same_seed(cluster, injected):
    cluster.add("gateway", *"abcdef")

    hit = [injected(kind="pod_crash", service="gateway", pods=2, seed=7) for _ in range(2)]
    for one in hit:
        one.inject(60.0)

    assert hit[0].targets == hit[1].targets
    assert len(hit[0].targets) == 3  # the service and two pods
    assert len(cluster.log) == 4


def test_pods_that_serve_are_hit_before_pods_that_do_not(cluster, injected):
    cluster.add("gateway", *"abcde", ready=False)
    cluster.add("gateway", "serving")

    crash = injected(kind="pod_crash", service="gateway")
    crash.inject(60.0)

    assert cluster.log == ["begin pod_crash serving"]


def test_a_crash_whose_answer_was_lost_is_asked_for_again_only_where_the_process_did_not_get_it(cluster, injected):
    cluster.add("gateway", "a", "b")
    crash = injected(kind="pod_crash", service="gateway", pods=2)
    cluster.says_no = {"begin"}
    with pytest.raises(VerbFailed):
        crash.inject(60.0)
    [asked] = set(crash.targets) - {"gateway"}
    cluster.says_no = set()

    cluster.restart(asked)  # it had got it
    crash.inject(61.0)

    [other] = {"a", "b"} - {asked}
    assert cluster.log == [f"begin pod_crash {other}"]


def test_a_crash_that_nobody_got_is_asked_for_again(cluster, injected):
    cluster.add("gateway", "a")
    crash = injected(kind="pod_crash", service="gateway")
    cluster.says_no = {"begin"}
    with pytest.raises(VerbFailed):
        crash.inject(60.0)
    cluster.says_no = set()

    crash.inject(61.0)

    assert cluster.log == ["begin pod_crash a"]


def test_pods_in_a_crash_loop_die_again_after_they_lived_a_while(cluster, injected):
    cluster.add("gateway", "a", "b")
    loop = injected(kind="crash_loop", service="gateway", magnitude=0.5)  # one of two
    loop.inject(60.0)
    [victim] = set(loop.targets) - {"gateway"}

    loop.advance(61.0)
    assert len(cluster.log) == 1  # not started again yet
    cluster.restart(victim)
    loop.advance(62.0)
    loop.advance(66.0)
    assert len(cluster.log) == 1  # lives for 5 s
    loop.advance(67.0)

    assert cluster.log == [f"begin pod_crash {victim}"] * 2


def test_a_crash_loop_leaves_the_others_alone(cluster, injected):
    cluster.add("gateway", "a", "b", "c", "d")
    loop = injected(kind="crash_loop", service="gateway", magnitude=0.5)

    loop.inject(60.0)

    assert len(cluster.log) == 2


# -- faults of the shop's endpoint ----------------------------------------------------------------------------------


def test_every_pod_of_the_service_leaks_at_a_rate_of_its_own(cluster, injected):
    cluster.add("catalog", "a", "b", "c")

    injected(**LEAK).inject(60.0)

    rates = {fault.magnitude for fault in cluster.faults.values()}
    assert len(rates) == 3
    assert all(16.0 <= rate <= 24.0 for rate in rates)  # 20 within a fifth


def test_pods_that_come_later_fall_ill_too_for_what_is_left(cluster, injected):
    cluster.add("catalog", "a")
    leak = injected(**LEAK)
    leak.inject(60.0)
    cluster.add("catalog", "b")

    leak.advance(100.0)

    assert cluster.faults["a", "memory_leak"].duration_s == 120.0
    assert cluster.faults["b", "memory_leak"].duration_s == 80.0
    assert leak.targets == ("catalog", "a", "b")


def test_a_process_that_started_again_falls_ill_again(cluster, injected):
    cluster.add("catalog", "a")
    leak = injected(**LEAK)
    leak.inject(60.0)
    leak.advance(61.0)
    cluster.restart("a")

    leak.advance(62.0)

    assert cluster.log == ["begin memory_leak a"] * 2


def test_with_a_number_of_pods_replacements_stay_healthy(cluster, injected):
    cluster.add("catalog", "a", "b")
    leak = injected(**LEAK, pods=1)
    leak.inject(60.0)
    cluster.add("catalog", "c")

    leak.advance(61.0)

    assert len(cluster.faults) == 1


def test_who_joins_in_the_middle_of_a_ramp_climbs_what_is_left_of_it(cluster, injected):
    cluster.add("catalog", "a")
    burst = injected(kind="error_burst", service="catalog", ramp_s=60)
    burst.inject(60.0)
    cluster.add("catalog", "b")

    burst.advance(100.0)

    assert cluster.faults["a", "error_burst"].ramp_s == 60.0
    assert cluster.faults["b", "error_burst"].ramp_s == 20.0  # the ramp ends at 120


def test_a_creep_begins_with_its_process(cluster, injected):
    cluster.add("catalog", "a")
    creep = injected(kind="latency_creep", service="catalog", ramp_s=60)
    creep.inject(60.0)
    cluster.add("catalog", "b")

    creep.advance(100.0)

    assert cluster.faults["b", "latency_creep"].ramp_s == 60.0


def test_a_process_that_does_not_answer_is_tried_again(cluster, injected):
    cluster.add("catalog", "a")
    leak = injected(**LEAK)
    leak.inject(60.0)
    cluster.add("catalog", "b")
    cluster.says_no = {"answer"}
    leak.advance(61.0)
    assert len(cluster.faults) == 1

    cluster.says_no = set()
    leak.advance(62.0)

    assert len(cluster.faults) == 2


def test_a_lost_cache_is_the_catalogues(cluster, injected):
    cluster.add("catalog", "a")

    loss = injected(kind="cache_loss", service="redis")
    loss.inject(60.0)

    assert cluster.log == ["begin cache_loss a"]
    assert loss.targets == ("redis", "catalog", "a")


def test_undoing_ends_the_fault_on_every_pod_and_can_be_repeated(cluster, injected):
    cluster.add("catalog", "a", "b")
    leak = injected(**LEAK)
    leak.inject(60.0)

    leak.undo()
    leak.undo()

    assert cluster.faults == {}
    assert cluster.log[2:] == ["end memory_leak b", "end memory_leak a"]


# -- machines, stores, control plane ---------------------------------------------------------------------------------


def test_the_node_with_most_pods_of_the_service_is_lost(cluster, injected):
    cluster.add("gateway", "a", node="node-1")
    cluster.add("gateway", "b", "c", node="node-2")
    loss = injected(kind="node_loss", service="gateway")

    loss.inject(60.0)
    loss.undo()

    assert cluster.log == ["kill_node node-2", "start_node node-2"]
    assert loss.targets == ("gateway", "node-2", "b", "c")


def test_a_node_of_the_topology_is_the_clusters_that_stands_for_it(cluster, injected):
    loss = injected(kind="node_loss", node="node-a-2")

    loss.inject(60.0)

    assert cluster.log == ["kill_node node-3"]


def test_a_node_that_was_chosen_stays_chosen_when_the_kill_is_tried_again(cluster, injected):
    cluster.add("gateway", "a", node="node-1")
    loss = injected(kind="node_loss")
    cluster.says_no = {"kill_node"}
    with pytest.raises(VerbFailed):
        loss.inject(60.0)
    cluster.says_no = set()
    cluster.add("gateway", *"bcdef", node="node-2")

    loss.inject(61.0)

    assert cluster.log == ["kill_node node-1"]


@pytest.mark.parametrize(
    ("kind", "done"),
    [
        ("zone_loss", ["kill_zone zone-b", "start_zone zone-b"]),
        ("zone_cut", ["cut_zone zone-b", "heal_zone zone-b"]),
    ],
)
def test_a_zone_is_lost_or_cut_and_comes_back(cluster, injected, kind, done):
    cluster.add("gateway", "a", node="node-2")
    cluster.add("gateway", "b", node="node-1")
    fault = injected(kind=kind, zone="b")

    fault.inject(60.0)
    fault.undo()

    assert cluster.log == done
    assert fault.targets == ("b", "zone-b", "node-2", "a", "gateway")


def test_the_pod_that_takes_writes_is_killed(cluster, injected):
    loss = injected(kind="primary_loss", service="postgres")

    loss.inject(60.0)
    loss.undo()

    assert cluster.log == ["kill shop-postgres-1"]
    assert loss.targets == ("postgres", "shop-postgres-1")


def test_without_a_primary_there_is_none_to_kill(cluster, injected):
    cluster.leader = None

    with pytest.raises(VerbFailed, match="no primary"):
        injected(kind="primary_loss", service="postgres").inject(60.0)


@pytest.mark.parametrize("kind", ["metrics_outage", "api_outage", "controller_crash"])
def test_parts_of_the_control_plane_go_off_and_on(cluster, injected, kind):
    fault = injected(kind=kind)

    fault.inject(60.0)
    fault.undo()

    assert cluster.log == [f"off {kind}", f"on {kind}"]


def test_a_promise_stands_before_the_act(cluster, injected, rollback):
    cluster.says_no = {"kill_zone"}

    with pytest.raises(VerbFailed):
        injected(kind="zone_loss", zone="b").inject(60.0)

    assert rollback.unwind() == (Undo("start_zone", "zone-b"),)


# -- registry and undo -----------------------------------------------------------------------------------------------


def test_a_whole_cluster_is_able_to_make_every_fault_that_has_an_injector(cluster):
    assert abilities(cluster.verbs) == INJECTABLE


def test_a_cluster_with_pods_only_can_make_none(cluster):
    assert abilities(Verbs(pods=cluster)) == frozenset()


def test_no_crowd_is_injected():
    assert not INJECTABLE & CROWDS


def test_an_undo_of_another_cluster_is_refused(cluster):
    with pytest.raises(VerbFailed, match="nothing that could start node node-1"):
        perform(Undo("start_node", "node-1"), Verbs(pods=cluster))


# -- the run of all injections ----------------------------------------------------------------------------------------


@pytest.fixture
def injections(injected):
    def made(told, **fault):
        planned = PlannedFault(0, Fault(start_s=60, duration_s=120, **fault))
        return Injections([planned], lambda p: injected(**fault), lambda at_s, what: told.append((at_s, what)))

    return made


def test_a_fault_begins_and_ends_at_its_time(cluster, injections):
    told = []
    run = injections(told, kind="metrics_outage")

    for now_s in (59.0, 60.2, 120.0, 180.1, 181.0):
        run.step(now_s)

    assert cluster.log == ["off metrics_outage", "on metrics_outage"]
    [record] = run.records()
    assert (record.began_s, record.ended_s) == (60.2, 180.1)
    assert [at_s for at_s, _ in told] == [60.2, 180.1]


def test_a_fault_that_cannot_be_begun_is_tried_for_ten_seconds_and_then_fails_the_run(cluster, injections):
    run = injections([], kind="metrics_outage")
    cluster.says_no = {"off"}
    run.step(60.0)
    run.step(69.0)

    with pytest.raises(InjectionFailed, match=r"faults\.0 \(metrics_outage\)"):
        run.step(70.0)


def test_an_undo_that_fails_is_tried_with_the_next_step(cluster, injections):
    run = injections([], kind="metrics_outage")
    run.step(60.0)
    cluster.says_no = {"on"}
    run.step(180.0)
    assert run.records()[0].ended_s is None

    cluster.says_no = set()
    run.step(181.0)

    assert run.records()[0].ended_s == 181.0


def test_the_level_is_the_scenarios(injected):
    creep = injected(kind=FaultKind.LATENCY_CREEP, service="catalog", ramp_s=60)

    assert [creep.level(t_s) for t_s in (59.0, 90.0, 150.0, 180.0)] == [0.0, 0.5, 1.0, 0.0]
