"""Elections of two replicas on a fake API server, with clocks of their own that agree on nothing but the second."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from fake_api import FakeApi
from kubernetes import client

from foresail.leadership.election import Election, Timing
from foresail.leadership.lease import KubernetesLease

LEASE = ("leases", "foresail", "foresail")


@dataclass
class Time:
    """True time; each machine shows it with an offset of its own."""

    true_s: float = 0.0

    def pass_s(self, seconds: float) -> None:
        self.true_s += seconds


@dataclass
class Replica:
    api: FakeApi
    time: Time
    name: str
    boot_s: float
    wall_error_s: float
    election: Election = field(init=False)

    def __post_init__(self) -> None:
        lease = KubernetesLease(client.CoordinationV1Api(self.api.client()), "foresail", "foresail", timeout_s=5.0)
        self.election = Election(
            lease,
            self.name,
            Timing(),
            monotonic=lambda: self.time.true_s + self.boot_s,
            wall=lambda: 1.8e9 + self.time.true_s + self.wall_error_s,
        )

    @property
    def leads(self) -> bool:
        return self.election.leads

    def may_write(self, timeout_s: float = 5.0) -> bool:
        return self.election.fence.may_write(timeout_s)


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def first(fake_api: FakeApi, time: Time) -> Replica:
    return Replica(fake_api, time, "first", boot_s=1e6, wall_error_s=0.0)


@pytest.fixture
def second(fake_api: FakeApi, time: Time) -> Replica:
    """Its wall clock is an hour ahead: it would take any Lease for run out."""
    return Replica(fake_api, time, "second", boot_s=3.0, wall_error_s=3600.0)


def run(time: Time, seconds: float, *replicas: Replica) -> None:
    """Steps every replica each two seconds."""
    for _ in range(round(seconds / 2.0)):
        time.pass_s(2.0)
        for replica in replicas:
            replica.election.step()


def test_the_first_to_ask_leads_and_the_other_does_not(first: Replica, second: Replica, time: Time) -> None:
    run(time, 60.0, first, second)

    assert first.leads and first.may_write()
    assert not second.leads and not second.may_write()
    assert second.election.holder == "first"


def test_a_successor_leads_within_the_lease_time_when_the_leader_dies(
    first: Replica, second: Replica, time: Time
) -> None:
    run(time, 10.0, first, second)

    run(time, 14.0, second)
    assert not second.leads
    run(time, 4.0, second)

    # Seen to change at 10 s, so free at 25 s, found free at the step of 26 s.
    assert second.leads and second.election.fence.epoch == 2


def test_never_do_two_replicas_have_an_open_fence(
    fake_api: FakeApi, first: Replica, second: Replica, time: Time
) -> None:
    run(time, 4.0, first, second)
    both = []
    for _ in range(300):
        time.pass_s(0.1)
        second.election.step()
        both.append(first.may_write(0.0) and second.may_write(0.0))

    assert not any(both)
    assert second.leads and not first.may_write(0.0)


def test_a_write_needs_more_lease_time_than_its_request_may_take(first: Replica, time: Time) -> None:
    first.election.step()

    time.pass_s(8.9)
    # 15 s of lease, 1 s of margin: 5.1 s are left.
    assert first.may_write(5.0)
    time.pass_s(0.2)
    assert not first.may_write(5.0)
    assert first.may_write(4.0)


def test_a_leader_that_cannot_renew_stops_to_lead_after_ten_seconds(
    fake_api: FakeApi, first: Replica, time: Time
) -> None:
    first.election.step()
    fake_api.fail(500, match="PUT")

    run(time, 8.0, first)
    assert first.leads
    run(time, 2.0, first)

    assert not first.leads and not first.may_write(0.0)


def test_it_takes_its_own_lease_up_again_when_the_api_server_is_back(
    fake_api: FakeApi, first: Replica, time: Time
) -> None:
    first.election.step()
    fake_api.down()
    run(time, 20.0, first)

    fake_api.up()
    run(time, 2.0, first)

    assert first.leads and first.election.fence.epoch == 2


def test_a_released_lease_is_taken_at_the_next_look(first: Replica, second: Replica, time: Time) -> None:
    run(time, 10.0, first, second)

    first.election.release()
    run(time, 2.0, second)

    assert second.leads
    assert not first.may_write(0.0)


def test_a_follower_releases_nothing(first: Replica, second: Replica, time: Time) -> None:
    run(time, 4.0, first, second)

    second.election.release()
    run(time, 2.0, first)

    assert first.leads


def test_a_renewal_whose_answer_was_lost_loses_nothing(fake_api: FakeApi, first: Replica, time: Time) -> None:
    first.election.step()
    fake_api.fail(500, match="PUT", times=1, after=True)

    run(time, 4.0, first)

    assert first.leads and first.election.fence.epoch == 1


def test_a_label_on_the_lease_is_no_new_leader(fake_api: FakeApi, first: Replica, time: Time) -> None:
    first.election.step()
    fake_api.change(*LEASE, lambda lease: lease["metadata"].update(labels={"team": "sre"}))

    run(time, 2.0, first)

    assert first.leads and first.may_write()


def test_a_leader_whose_lease_was_taken_stops_at_once(fake_api: FakeApi, first: Replica, time: Time) -> None:
    first.election.step()
    fake_api.change(*LEASE, lambda lease: lease["spec"].update(holderIdentity="other", leaseTransitions=9))

    run(time, 2.0, first)

    assert not first.leads and not first.may_write(0.0)
    assert first.election.holder == "other"


def test_a_holder_that_asked_for_longer_is_left_alone_for_longer(fake_api: FakeApi, first: Replica, time: Time) -> None:
    fake_api.put(
        {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": "foresail", "namespace": "foresail"},
            "spec": {"holderIdentity": "revert", "leaseDurationSeconds": 600, "leaseTransitions": 4},
        }
    )

    run(time, 598.0, first)
    assert not first.leads
    run(time, 8.0, first)

    assert first.leads and first.election.fence.epoch == 5


def test_two_that_ask_at_once_do_not_both_get_it(
    fake_api: FakeApi, first: Replica, second: Replica, time: Time
) -> None:
    fake_api.before("POST", second.election.step)

    first.election.step()

    assert second.leads and not first.leads


def test_a_deleted_lease_makes_the_leader_a_candidate_with_a_higher_epoch(
    fake_api: FakeApi, first: Replica, time: Time
) -> None:
    first.election.step()
    fake_api.delete(*LEASE)

    run(time, 2.0, first)
    assert not first.may_write(0.0)
    run(time, 2.0, first)

    assert first.leads and first.election.fence.epoch == 2
