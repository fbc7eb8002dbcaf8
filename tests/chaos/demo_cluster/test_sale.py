"""The demo's sale: what visitors do is what the policy is told."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from chaos.demo_cluster.sale import RAMP_S, Sale, with_event
from foresail.resources.policy_resource import read_policy

BEGIN = datetime(2026, 11, 27, 8, 0, tzinfo=UTC)
SALE = Sale(rps=10.0, multiplier=3.0, notice_s=90.0, lasts_s=120.0, after_s=60.0)


def test_visitors_come_three_times_as_often_in_the_sale_and_not_before_or_after():
    before, during, after = SALE.shape(seed=1).rates_rps()(np.array([60.0, 150.0, 260.0]))

    assert before == pytest.approx(10.0)
    assert during == pytest.approx(30.0)
    assert after == pytest.approx(10.0)


def test_the_event_begins_when_the_visitors_come():
    event = SALE.event(BEGIN)

    assert datetime.fromisoformat(event["start"]) == BEGIN + timedelta(seconds=90.0)
    assert (event["durationSeconds"], event["rampSeconds"], event["multiplier"]) == (120, RAMP_S, 3.0)


def test_a_policy_takes_the_event():
    targets = [{"name": "web", "workload": {"name": "web"}}]
    body = {"apiVersion": "foresail.dev/v1alpha1", "kind": "ResiliencePolicy", "metadata": {"name": "shop"}}

    found = read_policy(body | {"spec": {"targets": targets, "events": [SALE.event(BEGIN)]}})

    assert found.problems == ()
    assert found.spec is not None and found.spec.events[0].multiplier == 3.0


def test_events_declared_before_stay_and_the_oldest_go():
    old = [{"name": f"sale-{number}"} for number in range(12)]

    events = with_event(old, {"name": "sale-new"})

    assert [event["name"] for event in events][-2:] == ["sale-11", "sale-new"]
    assert len(events) < len(old)


def test_the_same_event_is_declared_once():
    assert with_event([{"name": "a", "multiplier": 2}], {"name": "a", "multiplier": 3}) == [
        {"name": "a", "multiplier": 3}
    ]


@pytest.mark.parametrize(
    ("elapsed_s", "phase"),
    [
        pytest.param(30.0, "sale in 60 s", id="before"),
        pytest.param(100.0, "sale, 110 s left", id="during"),
        pytest.param(230.0, "after it", id="after"),
    ],
)
def test_people_are_told_where_in_the_run_they_are(elapsed_s, phase):
    assert SALE.phase(elapsed_s) == phase
