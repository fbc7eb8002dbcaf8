"""The thread that keeps an election going."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from fake_api import FakeApi
from kubernetes import client

from foresail.leadership.election import Election, Timing
from foresail.leadership.keeper import LeaderKeeper, steady_clock
from foresail.leadership.lease import KubernetesLease


def keeper(api: FakeApi, name: str, on_change: Callable[[bool], None] = lambda leads: None) -> LeaderKeeper:
    lease = KubernetesLease(client.CoordinationV1Api(api.client()), "foresail", "foresail", timeout_s=2.0)
    timing = Timing(duration_s=3.0, renew_deadline_s=2.0, retry_s=0.05)
    return LeaderKeeper(Election(lease, name, timing, steady_clock, time.time), timing.retry_s, on_change)


def test_it_takes_the_lease_tells_and_gives_it_back(fake_api: FakeApi) -> None:
    told: list[bool] = []
    leads = threading.Event()

    def note(now: bool) -> None:
        told.append(now)
        leads.set()

    kept = keeper(fake_api, "a", note)

    kept.start()
    assert leads.wait(5.0)
    assert kept.leads and kept.epoch == 1 and kept.holder == "a"
    kept.release(5.0)

    assert told == [True, False] and not kept.fence.may_write(0.0)
    assert not fake_api.get("leases", "foresail", "foresail")["spec"].get("holderIdentity")


def test_an_abandoned_lease_is_left_to_run_out(fake_api: FakeApi) -> None:
    leads = threading.Event()
    kept = keeper(fake_api, "a", lambda now: leads.set())
    kept.start()
    assert leads.wait(5.0)

    kept.abandon(5.0)

    assert fake_api.get("leases", "foresail", "foresail")["spec"]["holderIdentity"] == "a"
    assert not kept.fence.may_write(0.0)


def test_an_error_that_nobody_foresaw_is_logged_and_tried_again(
    fake_api: FakeApi, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    leads = threading.Event()
    kept = keeper(fake_api, "a", lambda now: leads.set())
    step, failed = Election.step, threading.Event()

    def first_fails(election: Election) -> None:
        if not failed.is_set():
            failed.set()
            raise RuntimeError("surprise")
        step(election)

    monkeypatch.setattr(Election, "step", first_fails)
    kept.start()

    assert leads.wait(5.0)
    kept.release(5.0)
    assert "election_step_failed" in caplog.messages


def test_the_steady_clock_goes_forward() -> None:
    assert steady_clock() <= steady_clock()
