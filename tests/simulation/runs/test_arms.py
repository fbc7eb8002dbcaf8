"""Arms: names, settings on top of tuned ones, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from simulation.arms import ARM_NAMES, ArmSettingsInvalid, ArmUnknown, Outlook, arm_settings, main_knob, search_space


def test_the_arms_are_those_that_the_documentation_names() -> None:
    assert ARM_NAMES == (
        "hpa-default",
        "hpa-tuned",
        "hpa-tuned-fast-lane",
        "kpa",
        "phpa-linear",
        "phpa-holt-winters",
        "predict-linear",
        "crane-fft",
        "cron",
        "foresail",
        "foresail-fallback",
        "foresail-independent-samples",
        "foresail-point",
        "oracle",
    )


def test_default_arm_changes_nothing_of_the_scenarios_hpa_and_cannot_be_tuned() -> None:
    settings = arm_settings("hpa-default")

    assert settings.hpa_target_pct is None
    assert settings.hpa_down_window_s is None
    assert not settings.has_loop
    assert search_space("hpa-default") == {}


def test_fast_lane_arm_runs_over_an_hpa_tuned_as_hard_and_knows_only_current_values() -> None:
    fast = arm_settings("hpa-tuned-fast-lane")

    assert (fast.scaler, fast.outlook, fast.has_loop) == ("hpa", "persistence", True)
    assert search_space("hpa-tuned").keys() <= search_space("hpa-tuned-fast-lane").keys()


def test_oracle_differs_from_foresail_only_in_what_it_knows() -> None:
    foresail, oracle = arm_settings("foresail"), arm_settings("oracle")

    assert (foresail.outlook, oracle.outlook) == ("generative", "clairvoyant")
    assert foresail.target_utilization == oracle.target_utilization
    assert foresail.hpa_target_pct == oracle.hpa_target_pct


@pytest.mark.parametrize(
    ("name", "outlook"),
    [
        ("foresail-fallback", "fallback"),
        ("foresail-independent-samples", "independent"),
        ("foresail-point", "point"),
    ],
)
def test_ablations_differ_from_foresail_only_in_what_they_forecast(name: str, outlook: Outlook) -> None:
    assert arm_settings(name) == replace(arm_settings("foresail"), arm=name, outlook=outlook)
    assert search_space(name) == {}
    assert main_knob(name) == main_knob("foresail")


@pytest.mark.parametrize("name", ARM_NAMES)
def test_main_knob_of_every_arm_can_be_set_to_both_ends_of_its_range(name: str) -> None:
    knob, (low, high, _) = main_knob(name)

    assert getattr(arm_settings(name, {knob: low}), knob) == low
    assert getattr(arm_settings(name, {knob: high}), knob) == high


@pytest.mark.parametrize("name", ARM_NAMES)
def test_tuned_values_lie_inside_the_range_that_tuning_searches(name: str) -> None:
    settings = arm_settings(name)

    for knob, (low, high, _) in search_space(name).items():
        value = getattr(settings, knob)
        assert value is None or low <= value <= high, knob


def test_unknown_arm_is_refused_with_the_names_that_exist() -> None:
    with pytest.raises(ArmUnknown, match=r"no arm is called 'hpa'.*hpa-default, hpa-tuned"):
        arm_settings("hpa")


@pytest.mark.parametrize(
    ("overrides", "fix"),
    [
        pytest.param({"speed": 3}, "no setting 'speed'", id="no such setting"),
        pytest.param({"outlook": 3}, "no setting 'outlook'", id="not a knob"),
        pytest.param({"target_utilization": "high"}, "give a number", id="text"),
        pytest.param({"target_utilization": 1.2}, "share above 0 and up to 1", id="share above one"),
        pytest.param({"violation_cost": -1}, "not negative", id="negative"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_with_the_fix(overrides: dict[str, object], fix: str) -> None:
    with pytest.raises(ArmSettingsInvalid, match=fix):
        arm_settings("foresail", overrides)
