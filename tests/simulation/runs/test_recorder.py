"""What the recorder takes down, against what the world was told to do."""

from __future__ import annotations

import numpy as np
import pytest

from simulation.arms import arm_settings
from simulation.result import RunResult
from simulation.run import run
from simulation.scenario import Scenario
from simulation.wiring import own_pods


@pytest.fixture(scope="module")
def still(small_shop: Scenario) -> RunResult:
    """Thirty requests/s on fixed pods."""
    services = tuple(s.model_copy(update={"hpa": None}) for s in small_shop.topology.services)
    scenario = small_shop.model_copy(
        update={
            "faults": (),
            "load": small_shop.load.model_copy(update={"knots": (), "roughness": 0.0}),
            "topology": small_shop.topology.model_copy(update={"services": services}),
        }
    )
    return run(scenario, "hpa-default", seed=8)


def test_fixed_pods_cost_what_they_are(still: RunResult) -> None:
    assert still.pod_hours == pytest.approx(4 * 240 / 3600)
    assert (still.services.replicas_desired == 2).all()
    assert (still.services.replicas_ready == 2).all()
    assert not still.resizes


def test_a_control_loop_costs_its_own_two_small_pods(small_shop: Scenario) -> None:
    """0.1 cores each where pods of the shop ask for 0.6: a third of a pod."""
    assert own_pods(arm_settings("foresail"), small_shop.topology) == pytest.approx(1 / 3)
    assert own_pods(arm_settings("kpa"), small_shop.topology) == pytest.approx(1 / 6)
    assert own_pods(arm_settings("hpa-tuned"), small_shop.topology) == 0.0


def test_utilization_is_cpu_used_over_cpu_requested(still: RunResult) -> None:
    """30 requests/s of 20 ms are 0.6 cores of the 1.2 requested at the gateway; probes add a little."""
    assert np.nanmean(still.services.cpu_utilization[0]) == pytest.approx(0.5, rel=0.1)


def test_offered_rates_follow_the_call_graph(still: RunResult) -> None:
    gateway, catalog = still.services.offered_rps.mean(axis=1)

    assert gateway == pytest.approx(still.client.arrived.sum() / 240, rel=0.01)
    assert catalog / gateway == pytest.approx(1.5, rel=0.05)
    assert still.actual_demand_rps.shape == (2, 16)
    assert still.actual_demand_rps[0, 3] == pytest.approx(still.services.offered_rps[0, 45:60].mean())


def test_latencies_lie_in_order_and_near_the_work(still: RunResult) -> None:
    """A gateway request takes 20 ms of its own and calls that take some 20 ms more, without much queueing."""
    p50, p99 = still.services.p50_ms[0], still.services.p99_ms[0]

    assert (p50 <= p99).all()
    assert 20 < np.median(p50) < 80


def test_equal_pods_share_load_almost_evenly(still: RunResult) -> None:
    """Random choice between two pods of 450 requests in a bin: Jain's index is 1 less a thousandth or so."""
    assert still.jain_index.shape == (2, 8)
    assert np.nanmin(still.jain_index) > 0.98
    assert np.nanmax(still.jain_index) <= 1.0 + 1e-12


def test_histogram_holds_every_good_answer(still: RunResult) -> None:
    assert still.client.latency_histogram.sum() >= still.client.ok.sum()
    assert still.client.latency_histogram.shape == (240, 64)
    assert still.client.bucket_edges_s.shape == (65,)
