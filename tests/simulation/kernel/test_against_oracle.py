"""Transients, against a plain event-driven simulation written here a second time, in another style.

The oracle shares the draws with the engine, and nothing else, so that both see the same demands. Both are exact, so
they must agree on every request: counts are equal, and sums of latencies differ by rounding only. Sums of some
thousand terms of about a second round by less than 1e-9 relative; 1e-7 is asked for.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count

import numpy as np
import pytest

from simulation.kernel import draws
from simulation.kernel.engine import Engine, PodState
from simulation.kernel.plan import Call, Operation, Plan, RequestClass, ServicePlan

RETRY_FLOOR_RPS, RETRY_BURST = 3.0, 30.0


@dataclass(eq=False)
class Pod:
    service: ServicePlan
    state: str = "serving"
    in_progress: int = 0
    running: int = 0
    connections: int = 0
    waiting: deque[Visit] = field(default_factory=deque)
    for_cpu: deque[Visit] = field(default_factory=deque)
    for_pool: deque[Attempt] = field(default_factory=deque)
    present: list[Visit] = field(default_factory=list)
    outstanding: int = 0
    extra_wait_s: float = 0.0
    requests: int = 0
    latency_s: float = 0.0


@dataclass(eq=False)
class Attempt:
    """One try of a call, as its caller sees it."""

    on_end: Callable[[bool, bool], None]
    open: bool = True
    sent: bool = False
    pod: Pod | None = None
    service: str = ""


@dataclass(eq=False)
class Visit:
    attempt: Attempt
    operation: Operation
    key: np.uint64
    pod: Pod
    arrived_s: float = 0.0
    dead: bool = False
    degraded: bool = False
    calling: Attempt | None = None
    connected: bool = False


class Oracle:
    def __init__(self, plan: Plan) -> None:
        self.plan, self.now_s = plan, 0.0
        self.agenda: list[tuple[float, int, Callable[[], None]]] = []
        self.ticket = count()
        self.services = {service.name: service for service in plan.services}
        self.operations = {operation.name: operation for operation in plan.operations}
        edges: Iterator[int] = count()
        self.edge = {(o.name, i): next(edges) for o in plan.operations for i in range(len(o.calls))}
        self.client_edge = {kind.name: next(edges) for kind in plan.classes}
        self.endpoints: dict[str, list[Pod]] = defaultdict(list)
        self.tokens = dict.fromkeys(self.services, (RETRY_BURST, 0.0))
        self.outcomes: Counter[tuple[str, int]] = Counter()
        self.attempts: Counter[tuple[str, str]] = Counter()
        self.client_latency_s = 0.0

    def at(self, time_s: float, act: Callable[[], None]) -> None:
        heapq.heappush(self.agenda, (time_s, next(self.ticket), act))

    def run(self, until_s: float) -> None:
        while self.agenda and self.agenda[0][0] <= until_s:
            self.now_s, _, act = heapq.heappop(self.agenda)
            act()
        self.now_s = until_s

    # Clients

    def client(self, time_s: float, kind: RequestClass, number: int) -> None:
        self.at(time_s, lambda: self._client_asks(kind, number, time_s))

    def _client_asks(self, kind: RequestClass, number: int, born_s: float) -> None:
        second, done = int(born_s), False
        key = np.uint64(draws.request_key(np.uint64(self.plan.seed), number))
        current: Attempt | None = None
        tries, previous = 0, None

        def over(what: str, degraded: bool = False) -> None:
            nonlocal done
            done = True
            self.outcomes[what, second] += 1
            if what == "ok":
                self.outcomes["slow", second] += self.now_s - born_s > kind.slo_s
                self.outcomes["degraded", second] += degraded
                self.client_latency_s += self.now_s - born_s

        def give_up() -> None:
            if not done:
                if current is not None and current.open:
                    self._close(current, False)
                over("abandoned")

        def ended(ok: bool, degraded: bool) -> None:
            nonlocal tries, previous
            if ok:
                over("ok", degraded)
            elif tries < kind.retries:
                tries += 1
                previous = current.pod if current else None
                self.at(self.now_s + kind.retry_backoff_s, ask)
            else:
                over("failed")

        def ask() -> None:
            nonlocal current
            if not done:
                current = Attempt(ended)
                self._send(current, self.operations[kind.operation], key, self.client_edge[kind.name], tries, previous)

        self.at(born_s + kind.patience_s, give_up)
        ask()

    # Attempts

    def _send(
        self, attempt: Attempt, operation: Operation, caller: np.uint64, edge: int, tries: int, previous: Pod | None
    ) -> None:
        service = self.services[operation.service]
        attempt.sent, attempt.service = True, service.name
        key = np.uint64(draws.attempt_key(caller, edge, tries))
        pods = self.endpoints[service.name]
        if not pods:
            self.at(self.now_s, lambda: self._end(attempt, False, False))
            return
        i = int(draws.uniform(key, draws.ENDPOINT) * len(pods))
        if service.balancing == "least_requests":
            j = int(draws.uniform(key, draws.SECOND_ENDPOINT) * len(pods))
            i = j if pods[j].outstanding < pods[i].outstanding else i
        if tries and pods[i] is previous:
            i = (i + 1) % len(pods)
        attempt.pod = pods[i]
        pods[i].outstanding += 1
        visit = Visit(attempt, operation, key, pods[i])
        self.at(self.now_s + service.hop_s, lambda: self._arrive(visit))

    def _close(self, attempt: Attempt, ok: bool) -> None:
        attempt.open = False
        if attempt.sent:
            self.attempts[attempt.service, "ok" if ok else "failed"] += 1
        if attempt.pod:
            attempt.pod.outstanding -= 1

    def _end(self, attempt: Attempt, ok: bool, degraded: bool) -> None:
        if attempt.open:
            self._close(attempt, ok)
            attempt.on_end(ok, degraded)

    # Pods

    def _arrive(self, visit: Visit) -> None:
        pod = visit.pod
        visit.arrived_s = self.now_s
        if pod.state == "dark":
            return
        if pod.state == "refusing":
            self._reply(visit, False)
        elif pod.in_progress < pod.service.concurrency:
            self._begin(visit)
        elif len(pod.waiting) < pod.service.queue:
            pod.waiting.append(visit)
            pod.present.append(visit)
        else:
            pod.requests += 1
            self._reply(visit, False)

    def _reply(self, visit: Visit, ok: bool) -> None:
        if visit.attempt.open:
            hop_s = visit.pod.service.hop_s
            self.at(self.now_s + hop_s, lambda: self._end(visit.attempt, ok, visit.degraded))

    def _begin(self, visit: Visit) -> None:
        visit.pod.in_progress += 1
        if visit not in visit.pod.present:
            visit.pod.present.append(visit)
        visit.pod.for_cpu.append(visit)
        self._feed_cpu(visit.pod)

    def _feed_cpu(self, pod: Pod) -> None:
        while pod.for_cpu and pod.running < pod.service.threads:
            visit = pod.for_cpu.popleft()
            pod.running += 1
            kinds = ("constant", "exponential", "lognormal")
            sigma = math.sqrt(math.log(1.0 + visit.operation.cv**2))
            multiple = draws.work_multiple(visit.key, kinds.index(visit.operation.distribution), sigma)
            self.at(self.now_s + visit.operation.cpu_s * multiple, lambda visit=visit: self._worked(visit))

    def _worked(self, visit: Visit) -> None:
        if visit.dead:
            return
        visit.pod.running -= 1
        self._feed_cpu(visit.pod)
        wait_s = visit.pod.extra_wait_s
        if visit.operation.wait_s:
            wait_s += visit.operation.wait_s * draws.exponential(visit.key, draws.WAIT)
        if wait_s:
            self.at(self.now_s + wait_s, lambda: self._call(visit, 0))
        else:
            self._call(visit, 0)

    def _done(self, visit: Visit, ok: bool) -> None:
        pod = visit.pod
        pod.present.remove(visit)
        pod.requests += 1
        pod.latency_s += self.now_s - visit.arrived_s
        self._reply(visit, ok)
        pod.in_progress -= 1
        while pod.waiting and pod.in_progress < pod.service.concurrency:
            following = pod.waiting.popleft()
            if following.attempt.open:
                self._begin(following)
            else:
                pod.present.remove(following)

    def die(self, pod: Pod, state: str) -> None:
        pod.state = state
        victims, pod.present = pod.present, []
        for queue in (pod.waiting, pod.for_cpu, pod.for_pool):
            queue.clear()
        pod.in_progress = pod.running = pod.connections = 0
        for visit in victims:
            visit.dead = True
            if visit.calling and visit.calling.open:
                self._close(visit.calling, False)
            if state == "refusing":
                self._reply(visit, False)

    # Calls

    def _call(self, visit: Visit, i: int) -> None:
        if visit.dead:
            return
        calls = visit.operation.calls
        if i == len(calls):
            self._done(visit, True)
            return
        call, edge = calls[i], self.edge[visit.operation.name, i]
        chance = draws.uniform(visit.key, (edge + 1) * draws.PURPOSES + draws.MADE)
        if call.probability < 1 and chance >= call.probability:
            self._call(visit, i + 1)
            return
        if call.retries:
            held, since_s = self.tokens[visit.pod.service.name]
            self.tokens[visit.pod.service.name] = (min(held + visit.pod.service.retry_budget, RETRY_BURST), since_s)
        self._try(visit, i, 0, None)

    def _may_retry(self, service: ServicePlan) -> bool:
        held, since_s = self.tokens[service.name]
        held = min(held + RETRY_FLOOR_RPS * (self.now_s - since_s), RETRY_BURST)
        spend = held >= 1.0
        self.tokens[service.name] = (held - spend, self.now_s)
        return spend

    def _try(self, visit: Visit, i: int, tries: int, previous: Pod | None) -> None:
        if visit.dead:
            return
        call, pod = visit.operation.calls[i], visit.pod
        edge, callee = self.edge[visit.operation.name, i], self.operations[call.operation]

        def ended(ok: bool, degraded: bool) -> None:
            if visit.connected:
                visit.connected = False
                pod.connections -= 1
                self._feed_pool(pod)
            if not ok and tries < call.retries and self._may_retry(pod.service):
                self.at(self.now_s + call.retry_backoff_s, lambda: self._try(visit, i, tries + 1, attempt.pod))
            elif ok or call.optional:
                visit.degraded |= degraded or not ok
                self._call(visit, i + 1)
            else:
                self._done(visit, False)

        def go() -> None:
            visit.connected = call.pool and pod.service.pool_size > 0
            pod.connections += visit.connected
            self._send(attempt, callee, visit.key, edge, tries, previous)

        def time_out() -> None:
            if attempt.open and attempt in pod.for_pool:
                pod.for_pool.remove(attempt)
            self._end(attempt, False, False)

        attempt = visit.calling = Attempt(ended)
        attempt.go = go  # type: ignore[attr-defined]
        self.at(self.now_s + call.timeout_s, time_out)
        if call.pool and pod.service.pool_size:
            pod.for_pool.append(attempt)
            self._feed_pool(pod)
        else:
            go()

    def _feed_pool(self, pod: Pod) -> None:
        while pod.for_pool and pod.connections < pod.service.pool_size:
            pod.for_pool.popleft().go()  # type: ignore[attr-defined]


class Pair:
    """The engine and the oracle, told the same."""

    def __init__(self, plan: Plan, pods: dict[str, int]) -> None:
        self.plan, self.engine, self.oracle = plan, Engine(plan, 0.0), Oracle(plan)
        self.slots: dict[str, list[int]] = {}
        for service, copies in pods.items():
            self.slots[service] = [self.engine.add_pod(service, 64.0, 0) for _ in range(copies)]
            self.engine.set_endpoints(service, self.slots[service])
            self.oracle.endpoints[service] = [Pod(self.oracle.services[service]) for _ in range(copies)]
        self.twins = {
            slot: pod
            for service in pods
            for slot, pod in zip(self.slots[service], self.oracle.endpoints[service], strict=True)
        }

    def load(self, rates_rps: list[tuple[float, float]], seed: int) -> None:
        """Poisson arrivals: pieces of (seconds, rate), of all classes alike."""
        rng = np.random.default_rng(seed)
        pieces, start_s = [], 0.0
        for length_s, rate_rps in rates_rps:
            pieces.append(start_s + np.sort(rng.uniform(0, length_s, rng.poisson(length_s * rate_rps))))
            start_s += length_s
        times_s = np.concatenate(pieces)
        kinds = rng.integers(len(self.plan.classes), size=len(times_s))
        self.engine.add_arrivals(times_s, kinds, np.arange(len(times_s)))
        for number, (time_s, kind) in enumerate(zip(times_s.tolist(), kinds.tolist(), strict=True)):
            self.oracle.client(time_s, self.plan.classes[kind], number)

    def advance(self, until_s: float) -> None:
        self.engine.advance(until_s)
        self.oracle.run(until_s)

    def kill(self, service: str, i: int, state: PodState) -> None:
        slot = self.slots[service][i]
        self.engine.set_state(slot, state)
        self.oracle.die(self.twins[slot], state.name.lower())

    def set_endpoints(self, service: str, chosen: list[int]) -> None:
        slots = [self.slots[service][i] for i in chosen]
        self.engine.set_endpoints(service, slots)
        self.oracle.endpoints[service] = [self.twins[slot] for slot in slots]

    def assert_equal(self) -> None:
        bins, oracle = self.engine.clients, self.oracle
        for second in range(bins.arrived.shape[1]):
            for what in ("ok", "slow", "degraded", "abandoned"):
                assert getattr(bins, what)[:, second].sum() == oracle.outcomes[what, second], (what, second)
            failed = oracle.outcomes["failed", second] + oracle.outcomes["abandoned", second]
            assert bins.failed[:, second].sum() == failed, second
        for i, service in enumerate(self.plan.services):
            assert self.engine.services.ok[i] == oracle.attempts[service.name, "ok"]
            assert self.engine.services.failed[i] == oracle.attempts[service.name, "failed"]
        for slot, pod in self.twins.items():
            assert self.engine.pods.requests[slot] == pod.requests
            assert self.engine.pods.latency_sum_s[slot] == pytest.approx(pod.latency_s, rel=1e-7)


SHOP = Plan(
    services=(
        ServicePlan("front", concurrency=40, queue=60, threads=2, hop_s=0.001, balancing="least_requests"),
        ServicePlan("stock", concurrency=10, queue=20, threads=1, pool_size=3, hop_s=0.0007),
        ServicePlan("extras", concurrency=5, queue=3, hop_s=0.0011),
        ServicePlan("store", concurrency=16, queue=40, threads=2, hop_s=0.0003),
    ),
    operations=(
        Operation("buy", "front", 0.004, calls=(Call("take", timeout_s=0.6, retries=2, retry_backoff_s=0.01),)),
        Operation(
            "look", "front", 0.003, "lognormal", 0.7, calls=(Call("list", 0.5, 1), Call("advise", 0.2, optional=True))
        ),
        Operation("take", "stock", 0.006, calls=(Call("write", 0.4, 1, pool=True), Call("write", 0.4, pool=True))),
        Operation("list", "stock", 0.005, "constant", calls=(Call("read", 0.3, pool=True, probability=0.6),)),
        Operation("advise", "extras", 0.008, wait_s=0.01),
        Operation("write", "store", 0.003, wait_s=0.006),
        Operation("read", "store", 0.004),
    ),
    classes=(
        RequestClass("buyer", "buy", patience_s=2.5, slo_s=0.1, retries=1, retry_backoff_s=0.3),
        RequestClass("visitor", "look", patience_s=1.2, slo_s=0.05),
    ),
    max_pods=16,
    seed=11,
    duration_s=40.0,
)
PODS = {"front": 2, "stock": 3, "extras": 2, "store": 2}


def test_a_step_in_load_hits_as_in_the_oracle() -> None:
    pair = Pair(SHOP, PODS)
    pair.load([(8, 40), (5, 800), (12, 40)], seed=1)

    pair.advance(40.0)

    assert pair.engine.clients.failed.sum() > 100, "the step must hurt, or this shows nothing"
    pair.assert_equal()


@pytest.mark.parametrize("state", [PodState.DARK, PodState.REFUSING])
def test_a_dead_pod_hurts_as_in_the_oracle(state: PodState) -> None:
    pair = Pair(SHOP, PODS)
    pair.load([(30, 150)], seed=2)

    pair.advance(10.0)
    pair.kill("stock", 1, state)
    pair.advance(14.0)
    pair.set_endpoints("stock", [0, 2])
    pair.advance(20.0)
    pair.kill("store", 0, state)
    pair.advance(22.0)
    pair.set_endpoints("store", [1])
    pair.advance(40.0)

    assert pair.engine.clients.failed.sum() > 0
    pair.assert_equal()


def test_no_endpoints_at_all_fails_as_in_the_oracle() -> None:
    pair = Pair(SHOP, PODS)
    pair.load([(12, 100)], seed=3)

    pair.advance(4.0)
    pair.set_endpoints("stock", [])
    pair.set_endpoints("extras", [])
    pair.advance(6.0)
    pair.set_endpoints("front", [])
    pair.advance(7.0)
    pair.set_endpoints("front", [0, 1])
    pair.set_endpoints("stock", [0, 1, 2])
    pair.advance(40.0)

    assert pair.engine.clients.degraded.sum() > 50
    pair.assert_equal()


def test_a_retry_storm_grows_and_ends_as_in_the_oracle() -> None:
    pair = Pair(SHOP, PODS)
    pair.load([(30, 170)], seed=4)

    pair.advance(8.0)
    for slot in pair.slots["store"]:  # the store stalls, and what waits for it is tried again and again
        pair.engine.set_extra_wait(slot, 0.5)
        pair.twins[slot].extra_wait_s = 0.5
    pair.advance(13.0)
    for slot in pair.slots["store"]:
        pair.engine.set_extra_wait(slot, 0.0)
        pair.twins[slot].extra_wait_s = 0.0
    pair.advance(40.0)

    stock = 1
    assert pair.engine.services.attempts[stock] - pair.engine.services.offered[stock] > 200
    pair.assert_equal()


def _random_faults(pair: Pair, state: PodState, seed: int) -> None:
    """Pods die and come back at random; what they were doing ends."""
    rng = np.random.default_rng(seed)
    for time_s in np.sort(rng.uniform(0, 20, 25)).tolist():
        pair.advance(time_s)
        service = str(rng.choice(list(PODS)))
        i = int(rng.integers(PODS[service]))
        slot = pair.slots[service][i]
        if pair.twins[slot].state == "serving":
            pair.kill(service, i, state)
        else:
            pair.engine.set_state(slot, PodState.SERVING)
            pair.twins[slot].state = "serving"
    pair.advance(40.0)


@pytest.mark.parametrize("seed", range(5, 8))
def test_random_silent_deaths_go_as_in_the_oracle(seed: int) -> None:
    pair = Pair(SHOP, PODS)
    pair.load([(12, 120), (8, 260)], seed)

    _random_faults(pair, PodState.DARK, seed)

    assert pair.engine.clients.failed.sum() > 100
    pair.assert_equal()


@pytest.mark.parametrize("seed", range(8, 11))
def test_random_loud_deaths_go_nearly_as_in_the_oracle(seed: int) -> None:
    # All callers of a pod that dies learn of it in the same instant, and which of them is first to try again is
    # nobody's choice: the two simulations order them differently. A few requests may therefore go another way.
    pair = Pair(SHOP, PODS)
    pair.load([(12, 120), (8, 260)], seed)

    _random_faults(pair, PodState.REFUSING, seed)

    ok = pair.engine.clients.ok.sum()
    assert pair.engine.clients.failed.sum() > 100
    assert abs(int(ok) - sum(n for (what, _), n in pair.oracle.outcomes.items() if what == "ok")) <= 0.01 * ok
