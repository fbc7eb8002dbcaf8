"""The values that come with the charts fit their schemas, and the schemas name what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from charts import FORESAIL, PROFILES, ROOT, SHOP, helm, needs_helm, read, values_of


def problems(chart: Path, values: Any) -> list[str]:
    validator = jsonschema_rs.validator_for(read(chart / "values.schema.json"))
    return [f"{'.'.join(map(str, e.instance_path))}: {e.message}" for e in validator.iter_errors(values)]


@pytest.mark.parametrize("profile", PROFILES)
def test_the_values_of_every_profile_fit_the_schema(profile: str) -> None:
    assert problems(PROFILES[profile][0], values_of(profile)) == []


@pytest.mark.parametrize(
    ("chart", "values", "key"),
    [
        pytest.param(FORESAIL, {"watchNamespace": ["shop"]}, "watchNamespace", id="top level"),
        pytest.param(FORESAIL, {"operator": {"tickSecond": 5}}, "tickSecond", id="nested"),
        pytest.param(FORESAIL, {"revert": {"onDelete": {"lease": 5}}}, "lease", id="deep"),
        pytest.param(FORESAIL, {"securityContext": {"privileged": True}}, "privileged", id="weaker pods"),
        pytest.param(SHOP, {"roles": {"gatway": {}}}, "gatway", id="a role"),
        pytest.param(SHOP, {"roles": {"cart": {"replicas": 2}}}, "replicas", id="a role's setting"),
        pytest.param(SHOP, {"shop": {"drainSecond": 5}}, "drainSecond", id="the shop"),
    ],
)
def test_a_misspelt_value_is_refused_by_its_name(chart: Path, values: Any, key: str) -> None:
    assert any(f"'{key}' was unexpected" in problem for problem in problems(chart, values))


@pytest.mark.parametrize(
    ("chart", "values", "place"),
    [
        pytest.param(FORESAIL, {"prometheus": {"url": "prometheus:9090"}}, "prometheus.url", id="no scheme"),
        pytest.param(FORESAIL, {"watchNamespaces": ["*"]}, "watchNamespaces.0", id="a wildcard"),
        pytest.param(FORESAIL, {"podSecurityContext": {"runAsNonRoot": False}}, "podSecurityContext", id="root"),
        pytest.param(SHOP, {"resilience": {"mode": "enforce"}}, "resilience.mode", id="mode"),
        pytest.param(SHOP, {"postgres": {"failover": {"ttlSeconds": 10}}}, "postgres.failover.ttlSeconds", id="ttl"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_its_place(chart: Path, values: Any, place: str) -> None:
    assert any(problem.startswith(place) for problem in problems(chart, values))


@needs_helm
def test_helm_refuses_a_misspelt_value_by_its_name() -> None:
    done = helm(FORESAIL, "--set=operator.tickSecond=5")

    assert done.returncode != 0
    assert "'tickSecond' not allowed" in done.stderr


@needs_helm
@pytest.mark.parametrize(
    ("chart", "setting", "says"),
    [
        pytest.param(FORESAIL, "serviceMonitor.install=on", "serviceMonitor.install", id="API that is not there"),
        pytest.param(FORESAIL, "serviceAccount.create=false", "serviceAccount.name", id="no account"),
        pytest.param(SHOP, "load.enabled=true", "images.load.repository", id="load without an image"),
        pytest.param(SHOP, "postgres.failover.retryTimeoutSeconds=10", "lower retryTimeoutSeconds", id="timing"),
        pytest.param(SHOP, "hpa.profile=cautious", "hpa.profile", id="profile that is not there"),
    ],
)
def test_values_that_do_not_go_together_are_refused_with_the_fix(chart: Path, setting: str, says: str) -> None:
    done = helm(chart, f"--set={setting}")

    assert done.returncode != 0
    assert says in done.stderr


def test_the_tuned_hpa_is_the_simulator_s() -> None:
    tuned = read(ROOT / "simulation" / "tuned.yaml")["hpa-tuned"]

    profile = values_of("shop")["hpa"]["profiles"]["tuned"]

    assert profile["targetCPUUtilizationPercentage"] == tuned["hpa_target_pct"]
    up, down = profile["behavior"]["scaleUp"], profile["behavior"]["scaleDown"]
    assert up["stabilizationWindowSeconds"] == tuned["hpa_up_window_s"]
    assert up["policies"][0] == {"type": "Percent", "value": tuned["hpa_up_pct"], "periodSeconds": 15}
    assert down["stabilizationWindowSeconds"] == tuned["hpa_down_window_s"]
    assert down["policies"][0] == {"type": "Percent", "value": tuned["hpa_down_pct"], "periodSeconds": 60}


def test_the_lean_hpa_is_the_one_below_foresail_in_the_simulator() -> None:
    tuned = read(ROOT / "simulation" / "tuned.yaml")["foresail"]

    profile = values_of("shop")["hpa"]["profiles"]["lean"]

    assert profile["targetCPUUtilizationPercentage"] == tuned["hpa_target_pct"]
    assert profile["behavior"]["scaleDown"]["stabilizationWindowSeconds"] == tuned["hpa_down_window_s"]


@pytest.mark.parametrize("chart", [FORESAIL, SHOP], ids=["foresail", "demo-shop"])
def test_a_chart_says_what_it_is(chart: Path) -> None:
    said = read(chart / "Chart.yaml")

    assert said["kubeVersion"] == ">=1.30.0-0"
    assert said["version"] and said["appVersion"]
    assert said["annotations"]["artifacthub.io/license"] == "Apache-2.0"
