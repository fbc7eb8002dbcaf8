"""The shop's scenarios as experiments record them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from simulation.scenario import Scenario, scenario_of


@pytest.fixture
def scenario() -> Callable[..., Scenario]:
    """A short scenario of the shop; keyword arguments replace its parts."""

    def made(**parts: object) -> Scenario:
        raw = {
            "name": "short",
            "duration_s": 120,
            "warm_up_s": 120,
            "topology": "shop",
            "load": {"rps": 20, "roughness": 0.3},
            "faults": [],
            **parts,
        }
        return scenario_of(raw, "test")

    return made
