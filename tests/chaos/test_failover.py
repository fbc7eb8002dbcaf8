"""Handovers of a leading replica, as they are measured."""

import random

import pytest

from chaos.operator_bench.failover import Clocks, FailoverFailed, How, figure, handovers


class Replicas:
    """Two replicas under a clock of their own: the Lease is free `gap_s` after its holder ended."""

    def __init__(self, gap_s: float, tick_s: float) -> None:
        self.now_s = 0.0
        self.gap_s, self.tick_s = gap_s, tick_s
        self.terms = [("a_1", 0.0)]  # who leads, and since when
        self.ended: list[tuple[str, How]] = []

    @property
    def clocks(self) -> Clocks:
        return Clocks(lambda: self.now_s, self.sleep)

    def sleep(self, seconds: float) -> None:
        self.now_s += max(seconds, 0.001)

    def leader(self) -> str | None:
        return next(who for who, since_s in reversed(self.terms) if since_s <= self.now_s)

    def acted(self) -> str | None:
        return next((who for who, since_s in reversed(self.terms) if since_s + self.tick_s <= self.now_s), None)

    def ready(self) -> bool:
        return True

    def end(self, leader: str, how: How) -> None:
        self.ended.append((leader, how))
        number = int(leader[2:]) + 1
        self.terms.append((f"{'ab'[number % 2]}_{number}", self.now_s + self.gap_s))


def test_a_handover_is_timed_until_another_has_acted() -> None:
    replicas = Replicas(gap_s=16.0, tick_s=1.0)

    found = list(handovers(replicas, How.KILLED, 3, random.Random(1), replicas.clocks))

    assert [one.before for one in found] == ["a_1", "a_2", "b_3"]
    assert [one.after for one in found] == ["a_2", "b_3", "a_4"]
    assert all(one.led_s == pytest.approx(16.0, abs=0.11) for one in found)
    assert all(one.acted_s == pytest.approx(17.0, abs=0.11) for one in found)


def test_leaders_end_at_different_moments_of_their_tick() -> None:
    replicas = Replicas(gap_s=1.0, tick_s=0.5)
    list(handovers(replicas, How.STOPPED, 4, random.Random(1), replicas.clocks))

    moments = [since_s % 15.0 for _, since_s in replicas.terms[1:]]
    assert len({round(moment) for moment in moments}) > 2


def test_a_leader_that_nobody_follows_is_told() -> None:
    replicas = Replicas(gap_s=1e9, tick_s=0.5)

    with pytest.raises(FailoverFailed, match="another leader than a_1: not within 180 s; last seen: a_1"):
        list(handovers(replicas, How.KILLED, 1, random.Random(1), replicas.clocks))


def test_the_figure_is_the_slow_end_of_the_handovers() -> None:
    replicas = Replicas(gap_s=3.5, tick_s=1.0)
    found = list(handovers(replicas, How.STOPPED, 10, random.Random(1), replicas.clocks))

    measured = figure(found, How.STOPPED)

    assert measured.value == max(one.acted_s for one in found)
    assert measured.verdict == "reached"
    assert measured.detail["times"] == 10
    assert figure([], How.KILLED).verdict == "unknown"
