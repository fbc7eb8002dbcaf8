"""The set of live scenarios: every one fits a test cluster, and together they cover what experiments are about."""

import json

import pytest
from typer.testing import CliRunner

from chaos.experiments.arms import ARM_NAMES, hpa_values, live_arm
from chaos.experiments.live_plan import live_plan
from chaos.experiments.live_set import NAMED_IN, live_scenarios
from chaos.experiments.shop_map import ROLES, STORES
from foresail.cli import app
from foresail.commands.chaos import SETTLE_S
from simulation.scenario import SCENARIOS, FaultKind, load_scenario, shipped_scenarios

SMOKE = "live-smoke"
REPORTED = tuple(name for name in live_scenarios() if name != SMOKE)
#: The HPA does not trust what a pod uses that is younger; live, pods are less than a minute old when the load begins.
HPA_INITIALISATION_S = 300.0
OLDEST_S = 60.0


def live(name):
    return load_scenario(name, NAMED_IN)


@pytest.mark.parametrize("name", live_scenarios())
def test_a_live_scenario_is_called_as_its_file_and_says_what_it_is_about(name):
    scenario = live(name)

    assert scenario.name == name and name.startswith("live-")
    assert len(scenario.description.split()) > 5


def test_no_live_scenario_hides_one_of_the_simulators():
    assert set(live_scenarios()).isdisjoint(shipped_scenarios((SCENARIOS,)))


@pytest.mark.parametrize("name", live_scenarios())
def test_a_live_scenario_can_be_carried_out_with_default_limits(name, limits):
    plan = live_plan(live(name), 1, limits)

    # Clocks are not turned, and one kind of fault can only be made alike: nothing else differs.
    assert {d.field for d in plan.differences} <= {"starts_at", "faults.0"}
    assert [str(d) for d in plan.differences if d.field == "faults.0"] == [
        "faults.0: the pod is killed once and comes back by its StatefulSet; the simulator holds it down"
        for fault in live(name).faults
        if fault.kind is FaultKind.PRIMARY_LOSS
    ]


@pytest.mark.parametrize("arm", ARM_NAMES)
@pytest.mark.parametrize("name", live_scenarios())
def test_the_shop_of_a_live_scenario_can_have_every_arms_autoscaler(name, arm):
    assert "hpa" in hpa_values(live_arm(arm), live(name).topology)


@pytest.mark.parametrize("name", REPORTED)
def test_a_live_scenario_lasts_six_to_eight_minutes_after_one_to_four_of_warm_up(name):
    scenario = live(name)

    assert 360 <= scenario.duration_s <= 480
    assert 60 <= scenario.warm_up_s <= 240
    assert scenario.duration_s + scenario.warm_up_s <= 720


def test_the_smoke_run_sends_load_for_less_than_four_minutes_and_its_sale_is_announced(limits):
    plan = live_plan(live(SMOKE), 1, limits)

    [sale] = plan.scenario.faults
    assert plan.load_s < 240
    assert sale.announced and sale.kind is FaultKind.FLASH_SALE


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", live_scenarios())
def test_no_more_than_45_requests_a_second_come(name, seed, limits):
    assert live_plan(live(name), seed, limits).peak_rps <= 45.0


@pytest.mark.parametrize("name", live_scenarios())
def test_what_is_known_beforehand_is_the_warm_up_alone(name):
    history = live(name).history

    assert (history.hours, history.days_remembered) == (0, 0)


@pytest.mark.parametrize("name", live_scenarios())
def test_faults_find_a_shop_that_was_well_for_two_minutes_and_leave_time_to_recover(name):
    scenario = live(name)

    for fault in scenario.faults:
        assert scenario.warm_up_s + fault.start_s >= 120
        assert scenario.duration_s - fault.end_s >= (10 if name == SMOKE else 60)


def test_the_set_covers_what_experiments_are_about():
    scenarios = [live(name) for name in REPORTED]
    faults = [fault for scenario in scenarios for fault in scenario.faults]
    sales = {fault.announced for fault in faults if fault.kind is FaultKind.FLASH_SALE}

    assert sales == {True, False}
    assert {fault.kind for fault in faults} >= {
        FaultKind.MEMORY_LEAK, FaultKind.POOL_CREEP, FaultKind.NODE_LOSS, FaultKind.ZONE_LOSS,
        FaultKind.PRIMARY_LOSS, FaultKind.LATENCY_CREEP,
    }  # fmt: skip
    assert [scenario.name for scenario in scenarios if scenario.fault_free] == ["live-quiet"]
    assert [scenario.name for scenario in scenarios if scenario.load.knots] == ["live-real-trace-ramp"]


def test_crowds_come_to_pods_that_the_hpa_trusts_and_to_pods_that_it_does_not():
    ages_s = [
        SETTLE_S + scenario.warm_up_s + fault.start_s
        for scenario in map(live, REPORTED)
        for fault in scenario.faults
        if fault.kind is FaultKind.FLASH_SALE
    ]

    assert min(ages_s) + OLDEST_S < HPA_INITIALISATION_S < max(ages_s)


def test_all_live_scenarios_have_one_shop_so_that_they_can_be_laid_side_by_side():
    first, *others = (live(name).topology for name in live_scenarios())

    assert all(other == first for other in others)
    assert {service.name for service in first.services} == {*ROLES, *STORES}
    assert {zone: sum(g.count for g in first.nodes if g.zone == zone) for zone in first.zones} == {"a": 2, "b": 1}


def test_commands_know_live_scenarios_by_name():
    planned = CliRunner().invoke(app, ["chaos", "plan", "live-memory-leak", "--json"])
    meshed = CliRunner().invoke(app, ["chaos", "mesh", "live-zone-loss"])
    listed = CliRunner().invoke(app, ["scenarios"])

    assert json.loads(planned.output)["scenario"] == "live-memory-leak"
    assert meshed.exit_code == 0, meshed.output
    assert set(live_scenarios()) <= {line.split()[0] for line in listed.output.splitlines()}


def test_the_simulator_runs_a_live_scenario_by_name(tmp_path):
    arguments = ["simulate", "live-smoke", "--arms", "hpa-tuned", "--jobs", "1", "--out", str(tmp_path), "--json"]

    result = CliRunner().invoke(app, arguments)

    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["scenario"] == "live-smoke"


def test_an_unknown_name_is_answered_with_the_live_ones_too():
    result = CliRunner().invoke(app, ["chaos", "plan", "live-flash-sail"])

    assert result.exit_code == 2
    assert "live-flash-sale-announced" in result.output and "memory-leak-gateway" in result.output
