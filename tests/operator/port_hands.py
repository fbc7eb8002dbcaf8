"""The same shop under the simulator's hands and under those of the operator, for tests of what acts mean.

A gateway of four pods whose HPA keeps 2 to 10 replicas; time counts from 0; the API server is away for a minute.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from act_stage import NOW_S, WEB, Stage, decision, furnish, token_file
from fake_api import FakeApi
from fake_http import Asked, serving

from foresail.actuators.targets import Endpoint
from policies.decision import Action, Decision
from policies.model import Mode
from simulation.controllers.actuation import SimulatedCluster
from simulation.controllers.floors import Floors
from simulation.controllers.run_log import RunLog
from simulation.scenario import parse_scenario
from simulation.world import World

SHOP = """
name: ports
duration_s: 600
warm_up_s: 60
topology:
  nodes: [{zone: a, count: 2, cpu: 8}, {zone: b, count: 2, cpu: 8}]
  services:
    - {name: gateway, replicas: 4, cpu_request: 0.6, hpa: {min_replicas: 2, max_replicas: 10}}
  operations:
    - {name: gateway.page, cpu_ms: 20}
  classes: [{name: browse, share: 1.0, operation: gateway.page}]
load:
  rps: 10
faults:
  - {kind: api_outage, start_s: 200, duration_s: 60}
"""
AWAY_S = (200.0, 260.0)


class Hands(Protocol):
    """A cluster that can be acted on, and looked at. `at_s` counts from the start of the test."""

    workload: str

    def time(self, at_s: float) -> float: ...

    def do(self, action: Action, at_s: float = 0.0) -> bool: ...

    def settle(self, at_s: float) -> None: ...

    def pods(self) -> list[str]: ...

    def serves(self, pod: str) -> bool: ...

    def floor(self) -> int: ...

    def dimmed(self) -> bool: ...

    def changes(self) -> int:
        """How often the hands changed anything."""
        ...


class SimulatedHands:
    workload = "gateway"

    def __init__(self) -> None:
        self._world = World(parse_scenario(SHOP, "ports"), seed=4)
        self._floors, self._log = Floors(), RunLog()
        self._cluster = SimulatedCluster(self._world, self._floors, self._log)
        self._world.advance(0.0)

    def time(self, at_s: float) -> float:
        return at_s

    def do(self, action: Action, at_s: float = 0.0) -> bool:
        self._world.advance(at_s)
        return self._cluster.apply(action, Decision("d-1", at_s, self.workload, Mode.ENFORCE, (), ()), at_s)

    def settle(self, at_s: float) -> None:
        self._world.advance(at_s)
        self._cluster.settle(at_s)

    def pods(self) -> list[str]:
        return [pod.name for pod in self._world.services[self.workload].pods]

    def serves(self, pod: str) -> bool:
        return next(found.traffic_on for found in self._world.services[self.workload].pods if found.name == pod)

    def floor(self) -> int:
        return self._floors.minimum(self.workload, 2)

    def dimmed(self) -> bool:
        return self._cluster.outstanding

    def changes(self) -> int:
        return len(self._log.acts)


class LiveHands:
    workload = WEB

    def __init__(self, api: FakeApi, stage: Stage) -> None:
        self._api, self._stage = api, stage
        self._cluster = stage.cluster()
        self._at_s, self._ceiling, self._dimmed_until_s = 0.0, 1.0, 0.0

    def time(self, at_s: float) -> float:
        return NOW_S + at_s

    def do(self, action: Action, at_s: float = 0.0) -> bool:
        self._pass_time(at_s)
        return self._cluster.apply(action, decision(), self.time(at_s))

    def settle(self, at_s: float) -> None:
        self._pass_time(at_s)
        self._cluster.settle(self.time(at_s))

    def _pass_time(self, at_s: float) -> None:
        self._at_s = at_s
        if AWAY_S[0] <= at_s < AWAY_S[1]:
            self._api.down()
        else:
            self._api.up()

    def gateway(self, asked: Asked) -> tuple[int, Any]:
        """What its pods answer: a ceiling lasts as long as it was told to."""
        if asked.method == "PUT":
            self._ceiling, self._dimmed_until_s = asked.body["ceiling"], self._at_s + asked.body["ttl_s"]
        if asked.method == "DELETE":
            self._ceiling = 1.0
        return 200, {"ceiling": self._ceiling if self.dimmed() else 1.0, "reason": "foresail d-1"}

    def pods(self) -> list[str]:
        return [f"web-{number}" for number in range(1, 5)]

    def serves(self, pod: str) -> bool:
        return bool(self._stage.get("pods", pod)["metadata"]["labels"]["foresail.dev/traffic"] == "on")

    def floor(self) -> int:
        return int(self._stage.spec("horizontalpodautoscalers", "web")["minReplicas"])

    def dimmed(self) -> bool:
        return self._ceiling < 1.0 and self._at_s < self._dimmed_until_s

    def changes(self) -> int:
        return len(self._stage.writes())


@contextmanager
def simulated_hands() -> Iterator[Hands]:
    yield SimulatedHands()


@contextmanager
def live_hands(api: FakeApi, folder: Path) -> Iterator[Hands]:
    furnish(api)
    stage = Stage(api)
    stage.settings["control_token_file"] = token_file(folder)
    with serving() as http:
        stage.knows(brownout=Endpoint("/-/brownout", http.port))
        hands = LiveHands(api, stage)
        http.answer = hands.gateway
        yield hands
        for cluster in stage.opened:
            cluster.close()
