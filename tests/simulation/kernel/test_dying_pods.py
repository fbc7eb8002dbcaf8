"""Pods that die and networks that lose packets. `duo`: 1 ms at the front, 10 ms at the back, hops of 1 ms."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from simulation.kernel.engine import Engine, PodState
from simulation.kernel.plan import Call, RequestClass

Build = Callable[..., Engine]
Send = Callable[..., None]
FRONT, BACK = 0, 1


def test_a_refusing_pod_fails_its_callers_after_a_round_trip(duo: Build, send: Send) -> None:
    engine = duo()
    engine.set_state(BACK, PodState.REFUSING)
    send(engine, [0.0])

    engine.advance(1.0)

    assert engine.clients.failed.sum() == 1
    assert engine.pods.latency_sum_s[FRONT] == pytest.approx(0.001 + 0.002)
    assert engine.pods.requests[BACK] == 0


def test_a_dark_pod_holds_its_callers_to_their_timeout(duo: Build, send: Send) -> None:
    engine = duo(Call("answer", timeout_s=0.5))
    engine.set_state(BACK, PodState.DARK)
    send(engine, [0.0])

    engine.advance(1.0)

    assert engine.clients.failed.sum() == 1
    assert engine.pods.latency_sum_s[FRONT] == pytest.approx(0.001 + 0.5)


@pytest.mark.parametrize(
    ("state", "front_s"),
    [
        pytest.param(PodState.REFUSING, 0.005, id="refusing"),  # from 1 ms to 5 ms, then a hop back, at the front
        pytest.param(PodState.GONE, 0.005, id="gone"),
        pytest.param(PodState.DARK, 0.501, id="dark"),  # 1 ms of work, then the timeout
    ],
)
def test_work_under_way_ends_when_its_pod_does(duo: Build, send: Send, state: PodState, front_s: float) -> None:
    engine = duo(Call("answer", timeout_s=0.5))
    send(engine, [0.0])

    engine.advance(0.005)  # at the front since 1 ms, at the back since 3 ms
    engine.set_state(BACK, state)
    engine.advance(1.0)

    assert engine.clients.failed.sum() == 1
    assert engine.pods.latency_sum_s[FRONT] == pytest.approx(front_s)
    assert engine.pods.in_progress[BACK] == 0
    assert engine.accounting().is_balanced()


def test_a_pod_that_comes_back_starts_empty(solo: Build, send: Send) -> None:
    engine = solo(0.4, concurrency=1, queue=5)
    send(engine, [0.0, 0.0, 0.0, 2.0])

    engine.advance(0.1)
    engine.set_state(0, PodState.REFUSING)
    engine.advance(1.0)
    engine.set_state(0, PodState.SERVING)
    engine.advance(3.0)

    assert engine.clients.failed.sum() == 3
    assert engine.clients.ok.sum() == 1
    assert engine.pods.cpu_s[0] == pytest.approx(0.1 + 0.4)


def test_a_dead_caller_frees_whoever_worked_for_it(duo: Build, send: Send) -> None:
    engine = duo(client=RequestClass("client", "ask", patience_s=0.3, slo_s=0.1))
    send(engine, [0.0])

    engine.advance(0.005)
    engine.set_state(FRONT, PodState.DARK)
    engine.advance(1.0)

    # the back finishes for nobody; the client waits in vain
    assert engine.pods.requests[BACK] == 1
    assert engine.services.failed[BACK] == 1
    assert engine.clients.abandoned.sum() == 1
    assert engine.accounting().is_balanced()


def test_what_was_on_its_way_to_a_pod_does_not_reach_its_successor(duo: Build, send: Send) -> None:
    engine = duo(Call("answer", timeout_s=0.5))
    send(engine, [0.0])

    engine.advance(0.0025)  # between front and back
    engine.set_state(BACK, PodState.GONE)
    assert engine.add_pod("back", 1.0, 0) == BACK
    engine.advance(1.0)

    assert engine.pods.requests[BACK] == 0
    assert engine.clients.failed.sum() == 1


def test_an_error_ratio_fails_that_share_after_its_work(solo: Build, send: Send) -> None:
    engine = solo(0.001, threads=1)
    engine.set_error_ratio(0, 0.3)
    send(engine, [i * 0.01 for i in range(3000)])

    engine.advance(60.0)

    # binomial: 900, standard deviation 25
    assert engine.clients.failed.sum() == pytest.approx(900, abs=100)
    assert engine.pods.errors[0] == engine.clients.failed.sum()
    assert engine.pods.cpu_s[0] == pytest.approx(3.0)


def test_a_cut_zone_reaches_only_itself(duo: Build, send: Send) -> None:
    engine = duo(Call("answer", timeout_s=0.5), zones=(0, 1))
    engine.set_zone_cut(1, True)
    send(engine, [0.0, 2.0, 3.0])

    engine.advance(1.0)
    assert engine.clients.failed[0, 0] == 1
    assert engine.pods.latency_sum_s[FRONT] == pytest.approx(0.501)
    assert engine.pods.requests[BACK] == 0
    engine.set_zone_cut(1, False)
    engine.advance(2.5)
    assert engine.clients.ok[0, 2] == 1
    engine.set_zone_cut(0, True)
    engine.set_zone_cut(1, True)
    engine.advance(20.0)

    assert engine.clients.abandoned[0, 3] == 1, "clients are outside of every zone"


def test_answers_are_lost_in_a_cut_too(duo: Build, send: Send) -> None:
    engine = duo(Call("answer", timeout_s=0.5), zones=(0, 1))
    send(engine, [0.0])

    engine.advance(0.005)
    engine.set_zone_cut(1, True)
    engine.advance(1.0)

    assert engine.pods.requests[BACK] == 1, "the work went on"
    assert engine.pods.latency_sum_s[FRONT] == pytest.approx(0.501)


def test_both_ends_in_the_cut_zone_hear_each_other(duo: Build, send: Send) -> None:
    engine = duo(zones=(1, 1))
    send(engine, [0.0])

    engine.advance(0.0015)
    engine.set_zone_cut(1, True)
    engine.advance(0.014)
    engine.set_zone_cut(1, False)
    engine.advance(1.0)

    assert engine.services.ok[BACK] == 1
    assert engine.pods.requests[FRONT] == 1


def test_extra_waits_hold_slots_but_no_cpu(solo: Build, send: Send) -> None:
    engine = solo(0.01, concurrency=1, queue=1)
    engine.set_extra_wait(0, 1.0)
    send(engine, [0.0, 0.0])

    engine.advance(5.0)

    assert engine.pods.latency_sum_s[0] == pytest.approx(1.01 + 2.02)
    assert engine.pods.cpu_s[0] == pytest.approx(0.02)
