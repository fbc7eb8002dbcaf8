"""Settings from the environment."""

from __future__ import annotations

import pytest

from foresail.settings import Settings, SettingsInvalid


def test_an_empty_environment_gives_the_defaults_and_the_host_as_replica() -> None:
    settings = Settings.from_environment({})

    assert (settings.lease_duration_s, settings.lease_renew_deadline_s, settings.lease_retry_s) == (15.0, 10.0, 2.0)
    assert settings.watch_namespaces == () and settings.prometheus_url is None and settings.replica


def test_values_are_read_and_names_sorted() -> None:
    settings = Settings.from_environment(
        {"FORESAIL_WATCH_NAMESPACES": "shop, bank,,shop", "FORESAIL_ZONE_SHIFT": "yes", "FORESAIL_TICK_S": "5"}
    )

    assert settings.watch_namespaces == ("bank", "shop")
    assert settings.zone_shift and settings.tick_s == 5.0


def test_further_kinds_are_read_with_their_versions() -> None:
    settings = Settings.from_environment({"FORESAIL_SCALE_RESOURCES": "argoproj.io/v1alpha1/rollouts, v1/bags"})

    assert settings.scale_resources == (("argoproj.io/v1alpha1", "rollouts"), ("v1", "bags"))


@pytest.mark.parametrize(
    ("variable", "value", "fix"),
    [
        pytest.param("TICK_S", "soon", "a number of seconds above 0", id="no-number"),
        pytest.param("TICK_S", "0", "a number of seconds above 0", id="zero"),
        pytest.param("HTTP_PORT", "http", "a whole number from 0 to 65535", id="no-port"),
        pytest.param("HTTP_PORT", "70000", "a whole number from 0 to 65535", id="a-port-too-high"),
        pytest.param("PROMETHEUS_URL", "prometheus:9090", "an http:// or https:// address", id="no-scheme"),
        pytest.param("ZONE_SHIFT", "maybe", "true or false", id="no-flag"),
        pytest.param("OUTLOOK", "rosy", "one of FORECAST, PERSISTENCE", id="no-outlook"),
        pytest.param("LOG_LEVEL", "loud", "one of DEBUG, INFO, WARNING, ERROR", id="no-level"),
        pytest.param("LEASE_RENEW_DEADLINE_S", "20", "less than FORESAIL_LEASE_DURATION_S, 15", id="no-protection"),
        pytest.param("LEASE_RETRY_S", "6", "at most half of FORESAIL_LEASE_RENEW_DEADLINE_S, 10", id="rare-renewals"),
        pytest.param("API_TIMEOUT_S", "13", "less than FORESAIL_LEASE_DURATION_S", id="writes-never-allowed"),
        pytest.param("SCALE_RESOURCES", "rollouts", "apiVersion/plural, like", id="no-group"),
        pytest.param("FAST_TICK_S", "16", "at most FORESAIL_TICK_S, 15", id="fast-is-slow"),
    ],
)
def test_a_mistake_names_the_variable_and_the_fix(variable: str, value: str, fix: str) -> None:
    with pytest.raises(SettingsInvalid) as error:
        Settings.from_environment({f"FORESAIL_{variable}": value})

    assert str(error.value).startswith(f"FORESAIL_{variable} is ") and fix in str(error.value)
