"""Acts on the simulated cluster take effect, are refused when they must be, and go back by themselves."""

from __future__ import annotations

import pytest

from policies.decision import (
    Action,
    Decision,
    DetachPod,
    EvictPod,
    ReattachPod,
    RestoreZone,
    SetBrownout,
    SetFloor,
    SetScale,
    SetTraffic,
    SetWeights,
    ShiftZone,
)
from policies.model import Mode
from simulation.cluster.pods import Pod
from simulation.controllers.actuation import SimulatedCluster
from simulation.controllers.floors import Floors
from simulation.controllers.run_log import RunLog
from simulation.scenario import Fault, FaultKind, Scenario
from simulation.world import World

DECISION = Decision("d-1", 0.0, "gateway", Mode.ENFORCE, (), ())


class Bench:
    """A calm world with our hands on it."""

    def __init__(self, scenario: Scenario) -> None:
        self.world = World(scenario, seed=4)
        self.floors = Floors()
        self.log = RunLog()
        self.cluster = SimulatedCluster(self.world, self.floors, self.log)
        self.world.advance(0.0)

    def do(self, action: Action) -> bool:
        return self.cluster.apply(action, DECISION, self.world.now_s)

    def settle_at(self, at_s: float) -> None:
        self.world.advance(at_s)
        self.cluster.settle(at_s)

    def pods(self, service: str = "gateway") -> list[Pod]:
        return list(self.world.services[service].pods)

    def acts(self) -> list[tuple[str, str, bool]]:
        return [(act.kind, act.target, act.disruptive) for act in self.log.acts]


@pytest.fixture
def bench(small_shop: Scenario) -> Bench:
    return Bench(small_shop.model_copy(update={"faults": ()}))


def test_floor_stands_and_is_one_act_however_often_it_is_renewed(bench: Bench) -> None:
    assert bench.do(SetFloor("gateway", 4, 300.0))
    assert bench.do(SetFloor("gateway", 4, 600.0))

    assert bench.floors.minimum("gateway", 2) == 4
    assert bench.acts() == [("SetFloor", "gateway", False)]
    assert not bench.log.refusals


def test_what_the_cluster_does_not_take_is_noted(bench: Bench) -> None:
    assert not bench.do(EvictPod("gateway", "gateway-99"))

    assert bench.log.refusals == {("d-1", "EvictPod")}
    assert bench.acts() == []


def test_scale_without_an_hpa_goes_back_one_pod_a_minute_after_its_expiry(bench: Bench) -> None:
    bench.do(SetScale("catalog", 4, 60.0))
    assert bench.world.services["catalog"].desired == 4

    bench.settle_at(60.0)
    assert bench.world.services["catalog"].desired == 3
    bench.settle_at(120.0)
    assert bench.world.services["catalog"].desired == 2

    assert [(r.before, r.after, r.by) for r in bench.log.resizes] == [(2, 4, "floor"), (4, 3, "floor"), (3, 2, "floor")]


def test_drained_pod_comes_back_at_its_expiry(bench: Bench) -> None:
    pod = bench.pods()[0]
    assert bench.do(SetTraffic("gateway", pod.name, on=False, expires_at_s=50.0))
    assert not pod.traffic_on
    assert bench.cluster.outstanding

    bench.settle_at(49.0)
    assert not pod.traffic_on
    bench.settle_at(50.0)

    assert pod.traffic_on
    assert not bench.cluster.outstanding
    assert bench.acts() == [("SetTraffic", pod.name, True)]


def test_drained_pod_comes_back_when_told(bench: Bench) -> None:
    pod = bench.pods()[0]
    bench.do(SetTraffic("gateway", pod.name, on=False, expires_at_s=500.0))

    assert bench.do(SetTraffic("gateway", pod.name, on=True))

    assert pod.traffic_on
    assert bench.acts()[1] == ("SetTraffic", pod.name, False)  # an undo disrupts nothing


def test_replacement_is_one_disruptive_act_from_detaching_to_eviction(bench: Bench) -> None:
    pod = bench.pods()[0]

    assert bench.do(DetachPod("gateway", pod.name, 600.0))
    bench.world.advance(40.0)
    assert len(bench.pods()) == 3  # the ReplicaSet made another one
    assert bench.do(SetTraffic("gateway", pod.name, on=False, expires_at_s=600.0))
    assert bench.do(EvictPod("gateway", pod.name))
    bench.world.advance(100.0)

    assert pod.name not in [other.name for other in bench.pods()]
    assert [disruptive for _, _, disruptive in bench.acts()] == [True, False, False]


