"""Figures, order of arms and verdicts, on runs made of a few numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from chaos.comparison.hard_minutes import hard_seconds, p99_ms_in
from chaos.comparison.pairs import Pair, Seen
from chaos.comparison.table import compared
from chaos.comparison.verdicts import verdicts
from chaos.comparison.written import comparison_page, figure_text
from chaos.experiments.jobs import RunKey
from simulation.kernel.histogram import BUCKETS, edges_s
from simulation.result import ClientSeconds

STEADY = np.full((1, 100), 3.0)
RUN = Seen(1000.0, 40.0, 20.0, 300.0, 1.5, STEADY, STEADY)


def pair(arm="hpa-tuned", seed=1, live=RUN, **simulated):
    return Pair(RunKey("sale", arm, seed), live, replace(RUN, **simulated))


def table(*pairs):
    return compared(pairs, {"sale": ("gateway",)})


def ordered(live, simulated):
    """The order of arms a, b, … with these downtimes."""
    made = [
        pair(arm, live=replace(RUN, downtime_s=one), downtime_s=other)
        for arm, one, other in zip("abcd", live, simulated, strict=False)
    ]
    return table(*made).ranks[0]


def test_errors_are_means_over_runs_of_simulated_less_live():
    line = table(pair(downtime_s=44.0), pair(seed=2, downtime_s=48.0)).arms[0].figures["downtime_s"]

    # Live 40 twice, simulated 44 and 48.
    assert (line.live, line.simulated, line.error, line.error_ratio) == (40.0, 46.0, 6.0, pytest.approx(0.15))
    assert (line.error_low, line.error_high) == (4.0, 8.0)


def test_a_single_run_has_no_interval():
    line = table(pair(downtime_s=44.0)).arms[0].figures["downtime_s"]

    assert (line.error, line.error_low, line.error_high) == (4.0, None, None)


def test_a_figure_that_one_world_does_not_know_is_unknown_and_said():
    line = table(pair(mttr_s=None), pair(seed=2, live=replace(RUN, mttr_s=None))).arms[0].figures["mttr_s"]

    assert (line.runs, line.live, line.error) == (0, None, None)
    assert figure_text(line) == "–; 1 only live; 1 only simulated"


@pytest.mark.parametrize(
    ("live_s", "simulated_s", "close"),
    [
        pytest.param(100.0, 129.0, True, id="within-30-percent"),
        pytest.param(100.0, 131.0, False, id="beyond"),
        pytest.param(0.0, 5.0, True, id="within-5-s"),
        pytest.param(0.0, 6.0, False, id="out-of-nothing"),
    ],
)
def test_downtime_is_close_within_30_percent_or_5_s(live_s, simulated_s, close):
    made = table(pair(live=replace(RUN, downtime_s=live_s), downtime_s=simulated_s))

    assert made.arms[0].downtime_close is close


@pytest.mark.parametrize(
    ("seconds_apart", "close"), [pytest.param(10, True, id="ten-percent"), pytest.param(11, False, id="eleven")]
)
def test_replicas_are_close_when_they_are_within_one_for_nine_tenths_of_the_time(seconds_apart, close):
    apart = STEADY.copy()
    apart[0, :seconds_apart] = 5.0

    assert table(pair(ready=apart)).arms[0].replicas_close is close
    assert table(pair(desired=apart)).arms[0].replicas_close is close
    assert table(pair(desired=STEADY + 1.0)).arms[0].replicas_close is True


def test_seconds_that_nobody_saw_live_are_left_out_and_counted():
    partly = STEADY.copy()
    partly[0, :40] = np.nan
    apart = STEADY.copy()
    apart[0, :40] = 9.0

    [agreement] = table(pair(live=replace(RUN, ready=partly), ready=apart)).arms[0].replicas

    assert (agreement.ready, agreement.known_ratio) == (1.0, pytest.approx(0.6))


def test_replicas_that_nobody_ever_saw_are_unknown():
    unseen = np.full((1, 100), np.nan)

    made = table(pair(live=replace(RUN, desired=unseen, ready=unseen)))

    assert made.arms[0].replicas_close is None
    assert verdicts(made)[1].holds is None


@pytest.mark.parametrize(
    ("live", "simulated", "equal"),
    [
        pytest.param((100, 20), (50, 49), True, id="same-way-round"),
        pytest.param((100, 20), (49, 50), False, id="turned"),
        pytest.param((100, 20), (50, 50), False, id="not-told-apart"),
        pytest.param((3, 0), (0, 2), True, id="level-in-both"),
        pytest.param((0, 0), (0, 9), False, id="told-apart-without-cause"),
        pytest.param((9, 50, 90), (10, 95, 90), False, id="one-of-three-pairs"),
    ],
)
def test_arms_stand_in_the_same_order_or_not(live, simulated, equal):
    assert ordered(live, simulated).equal is equal


def test_the_arms_that_do_not_stand_alike_are_named():
    rank = ordered((9, 50, 90), (10, 95, 90))

    assert (rank.live, rank.simulated) == (("a", "b", "c"), ("a", "c", "b"))
    assert rank.reversed_arms == (("b", "c"),)


def test_one_arm_has_no_order():
    assert ordered((10,), (12,)).equal is None


def test_arms_are_ordered_over_the_seeds_that_all_of_them_have():
    alone = pair("b", seed=2, live=replace(RUN, downtime_s=0.0), downtime_s=0.0)

    rank = table(pair("a"), pair("b", live=replace(RUN, downtime_s=90.0), downtime_s=80.0), alone).ranks[0]

    assert rank.live == ("a", "b")


def test_a_claim_holds_only_when_all_that_was_judged_is_close_and_nothing_unknown():
    downtime, replicas, _ = verdicts(table(pair(), pair("b", downtime_s=400.0)))

    assert (downtime.close, downtime.judged, downtime.holds) == (1, 2, False)
    assert replicas.holds is True


def test_nothing_compared_is_no_verdict():
    made = compared([], {})

    assert [verdict.holds for verdict in verdicts(made)] == [None, None, None]
    assert "No finished run could be compared." in comparison_page(made)


def test_hard_minutes_are_those_of_planned_faults_and_the_minute_after(scenario):
    leak = {"kind": "memory_leak", "service": "catalog", "start_s": 20, "duration_s": 30}

    hard = hard_seconds(scenario(faults=[leak], duration_s=300), np.full(300, 20.0))

    # From 20 s to 50 s and 60 s more.
    assert np.flatnonzero(hard).tolist() == list(range(20, 110))


def test_without_a_fault_the_busiest_seconds_are_hard(scenario):
    assert hard_seconds(scenario(), np.array([10.0, 79.0, 80.0, 100.0])).tolist() == [False, False, True, True]


def test_the_p99_of_the_hard_minutes_knows_no_other_second():
    counts = np.zeros((2, BUCKETS), dtype=np.int64)
    fast, slow = np.searchsorted(edges_s(), [0.01, 1.0])
    counts[0, fast], counts[1, slow] = 100, 100
    none = np.zeros((1, 2), dtype=np.int64)
    client = ClientSeconds(("all",), none, none, none, none, None, counts, edges_s())

    # The 99th of a hundred lies at 0.99 of its bucket.
    low, high = edges_s()[slow : slow + 2]
    assert p99_ms_in(client, np.array([False, True])) == pytest.approx(1000.0 * (low + 0.99 * (high - low)))
    assert p99_ms_in(client, np.array([False, False])) is None
