"""Every order: acknowledged or not, stored or not, and how often. `duo`: the answer of a request takes 15 ms."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from simulation.kernel.engine import Engine
from simulation.kernel.plan import Call, RequestClass

Build = Callable[..., Engine]
Send = Callable[..., None]
FRONT, BACK = 0, 1
ORDER = RequestClass("order", "ask", patience_s=2.0, slo_s=0.1, order=True)


def test_an_order_is_stored_and_then_acknowledged(duo: Build, send: Send) -> None:
    engine = duo(client=ORDER, commits=True)
    send(engine, [0.5])

    engine.advance(1.0)

    # committed when the back is done, after 1 + 1 + 1 + 10 ms
    orders = engine.orders
    assert orders.ids.tolist() == [0]
    assert orders.intended_s.tolist() == [0.5]
    assert orders.committed_s[0] == pytest.approx(0.513)
    assert orders.acked.tolist() == [True]
    assert orders.acked_s[0] == pytest.approx(0.515)
    assert orders.commits.tolist() == [1]


def test_an_order_that_fails_before_its_commit_is_neither(duo: Build, send: Send) -> None:
    engine = duo(client=ORDER, commits=True)
    engine.set_error_ratio(BACK, 1.0)
    send(engine, [0.0])

    engine.advance(1.0)

    assert engine.orders.acked.tolist() == [False]
    assert engine.orders.acked_s.tolist() == [-1.0]
    assert engine.orders.commits.tolist() == [0]
    assert engine.orders.committed_s.tolist() == [-1.0]


def test_an_order_can_be_stored_though_its_client_was_told_otherwise(duo: Build, send: Send) -> None:
    engine = duo(Call("answer", timeout_s=0.05), client=ORDER, commits=True)
    engine.set_extra_wait(BACK, 0.1)
    send(engine, [0.0])

    engine.advance(1.0)

    assert engine.orders.acked.tolist() == [False]
    assert engine.orders.commits.tolist() == [1]


@pytest.mark.parametrize(("idempotent", "commits"), [(True, 1), (False, 3)])
def test_retries_store_an_order_again_unless_orders_are_idempotent(
    duo: Build, send: Send, idempotent: bool, commits: int
) -> None:
    call = Call("answer", timeout_s=0.05, retries=2)
    engine = duo(call, client=ORDER, commits=True, idempotent=idempotent, back_threads=8)
    engine.set_extra_wait(BACK, 0.1)
    send(engine, [0.0])

    engine.advance(1.0)

    # each of the three attempts is given up after 50 ms and commits after 110 ms
    assert engine.orders.commits.tolist() == [commits]
    assert engine.orders.committed_s[0] == pytest.approx(0.113)


def test_lost_commits_leave_acknowledged_orders_that_are_not_stored(duo: Build, send: Send) -> None:
    engine = duo(client=ORDER, commits=True)
    send(engine, [1.0, 2.0, 3.0, 4.0])

    engine.advance(3.5)
    lost = engine.lose_commits(2.01)  # the second was committed at 2.013
    engine.advance(5.0)

    assert lost == 2
    assert engine.orders.acked.tolist() == [True, True, True, True]
    assert engine.orders.commits.tolist() == [1, 0, 0, 1]
    assert engine.orders.committed_s.tolist() == pytest.approx([1.013, -1.0, -1.0, 4.013])
    assert engine.lose_commits(2.01) == 1, "what is lost already is not lost again"


def test_of_two_commits_of_an_order_only_the_late_one_is_lost(duo: Build, send: Send) -> None:
    call = Call("answer", timeout_s=0.05, retries=1)
    engine = duo(call, client=ORDER, commits=True, idempotent=False, back_threads=8)
    engine.set_extra_wait(BACK, 0.1)
    send(engine, [0.0])

    engine.advance(1.0)
    assert engine.orders.commits.tolist() == [2]
    assert engine.lose_commits(0.12) == 1

    assert engine.orders.commits.tolist() == [1]
    assert engine.orders.committed_s[0] == pytest.approx(0.113)


def test_the_ledger_takes_as_many_orders_as_come(duo: Build, send: Send) -> None:
    engine = duo(client=ORDER, commits=True, back_threads=8)
    times_s = np.linspace(0.0, 99.0, 5000)
    send(engine, times_s[:2000].tolist())

    engine.advance(30.0)
    send(engine, times_s[2000:].tolist())
    engine.advance(120.0)

    orders = engine.orders
    assert orders.ids.tolist() == list(range(5000))
    assert orders.acked.all()
    assert (orders.commits == 1).all()
    assert (orders.committed_s < orders.acked_s).all()
