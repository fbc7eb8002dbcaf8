"""Small plans and runs that the kernel's tests share."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from simulation.kernel.engine import Engine
from simulation.kernel.plan import Call, Operation, Plan, RequestClass, ServicePlan

Send = Callable[[Engine, Sequence[float]], None]
Solo = Callable[..., Engine]
Duo = Callable[..., Engine]


@pytest.fixture
def send() -> Send:
    """Lets clients of the plan's first class come at these times; their numbers count on over calls."""
    sent = 0

    def come(engine: Engine, times_s: Sequence[float]) -> None:
        nonlocal sent
        ids = np.arange(sent, sent + len(times_s))
        engine.add_arrivals(np.array(times_s, np.float64), np.zeros(len(times_s), np.int64), ids)
        sent += len(times_s)

    return come


@pytest.fixture
def solo() -> Solo:
    """One service, one operation of constant work, one pod in the endpoints; no network delay."""

    def build(
        work_s: float,
        cores: float = 1.0,
        threads: int = 1,
        concurrency: int = 1000,
        queue: int = 0,
        client: RequestClass | None = None,
        wait_s: float = 0.0,
        start_s: float = 0.0,
    ) -> Engine:
        plan = Plan(
            services=(ServicePlan("app", concurrency, queue, threads, hop_s=0.0),),
            operations=(Operation("work", "app", work_s, "constant", wait_s=wait_s),),
            classes=(client or RequestClass("client", "work", patience_s=1000.0, slo_s=1.0),),
            max_pods=8,
            seed=1,
            duration_s=3600.0,
        )
        engine = Engine(plan, start_s)
        engine.set_endpoints("app", [engine.add_pod("app", cores, 0, cfs_phase=0.0)])
        return engine

    return build


@pytest.fixture
def duo() -> Duo:
    """`front` calls `back`, constant work of 1 ms and 10 ms, hops of 1 ms; pod 0 is front's, pod 1 back's."""

    def build(
        call: Call | None = None,
        client: RequestClass | None = None,
        pool_size: int = 0,
        back_copies: int = 1,
        back_threads: int = 1,
        retry_budget: float = 0.2,
        commits: bool = False,
        idempotent: bool = True,
        zones: tuple[int, int] = (0, 0),
        seed: int = 1,
    ) -> Engine:
        plan = Plan(
            services=(
                ServicePlan("front", 1000, 0, 8, pool_size, retry_budget, hop_s=0.001),
                ServicePlan("back", 1000, 0, back_threads, hop_s=0.001),
            ),
            operations=(
                Operation("ask", "front", 0.001, "constant", calls=(call or Call("answer"),)),
                Operation("answer", "back", 0.010, "constant", commits=commits),
            ),
            classes=(client or RequestClass("client", "ask", patience_s=10.0, slo_s=0.1),),
            max_pods=8,
            seed=seed,
            duration_s=600.0,
            idempotent_orders=idempotent,
        )
        engine = Engine(plan, 0.0)
        engine.set_endpoints("front", [engine.add_pod("front", 8.0, zones[0])])
        backs = [engine.add_pod("back", float(back_threads), zones[1]) for _ in range(back_copies)]
        engine.set_endpoints("back", backs)
        return engine

    return build
