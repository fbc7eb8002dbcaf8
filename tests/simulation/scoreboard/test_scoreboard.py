from __future__ import annotations

import numpy as np
import pytest

from simulation.result import Act, OrderLedger
from simulation.scoring.scoreboard import against, score


def act(at_s, disruptive=True):
    return Act(at_s, "checkout", "SetTraffic", "checkout-1", disruptive, None)


def test_requests_are_counted_as_clients_saw_them(made_run):
    # 100 s × 10/s, 7 failed, 3 slow
    figures = score(made_run(failed={10: 4, 60: 3}, slow={20: 3})).figures

    assert (figures.requests, figures.failed_requests, figures.slow_requests, figures.bad_requests) == (1000, 7, 3, 10)


def test_orders_are_lost_when_acknowledged_and_not_stored(made_run):
    # acknowledged and stored, acknowledged and lost, refused, refused yet stored, stored twice
    orders = OrderLedger(
        np.arange(5.0), np.array([True, True, False, False, True]), np.array([1, 0, 0, 1, 2], dtype=np.int64)
    )

    figures = score(made_run(orders=orders)).figures

    assert (figures.orders_attempted, figures.orders_failed) == (5, 2)
    assert (figures.orders_lost, figures.orders_duplicated) == (1, 1)


def test_p99_is_read_inside_its_bucket(made_run):
    # 980 answers in (0, 0.1], 20 in (1, 10]: the 990th is the 10th of 20, half way from 1 to 10 s
    run = made_run(slow=dict.fromkeys(range(0, 40, 2), 1))

    assert score(run).figures.p99_ms == pytest.approx(5500.0)


def test_without_answers_there_is_no_p99(made_run):
    figures = score(made_run(arrived=0)).figures

    assert figures.p99_ms is None
    assert figures.degraded_ratio is None


def test_load_balance_is_the_mean_over_bins_that_tell(made_run):
    jain = np.array([[1.0, 0.8, np.nan], [np.nan, np.nan, 0.6]])

    assert score(made_run(jain_index=jain)).figures.load_balance == pytest.approx(0.8)
    assert score(made_run()).figures.load_balance is None


def test_peak_is_the_highest_step_whose_second_half_was_clean(made_run):
    # steps of 50 s at 10, 20, 30 and 40/s: trouble early in the third, none at its end; the fourth fails to its end
    arrived = np.repeat([10, 20, 30, 40], 50)
    failed = {105: 20, **dict.fromkeys(range(150, 200), 30)}

    assert score(made_run(seconds=200, arrived=arrived, failed=failed, staircase_s=50.0)).figures.peak_rps == 30.0


def test_peak_is_unknown_outside_a_staircase_and_zero_when_nothing_held(made_run):
    assert score(made_run()).figures.peak_rps is None
    assert score(made_run(failed=dict.fromkeys(range(100), 5), staircase_s=50.0)).figures.peak_rps == 0.0


def test_disruptive_acts_are_false_while_no_fault_runs(made_run, made_fault):
    # the fault at 100-150 explains until 450: quiet are 100 + 550 = 650 of 1000 s
    acts = (act(50), act(120), act(449), act(450), act(700, disruptive=False))
    run = made_run(seconds=1000, faults=(made_fault(100, 150),), acts=acts)

    figures = score(run).figures

    # 2 false acts in 650 s and 2 workloads: 2 × 604800 / 650 × 100 / 2
    assert figures.false_actions == pytest.approx(93046.15, abs=0.01)
    assert figures.disruptive_acts == 4


def test_a_fault_free_day_counts_every_disruptive_act(made_run):
    # 1 act in 100 s and 2 workloads: 604800 / 100 × 50
    assert score(made_run(acts=(act(10),))).figures.false_actions == pytest.approx(302_400.0)
    assert score(made_run()).figures.false_actions == 0.0


def test_where_faults_cover_the_whole_run_nothing_can_be_false(made_run, made_fault):
    assert score(made_run(faults=(made_fault(0, 90),), acts=(act(10),))).figures.false_actions is None


def test_acts_of_the_warm_up_are_not_scored(made_run):
    figures = score(made_run(acts=(act(-5),))).figures

    assert (figures.disruptive_acts, figures.false_actions) == (0, 0.0)


def test_only_faults_that_hurt_the_baseline_can_be_averted(made_run, made_fault):
    both = (made_fault(20, 60, index=0), made_fault(500, 560, index=1))
    baseline = score(made_run(seconds=900, arm="hpa-tuned", failed={30: 5}, faults=both))
    ours = score(made_run(seconds=900, faults=both))

    assert ours.figures.faults_averted is None
    assert against(ours, baseline).figures.faults_averted == 1
    assert against(baseline, baseline).figures.faults_averted == 0


def test_downtime_without_a_fault_is_told_apart(made_run, made_fault):
    run = made_run(seconds=900, failed={30: 5, 600: 5}, faults=(made_fault(20, 60),))

    figures = score(run).figures

    assert (figures.downtime_s, figures.downtime_without_fault_s) == (20, 10)


def test_an_outage_without_a_fault_has_a_time_to_recover_too(made_run, made_fault):
    # down 30-39 by the fault, and 600-619 by nobody (bad at 600 and 610): (10 + 20) / 2
    run = made_run(seconds=900, failed={30: 5, 600: 5, 610: 5}, faults=(made_fault(20, 60),))

    assert score(run).figures.mttr_s == 15
