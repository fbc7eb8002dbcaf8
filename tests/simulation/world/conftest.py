"""Worlds for tests. Whatever a test does to one, every request in it must be accounted for at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import yaml

from simulation.scenario import Scenario, parse_scenario
from simulation.world import World

WorldOf = Callable[..., World]


def scenario_of(text: str, **changes: object) -> Scenario:
    """The scenario written in `text`, with some top-level keys replaced."""
    raw = {"name": "test", "duration_s": 300, "warm_up_s": 60, **yaml.safe_load(text), **changes}
    return parse_scenario(yaml.safe_dump(raw), "test")


@pytest.fixture
def world_of() -> Iterator[WorldOf]:
    worlds: list[World] = []

    def build(text: str, seed: int = 1, **changes: object) -> World:
        worlds.append(World(scenario_of(text, **changes), seed))
        return worlds[-1]

    yield build
    for world in worlds:
        assert world.engine.accounting().is_balanced()
        assert world.engine.refused_full == 0


@pytest.fixture
def bad_share() -> Callable[[World, float, float], float]:
    """Share of the requests meant for [from, to) that failed or came after their SLO."""

    def share(world: World, from_s: float, to_s: float) -> float:
        clients = world.engine.clients
        span = slice(int(from_s) - clients.first_s, int(to_s) - clients.first_s)
        bad = clients.failed[:, span].sum() + clients.slow[:, span].sum()
        return float(bad / np.maximum(1, clients.arrived[:, span].sum()))

    return share
