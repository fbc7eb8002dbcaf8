"""Probes go through the pod's own queue and CPU, and conclude what the kubelet would."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from simulation.kernel.engine import Engine, Notice, NoticeKind, PodState, ProbeKind

Build = Callable[..., Engine]
Send = Callable[..., None]


def _notices(engine: Engine, until_s: float) -> list[tuple[float, NoticeKind]]:
    """Everything that is noticed up to then, to the millisecond."""
    seen: list[Notice] = []
    while engine.now_s < until_s:
        seen += engine.advance(until_s)
    return [(round(notice.t_s, 3), notice.kind) for notice in seen]


def _readiness(engine: Engine, success_threshold: int = 1) -> None:
    engine.set_probe(0, ProbeKind.READINESS, 2.0, 0.5, 3, success_threshold, first_at_s=engine.now_s + 1.0, cpu_s=0.001)


def test_a_pod_is_ready_once_its_probe_is_answered(solo: Build) -> None:
    engine = solo(0.01)
    _readiness(engine)

    assert _notices(engine, 20.0) == [(1.001, NoticeKind.READY)]
    assert engine.pods.requests[0] == 0, "probes are not requests"
    assert engine.pods.cpu_s[0] == pytest.approx(0.010)


def test_readiness_takes_as_many_successes_as_it_asks_for(solo: Build) -> None:
    engine = solo(0.01)
    _readiness(engine, success_threshold=3)

    assert _notices(engine, 20.0) == [(5.001, NoticeKind.READY)]


def test_an_advance_ends_at_the_notice(solo: Build) -> None:
    engine = solo(0.01)
    _readiness(engine)

    (notice,) = engine.advance(20.0)

    assert notice == Notice(engine.now_s, NoticeKind.READY, 0)
    assert engine.now_s == pytest.approx(1.001)
    assert engine.advance(20.0) == []
    assert engine.now_s == 20.0


def test_readiness_fails_under_overload_and_recovers(solo: Build, send: Send) -> None:
    engine = solo(1.0, concurrency=100, queue=100)
    _readiness(engine)
    send(engine, [2.0 + i * 0.01 for i in range(15)])

    # Work for 15 s queues up before the CPU at 2 s. Probes at 3, 5 and 7 s each wait 0.5 s in vain. At 17 s all is
    # done, what was given up included: 7 overdue probes of 1 ms. The probe of 17 s is answered behind them.
    ready, unready, again = _notices(engine, 30.0)

    assert ready == (1.001, NoticeKind.READY)
    assert unready == (7.5, NoticeKind.UNREADY)
    assert again[1] == NoticeKind.READY
    assert 17.0 < again[0] < 17.1


def test_one_failure_less_than_the_threshold_changes_nothing(solo: Build) -> None:
    engine = solo(0.01)
    _readiness(engine)
    assert _notices(engine, 2.0) == [(1.001, NoticeKind.READY)]

    engine.set_state(0, PodState.REFUSING)
    assert _notices(engine, 6.0) == []  # failed at 3 and 5 s
    engine.set_state(0, PodState.SERVING)

    assert _notices(engine, 30.0) == []


def test_a_refusing_pod_fails_its_probes_at_once_and_a_dark_one_at_their_timeout(solo: Build) -> None:
    refusing, dark = solo(0.01), solo(0.01)
    for engine, state in ((refusing, PodState.REFUSING), (dark, PodState.DARK)):
        _readiness(engine)
        engine.advance(2.0)
        engine.advance(2.0)
        engine.set_state(0, state)

    assert _notices(refusing, 20.0) == [(7.0, NoticeKind.UNREADY)]
    assert _notices(dark, 20.0) == [(7.5, NoticeKind.UNREADY)]


def test_a_full_queue_fails_probes(solo: Build, send: Send) -> None:
    engine = solo(100.0, concurrency=1, queue=1)
    engine.set_probe(0, ProbeKind.LIVENESS, 2.0, 0.5, 2, 1, first_at_s=1.0)
    send(engine, [0.0, 0.0])

    assert _notices(engine, 4.0) == [(3.0, NoticeKind.LIVENESS_FAILED)]


def test_liveness_fails_anew_after_as_many_failures_again(solo: Build) -> None:
    engine = solo(0.01)
    engine.set_probe(0, ProbeKind.LIVENESS, 1.0, 0.5, 3, 1, first_at_s=0.0)
    engine.set_state(0, PodState.REFUSING)

    assert [time_s for time_s, _ in _notices(engine, 6.5)] == [2.0, 5.0]


def test_a_probe_in_progress_when_its_pod_dies_fails_at_its_timeout(solo: Build, send: Send) -> None:
    engine = solo(0.4)
    engine.set_probe(0, ProbeKind.LIVENESS, 10.0, 0.5, 1, 1, first_at_s=1.0)
    send(engine, [0.9])

    engine.advance(1.1)
    engine.set_state(0, PodState.REFUSING)

    assert _notices(engine, 3.0) == [(1.5, NoticeKind.LIVENESS_FAILED)]


def test_cleared_probes_are_silent(solo: Build) -> None:
    engine = solo(0.01)
    _readiness(engine)

    engine.clear_probes(0)

    assert _notices(engine, 20.0) == []


def test_two_pods_are_noticed_one_after_the_other_at_the_same_time(solo: Build) -> None:
    engine = solo(0.01)
    engine.add_pod("app", 1.0, 0)
    for pod in (0, 1):
        engine.set_probe(pod, ProbeKind.LIVENESS, 1.0, 0.5, 1, 1, first_at_s=1.0)
        engine.set_state(pod, PodState.REFUSING)

    (first,), (second,) = engine.advance(1.5), engine.advance(1.5)

    assert (first.t_s, first.pod, second.t_s, second.pod) == (1.0, 0, 1.0, 1)
    assert engine.advance(1.5) == []
