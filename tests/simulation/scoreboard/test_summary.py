from __future__ import annotations

import json

import pytest

from simulation.scoring.scoreboard import FIGURES, score
from simulation.scoring.summary import Failure, baseline_of, summarise
from simulation.scoring.summary_json import summary_json
from simulation.scoring.verdict import best_arm, verdict


@pytest.fixture
def summary(made_run, made_fault, made_scenario):
    """Three seeds; the tuned HPA is down 20, 40 and 60 s, Foresail 10 s each; Foresail costs 2.1 against 2.0."""
    scores = []
    for seed in (1, 2, 3):
        faults = (made_fault(20, 90), made_fault(600, 700, "error_burst", 1))
        hurt = dict.fromkeys(range(30, 30 + 20 * seed - 9), 5)
        scores.append(score(made_run(seconds=900, arm="hpa-tuned", seed=seed, failed=hurt, faults=faults)))
        scores.append(
            score(made_run(seconds=900, arm="foresail", seed=seed, failed={30: 5}, faults=faults, pod_hours=2.1))
        )
    return summarise([made_scenario(900)], ["hpa-tuned", "foresail"], [1, 2, 3], scores)


def test_means_and_ratios_are_over_all_seeds(summary):
    assert summary.mean("hpa-tuned", "downtime_s") == 40
    assert summary.mean("foresail", "downtime_s") == 10
    against_tuned = summary.comparison("foresail", "hpa-tuned", "downtime_s")
    assert against_tuned.ratio == pytest.approx(0.25)
    assert against_tuned.difference == -30
    assert summary.comparison("foresail", "hpa-tuned", "pod_hours").ratio == pytest.approx(1.05)


def test_a_fault_that_does_not_hurt_the_baseline_is_not_counted(summary):
    crash, burst = summary.faults

    assert (crash.counted, crash.hurts_baseline, crash.baseline_runs) == (True, 3, 3)
    assert (burst.counted, burst.hurts_baseline) == (False, 0)
    assert crash.arms["hpa-tuned"].time_to_recover_s == 40


def test_the_summary_is_json_without_nan(summary):
    written = summary_json(summary)

    assert json.loads(json.dumps(written, allow_nan=False)) == written
    assert set(written["arms"]["foresail"]) == set(FIGURES)
    assert written["arms"]["foresail"]["peak_rps"] == {"mean": None, "ci95": [None, None]}
    assert written["paired"]["foresail_vs_hpa-tuned"]["downtime_s"]["ratio"] == pytest.approx(0.25)
    assert written["paired"]["hpa-tuned_vs_foresail"]["downtime_s"]["ratio"] == pytest.approx(4.0)
    low, high = written["paired"]["foresail_vs_hpa-tuned"]["downtime_s"]["ci95"]
    # ratios of any resample lie between 10/60 and 10/20
    assert 1 / 6 <= low <= 0.25 <= high <= 0.5


def test_the_verdict_says_by_how_much_and_at_what_cost(summary):
    assert verdict(summary) == (
        "foresail was down for 10 s, 75 % less than hpa-tuned (40 s), at 5 % higher cost (2.1 against 2.0 pod-hours)."
    )


def test_the_verdict_is_about_pairs_even_where_runs_are_missing(made_run, made_scenario):
    def made(arm, seed, seconds, pod_hours):
        hurt = dict.fromkeys(range(30, 30 + seconds), 5) if seconds else {}
        return score(made_run(seconds=100, arm=arm, seed=seed, failed=hurt, pod_hours=pod_hours))

    ours, theirs, alone = made("foresail", 1, 0, 2.2), made("hpa-tuned", 1, 11, 2.0), made("hpa-tuned", 2, 0, 1.0)
    arms = ["hpa-tuned", "foresail"]

    said = verdict(summarise([made_scenario(100)], arms, [1, 2], [ours, theirs, alone]))
    assert "100 % less than hpa-tuned (20 s), at 10 % higher cost (2.2 against 2.0 pod-hours)" in said

    unlike = summarise([made_scenario(100)], arms, [1, 2], [ours, alone])
    assert best_arm(unlike, "downtime_s") is None and best_arm(unlike, "pod_hours") is None
    said = verdict(unlike)
    assert said == "foresail was down for 0 s at 2.2 pod-hours; no pair with hpa-tuned finished."


def test_the_verdict_admits_when_ours_is_worse(made_run, made_scenario):
    scores = [
        score(made_run(arm="hpa-tuned", failed=dict.fromkeys(range(10, 50), 5))),
        score(made_run(arm="foresail", failed=dict.fromkeys(range(10, 70), 5))),
    ]

    said = verdict(summarise([made_scenario(100)], ["hpa-tuned", "foresail"], [1], scores))

    # down 10-58: 49 s, and 10-78: 69 s
    assert said == (
        "foresail was down for 69 s, 41 % more than hpa-tuned (49 s), at the same cost (2.0 against 2.0 pod-hours). "
        "One run each: no interval."
    )


def test_the_verdict_of_equal_downtimes_is_about_cost(made_run, made_scenario):
    scores = [score(made_run(arm="hpa-tuned")), score(made_run(arm="foresail", pod_hours=1.8))]

    said = verdict(summarise([made_scenario(100)], ["hpa-tuned", "foresail"], [1], scores))

    assert said == (
        "foresail and hpa-tuned were both down for 0 s; foresail did it at 10 % lower cost (1.8 against 2.0 pod-hours)."
    )


def test_a_baseline_that_ran_no_pod_is_not_taken_for_one_that_did_not_finish(made_run, made_scenario):
    scores = [score(made_run(arm="hpa-tuned", pod_hours=0.0)), score(made_run(arm="foresail", pod_hours=0.05))]

    said = verdict(summarise([made_scenario(100)], ["hpa-tuned", "foresail"], [1], scores))

    assert said.endswith("foresail did it at a cost where there was none (0.05 against 0.00 pod-hours).")


def test_a_run_that_broke_leaves_the_others_standing(made_run, made_scenario):
    failure = Failure("by-hand", "foresail", 1, "ValueError: no")

    summary = summarise(
        [made_scenario(100)], ["hpa-tuned", "foresail"], [1], [score(made_run(arm="hpa-tuned"))], [failure]
    )

    assert summary.mean("hpa-tuned", "downtime_s") == 0
    assert summary.mean("foresail", "downtime_s") is None
    assert summary_json(summary)["failed_runs"][0]["error"] == "ValueError: no"
    assert verdict(summary) == "No run of foresail finished: there is nothing to compare."


def test_the_oracle_does_not_compete(made_run, made_scenario):
    scores = [
        score(made_run(arm="oracle")),
        score(made_run(arm="foresail", failed={10: 5})),
        score(made_run(arm="hpa-tuned", failed={10: 5, 60: 5})),
    ]
    summary = summarise([made_scenario(100)], ["oracle", "foresail", "hpa-tuned"], [1], scores)

    assert best_arm(summary, "downtime_s") == "foresail"
    assert best_arm(summary, "pod_hours") is None


@pytest.mark.parametrize(
    ("arms", "expected"),
    [
        (["oracle", "hpa-default", "hpa-tuned"], "hpa-tuned"),
        (["oracle", "hpa-default"], "hpa-default"),
        (["oracle", "kpa"], "oracle"),
    ],
)
def test_the_baseline_is_the_best_tuned_reactive_arm(arms, expected):
    assert baseline_of(arms) == expected
