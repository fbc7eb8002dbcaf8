"""Two whole replicas, election, loop, checkpoint and hands, on one fake API server and clocks of their own."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import api_objects
import pytest
from fake_api import FakeApi, Request
from kubernetes import client
from small_world import START_S, WEB, SmallShop, make_loop, policies

from foresail.actuators.api import Api
from foresail.actuators.live_cluster import LiveCluster
from foresail.actuators.settings import ActuatorSettings
from foresail.actuators.targets import LiveDirectory
from foresail.checkpoint import CheckpointStore
from foresail.lead import Lead, Periods
from foresail.leadership.election import Election, Timing
from foresail.leadership.lease import KubernetesLease
from foresail.runner import Clocks, Runner
from foresail.tick_report import TakeOver, TickReport
from policies.model import Mode, Observation, PolicySet

NAMESPACE = "foresail"
SHOP_HPA = ("horizontalpodautoscalers", "shop", "web")


@dataclass
class Time:
    now_s: float = START_S


@dataclass
class Replica:
    """Its wall clock is right, which nothing rests on; its steady clock began when it likes."""

    api: FakeApi
    time: Time
    name: str
    boot_s: float
    declared: PolicySet = field(default_factory=lambda: policies(Mode.ENFORCE, WEB))
    alive: bool = True
    terms: list[TakeOver] = field(default_factory=list)
    reports: list[TickReport] = field(default_factory=list)

    def __post_init__(self) -> None:
        made = self.api.client()
        clocks = Clocks(steady=lambda: self.time.now_s + self.boot_s, wall=lambda: self.time.now_s)
        lease = KubernetesLease(client.CoordinationV1Api(made), NAMESPACE, "foresail", timeout_s=3.0)
        self.election = Election(lease, self.name, Timing(), clocks.steady, clocks.wall)
        fence = self.election.fence
        settings = ActuatorSettings(NAMESPACE, self.name, api_timeout_s=5.0)
        self.cluster = LiveCluster(made, LiveDirectory(Api(made, fence)), fence, settings)
        store = CheckpointStore(client.CoreV1Api(made), NAMESPACE, fence, timeout_s=5.0)
        self.shop = SmallShop()
        self.runner = Runner(
            lambda epoch: Lead(make_loop, self, self.cluster, store, Periods(), epoch, self.cluster.settle),
            self,
            self,
            self,
            [self],
            clocks,
        )

    def observe(self, now_s: float) -> Observation:
        """The shop, with the floor that stands in the cluster."""
        seen = self.shop.observe(now_s)
        floor = self.api.get(*SHOP_HPA)["spec"].get("minReplicas", 1)
        return replace(seen, workloads=(replace(seen.workloads[0], hpa_min=floor), *seen.workloads[1:]))

    def observe_fast(self, now_s: float) -> object:
        return self.shop.observe_fast(now_s)

    def policies(self, now_s: float) -> PolicySet:
        return self.declared

    @property
    def leads(self) -> bool:
        return self.election.leads

    @property
    def epoch(self) -> int:
        return self.election.fence.epoch

    def ticked(self, report: TickReport) -> None:
        self.reports.append(report)

    def took_over(self, event: TakeOver) -> None:
        self.terms.append(event)


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def cluster(fake_api: FakeApi) -> FakeApi:
    fake_api.put(api_objects.deployment())
    fake_api.put(api_objects.hpa(least=1, most=50))
    return fake_api


@pytest.fixture
def first(cluster: FakeApi, time: Time) -> Replica:
    return Replica(cluster, time, "first", boot_s=1e5)


@pytest.fixture
def second(cluster: FakeApi, time: Time) -> Replica:
    return Replica(cluster, time, "second", boot_s=7.0)


def run(time: Time, seconds: float, *replicas: Replica) -> None:
    """Each second the loops step; every second second the elections do."""
    for _ in range(round(seconds)):
        time.now_s += 1.0
        for replica in replicas:
            if round(time.now_s) % 2 == 0:
                replica.election.step()
            replica.runner.step()


def writes_to_the_shop(api: FakeApi) -> list[Request]:
    return [write for write in api.writes if "/namespaces/shop/" in write.path]


def test_the_leader_raises_the_floor_and_the_follower_does_nothing(
    cluster: FakeApi, first: Replica, second: Replica, time: Time
) -> None:
    run(time, 20.0, first, second)

    assert cluster.get(*SHOP_HPA)["spec"]["minReplicas"] == 9
    assert len(first.reports) == 2 and second.reports == []
    assert second.shop.looks > 0


def test_a_dead_leaders_successor_goes_on_from_its_checkpoint_within_the_lease_time(
    cluster: FakeApi, first: Replica, second: Replica, time: Time
) -> None:
    run(time, 20.0, first, second)
    before = len(writes_to_the_shop(cluster))

    died_at_s = time.now_s
    run(time, 19.0, second)

    assert second.leads and second.terms[0].epoch == 2 and second.terms[0].checkpoint_at_s is not None
    # A lease of 15 s and a look every 2 s.
    assert second.terms[0].at_s - died_at_s <= 17.0
    assert second.reports[0].at_s == second.terms[0].at_s
    # It knows the floor for its own kind's: what it writes is a renewal, not a second raise.
    state = second.reports[0].memory.scaling[WEB].floor
    assert (state.written, state.original) == (9, 1)
    assert cluster.get(*SHOP_HPA)["spec"]["minReplicas"] == 9
    assert len(writes_to_the_shop(cluster)) - before <= 2


def test_a_stopped_leader_hands_over_within_three_seconds(
    cluster: FakeApi, first: Replica, second: Replica, time: Time
) -> None:
    run(time, 20.0, first, second)

    first.runner.stop()
    first.runner.run()
    first.election.release()
    stopped_at_s = time.now_s
    run(time, 3.0, second)

    assert second.reports[0].at_s - stopped_at_s <= 3.0
    assert second.terms[0].checkpoint_at_s == stopped_at_s


def test_a_leader_that_was_stopped_for_a_minute_writes_nothing_when_it_wakes(
    cluster: FakeApi, first: Replica, second: Replica, time: Time
) -> None:
    run(time, 20.0, first, second)
    run(time, 60.0, second)
    assert second.leads
    written = len(cluster.writes)

    # It wakes in the middle of what it did: its loop steps before its election knows anything.
    first.shop.web_rps = 200.0
    first.runner.step()
    first.runner.step()

    assert len(cluster.writes) == written
    assert not first.election.fence.may_write(0.0)


def test_a_leader_cut_off_from_the_api_server_writes_nothing_more_and_the_other_acts(
    cluster: FakeApi, first: Replica, second: Replica, time: Time
) -> None:
    run(time, 20.0, first, second)
    cluster.fail(500, match="leases")
    run(time, 9.0, first)
    cluster.heal()
    run(time, 10.0, second)
    epochs = set()

    for _ in range(60):
        run(time, 1.0, first, second)
        epochs |= {replica.epoch for replica in (first, second) if replica.election.fence.may_write(0.0)}
        assert not (first.election.fence.may_write(0.0) and second.election.fence.may_write(0.0))

    assert len(epochs) == 1


def test_a_damaged_checkpoint_does_not_keep_the_successor_from_leading(
    cluster: FakeApi, first: Replica, second: Replica, time: Time
) -> None:
    run(time, 20.0, first, second)
    cluster.change("configmaps", NAMESPACE, "foresail-checkpoint-0", lambda row: row["data"].update(part="AAAA"))

    run(time, 19.0, second)

    assert second.terms[0].problem == "its checksum does not match"
    assert second.reports[0].memory.ticks == 1
    assert cluster.get(*SHOP_HPA)["spec"]["minReplicas"] == 9


def test_after_an_outage_of_the_api_server_the_same_leader_resumes(
    cluster: FakeApi, first: Replica, time: Time
) -> None:
    run(time, 20.0, first)
    cluster.fail(503, match="/apis/coordination.k8s.io")
    cluster.fail(503, match="configmaps")
    run(time, 30.0, first)
    assert not first.leads

    cluster.heal()
    run(time, 4.0, first)

    assert first.leads and [term.epoch for term in first.terms] == [1, 2]
    assert first.terms[1].problem is None
