"""What plans and arms say as values is what the charts allow."""

import json
from pathlib import Path

import jsonschema_rs
import pytest
import yaml

from chaos.experiments.arms import ARM_NAMES, hpa_values, live_arm
from chaos.experiments.live_plan import live_plan
from chaos.experiments.live_set import NAMED_IN
from chaos.experiments.operator_side import operator_values, resilience_values
from chaos.experiments.shop_map import merged
from simulation.scenario import load_scenario

CHARTS = Path(__file__).parents[3] / "charts"


def check(chart, values):
    """As helm does: the chart's own values below ours, against its schema."""
    own = yaml.safe_load((CHARTS / chart / "values.yaml").read_text())
    schema = json.loads((CHARTS / chart / "values.schema.json").read_text())
    jsonschema_rs.validator_for(schema).validate(merged(own, values))


@pytest.mark.parametrize("name", ARM_NAMES)
def test_the_shops_chart_takes_every_arm(name, scenario, limits):
    arm, plan = live_arm(name), live_plan(scenario(), 1, limits)

    check("demo-shop", merged(plan.values, hpa_values(arm, plan.scenario.topology), resilience_values(arm, "foresail")))


@pytest.mark.parametrize("name", ARM_NAMES)
def test_the_shops_chart_takes_every_arm_of_the_live_scenarios(name, limits):
    arm, plan = live_arm(name), live_plan(load_scenario("live-smoke", NAMED_IN), 1, limits)

    check("demo-shop", merged(plan.values, hpa_values(arm, plan.scenario.topology), resilience_values(arm, "foresail")))


@pytest.mark.parametrize("name", ["foresail", "hpa-tuned-fast-lane"])
def test_the_operators_chart_takes_both_outlooks(name):
    check("foresail", operator_values(live_arm(name), "shop", "shop-operator", "http://198.18.0.1:9090"))
