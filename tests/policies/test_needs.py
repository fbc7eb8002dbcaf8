"""Pods needed over sampled futures, against tables worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasting.forecast import LEVELS, Floats, Forecast
from policies.needs import Ask, cheapest_pods, pods_needed


def cheapest(peaks: list[float], cost: float, level: float) -> int:
    return int(cheapest_pods(np.array([peaks]), np.array([cost]), np.array([level]))[0])


@pytest.mark.parametrize(
    ("peaks", "cost", "level", "pods"),
    [
        # Five futures, the worst one counts: 5 → 5; 4 → 4 + 2 × 1 = 6.
        pytest.param([1, 2, 3, 4, 5], 2.0, 0.8, 5, id="worst-future-covered-when-dearer-than-a-pod"),
        # Half a pod of shortfall price saves less than a pod costs: n + 0.5 × (5 - n) is least at 0.
        pytest.param([1, 2, 3, 4, 5], 0.5, 0.8, 0, id="cheap-violations-buy-no-pod"),
        # The worst two count (mean): 5 → 5, 4 → 4 + 4 × 0.5 = 6, so 5.
        pytest.param([1, 2, 3, 4, 5], 4.0, 0.6, 5, id="two-worst-dear"),
        # 4 → 4 + 1.5 × 0.5 = 4.75; 5 → 5; 3 → 3 + 1.5 × 1.5 = 5.25.
        pytest.param([1, 2, 3, 4, 5], 1.5, 0.6, 4, id="two-worst-one-left-short"),
        # 3 → 3 + 30 × 0.05 / 5 = 3.3 against 4: the worst five count, only one is short by 0.05.
        pytest.param([3.05, 2.0, 2.0, 2.0, 2.0], 30.0, 0.0, 3, id="a-twentieth-pod-is-not-worth-a-pod"),
        # 3 → 3 + 30 × 0.5 / 5 = 6 against 4.
        pytest.param([3.5, 2.0, 2.0, 2.0, 2.0], 30.0, 0.0, 4, id="half-a-pod-is"),
        # A tie: 2 → 2 + 1 × 1 = 3 and 3 → 3. Ties go to more pods.
        pytest.param([3.0, 3.0], 1.0, 0.5, 3, id="ties-go-up"),
        pytest.param([0.0, 0.0, 0.0], 30.0, 0.95, 0, id="no-demand"),
        pytest.param([2.4], 30.0, 0.95, 3, id="one-sample"),
        pytest.param([2.4, 1.0], 0.0, 0.5, 0, id="free-violations"),
    ],
)
def test_the_cheapest_number_by_hand(peaks: list[float], cost: float, level: float, pods: int) -> None:
    assert cheapest(peaks, cost, level) == pods


@given(
    peaks=st.lists(st.floats(0.0, 50.0), min_size=1, max_size=30),
    cost=st.floats(0.1, 60.0),
    level=st.sampled_from([0.0, 0.5, 0.8, 0.95, 0.99]),
)
def test_no_other_number_of_pods_is_cheaper(peaks: list[float], cost: float, level: float) -> None:
    worst = sorted(peaks, reverse=True)[: max(1, int(np.ceil((1.0 - level) * len(peaks) - 1e-9)))]

    def price(pods: int) -> float:
        return pods + cost * sum(max(0.0, peak - pods) for peak in worst) / len(worst)

    chosen = cheapest(peaks, cost, level)

    assert price(chosen) <= min(price(pods) for pods in range(52)) + 1e-6


def forecast(paths: Floats) -> Forecast:
    quantiles = np.quantile(paths, LEVELS, axis=1).transpose(1, 2, 0)
    unknown = np.full(paths.shape[0], np.nan)
    names = tuple(f"w{row}" for row in range(paths.shape[0]))
    return Forecast(names, LEVELS, quantiles, paths, 0.0, 0.0, 15.0, "test", unknown, unknown)


def ask(count: int, window_steps: list[int], **given_: float) -> Ask:
    values = {
        "factor": 1.0,
        "current_rps": 0.0,
        "recent_rps": 0.0,
        "rise_rps": 0.0,
        "capacity_rps": 10.0,
        "target_utilization": 0.7,
        "saturation_utilization": 0.92,
        "violation_cost": 30.0,
        "cvar_level": 0.95,
        **given_,
    }
    return Ask(
        rows=np.arange(count), window_steps=np.array(window_steps), **{k: np.full(count, v) for k, v in values.items()}
    )


def test_certain_demand_fills_pods_to_the_target() -> None:
    needs = pods_needed(forecast(np.full((1, 100, 8), 63.0)), ask(1, [4]))

    # 63 / (10 × 0.7) = 9 exactly; the risk asks for 63 / 9.2 = 6.8 → 7.
    assert (int(needs.pods[0]), int(needs.risk_pods[0])) == (9, 7)


def test_a_fat_tail_needs_more_than_the_expected_load() -> None:
    paths = np.full((1, 100, 8), 20.0)
    paths[0, :10, 3] = 92.0  # one future in ten peaks, inside the window

    needs = pods_needed(forecast(paths), ask(1, [4]))

    # Expected: 20 / 7 → 3. The worst five futures all peak at 92 / 9.2 = 10 pods.
    assert float(needs.load_pods[0]) == pytest.approx(20.0 / 7.0)
    assert int(needs.pods[0]) == 10
    assert float(needs.served_share[0]) == 1.0


def test_only_the_window_until_help_could_come_counts() -> None:
    paths = np.full((2, 100, 8), 7.0)
    paths[:, :, 5] = 70.0

    needs = pods_needed(forecast(paths), ask(2, [5, 6]))

    assert needs.pods.tolist() == [1, 10]
    assert needs.peak_at_s.tolist() == [15.0, 90.0]


def test_measured_demand_is_never_planned_below() -> None:
    forgotten = forecast(np.full((1, 100, 8), 7.0))

    # Two points at 35: 35 / 7 = 5. A single point at 46: 46 / 9.2 = 5, where requests begin to fail.
    assert int(pods_needed(forgotten, ask(1, [4], recent_rps=35.0)).pods[0]) == 5
    assert int(pods_needed(forgotten, ask(1, [4], current_rps=46.0)).pods[0]) == 5


def test_a_forecast_that_measured_demand_has_outrun_is_not_waited_for() -> None:
    made = forecast(np.full((1, 100, 8), 20.0))

    outrun = pods_needed(made, ask(1, [4], recent_rps=30.0, rise_rps=20.0))
    leaping = pods_needed(made, ask(1, [4], recent_rps=30.0, rise_rps=500.0))
    followed = pods_needed(made, ask(1, [4], recent_rps=20.0, rise_rps=20.0))

    # (30 + 20) / 9.2 → 6, at most twice what was measured, 60 / 9.2 → 7; as forecast, 20 / 7 → 3.
    assert [int(needs.pods[0]) for needs in (outrun, leaping, followed)] == [6, 7, 3]


def test_a_driven_workload_scales_the_row_of_its_entry() -> None:
    needs = pods_needed(forecast(np.full((1, 100, 8), 10.0)), ask(1, [4], factor=2.1))

    assert int(needs.pods[0]) == 3  # 21 / 7
