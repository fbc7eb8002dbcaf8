"""The dimmer, alone and in front of simulated servers that have more to do than they can."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from demo_shop.gateway.brownout import BrownoutCeiling
from demo_shop.gateway.dimmer import Dimmer, DimmerSettings, OptionalParts, Part

LOOK_S = 0.1
CALM_S, OVERLOADED_S, CALM_AGAIN_S = 20.0, 120.0, 60.0


@dataclass
class Server:
    """Workers with one queue: a page costs `needed_s`, and up to `optional_s` more with all its optional parts.

    Whoever waited `patience_s` is not served, as admission has it. Pages come `rate_rps(now)` times a second, evenly
    or, with `chance`, by it (as do their costs).
    """

    needed_s: float
    optional_s: float
    workers: int = 1
    patience_s: float = 1.0
    chance: random.Random | None = None
    levels: list[tuple[float, float]] = field(default_factory=list)
    p95s: list[tuple[float, float]] = field(default_factory=list)

    def run(self, dimmer: Dimmer, rate_rps: Callable[[float], float], seconds: float) -> None:
        parts_rng = random.Random(1)
        waiting: deque[float] = deque()
        free_s = [0.0] * self.workers
        answers: list[tuple[float, float]] = []
        next_s, now_s = 1.0 / rate_rps(0.0), 0.0
        while now_s < seconds:
            now_s += LOOK_S
            while next_s < now_s:
                waiting.append(next_s)
                next_s += self._varied(1.0 / rate_rps(next_s))
            while waiting:
                worker = min(range(self.workers), key=free_s.__getitem__)
                start_s = max(waiting[0], free_s[worker])
                if start_s >= now_s:
                    break
                came_s = waiting.popleft()
                if start_s - came_s > self.patience_s:
                    continue
                served = dimmer.serves_optional(parts_rng)
                share = (served.images + served.recommendations + served.dynamic_pricing) / len(Part)
                free_s[worker] = start_s + self._varied(self.needed_s + share * self.optional_s)
                answers.append((free_s[worker], free_s[worker] - came_s))
            answers.sort()
            while answers and answers[0][0] <= now_s:
                answered_s, latency_s = answers.pop(0)
                dimmer.observe(latency_s, answered_s)
            dimmer.adjust(0.0, now_s)
            self.levels.append((now_s, dimmer.inner))
            if (p95_s := dimmer.p95_s(now_s)) is not None:
                self.p95s.append((now_s, p95_s))

    def _varied(self, mean: float) -> float:
        return mean if self.chance is None else self.chance.expovariate(1.0 / mean)


def twice_too_much(capacity_rps: float) -> Callable[[float], float]:
    """Half of what the servers bear with everything on, then twice, then half again."""

    def rate_rps(now_s: float) -> float:
        return capacity_rps * (2.0 if CALM_S <= now_s < CALM_S + OVERLOADED_S else 0.5)

    return rate_rps


def between(values: list[tuple[float, float]], from_s: float, to_s: float) -> list[float]:
    return [value for at_s, value in values if from_s <= at_s < to_s]


def overloaded(server: Server, capacity_rps: float) -> Server:
    server.run(Dimmer(), twice_too_much(capacity_rps), CALM_S + OVERLOADED_S + CALM_AGAIN_S)
    return server


# A quarter of the cost is needed. All parts: 50 pages × 20 ms = 1 worker; twice that: 100 × (5 + 15 × level) ms = 1
# worker at a level of 1/3. The others are the same with more workers, or with more and cheaper pages.
OVERLOADS = [
    pytest.param(lambda: Server(0.005, 0.015), 50.0, id="50 a second"),
    pytest.param(lambda: Server(0.0125, 0.0375, workers=4), 80.0, id="4 workers"),
    pytest.param(lambda: Server(0.000625, 0.001875), 400.0, id="400 a second"),
    pytest.param(lambda: Server(0.0125, 0.0375), 20.0, id="20 a second"),
]
Make = Callable[[], Server]


@pytest.mark.parametrize(("server", "capacity_rps"), OVERLOADS)
def test_under_twice_the_load_pages_are_quick_again_within_ten_seconds(server: Make, capacity_rps: float) -> None:
    run = overloaded(server(), capacity_rps)

    assert max(between(run.p95s, CALM_S, CALM_S + 10.0)) > 0.25  # it was an overload
    assert max(between(run.p95s, CALM_S + 10.0, CALM_S + OVERLOADED_S)) < 0.25


@pytest.mark.parametrize(("server", "capacity_rps"), OVERLOADS)
def test_the_level_settles_where_the_work_just_fits_and_does_not_swing(server: Make, capacity_rps: float) -> None:
    run = overloaded(server(), capacity_rps)

    settled = between(run.levels, CALM_S + 20.0, CALM_S + OVERLOADED_S)
    assert sum(settled) / len(settled) == pytest.approx(1.0 / 3.0, abs=0.03)
    assert all(abs(level - 1.0 / 3.0) < 0.15 for level in settled)


@pytest.mark.parametrize(("server", "capacity_rps"), OVERLOADS)
def test_everything_is_back_soon_after_the_load_is_gone(server: Make, capacity_rps: float) -> None:
    run = overloaded(server(), capacity_rps)

    assert min(between(run.levels, 0.0, CALM_S)) == 1.0
    assert min(between(run.levels, CALM_S + OVERLOADED_S + 15.0, float("inf"))) == 1.0


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_with_visitors_and_costs_as_chance_has_them_pages_stay_quick_mostly(seed: int) -> None:
    run = overloaded(Server(0.000625, 0.001875, chance=random.Random(seed)), 400.0)

    dimmed = between(run.p95s, CALM_S + 10.0, CALM_S + OVERLOADED_S)
    assert sum(p95_s > 0.25 for p95_s in dimmed) / len(dimmed) < 0.25
    levels = between(run.levels, CALM_S + 20.0, CALM_S + OVERLOADED_S)
    mean = sum(levels) / len(levels)
    assert (sum((level - mean) ** 2 for level in levels) / len(levels)) ** 0.5 < 0.1


def test_a_server_that_is_too_slow_even_without_is_left_without_anything_optional() -> None:
    server = Server(0.015, 0.005)

    server.run(Dimmer(), lambda _: 100.0, 40.0)

    assert set(between(server.levels, 20.0, 40.0)) == {0.0}


def looked_at(
    dimmer: Dimmer, latency_s: float | None, lag_s: float, seconds: float, from_s: float = 0.0
) -> list[float]:
    """The levels while every page takes `latency_s`; None: there are no pages."""
    levels = []
    for look in range(round(seconds / LOOK_S)):
        now_s = from_s + look * LOOK_S
        if latency_s is not None:
            for _ in range(20):
                dimmer.observe(latency_s, now_s)
        levels.append(dimmer.adjust(lag_s, now_s))
    return levels


def test_a_lagging_event_loop_dims_though_pages_are_quick() -> None:
    assert looked_at(Dimmer(), latency_s=0.01, lag_s=0.2, seconds=10.0)[-1] == 0.0


def test_one_long_pause_of_the_event_loop_dims_a_little() -> None:
    # 0.3 × 0.2 s = 0.06 s against the 0.04 s aimed at. The tenth that quick pages add goes, then 0.3 × ln(1.5) at once
    # and 0.15 × ln(1.5) × 0.1 s: 0.9 - 0.1216 - 0.0061.
    dimmer = Dimmer()
    looked_at(dimmer, None, lag_s=0.0, seconds=1.0)

    assert dimmer.adjust(0.2, 1.0) == pytest.approx(0.7723, abs=0.0005)
    assert looked_at(dimmer, None, lag_s=0.0, seconds=1.0, from_s=1.1)[-1] == 1.0


def test_the_slower_the_pages_the_lower_the_level() -> None:
    after_3_s = [looked_at(Dimmer(), latency_s, 0.0, 3.0)[-1] for latency_s in (0.1, 0.25, 0.35, 0.5)]

    assert after_3_s == sorted(after_3_s, reverse=True)
    assert len(set(after_3_s)) == 4


def test_dims_by_its_gains() -> None:
    # Pages take e times what is aimed at (0.8 × 0.25 = 0.2 s), so the error is -1. At the first look no time has
    # passed: 1 - 0.3 at once. After 1 s more: 0.3 + 0.15 × 1 s below 1.
    dimmer = Dimmer()

    levels = looked_at(dimmer, 0.2 * 2.718281828, 0.0, 1.1)

    assert levels[0] == pytest.approx(0.7)
    assert levels[-1] == pytest.approx(0.55)


def test_minutes_of_overload_do_not_delay_the_return() -> None:
    def back_after_s(overload_s: float) -> float:
        dimmer = Dimmer()
        looked_at(dimmer, 5.0, 0.0, overload_s)
        levels = looked_at(dimmer, 0.01, 0.0, 60.0, from_s=overload_s + 2.0)
        return levels.index(1.0) * LOOK_S

    assert back_after_s(600.0) == pytest.approx(back_after_s(10.0), abs=0.2)
    assert back_after_s(600.0) < 15.0


def test_without_visitors_nothing_stays_dimmed() -> None:
    dimmer = Dimmer()
    looked_at(dimmer, 2.0, 0.0, 10.0)

    levels = looked_at(dimmer, None, 0.0, 20.0, from_s=10.0)

    assert levels[0] == 0.0
    assert levels[-1] == 1.0


def test_a_pause_of_the_control_loop_is_not_taken_for_a_measurement() -> None:
    dimmer = Dimmer()
    looked_at(dimmer, 2.0, 0.0, 10.0)

    # One look after ten minutes: at most one second of recovery, 0.08, and 0.1 at once.
    assert dimmer.adjust(0.0, 610.0) == pytest.approx(0.18)


def test_the_p95_is_that_of_the_last_second() -> None:
    # Of 40 answers the 38th by size. The slow ones before the window are forgotten.
    dimmer = Dimmer()
    for _ in range(10):
        dimmer.observe(9.0, 0.9)
    for number in range(1, 41):
        dimmer.observe(number / 100.0, 2.0)

    assert dimmer.p95_s(2.0) == 0.38


def test_where_pages_are_few_the_last_twenty_of_five_seconds_tell_it() -> None:
    dimmer = Dimmer()
    for number in range(1, 31):
        dimmer.observe(number / 100.0, number / 10.0)

    # At 4.5 s no answer of the last second is left: the newest 20, from 0.11 to 0.30, of which 0.29 is the 19th.
    assert dimmer.p95_s(4.5) == 0.29


def test_one_slow_page_among_few_is_no_overload() -> None:
    dimmer = Dimmer()
    for _ in range(19):
        dimmer.observe(9.0, 1.0)

    assert dimmer.p95_s(1.0) is None
    assert dimmer.adjust(0.0, 1.0) == 1.0
    dimmer.observe(9.0, 1.0)
    assert dimmer.p95_s(1.0) == 9.0
    assert dimmer.p95_s(6.1) is None


def test_the_operators_ceiling_holds_until_its_time_is_over() -> None:
    ceiling = BrownoutCeiling()
    dimmer = Dimmer(ceiling)
    ceiling.put(0.4, ttl_s=60.0, reason="the sale begins", now_s=100.0)

    assert dimmer.adjust(0.0, 159.9) == 0.4
    assert dimmer.inner == 1.0
    assert dimmer.adjust(0.0, 160.0) == 1.0


def test_a_ceiling_above_what_the_dimmer_serves_changes_nothing() -> None:
    ceiling = BrownoutCeiling()
    dimmer = Dimmer(ceiling)
    ceiling.put(0.8, ttl_s=600.0, reason="", now_s=0.0)

    assert looked_at(dimmer, 5.0, 0.0, 10.0)[-1] == 0.0
    assert dimmer.effective(10.0) == 0.0


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        # 3 parts × level: the whole parts are always there, the next one in the share that is left over.
        (1.0, (1.0, 1.0, 1.0)),
        (0.9, (0.7, 1.0, 1.0)),
        (0.5, (0.0, 0.5, 1.0)),
        (0.1, (0.0, 0.0, 0.3)),
        (0.0, (0.0, 0.0, 0.0)),
    ],
)
def test_images_go_first_then_recommendations_and_dynamic_pricing_last(
    level: float, expected: tuple[float, float, float]
) -> None:
    dimmer = Dimmer()
    dimmer.level = level
    rng = random.Random(7)

    served = [dimmer.serves_optional(rng) for _ in range(20_000)]

    shares = [
        sum(parts.images for parts in served) / len(served),
        sum(parts.recommendations for parts in served) / len(served),
        sum(parts.dynamic_pricing for parts in served) / len(served),
    ]
    assert shares == pytest.approx(expected, abs=0.015)
    assert all(_in_order(parts) for parts in served)


def _in_order(parts: OptionalParts) -> bool:
    return parts.dynamic_pricing >= parts.recommendations >= parts.images


def test_answers_that_went_out_without_a_part_are_counted_by_part() -> None:
    dimmer = Dimmer(settings=DimmerSettings())

    dimmer.count_degraded(Part.RECOMMENDATIONS)
    dimmer.count_degraded(Part.RECOMMENDATIONS)
    dimmer.count_degraded(Part.IMAGES)

    assert dimmer.degraded == {Part.IMAGES: 1, Part.RECOMMENDATIONS: 2, Part.DYNAMIC_PRICING: 0}
