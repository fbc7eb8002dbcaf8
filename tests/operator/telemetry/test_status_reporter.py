"""Statuses of policies: made after ticks, written to a fake API server."""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from api_objects import deployment
from fake_api import FakeApi
from small_world import START_S, WEB, SmallShop, make_loop, policies

from foresail.actuators.api import Api, OpenFence
from foresail.declared import Declared
from foresail.lead import Lead, Periods
from foresail.objects.object_state import ObjectState, Records, joined
from foresail.objects.parsing import deployment as parsed
from foresail.policy_store import PolicyStore
from foresail.resources.problems import PolicyName
from foresail.status_reporter import StatusPoster, StatusReporter
from foresail.tick_report import TickReport
from policies.model import Mode

NAME = PolicyName("shop", "shop")
POLICY: dict[str, Any] = {
    "apiVersion": "foresail.dev/v1alpha1",
    "kind": "ResiliencePolicy",
    "metadata": {"name": "shop", "namespace": "shop", "uid": "uid-shop", "generation": 1},
    "spec": {
        "mode": "Enforce",
        "targets": [{"name": "web", "role": "Entry", "workload": {"kind": "Deployment", "name": "web"}}],
        "metrics": {"preset": "otel-http"},
    },
}


class NoShelf:
    def read(self) -> None: ...

    def write(self, value: object, now_s: float) -> bool:
        return True


class Objects:
    def state(self) -> ObjectState:
        record = parsed(deployment("web"))
        assert record is not None
        return joined(Records(deployments={record.meta.key: record}))


@pytest.fixture
def store() -> PolicyStore:
    store = PolicyStore()
    store.listed(store.listing(), [POLICY])
    return store


@pytest.fixture
def poster(fake_api: FakeApi) -> Iterator[StatusPoster]:
    fake_api.put(POLICY)
    made = StatusPoster(Api(fake_api.client(), OpenFence(), timeout_s=2.0))
    made.start()
    yield made
    made.stop(5.0)


@pytest.fixture
def reporter(store: PolicyStore, poster: StatusPoster) -> StatusReporter:
    return StatusReporter(store, Declared(store, Objects(), lambda: False), poster)


@pytest.fixture
def lead() -> Lead:
    shop = SmallShop()
    return Lead(make_loop, shop, shop, NoShelf(), Periods(), 1)  # type: ignore[arg-type]


def tick(lead: Lead, at_s: float = 0.0) -> TickReport:
    return lead.tick(policies(Mode.ENFORCE, WEB), START_S + at_s)


def until(holds: Callable[[], object]) -> None:
    ends_at_s = time.monotonic() + 10.0
    while not holds():
        assert time.monotonic() < ends_at_s, "it never came to hold"
        time.sleep(0.01)


def standing(api: FakeApi) -> dict[str, Any]:
    return dict(api.get("resiliencepolicies", "shop", "shop").get("status") or {})


def test_a_tick_is_shown_in_the_status(
    fake_api: FakeApi, reporter: StatusReporter, poster: StatusPoster, lead: Lead
) -> None:
    reporter.ticked(tick(lead))
    until(lambda: poster.written(NAME))

    shown = standing(fake_api)
    assert shown["mode"]["inForce"] == "Enforce" and shown["workloads"] == 1
    assert shown["floors"][0]["written"] == 9 and shown["floor"] == "web 1→9"
    assert shown["decisions"][0]["acts"] == ["SetFloor shop/web 9"]
    assert {one["type"]: one["status"] for one in shown["conditions"]}["Ready"] == "True"


def test_an_act_that_was_refused_is_not_said_to_be_done(
    fake_api: FakeApi, reporter: StatusReporter, poster: StatusPoster, lead: Lead
) -> None:
    report = tick(lead)
    decision = report.decisions[0]
    reporter.ticked(replace(report, refused=tuple((decision.id, action) for action in decision.actions)))
    until(lambda: poster.written(NAME))

    told = standing(fake_api)["decisions"][0]
    assert told["acts"] == []
    assert told["explanation"].startswith("Left shop/web as it is")


def test_what_says_nothing_new_is_not_written(
    fake_api: FakeApi, reporter: StatusReporter, poster: StatusPoster, lead: Lead
) -> None:
    report = tick(lead)
    reporter.ticked(report)
    until(lambda: poster.written(NAME))

    reporter.ticked(report)
    poster.stop(5.0)

    assert len(fake_api.writes) == 1


def test_a_successor_goes_on_from_the_status_that_stands(
    fake_api: FakeApi, store: PolicyStore, reporter: StatusReporter, poster: StatusPoster, lead: Lead
) -> None:
    report = tick(lead)
    reporter.ticked(report)
    until(lambda: poster.written(NAME))
    store.put(fake_api.get("resiliencepolicies", "shop", "shop"))
    poster.forget()

    reporter.ticked(report)
    poster.stop(5.0)

    assert len(fake_api.writes) == 1


def test_a_status_that_was_not_written_is_offered_again(
    fake_api: FakeApi, reporter: StatusReporter, poster: StatusPoster, lead: Lead, caplog: pytest.LogCaptureFixture
) -> None:
    fake_api.forbid("patch", "resiliencepolicies/status")
    with caplog.at_level(logging.WARNING):
        report = tick(lead)
        reporter.ticked(report)
        until(lambda: "status_not_written" in caplog.messages)

    fake_api.heal()
    reporter.ticked(report)

    until(lambda: poster.written(NAME))


def test_a_policy_that_was_made_anew_is_not_told_of_the_old_one(
    fake_api: FakeApi, reporter: StatusReporter, lead: Lead, caplog: pytest.LogCaptureFixture
) -> None:
    made_anew = copy.deepcopy(POLICY)
    made_anew["metadata"]["uid"] = "uid-other"
    fake_api.put(made_anew)

    reporter.ticked(tick(lead))

    until(lambda: "status_not_written" in caplog.messages)
    assert standing(fake_api) == {}


def test_fast_ticks_are_told_with_the_next_slow_one(
    fake_api: FakeApi, reporter: StatusReporter, poster: StatusPoster, lead: Lead
) -> None:
    report = tick(lead)

    reporter.ticked(replace(report, fast=True))
    reporter.ticked(replace(report, decisions=()))
    until(lambda: poster.written(NAME))

    assert len(standing(fake_api)["decisions"]) == 1
