"""Calls between services, and what clients see of them. `duo`: 1 ms at the front, 10 ms at the back, hops of 1 ms."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from simulation.kernel.engine import Engine, PodState
from simulation.kernel.plan import Call, RequestClass

Build = Callable[..., Engine]
Send = Callable[..., None]
FRONT, BACK = 0, 1


def _latency_s(engine: Engine) -> float:
    return float(engine.pods.latency_sum_s[FRONT])


def test_a_request_takes_its_work_and_its_hops(duo: Build, send: Send) -> None:
    engine = duo()
    send(engine, [0.5])

    # to the front 1 ms; there 1 ms of work, 1 ms over, 10 ms of work, 1 ms back; 1 ms to the client: 15 ms
    engine.advance(0.5149)
    assert engine.clients.ok.sum() == 0
    engine.advance(0.5151)
    assert engine.clients.ok[0, 0] == 1
    assert _latency_s(engine) == pytest.approx(0.013)
    assert engine.pods.latency_sum_s[BACK] == pytest.approx(0.010)


def test_an_answer_after_the_slo_is_ok_and_slow(duo: Build, send: Send) -> None:
    engine = duo(client=RequestClass("client", "ask", patience_s=10.0, slo_s=0.020))
    send(engine, [0.0, 0.0])

    engine.advance(1.0)

    # the second one waits 10 ms for the back's only worker: 15 and 25 ms
    assert engine.clients.ok.sum() == 2
    assert engine.clients.slow.sum() == 1


def test_a_call_that_times_out_fails_its_request(duo: Build, send: Send) -> None:
    engine = duo(Call("answer", timeout_s=0.05))
    engine.set_extra_wait(BACK, 0.2)
    send(engine, [0.0])

    engine.advance(1.0)

    # the front works 1 ms and waits 50; the back does its 210 ms all the same
    assert engine.clients.failed.sum() == 1
    assert engine.clients.abandoned.sum() == 0
    assert _latency_s(engine) == pytest.approx(0.051)
    assert engine.pods.latency_sum_s[BACK] == pytest.approx(0.210)
    assert engine.services.failed[BACK] == 1


def test_a_client_without_patience_gives_up(duo: Build, send: Send) -> None:
    engine = duo(client=RequestClass("client", "ask", patience_s=0.1, slo_s=0.05))
    engine.set_extra_wait(BACK, 0.2)
    send(engine, [0.0])

    engine.advance(0.11)
    assert engine.clients.abandoned.sum() == 1
    assert engine.clients.failed.sum() == 1
    engine.advance(1.0)
    assert engine.pods.requests[FRONT] == 1, "the front finishes what nobody awaits"


def test_work_whose_caller_gave_up_is_dropped_from_the_queue(solo: Build, send: Send) -> None:
    client = RequestClass("client", "work", patience_s=0.5, slo_s=0.1)
    engine = solo(0.4, concurrency=1, queue=5, client=client)
    send(engine, [0.0, 0.0, 0.0])

    engine.advance(10.0)

    # the second begins at 0.4 and is given up at 0.5; the third is still queued then, and never runs
    assert engine.clients.ok.sum() == 1
    assert engine.clients.abandoned.sum() == 2
    assert engine.pods.dropped[0] == 1
    assert engine.pods.cpu_s[0] == pytest.approx(0.8)


def test_a_full_queue_rejects_at_once(solo: Build, send: Send) -> None:
    engine = solo(0.4, concurrency=1, queue=1)
    send(engine, [0.0, 0.0, 0.0])

    engine.advance(0.1)

    assert engine.clients.failed.sum() == 1
    assert engine.pods.rejected[0] == 1
    assert engine.services.offered[0] == 3, "what is rejected was offered"


def test_a_retry_goes_to_another_pod(duo: Build, send: Send) -> None:
    engine = duo(Call("answer", retries=1), back_copies=2, back_threads=8)
    engine.set_error_ratio(BACK, 1.0)
    send(engine, [i * 0.1 for i in range(40)])

    engine.advance(10.0)

    # each request that meets the failing pod first is answered by the other one
    assert engine.clients.ok.sum() == 40
    assert 5 < engine.pods.errors[BACK] < 35
    assert engine.pods.requests[BACK + 1] == 40


def test_a_retry_waits_for_its_back_off(duo: Build, send: Send) -> None:
    engine = duo(Call("answer", retries=2, retry_backoff_s=0.1))
    engine.set_error_ratio(BACK, 1.0)
    send(engine, [0.0])

    engine.advance(1.0)

    # 1 ms at the front, three attempts of 1 + 10 + 1 ms, two back-offs of 100 ms between them
    assert _latency_s(engine) == pytest.approx(0.001 + 3 * 0.012 + 2 * 0.1)


def test_retries_stop_when_the_budget_is_spent(duo: Build, send: Send) -> None:
    engine = duo(Call("answer", retries=1), retry_budget=0.2, back_threads=8)
    engine.set_error_ratio(BACK, 1.0)
    send(engine, np.linspace(0.0, 9.99, 1000).tolist())

    engine.advance(12.0)

    # A bucket of 30, filled with 0.2 for each of 1000 calls and with 3 a second for 10 seconds: 30 + 200 + 30.
    # One less if the bucket overflowed before the first retry.
    retries = engine.services.attempts[BACK] - engine.services.offered[BACK]
    assert engine.services.offered[BACK] == 1000
    assert 256 <= retries <= 260


def test_without_a_budget_every_failure_is_tried_again(duo: Build, send: Send) -> None:
    engine = duo(Call("answer", retries=1), retry_budget=float("inf"), back_threads=8)
    engine.set_error_ratio(BACK, 1.0)
    send(engine, np.linspace(0.0, 9.99, 1000).tolist())

    engine.advance(12.0)

    assert engine.services.attempts[BACK] == 2000


def test_clients_try_again_within_their_patience(duo: Build, send: Send) -> None:
    client = RequestClass("client", "ask", patience_s=2.5, slo_s=1.0, retries=5, retry_backoff_s=1.0)
    engine = duo(client=client)
    engine.set_endpoints("front", [])
    send(engine, [0.0])

    engine.advance(2.6)

    # attempts at 0, 1 and 2 s; at 2.5 s, backing off, it gives up
    assert engine.services.attempts[FRONT] == 3
    assert engine.services.offered[FRONT] == 1
    assert engine.clients.abandoned.sum() == 1
    assert engine.accounting().is_balanced()


def test_a_client_that_tries_again_is_late_from_its_first_intent(duo: Build, send: Send) -> None:
    client = RequestClass("client", "ask", patience_s=9.0, slo_s=0.5, retries=1, retry_backoff_s=1.0)
    engine = duo(client=client)
    engine.set_endpoints("front", [])
    send(engine, [0.0])

    engine.advance(0.5)
    engine.set_endpoints("front", [FRONT])
    engine.advance(2.0)

    assert engine.clients.ok.sum() == 1
    assert engine.clients.slow.sum() == 1


def test_an_optional_call_that_fails_degrades_the_answer(duo: Build, send: Send) -> None:
    engine = duo(Call("answer", optional=True))
    engine.set_error_ratio(BACK, 1.0)
    send(engine, [0.0])

    engine.advance(1.0)

    assert engine.clients.ok.sum() == 1
    assert engine.clients.degraded.sum() == 1


def test_a_brownout_makes_its_share_of_optional_calls(duo: Build, send: Send) -> None:
    engine = duo(Call("answer", optional=True), back_threads=8)
    engine.set_optional_ceiling(0.25)
    send(engine, np.linspace(0.0, 99.0, 4000).tolist())

    engine.advance(120.0)

    # binomial: 1000 of 4000, standard deviation 27
    assert engine.services.offered[BACK] == pytest.approx(1000, abs=110)
    assert engine.clients.degraded.sum() == 4000 - engine.services.offered[BACK]
    assert engine.clients.ok.sum() == 4000


def test_calls_are_made_with_their_probability_and_degrade_nothing(duo: Build, send: Send) -> None:
    engine = duo(Call("answer", probability=0.1), back_threads=8)
    send(engine, np.linspace(0.0, 199.0, 8000).tolist())

    engine.advance(100.0)
    before = int(engine.services.offered[BACK])
    engine.set_call_probability("ask", "answer", 1.0)
    engine.advance(220.0)

    # about 4000 of each kind: 400 of the first, standard deviation 19, and all of the second
    assert before == pytest.approx(400, abs=80)
    assert engine.services.offered[BACK] - before == pytest.approx(4000, abs=40)
    assert engine.clients.degraded.sum() == 0


def test_a_full_pool_makes_calls_wait_for_a_connection(duo: Build, send: Send) -> None:
    engine = duo(Call("answer", pool=True), pool_size=2, back_threads=8)
    send(engine, [0.0] * 4)

    engine.advance(0.010)
    assert engine.pods.pool_in_use[FRONT] == 2
    assert engine.pods.pool_waiting[FRONT] == 2
    engine.advance(1.0)

    # at the front from 1 ms on: two are there for 13 ms, two wait another 12 ms for a connection
    assert _latency_s(engine) == pytest.approx(2 * 0.013 + 2 * 0.025)
    assert engine.pods.pool_in_use[FRONT] == 0


def test_waiting_for_a_connection_counts_towards_the_timeout(duo: Build, send: Send) -> None:
    engine = duo(Call("answer", pool=True, timeout_s=0.02), pool_size=1, back_threads=8)
    send(engine, [0.0, 0.005])

    engine.advance(1.0)

    # the first has the connection from 2 to 14 ms; the second asks at 7 and times out at 27, 1 ms after its answer
    assert engine.clients.ok.sum() == 2
    engine.set_pool_leak(FRONT, 1)
    send(engine, [1.0])
    engine.advance(2.0)

    assert engine.clients.failed.sum() == 1
    assert engine.services.attempts[BACK] == 2, "the third never left the front"
    assert engine.services.offered[BACK] == 3
    assert engine.pods.pool_in_use[FRONT] == engine.pods.pool_waiting[FRONT] == 0


def test_leaked_connections_are_nobodys_until_they_come_back(duo: Build, send: Send) -> None:
    engine = duo(Call("answer", pool=True, timeout_s=5.0), pool_size=4, back_threads=8)
    engine.set_pool_leak(FRONT, 4)
    send(engine, [0.0] * 3)

    engine.advance(1.0)
    assert engine.pods.pool_waiting[FRONT] == 3
    engine.set_pool_leak(FRONT, 1)
    assert engine.pods.pool_in_use[FRONT] == 3
    engine.advance(2.0)

    assert engine.clients.ok.sum() == 3


def test_weights_share_out_the_load(duo: Build, send: Send) -> None:
    engine = duo(back_copies=3, back_threads=8)
    engine.set_endpoints("back", [1, 2, 3], [3.0, 1.0, 0.0])
    send(engine, np.linspace(0.0, 99.0, 4000).tolist())

    engine.advance(120.0)

    assert engine.pods.requests[1] == pytest.approx(3000, abs=110)
    assert engine.pods.requests[3] == 0


def test_more_work_per_request_takes_longer(duo: Build, send: Send) -> None:
    engine = duo()
    engine.set_work_factor("answer", 3.0)
    send(engine, [0.0])

    engine.advance(1.0)

    assert engine.pods.latency_sum_s[BACK] == pytest.approx(0.030)


def test_when_no_more_visits_fit_attempts_fail_and_nothing_breaks(duo: Build, send: Send) -> None:
    small = duo()
    engine = Engine(small.plan, 0.0, max_visits=50)
    engine.set_endpoints("front", [engine.add_pod("front", 8.0, 0)])
    engine.set_endpoints("back", [engine.add_pod("back", 1.0, 0)])
    send(engine, np.linspace(0.0, 0.9, 500).tolist())

    engine.advance(1.0)
    accounting = engine.accounting()
    engine.advance(60.0)

    assert engine.refused_full > 0
    assert accounting.is_balanced()
    assert engine.accounting().clients.in_flight == 0
    assert engine.accounting().is_balanced()


def test_a_pod_that_left_takes_no_slot(duo: Build, send: Send) -> None:
    engine = duo()
    engine.set_state(BACK, PodState.GONE)

    assert engine.add_pod("front", 1.0, 0) == BACK
    send(engine, [0.0])
    engine.advance(1.0)

    assert engine.clients.failed.sum() == 1, "the back has no endpoints any more"
    assert engine.pods.requests[BACK] == 0
