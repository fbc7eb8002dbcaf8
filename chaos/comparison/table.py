"""The comparison as values: figures of each scenario and arm in both worlds, and whether they are close enough."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from chaos.comparison.pairs import Pair
from chaos.comparison.replicas import Agreement, agreements
from chaos.experiments.ended import LeftOut
from forecasting.forecast import Floats
from simulation.scoring.statistics import compare, resample_weights

#: What is compared, in the order of the table. `requests` tells whether the load was the same.
FIGURES = ("downtime_s", "mttr_s", "p99_hard_ms", "pod_hours", "requests")

# The issue's own figures: how wrong the simulator may be.
DOWNTIME_RATIO, DOWNTIME_S = 0.30, 5.0
REPLICAS_RATIO = 0.90


@dataclass(frozen=True, slots=True)
class FigureLine:
    """One figure over the runs that know it in both worlds. None: no such run, or (interval) only one."""

    runs: int
    only_live: int  # runs that know it live and not simulated, and the other way round
    only_simulated: int
    live: float | None
    simulated: float | None
    error: float | None  # simulated − live
    error_low: float | None  # 95 % over runs
    error_high: float | None
    error_ratio: float | None  # of live; None where that is 0


@dataclass(frozen=True, slots=True)
class ArmLine:
    """One scenario under one arm."""

    scenario: str
    arm: str
    seeds: tuple[int, ...]
    figures: Mapping[str, FigureLine]
    replicas: tuple[Agreement, ...]

    @property
    def downtime_close(self) -> bool | None:
        line = self.figures["downtime_s"]
        if line.error is None or line.live is None:
            return None
        return abs(line.error) <= max(DOWNTIME_S, DOWNTIME_RATIO * line.live)

    @property
    def replicas_close(self) -> bool | None:
        """Every scaled service is within one replica, desired and ready, for long enough. None: one is unknown."""
        least = [agreement.least for agreement in self.replicas]
        if any(share is not None and share < REPLICAS_RATIO for share in least):
            return False
        return None if not least or None in least else True


@dataclass(frozen=True, slots=True)
class RankLine:
    """Arms of one scenario from the least downtime to the most, over the seeds that all of them have. `reversed_arms`
    are pairs that do not stand alike. `equal` None: fewer than two arms."""

    scenario: str
    live: tuple[str, ...]
    simulated: tuple[str, ...]
    reversed_arms: tuple[tuple[str, str], ...]
    equal: bool | None


@dataclass(frozen=True, slots=True)
class Comparison:
    arms: tuple[ArmLine, ...]
    ranks: tuple[RankLine, ...]
    left_out: tuple[LeftOut, ...]


def compared(
    pairs: Sequence[Pair], services: Mapping[str, Sequence[str]], left_out: Sequence[LeftOut] = ()
) -> Comparison:
    """`services`: the scaled ones of each scenario."""
    groups: dict[tuple[str, str], list[Pair]] = {}
    for pair in pairs:
        groups.setdefault((pair.key.scenario, pair.key.arm), []).append(pair)
    scenarios = dict.fromkeys(scenario for scenario, _ in groups)
    return Comparison(
        arms=tuple(_arm_line(key, found, services[key[0]]) for key, found in groups.items()),
        ranks=tuple(
            _rank(scenario, {arm: found for (name, arm), found in groups.items() if name == scenario})
            for scenario in scenarios
        ),
        left_out=tuple(left_out),
    )


def _arm_line(key: tuple[str, str], pairs: Sequence[Pair], services: Sequence[str]) -> ArmLine:
    scenario, arm = key
    return ArmLine(
        scenario=scenario,
        arm=arm,
        seeds=tuple(sorted(pair.key.seed for pair in pairs)),
        figures={figure: _figure(pairs, figure) for figure in FIGURES},
        replicas=agreements(services, pairs),
    )


def _figure(pairs: Sequence[Pair], figure: str) -> FigureLine:
    live, simulated = (_values([getattr(world, figure) for world in worlds]) for worlds in _worlds(pairs))
    both = np.isfinite(live) & np.isfinite(simulated)
    weights = resample_weights(["one"] * len(pairs), np.random.default_rng(len(pairs)))
    apart = compare(simulated, live, weights)
    return FigureLine(
        runs=int(both.sum()),
        only_live=int((np.isfinite(live) & ~both).sum()),
        only_simulated=int((np.isfinite(simulated) & ~both).sum()),
        live=float(live[both].mean()) if both.any() else None,
        simulated=float(simulated[both].mean()) if both.any() else None,
        error=apart.difference,
        error_low=apart.difference_low,
        error_high=apart.difference_high,
        error_ratio=None if apart.ratio is None else apart.ratio - 1.0,
    )


def _worlds(pairs: Sequence[Pair]) -> tuple[list[object], list[object]]:
    return [pair.live for pair in pairs], [pair.simulated for pair in pairs]


def _values(values: Sequence[float | None]) -> Floats:
    return np.array([np.nan if value is None else value for value in values])


def _rank(scenario: str, by_arm: Mapping[str, Sequence[Pair]]) -> RankLine:
    shared = set.intersection(*({pair.key.seed for pair in pairs} for pairs in by_arm.values()))
    chosen = {arm: [pair for pair in pairs if pair.key.seed in shared] for arm, pairs in by_arm.items()}
    if len(chosen) < 2 or not shared:
        return RankLine(scenario, (), (), (), None)
    live = {arm: float(np.mean([pair.live.downtime_s for pair in pairs])) for arm, pairs in chosen.items()}
    simulated = {arm: float(np.mean([pair.simulated.downtime_s for pair in pairs])) for arm, pairs in chosen.items()}
    apart = tuple(
        (a, b) for a, b in combinations(chosen, 2) if not _alike(live[a] - live[b], simulated[a] - simulated[b])
    )
    return RankLine(scenario, _ordered(live), _ordered(simulated), apart, not apart)


def _alike(live_s: float, simulated_s: float) -> bool:
    """Two arms stand the same way round, or are level in both worlds: as close as downtime has to be."""
    same_way = np.sign(live_s) == np.sign(simulated_s)
    return bool(same_way) or max(abs(live_s), abs(simulated_s)) <= DOWNTIME_S


def _ordered(downtime_s: Mapping[str, float]) -> tuple[str, ...]:
    return tuple(sorted(downtime_s, key=lambda arm: (downtime_s[arm], arm)))
