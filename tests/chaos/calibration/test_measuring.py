"""Waits, costs, latencies and their intervals, from rows made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from chaos.calibration.calibrated import calibrated
from chaos.calibration.cpu_cost import cost
from chaos.calibration.draft import Draft
from chaos.calibration.expected import counted, implied
from chaos.calibration.intervals import line, median, quantile, ratio, share
from chaos.calibration.latency import base_latencies_ms
from chaos.calibration.observed import Observed
from chaos.calibration.share_fits import share_fits
from chaos.calibration.unloaded import unloaded_ms
from chaos.calibration.waits import waits
from chaos.experiments.jobs import RunKey
from chaos.experiments.measured.rows import PodRow, ServiceRow, WorkloadRow
from chaos.load.records import Record, Verdict
from simulation.topology import Topology


@pytest.fixture
def rng():
    return np.random.default_rng(1)


def observed(workloads=(), services=(), pods=(), requests=(), faults=(), probes_s=()):
    by_service = {}
    for row in workloads:
        by_service.setdefault(row.service, []).append(row)
    return Observed(RunKey("sale", "hpa-tuned", 1), 0.0, 5.0, by_service, services, pods, requests, probes_s, faults)


def followed(*seconds, faults=(), at_s=None):
    """A web service that was seen each second as (desired, ready) or (desired, ready, pods)."""
    times = range(len(seconds)) if at_s is None else at_s
    return observed(
        [
            WorkloadRow(float(t), "web", row[0], row[1], row[2] if len(row) > 2 else row[1], None)
            for t, row in zip(times, seconds, strict=True)
        ],
        faults=faults,
    )


def test_each_pod_waits_from_when_it_was_wanted_until_as_many_are_ready():
    # The third and fourth are wanted at 1, ready at 3 and 5; the fifth is wanted at 4 and ready at 7.
    run = followed((2, 2), (4, 2), (4, 2), (4, 3), (5, 3), (5, 4), (5, 4), (5, 5))

    found = waits("web", [run], "up")

    assert sorted(found.groups) == [(2.0, 4.0), (3.0,)]
    assert found.unended == 0


def test_a_pod_that_is_no_longer_wanted_is_counted_and_not_timed():
    run = followed((2, 2), (4, 2), (4, 3), (3, 3), (3, 3))

    found = waits("web", [run], "up")

    assert (found.groups, found.unended) == (((1.0,),), 1)


def test_pods_that_are_not_there_by_the_end_are_counted():
    assert waits("web", [followed((2, 2), (4, 2), (4, 3))], "up").unended == 1


def test_when_another_pod_is_missing_nobody_knows_what_comes_for_what():
    # A pod is down when one more is wanted.
    assert waits("web", [followed((2, 2), (2, 1), (3, 1), (3, 2), (3, 3))], "up").count == 0


def test_waits_in_a_fault_and_the_minute_after_are_left_out():
    seconds = ((2, 2), (3, 2), (3, 2), (3, 3))

    assert waits("web", [followed(*seconds, faults=[(-30.0, -20.0)])], "up").count == 0
    assert waits("web", [followed(*seconds, faults=[(-90.0, -70.0)])], "up").count == 1


def test_what_was_under_way_while_nobody_looked_is_not_timed():
    run = followed((2, 2), (3, 2), (3, 3), at_s=(0.0, 1.0, 60.0))

    assert (waits("web", [run], "up").count, waits("web", [run], "up").unended) == (0, 1)


def test_downwards_pods_are_timed_until_they_are_gone():
    run = followed((4, 4, 4), (2, 2, 4), (2, 2, 4), (2, 2, 3), (2, 2, 2))

    assert waits("web", [run], "down").groups == ((2.0, 3.0),)


def test_a_median_needs_enough_values_and_more_than_one_group(rng):
    assert median([(1.0, 2.0, 3.0)], 2, rng).value is None
    assert median([(1.0,), (3.0,)], 3, rng).value is None
    assert median([(1.0, 2.0), (3.0,)], 3, rng).value == 2.0


def test_what_happened_together_is_drawn_together(rng):
    alone = median([(float(v),) for v in range(40)], 2, rng)
    together = median([tuple(float(v) for v in range(20)), tuple(float(v) for v in range(20, 40))], 2, rng)

    assert together.high - together.low > alone.high - alone.low


def test_a_quantile_lies_between_values_whose_ranks_it_may_have():
    found = quantile(np.arange(100.0), 0.5, 50)

    # 50 ± 1.96 × √(100 × 0.5 × 0.5) = 40 to 60 by rank.
    assert (found.value, found.low, found.high) == (49.5, 40.0, 60.0)
    assert quantile(np.arange(49.0), 0.5, 50).value is None


def test_a_share_has_wilsons_interval():
    found = share(20, 100, 50)

    # Wilson's interval of 20 in 100 is 0.133 to 0.289.
    assert (found.value, found.low, found.high) == (0.2, pytest.approx(0.133, abs=5e-4), pytest.approx(0.289, abs=5e-4))


def test_a_line_finds_slope_and_idle_within_their_intervals(rng):
    x = rng.uniform(5.0, 50.0, 200)
    y = 0.02 + 0.01 * x + 0.005 * np.sqrt(x) * rng.standard_normal(200)

    found = line(x, y, 20)

    assert found.slope.low < 0.01 < found.slope.high and found.slope.value == pytest.approx(0.01, rel=0.05)
    assert found.idle.low < 0.02 < found.idle.high


def test_at_one_load_cost_and_idle_cannot_be_told_apart():
    assert line(np.full(50, 7.0), np.full(50, 0.1), 20).slope.value is None


def test_a_ratio_is_of_sums(rng):
    found = ratio(np.array([1.0, 3.0] * 20), np.array([2.0, 4.0] * 20), 20, rng)

    assert found.value == pytest.approx(4.0 / 6.0) and found.low < found.value < found.high


SHOP = Topology.model_validate(
    {
        "services": [{"name": "gateway", "cpu_limit": 0.5, "hop_ms": 1.0}, {"name": "db", "kind": "store"}],
        "operations": [
            {"name": "gateway.browse", "cpu_ms": 10, "distribution": "constant", "calls": [{"to": "db.get"}]},
            {"name": "db.get", "cpu_ms": 4, "distribution": "constant"},
        ],
        "classes": [{"name": "browse", "share": 1, "operation": "gateway.browse"}],
    }
)


def loaded(seconds=700, faults=(), failing=False, cost_s=0.012, idle=0.03):
    """Two gateway pods under a load that rises from 5 to 15 requests/s each, and a database of two members."""
    pods, services, requests = [], [], []
    for at_s in np.arange(5.0, seconds + 1.0, 5.0):
        rate = 5.0 + 10.0 * (at_s - 7.5) / seconds  # over the 15 s before
        pods += [PodRow(at_s, "gateway", pod, rate, idle + cost_s * rate) for pod in ("g-1", "g-2")]
        pods += [PodRow(at_s, "db", "db-0", None, 0.05 + 0.006 * 2 * rate), PodRow(at_s, "db", "db-1", None, 0.01)]
        services.append(ServiceRow(at_s, "gateway", 2 * rate, None, None, None))
        came = round(5.0 * 2 * (5.0 + 10.0 * (at_s - 2.5) / seconds))
        verdict = Verdict.FAILED if failing else Verdict.OK
        due_s = at_s - 5.0 + 5.0 * (np.arange(came) + 0.5) / came
        requests += [Record(due, "front", verdict, 200, latency_ms=40.0) for due in due_s]
    return observed(services=services, pods=pods, requests=requests, faults=faults)


def costs(service, run, rng):
    return cost(SHOP.service(service), [counted(run)], implied(SHOP), rng)


def test_a_request_costs_what_it_adds_and_a_pod_uses_what_is_left(rng):
    found = costs("gateway", loaded(), rng)

    assert (found.line.slope.value, found.line.idle.value) == (pytest.approx(0.012), pytest.approx(0.03))
    # The topology implies 10 ms and one visit a request.
    assert (found.factor.value, found.visits.value) == (pytest.approx(1.2, rel=0.02), pytest.approx(1.0, rel=0.02))


def test_a_store_costs_what_clients_requests_add(rng):
    found = costs("db", loaded(), rng)

    # 6 ms where 4 are implied.
    assert found.factor.value == pytest.approx(1.5, rel=0.02)
    assert found.line.idle.value == pytest.approx(0.06, abs=0.005) and found.pods == 2.0
    assert found.visits is None


@pytest.mark.parametrize(
    "run",
    [
        pytest.param({"seconds": 200}, id="too-short"),
        pytest.param({"faults": [(0.0, 700.0)]}, id="all-in-a-fault"),
        pytest.param({"failing": True}, id="all-failed"),
        pytest.param({"cost_s": 0.1}, id="saturated"),
    ],
)
def test_without_enough_healthy_half_minutes_the_cost_is_unknown(rng, run):
    assert costs("gateway", loaded(**run), rng).line.slope.value is None


def test_latencies_count_in_quiet_seconds_only():
    [(p50, p99)] = base_latencies_ms(SHOP, [loaded(idle=0.08)], by_entry=True).values()

    # A pod is quiet up to 0.4 of its 0.5 cores: 0.08 and 10 requests/s of 0.012, half of the time.
    assert p50.value == p99.value == 40.0
    assert p50.samples == pytest.approx(sum(10 * (5.0 + t / 70.0) for t in range(5, 355, 5)), rel=0.05)


def test_seconds_with_a_service_of_unknown_cpu_are_not_quiet():
    run = loaded()
    without = observed(pods=[row for row in run.pods if row.service != "db"], requests=run.requests)

    assert base_latencies_ms(SHOP, [without], by_entry=True) == {}


def test_an_unloaded_request_takes_work_calls_and_hops(rng):
    # 10 and 4 ms of work, 1 ms to the gateway and back, 0.5 ms to the database and back.
    assert np.median(unloaded_ms(SHOP, "gateway.browse", rng)) == pytest.approx(17.0)


def test_work_beyond_the_quota_waits_for_the_next_period(rng):
    raw = SHOP.model_dump(exclude_unset=True)
    raw["services"] = [{**raw["services"][0], "cpu_request": 0.04, "cpu_limit": 0.04}, raw["services"][1]]

    took_ms = unloaded_ms(Topology.model_validate(raw), "gateway.browse", rng)

    # 4 of 100 ms at once, 4 in the next period, 2 in the third. One that begins when at least 4 ms of the period are
    # left waits for its end, up to 100 ms, 100 ms more, and works 2 ms: 102 to 202, and 7 ms of calls and hops. The
    # others work on in the next period.
    assert took_ms.max() == pytest.approx(202.0 + 7.0, abs=0.5)
    assert np.median(took_ms) == pytest.approx(152.0 + 7.0, abs=4.0)


def test_a_wait_makes_the_simulated_median_the_measured_one():
    found = calibrated(SHOP, [loaded()])

    # Work becomes 12 ms and 6 ms, hops stay 3 ms: 19 of the 40 ms are missing at the median of an exponential wait.
    by_name = {fit.parameter: fit for fit in found.fits}
    wait = by_name["operations.gateway.browse.wait_ms"]
    assert wait.used and wait.measured.value == pytest.approx(19.0 / np.log(2.0), rel=0.05)


def test_what_pods_use_idle_is_taken_less_their_probes():
    found = calibrated(SHOP, [loaded()])

    # 0.5 ms each 10 s for readiness and the same for liveness are 0.0001 cores.
    assert found.topology.service("gateway").cpu_idle == pytest.approx(0.03 - 0.0001, abs=1e-4)
    # Both members of the database together use 0.06.
    assert found.topology.service("db").cpu_idle == pytest.approx(0.03, abs=0.003)


def test_without_any_rows_nothing_is_known_and_nothing_changes():
    found = calibrated(SHOP, [observed()])

    assert found.used == () and found.topology == SHOP


def test_shares_are_taken_all_or_none():
    raw = SHOP.model_dump(exclude_unset=True)
    raw["operations"] = [*raw["operations"], {"name": "gateway.search", "cpu_ms": 5}]
    raw["classes"] = [*raw["classes"], {"name": "search", "share": 1, "operation": "gateway.search"}]
    draft = Draft(Topology.model_validate(raw))

    fits = list(share_fits(draft, [loaded()]))

    assert [fit.left for fit in fits] == ["nobody asked for search"] * 2
    assert [one.share for one in draft.topology.classes] == [1.0, 1.0]