def test_detached_pod_goes_back_to_its_replica_set_at_the_deadline(bench: Bench) -> None:
    pod = bench.pods()[0]
    bench.do(DetachPod("gateway", pod.name, 30.0))

    bench.settle_at(30.0)

    assert not pod.detached


def test_detaching_can_be_undone(bench: Bench) -> None:
    pod = bench.pods()[0]
    bench.do(DetachPod("gateway", pod.name, 600.0))

    assert bench.do(ReattachPod("gateway", pod.name))

    assert not pod.detached
    assert not bench.cluster.outstanding


def test_shifted_zone_gets_no_traffic_and_no_new_pods_until_it_is_restored(bench: Bench) -> None:
    assert bench.do(ShiftZone("a", ("gateway", "catalog"), 300.0))
    bench.world.scale("gateway", 6)
    bench.settle_at(60.0)

    in_zone = [pod for service in ("gateway", "catalog") for pod in bench.pods(service) if pod.zone == "a"]
    assert in_zone and not any(pod.traffic_on for pod in in_zone)
    assert sum(pod.zone == "b" for pod in bench.pods()) == 5  # of six, one was in the zone before
    assert all(node.cordoned == (node.zone == "a") for node in bench.world.nodes.values())

    assert bench.do(RestoreZone("a", ("gateway", "catalog")))
    assert all(pod.traffic_on for pod in in_zone)
    assert not any(node.cordoned for node in bench.world.nodes.values())


def test_zone_shift_expires(bench: Bench) -> None:
    bench.do(ShiftZone("a", ("gateway",), 30.0))

    bench.settle_at(30.0)

    assert all(pod.traffic_on for pod in bench.pods())
    assert not any(node.cordoned for node in bench.world.nodes.values())
    assert not bench.cluster.outstanding


def test_brownout_is_an_act_when_it_dims_and_lifts_at_its_expiry(bench: Bench) -> None:
    bench.do(SetBrownout("gateway", 0.5, 30.0))
    bench.do(SetBrownout("gateway", 0.5, 60.0))
    bench.do(SetBrownout("gateway", 0.2, 60.0))
    bench.do(SetBrownout("gateway", 0.8, 60.0))
    bench.settle_at(59.0)
    assert bench.cluster.outstanding

    bench.settle_at(60.0)

    assert not bench.cluster.outstanding
    assert [disruptive for _, _, disruptive in bench.acts()] == [True, True, False]


def test_weights_expire_to_equal(bench: Bench) -> None:
    pod = bench.pods()[0]
    bench.do(SetWeights("gateway", {pod.name: 0.25}, 30.0))
    assert bench.world.services["gateway"].weights == {pod.name: 0.25}

    bench.settle_at(30.0)

    assert bench.world.services["gateway"].weights == {}


def test_nothing_is_written_while_the_api_server_is_away(small_shop: Scenario) -> None:
    outage = Fault(kind=FaultKind.API_OUTAGE, start_s=10, duration_s=60)
    bench = Bench(small_shop.model_copy(update={"faults": (outage,)}))
    pod = bench.pods()[0]
    bench.do(SetTraffic("gateway", pod.name, on=False, expires_at_s=20.0))
    bench.world.advance(15.0)

    assert not bench.do(SetFloor("gateway", 5, 300.0))
    bench.settle_at(30.0)
    assert not pod.traffic_on  # neither is anything taken back
    bench.settle_at(75.0)

    assert pod.traffic_on
    assert bench.floors.minimum("gateway", 2) == 2


def test_acts_on_pods_that_are_gone_are_refused(bench: Bench) -> None:
    assert not bench.do(SetTraffic("gateway", "gateway-gone", on=False, expires_at_s=60.0))
    assert not bench.do(EvictPod("gateway", "gateway-gone"))
    assert not bench.do(DetachPod("gateway", "gateway-gone", 60.0))
    assert not bench.do(RestoreZone("a", ("gateway",)))
    assert bench.acts() == []


def test_memory_is_checkpointed_before_anything_is_written(bench: Bench) -> None:
    seen: list[tuple[float, int]] = []
    bench.cluster.before_write = lambda now_s: seen.append((now_s, bench.floors.minimum("gateway", 2)))

    bench.do(SetFloor("gateway", 5, 300.0))

    assert seen == [(0.0, 2)]
