"""Shops, loads and faults for training series: drawn at random, none of them like a shipped scenario.

Shipped scenarios are reported, so nothing of them may be learned: here topologies are random trees with random
capacities, days are compressed, and every size is drawn from a range of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from simulation.corpus_faults import draw_crowds, draw_faults
from simulation.corpus_topologies import draw_calls, draw_topology, log_between, visits_behind
from simulation.scenario import Scenario, scenario_of
from simulation.streams import generator

WARM_UP_S = 300.0
_HOURS = (2.5, 3.0, 4.0, 6.0)
_HOUR_SHARES = (0.3, 0.35, 0.2, 0.15)
#: Visits that one run may cost at most: some two seconds of one core.
_MOST_VISITS = 6e6


@dataclass(frozen=True, slots=True)
class Drawn:
    """A drawn scenario and how its pods are scaled: `hpa` says whether any service has an autoscaler."""

    scenario: Scenario
    hpa: bool


def corpus_scenario(seed: int) -> Drawn:
    """The scenario that belongs to the seed; the same seed gives the same one."""
    rng = generator(seed, "corpus scenario")
    duration_s = 3600.0 * float(rng.choice(_HOURS, p=_HOUR_SHARES))
    scaled = bool(rng.random() < 0.7)
    calls = draw_calls(rng)
    has_store = bool(rng.random() < 0.6)
    per_request = 1.0 + visits_behind(calls) + has_store
    rps = min(log_between(rng, 2.0, 120.0), _MOST_VISITS / per_request / duration_s)
    topology = draw_topology(rng, calls, has_store, rps, scaled)
    faults = [*draw_crowds(rng, duration_s), *draw_faults(rng, topology, duration_s)]
    raw = {
        "name": f"corpus-{seed}",
        "description": "Drawn at random for training; never reported.",
        "role": "tuning",
        "duration_s": duration_s,
        "warm_up_s": WARM_UP_S,
        "starts_at": f"{rng.integers(24):02d}:{rng.integers(60):02d}",
        "topology": topology,
        "load": _load(rng, rps, duration_s),
        "history": {"hours": 0.0, "days_remembered": 0},
        "slo": {"latency_s": round(log_between(rng, 0.2, 4.0), 3)},
        "faults": faults,
    }
    return Drawn(scenario_of(raw, f"corpus scenario {seed}"), scaled)


def _load(rng: np.random.Generator, rps: float, duration_s: float) -> dict[str, Any]:
    shapes: tuple[Callable[[], dict[str, Any]], ...] = (
        lambda: {"diurnal": _day(rng, duration_s)},
        lambda: {"knots": _knots(rng, duration_s)},
        lambda: {"diurnal": _day(rng, duration_s), "knots": _knots(rng, duration_s)},
        dict,
    )
    shape = shapes[int(rng.choice(4, p=(0.45, 0.15, 0.3, 0.1)))]()
    return {
        "rps": round(rps, 3),
        "roughness": round(min(0.8, log_between(rng, 0.01, 0.5)), 3),
        "roughness_tau_s": round(log_between(rng, 30.0, 3600.0), 1),
        **shape,
    }


def _day(rng: np.random.Generator, duration_s: float) -> dict[str, float]:
    """A day that may be compressed, so that a run holds several."""
    period_s = float(rng.choice((86_400.0, log_between(rng, 1200.0, duration_s))))
    return {
        "period_s": round(period_s, 1),
        "amplitude": round(rng.uniform(0.05, 0.8), 3),
        "peak_at_s": round(rng.uniform(0.0, period_s), 1),
    }


def _knots(rng: np.random.Generator, duration_s: float) -> list[list[float]]:
    """A load that changes from level to level, by ramps or within a minute."""
    times = np.sort(rng.uniform(-WARM_UP_S, duration_s, int(rng.integers(2, 8))))
    knots: list[list[float]] = []
    level = 1.0
    for at_s in times:
        if rng.random() < 0.5:
            knots.append([round(float(at_s), 1), round(level, 3)])
            at_s += rng.uniform(1.0, 60.0)
        level = float(np.clip(level * np.exp(rng.normal(0.0, 0.35)), 0.15, 2.2))
        knots.append([round(float(at_s), 1), round(level, 3)])
    return sorted(knots)
