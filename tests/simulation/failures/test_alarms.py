from __future__ import annotations

import numpy as np
import pytest

from forecasting.failures import SignalKind
from simulation.failure_alarms import CONFIRMED, NEVER, Setting, tallied
from simulation.failure_episodes import Episode, panel_of
from simulation.failure_methods import Thresholds
from simulation.failure_scores import (
    allowed_alarms,
    chances,
    chosen_setting,
    false_per_week,
    foreseen,
    learned_chances,
    looks_of,
)

RULE = Thresholds((0.5, 0.8), 0.5)


def failing_episode(points=200, onset=100, name="f"):
    values = np.zeros(points + 1)
    values[-1] = 10.0
    return Episode(name, name, SignalKind.MEMORY, "t", "s", values, 10.0, watched_from=0, onset=onset, failure=points)


def calm_episode(points=200, name="c"):
    return Episode(name, name, SignalKind.MEMORY, "t", "s", np.zeros(points), 10.0, watched_from=0)


def scored(panel, **rows):
    scores = np.zeros((1, len(panel.episodes), panel.columns), dtype=np.float32)
    for row, pieces in rows.items():
        for (start, end), value in pieces.items():
            scores[0, int(row[1:]), start:end] = value
    return scores


def test_an_alarm_after_the_onset_is_true_and_has_a_lead():
    panel = panel_of([failing_episode()])

    tally = tallied(panel, scored(panel, r0={(150, 201): 0.6}), RULE)

    # The k-th look in a row is at minute 150 + k - 1; the failure comes at 200.
    assert tally.leads[0, 0, :, 0].tolist() == [50 - (k - 1) for k in CONFIRMED]
    assert (tally.leads[0, 1] == NEVER).all()
    assert not tally.false_alarms.any()
    assert tally.under([Setting(0, 0, 0)]).leads.tolist() == [50]
    assert tally.under([Setting(0, 1, 0)]).leads.tolist() == [NEVER]


def test_an_alarm_before_the_onset_or_without_a_failure_is_false():
    panel = panel_of([failing_episode(), calm_episode()])

    tally = tallied(panel, scored(panel, r0={(20, 22): 0.9}, r1={(30, 34): 0.6}), RULE)

    assert tally.false_alarms[0, :, 0].tolist() == [[1, 1], [1, 0]]  # one look is enough
    assert tally.false_alarms[0, :, 2].tolist() == [[0, 1], [0, 0]]  # three in a row
    assert (tally.leads == NEVER).all()


def test_an_alarm_stands_until_its_score_is_clearly_lower_and_soon_again_it_is_the_same_one():
    panel = panel_of([calm_episode()])
    steady = scored(panel, r0={(10, 20): 0.6, (20, 60): 0.3, (60, 65): 0.6})
    flickering = scored(panel, r0={(10, 20): 0.6, (30, 40): 0.6})
    hours_later = scored(panel, r0={(10, 20): 0.6, (100, 110): 0.6})

    counted = [
        int(tallied(panel, scores, RULE).false_alarms[0, 0, 0, 0]) for scores in (steady, flickering, hours_later)
    ]

    assert counted == [1, 1, 2]


def test_looks_that_were_not_taken_change_nothing():
    panel = panel_of([failing_episode()])
    scores = scored(panel, r0={(150, 201): 0.6})
    scores[0, 0, np.arange(201) % 5 != 0] = np.nan

    tally = tallied(panel, scores, RULE)

    # Every fifth minute: the third look in a row is ten minutes after the first.
    assert tally.leads[0, 0, :3, 0].tolist() == [50, 45, 40]


def test_the_setting_with_the_most_lead_among_the_quiet_ones_is_chosen():
    failing_panel, calm_panel = panel_of([failing_episode()]), panel_of([calm_episode()])
    loud = tallied(calm_panel, scored(calm_panel, r0={(30, 50): 0.6}), RULE)
    episodes = tallied(failing_panel, scored(failing_panel, r0={(180, 190): 0.6, (190, 201): 0.9}), RULE)
    fails = np.asarray([True])

    assert chosen_setting(episodes, fails, loud, allowed=0) == Setting(0, 1, 0)
    assert chosen_setting(episodes, fails, loud, allowed=1) == Setting(0, 0, 0)


@pytest.mark.parametrize(
    ("per_week", "weeks", "allowed"), [(1.0, 1.0, 0), (1.0, 2.0, 1), (10.0, 1.0, 9), (1.0, 0.1, 0), (0.5, 8.0, 3)]
)
def test_one_alarm_less_than_asked_for_is_allowed_in_tuning(per_week, weeks, allowed):
    assert allowed_alarms(per_week, weeks) == allowed


def test_leads_are_summed_up_over_episodes():
    panel = panel_of([failing_episode(name=str(i)) for i in range(4)])
    pieces = {f"r{i}": {(200 - lead, 201): 0.6} for i, lead in enumerate((4, 12, 40)) if lead}
    tally = tallied(panel, scored(panel, **pieces), RULE)

    found = foreseen(tally.under([Setting(0, 0, 0)] * 4), np.arange(4), np.random.default_rng(0))

    # Leads of 4, 12 and 40 minutes and one failure without alarm; five minutes are the least that is useful.
    assert found.recall.mean == 0.5
    assert (found.any_recall, found.ample_share) == (0.75, 0.5)
    assert found.median_lead_s.mean == 720.0
    assert found.recall.low <= 0.5 <= found.recall.high


def test_false_alarms_are_told_per_week_and_hundred_workloads():
    episodes = [calm_episode(points=10_080, name=str(i)) for i in range(4)]
    panel = panel_of(episodes)
    tally = tallied(panel, scored(panel, r0={(30, 50): 0.6}), RULE)
    names = ["a", "a", "b", "c"]  # two signals of one workload

    rate = false_per_week(tally.under([Setting(0, 0, 0)] * 4), names, 1.0, np.random.default_rng(0))
    none = false_per_week(tally.under([Setting(0, 1, 0)] * 4), names, 1.0, np.random.default_rng(0))

    assert rate.mean == pytest.approx(100.0 / 3.0)
    assert (none.mean, none.high) == (0.0, 100.0)


def test_chances_are_judged_by_what_came():
    panel = panel_of([failing_episode(points=60, onset=0), calm_episode(points=61)])
    scores = np.zeros((1, 2, panel.columns), dtype=np.float32)
    scores[0, 0] = 0.8

    looks = looks_of(panel, scores)
    judged = chances(looks, 30, looks.scores[0].astype(np.float64))

    # Looks at minutes 0, 5 … 55 of the failing one, of which 30 … 55 lie within 30 min, and 0 … 60 of the calm one.
    assert looks.minutes_left.size == 12 + 13
    assert judged.brier == pytest.approx((6 * 0.2**2 + 6 * 0.8**2) / 25.0, abs=1e-6)
    assert judged.climatology == pytest.approx(6 / 25 * 19 / 25)
    assert (judged.looks, judged.came) == ((13, 12), (0.0, 0.5))


def test_scores_become_chances_by_a_rising_fit():
    tuning_score = np.asarray([0.1, 0.2, 0.3, 0.4])
    came = np.asarray([0.0, 1.0, 0.0, 1.0])

    # The middle two break the order, and are pooled to a half.
    assert learned_chances(np.asarray([0.1, 0.25, 0.9]), tuning_score, came).tolist() == [0.0, 0.5, 1.0]
