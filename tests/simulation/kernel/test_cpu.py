"""CPU limits, worked out by hand: a quota of cores × 0.1 s in each period of 0.1 s, the first of which begins at 0."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from simulation.kernel.engine import Engine


def _finish_time_s(engine: Engine, requests: int, until_s: float = 20.0) -> float:
    """When the pod had answered so many requests, to the tenth of a millisecond."""
    while engine.pods.requests[0] < requests:
        assert engine.now_s < until_s, "the requests never end"
        engine.advance(round(engine.now_s + 0.0001, 4))
    return engine.now_s


def test_half_a_core_works_in_the_first_half_of_each_period(solo: Callable[..., Engine], send: Callable) -> None:
    engine = solo(0.12, cores=0.5)
    send(engine, [0.0])

    # 0.05 in the first period, 0.05 in the second, and the last 0.02 from 0.2 on
    assert _finish_time_s(engine, 1) == pytest.approx(0.22, abs=2e-4)
    assert engine.pods.cpu_s[0] == pytest.approx(0.12)
    assert engine.pods.throttled_s[0] == pytest.approx(0.1)


def test_work_that_uses_up_the_quota_exactly_is_not_throttled(solo: Callable[..., Engine], send: Callable) -> None:
    engine = solo(0.05, cores=0.5)
    send(engine, [0.0, 0.1])

    engine.advance(0.3)

    # each ends in its own period, at 0.05 and 0.15
    assert engine.pods.latency_sum_s[0] == pytest.approx(0.1)


def test_four_workers_use_two_cores_in_half_the_time(solo: Callable[..., Engine], send: Callable) -> None:
    engine = solo(0.2, cores=2.0, threads=4)
    send(engine, [0.0, 0.0, 0.0, 0.0])

    # the quota of 0.2 lasts four workers 0.05 s; each needs four such turns, the last one begins at 0.3
    assert _finish_time_s(engine, 4) == pytest.approx(0.35, abs=2e-4)
    assert engine.pods.latency_sum_s[0] == pytest.approx(4 * 0.35)
    assert engine.pods.cpu_s[0] == pytest.approx(0.8)


def test_a_late_comer_shares_what_is_left_of_the_quota(solo: Callable[..., Engine], send: Callable) -> None:
    engine = solo(0.15, cores=1.0, threads=2)
    send(engine, [0.0, 0.06])

    engine.advance(1.0)

    # Alone to 0.06; then two use the 0.04 left by 0.08 and stall. Done: 0.08 and 0.02. From 0.1 both run to 0.15:
    # 0.13 and 0.07. From 0.2 both run: the first ends at 0.22, when the second has 0.09 and 0.06 of quota are left;
    # alone it ends at 0.28.
    assert engine.pods.latency_sum_s[0] == pytest.approx(0.22 + (0.28 - 0.06))


def test_no_more_workers_than_cores_are_never_throttled(solo: Callable[..., Engine], send: Callable) -> None:
    engine = solo(0.5, cores=2.0, threads=2)
    send(engine, [0.0, 0.0, 0.0])

    engine.advance(2.0)

    assert engine.pods.latency_sum_s[0] == pytest.approx(0.5 + 0.5 + 1.0)
    assert engine.pods.throttled_s[0] == 0.0


def test_each_period_gives_its_quota_and_no_more(solo: Callable[..., Engine], send: Callable) -> None:
    engine = solo(0.013, cores=1.5, threads=8)
    send(engine, np.sort(np.random.default_rng(1).uniform(0.0, 10.0, 2000)).tolist())

    used_s = []
    for period in range(1, 101):
        before_s = float(engine.pods.cpu_s[0])
        engine.advance(period * 0.1)
        used_s.append(float(engine.pods.cpu_s[0]) - before_s)

    # 26 s of work for 15 s of CPU: from the second period on, every one is used up
    assert max(used_s) <= 0.15 + 1e-9
    assert min(used_s[2:]) == pytest.approx(0.15)


def test_a_slower_cpu_takes_longer(solo: Callable[..., Engine], send: Callable) -> None:
    engine = solo(0.5)
    engine.set_speed(0, 0.5)
    send(engine, [0.0])

    engine.advance(3.0)

    assert engine.pods.latency_sum_s[0] == pytest.approx(1.0)
    assert engine.pods.cpu_s[0] == pytest.approx(1.0)


@pytest.mark.parametrize(("speed", "latency_s"), [(0.5, 1.6), (2.0, 0.7)])
def test_a_change_of_speed_catches_work_under_way(
    solo: Callable[..., Engine], send: Callable, speed: float, latency_s: float
) -> None:
    engine = solo(1.0)
    send(engine, [0.0])

    engine.advance(0.4)
    engine.set_speed(0, speed)  # 0.6 of the work is left
    engine.advance(3.0)

    assert engine.pods.latency_sum_s[0] == pytest.approx(latency_s)


def test_a_change_of_speed_while_throttled_counts_from_the_next_period(
    solo: Callable[..., Engine], send: Callable
) -> None:
    engine = solo(0.09, cores=0.5)
    send(engine, [0.0])

    engine.advance(0.07)
    engine.set_speed(0, 2.0)  # 0.04 are left, which take 0.02 from 0.1 on
    engine.advance(1.0)

    assert engine.pods.latency_sum_s[0] == pytest.approx(0.12)


def test_backlog_is_the_work_that_has_not_begun(solo: Callable[..., Engine], send: Callable) -> None:
    engine = solo(0.2, concurrency=2, queue=5)
    send(engine, [0.0, 0.0, 0.0, 0.0])

    engine.advance(0.1)

    assert engine.backlog_s(0) == pytest.approx(0.6)
    assert engine.pods.in_progress[0] == 2
    assert engine.pods.queued[0] == 2


def test_phases_differ_between_pods_and_repeat_with_the_seed(solo: Callable[..., Engine], send: Callable) -> None:
    def finish_times_s() -> Sequence[float]:
        engine = solo(0.12, cores=0.5)
        pods = [engine.add_pod("app", 0.5, 0) for _ in range(4)]
        for i, pod in enumerate(pods):
            engine.set_endpoints("app", [pod])
            engine.advance(engine.now_s + 0.01)
            send(engine, [float(i + 1)])
            engine.advance(float(i + 1) + 0.5)
        return [float(engine.pods.latency_sum_s[pod]) for pod in pods]

    first = finish_times_s()

    assert len({round(time_s, 6) for time_s in first}) > 1
    assert finish_times_s() == first
