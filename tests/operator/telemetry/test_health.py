"""When a replica is alive, and when it is ready."""

from __future__ import annotations

from dataclasses import replace

import pytest

from foresail.telemetry.health import Vitals, alive, failing, ready

WELL = Vitals(
    age_s=lambda: 1000.0,
    last_tick_age_s=lambda: 5.0,
    objects_age_s=lambda: 20.0,
    policies_known=lambda: True,
    objects_known=lambda: True,
    observed=lambda: True,
)


@pytest.mark.parametrize(
    ("vitals", "is_alive"),
    [
        pytest.param(WELL, True, id="well"),
        pytest.param(replace(WELL, last_tick_age_s=lambda: 89.0), True, id="a-slow-tick"),
        pytest.param(replace(WELL, last_tick_age_s=lambda: 91.0), False, id="no-tick-for-long"),
        pytest.param(replace(WELL, last_tick_age_s=lambda: None), False, id="never-a-tick"),
        pytest.param(replace(WELL, objects_age_s=lambda: 599.0), True, id="an-api-server-away-for-a-while"),
        pytest.param(replace(WELL, objects_age_s=lambda: 601.0), False, id="a-watch-silent-for-long"),
        pytest.param(replace(WELL, objects_age_s=lambda: None), False, id="never-an-object"),
        pytest.param(
            replace(WELL, age_s=lambda: 60.0, last_tick_age_s=lambda: None, objects_age_s=lambda: None),
            True,
            id="still-starting",
        ),
    ],
)
def test_alive(vitals: Vitals, is_alive: bool) -> None:
    assert alive(vitals, stale_after_s=90.0).ok is is_alive


@pytest.mark.parametrize("unknown", ["policies_known", "objects_known", "observed"])
def test_not_ready_before_everything_is_known(unknown: str) -> None:
    verdict = ready(replace(WELL, **{unknown: lambda: False}))

    assert not verdict.ok and len(failing(verdict)) == 1 and "not yet" in failing(verdict)[0]


def test_ready_once_it_is() -> None:
    assert ready(WELL).ok and failing(ready(WELL)) == []
