from __future__ import annotations

import json

import pytest
import yaml

from simulation.arms import search_space
from simulation.studies.tuning import (
    FIRST_SEED,
    Trial,
    TuningInvalid,
    choose,
    cost_grid,
    settings_of,
    tunable_arms,
    tune,
    tuning_scenarios,
)
from simulation.studies.tuning_files import write_results, write_tuned


def trial(arm, number, pod_hours, bad, failed=0, **settings):
    return Trial(arm, number, settings, pod_hours, bad, failed)


@pytest.fixture
def trials():
    """The tuned HPA's fewest bad requests are 200 at 220 pod-hours; 390 at 190 are still within twice that."""
    return (
        trial("hpa-tuned", 0, 100.0, 1000.0, hpa_target_pct=80),
        trial("hpa-tuned", 1, 220.0, 200.0, hpa_target_pct=40),
        trial("hpa-tuned", 2, 190.0, 390.0, hpa_target_pct=50),
        trial("foresail", 0, 150.0, 300.0, hpa_target_pct=90),
        trial("foresail", 1, 185.0, 20.0, hpa_target_pct=85),
        trial("foresail", 2, 195.0, 0.0, hpa_target_pct=70),
        trial("kpa", 0, 250.0, 5.0),
    )


def test_every_arm_gets_the_budget_of_a_good_tuned_hpa(trials):
    budget, choices = choose(trials)

    assert budget == 190.0
    assert [(c.arm, c.trial.number, c.within_budget) for c in choices] == [
        ("hpa-tuned", 2, True),
        ("foresail", 1, True),
        ("kpa", 0, False),
    ]


def test_a_trial_with_a_broken_run_is_not_chosen(trials):
    broken = trial("foresail", 3, 100.0, 0.0, failed=1)

    assert next(c for c in choose((*trials, broken))[1] if c.arm == "foresail").trial.number == 1


def test_without_the_tuned_hpa_there_is_no_budget(trials):
    with pytest.raises(TuningInvalid, match="sets the budget"):
        choose([t for t in trials if t.arm != "hpa-tuned"])


def test_the_grid_of_costs_is_one_that_every_arm_can_pay(trials):
    grid = cost_grid(trials, ["hpa-tuned", "foresail"])

    assert (grid[0], grid[-1], len(grid)) == (150.0, 220.0, 12)


def test_settings_stay_in_their_space_and_begin_with_the_present_ones():
    first, *drawn = settings_of("foresail", 16, 1)

    assert set(first) <= set(search_space("foresail"))
    assert len(drawn) == 15
    for settings in drawn:
        for name, knob in search_space("foresail").items():
            assert knob.low <= settings[name] <= knob.high
            assert knob.kind != "int" or settings[name] == int(settings[name])
    assert settings_of("foresail", 16, 1) == settings_of("foresail", 16, 1)


def test_reported_scenarios_and_seeds_are_refused(tmp_path, made_scenario):
    with pytest.raises(TuningInvalid, match="is reported"):
        tune([made_scenario(100)], ["hpa-tuned"], 2, [FIRST_SEED], tmp_path / "log.jsonl")
    with pytest.raises(TuningInvalid, match="tuning seeds start at 10000"):
        tune(tuning_scenarios(), ["hpa-tuned"], 2, [1], tmp_path / "log.jsonl")


def test_shipped_tuning_scenarios_are_marked_so():
    assert tuning_scenarios()
    assert {s.role for s in tuning_scenarios()} == {"tuning"}


def test_a_finished_search_is_not_run_again(tmp_path):
    log = tmp_path / "log.jsonl"
    done = [trial("hpa-tuned", i, 1.0, 1.0, **s) for i, s in enumerate(settings_of("hpa-tuned", 3, FIRST_SEED))]
    log.write_text("".join(json.dumps({**vars_of(t)}) + "\n" for t in done))

    assert tune(tuning_scenarios(), ["hpa-tuned"], 3, [FIRST_SEED], log) == tuple(done)


def vars_of(t):
    return {name: getattr(t, name) for name in Trial.__slots__}


def test_a_broken_log_is_named(tmp_path):
    log = tmp_path / "log.jsonl"
    log.write_text("{\n")

    with pytest.raises(TuningInvalid, match="line 1 is no trial"):
        tune(tuning_scenarios(), ["hpa-tuned"], 2, [FIRST_SEED], log)


def test_the_default_hpa_is_not_tuned():
    assert "hpa-default" not in tunable_arms()
    assert {"hpa-tuned", "foresail", "kpa"} <= set(tunable_arms())


def test_chosen_settings_are_written_in_full_and_others_kept(tmp_path, trials):
    path = tmp_path / "tuned.yaml"
    path.write_text("hpa-default: {}\ncron: {slot_s: 300}\n")

    write_tuned(choose(trials)[1], path)

    written = yaml.safe_load(path.read_text())
    assert written["cron"] == {"slot_s": 300}
    assert written["hpa-tuned"]["hpa_target_pct"] == 50
    assert set(written["foresail"]) <= set(search_space("foresail"))


def test_results_show_each_arm_on_the_shared_grid(tmp_path, trials):
    budget, choices = choose(trials)

    _, text = write_results(trials, budget, choices, "Three trials.", tmp_path)

    assert "| foresail | 1 | 185.0 | 20 | yes |" in text.read_text()
    assert (tmp_path / "trials.csv").read_text().count("\n") == 1 + len(trials)
