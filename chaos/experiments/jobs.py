"""The runs of an experiment, in an order that is drawn for each pair and the same each time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from simulation.streams import generator


class RunKey(NamedTuple):
    """One run. A pair are all arms of one scenario under one seed."""

    scenario: str
    arm: str
    seed: int

    def __str__(self) -> str:
        return f"{self.scenario} · {self.arm} · seed {self.seed}"


def paired_runs(scenarios: Sequence[str], arms: Sequence[str], seeds: Sequence[int]) -> tuple[RunKey, ...]:
    """Pair after pair: the first of every scenario, then the second, so that a stopped experiment is broad, not deep.

    Arms of a pair follow one another at once, in an order drawn from scenario and seed: what changes on the machine
    within hours hits all of them alike.
    """
    runs = []
    for seed in seeds:
        for scenario in scenarios:
            order = generator(seed, "arm order", scenario).permutation(len(arms))
            runs += [RunKey(scenario, arms[place], seed) for place in order]
    return tuple(runs)
