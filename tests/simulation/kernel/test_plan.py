"""Plans that contradict themselves, and orders to the engine that make no sense, are refused in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from simulation.kernel.engine import Engine, PodState, ProbeKind
from simulation.kernel.plan import Call, Operation, Plan, PlanInvalid, RequestClass, ServicePlan


def _plan(**changes: Any) -> Plan:
    parts: dict[str, Any] = {
        "services": (ServicePlan("app", 10, 10),),
        "operations": (Operation("work", "app", 0.01),),
        "classes": (RequestClass("client", "work", 10.0, 1.0),),
        "max_pods": 2,
        "seed": 1,
        "duration_s": 100.0,
    }
    return Plan(**(parts | changes))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param({"services": ()}, "at least one service", id="no-service"),
        pytest.param({"services": (ServicePlan("app", 0, 1),)}, "concurrency", id="no-slot"),
        pytest.param({"services": (ServicePlan("app", 1, 1), ServicePlan("app", 1, 1))}, "own name", id="twins"),
        pytest.param({"operations": (Operation("work", "ap", 0.01),)}, "no service 'ap'", id="unknown-service"),
        pytest.param({"operations": (Operation("work", "app", -1.0),)}, "not negative", id="negative-work"),
        pytest.param(
            {"operations": (Operation("work", "app", 0.01, calls=(Call("more"),)),)}, "no such", id="unknown-callee"
        ),
        pytest.param(
            {"operations": (Operation("work", "app", 0.01, calls=(Call("work"),)),)}, "in a circle", id="calls-itself"
        ),
        pytest.param(
            {
                "operations": (
                    Operation("work", "app", 0.01, calls=(Call("rest"),)),
                    Operation("rest", "app", 0.01, calls=(Call("work"),)),
                )
            },
            "in a circle",
            id="circle",
        ),
        pytest.param(
            {
                "operations": (
                    Operation("work", "app", 0.01, calls=(Call("rest", timeout_s=0.0),)),
                    Operation("rest", "app", 0.01),
                )
            },
            "timeout_s is positive",
            id="no-timeout",
        ),
        pytest.param({"classes": (RequestClass("client", "play", 1.0, 1.0),)}, "no operation", id="unknown-entry"),
        pytest.param({"classes": (RequestClass("client", "work", 0.0, 1.0),)}, "positive", id="no-patience"),
        pytest.param({"max_pods": 0}, "max_pods", id="no-pods"),
    ],
)
def test_a_contradictory_plan_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(PlanInvalid, match=words):
        _plan(**changes)


def _arrive_before_now(engine: Engine) -> None:
    engine.advance(5.0)
    engine.add_arrivals(np.array([4.0]), np.array([0]), np.array([0]))


@pytest.mark.parametrize(
    "order",
    [
        pytest.param(_arrive_before_now, id="arrival-in-the-past"),
        pytest.param(lambda e: e.add_arrivals(np.array([2.0, 1.0]), np.zeros(2, int), np.arange(2)), id="unsorted"),
        pytest.param(lambda e: e.add_arrivals(np.array([100.0]), np.zeros(1, int), np.arange(1)), id="after-the-end"),
        pytest.param(lambda e: e.add_arrivals(np.array([1.0]), np.ones(1, int), np.arange(1)), id="unknown-class"),
        pytest.param(lambda e: e.advance(-1.0), id="back-in-time"),
        pytest.param(lambda e: e.set_speed(0, 0.0), id="no-speed"),
        pytest.param(lambda e: e.set_speed(1, 1.0), id="no-such-pod"),
        pytest.param(lambda e: e.set_state(1, PodState.SERVING), id="state-of-no-pod"),
        pytest.param(lambda e: e.set_endpoints("app", [1]), id="endpoint-that-is-no-pod"),
        pytest.param(lambda e: e.set_endpoints("app", [0, 0]), id="endpoint-twice"),
        pytest.param(lambda e: e.set_endpoints("app", [0], [-1.0]), id="negative-weight"),
        pytest.param(lambda e: e.add_pod("app", 0.0, 0), id="no-cores"),
        pytest.param(lambda e: e.add_pod("app", 1.0, -1), id="no-zone"),
        pytest.param(lambda e: e.set_probe(0, ProbeKind.LIVENESS, 0.0, 1.0, 1, 1, 0.0), id="no-period"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused(order: Callable[[Engine], None]) -> None:
    engine = Engine(_plan(), 0.0)
    engine.add_pod("app", 1.0, 0)

    with pytest.raises(ValueError):
        order(engine)


def test_more_pods_than_planned_are_refused() -> None:
    engine = Engine(_plan(), 0.0)
    engine.add_pod("app", 1.0, 0)
    engine.add_pod("app", 1.0, 0)

    with pytest.raises(RuntimeError, match="all 2 pod slots"):
        engine.add_pod("app", 1.0, 0)
