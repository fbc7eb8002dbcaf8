"""The fault endpoint of the shop's processes over HTTP; see docs/shop-contracts.md."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import quote

from chaos.experiments.injecting.verbs import LivePod, ShopFault
from chaos.experiments.live.cluster_failures import cluster_failures_as
from chaos.experiments.problems import VerbFailed

MANAGEMENT_PORT = 9090
TIMEOUT_S = 2.0  # what the shop's contract calls fair


@dataclass(frozen=True, slots=True)
class Door:
    """Where a pod's management port is reached from here."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class HttpShopFaults:
    """`ShopFaults` over HTTP. All three may raise `ClusterFailed`."""

    token: Callable[[], str]  # every installation has one of its own
    address_of: Callable[[str], str | None]  # of a pod by its name; None: there is no such pod any more
    door_to: Callable[[str], Door]  # to a pod's address

    def begin(self, pod: LivePod, fault: ShopFault) -> None:
        asked = {
            "magnitude": fault.magnitude,
            "ramp_s": fault.ramp_s,
            "duration_s": fault.duration_s,
            "seed": fault.seed,
        }
        if self._ask("PUT", pod.name, pod.address, fault.name, asked) is None:
            raise VerbFailed(f"{pod.name} has no address")

    def is_active(self, pod: LivePod, name: str) -> bool | None:
        try:
            state = self._ask("GET", pod.name, pod.address, name)
        except VerbFailed:
            return None
        return None if state is None else bool(state.get("active"))

    def end(self, pod: str, name: str) -> None:
        with cluster_failures_as(VerbFailed):
            address = self.address_of(pod)
        self._ask("DELETE", pod, address, name)

    def _ask(
        self, method: str, pod: str, address: str | None, fault: str, body: dict[str, Any] | None = None
    ) -> dict[str, Any] | None:
        """The state in the answer; None for a pod that has no address, or none any more."""
        if address is None:
            return None
        with cluster_failures_as(VerbFailed):
            door, token = self.door_to(address), self.token()
        connection = HTTPConnection(door.host, door.port, timeout=TIMEOUT_S)
        headers = {"Authorization": f"Bearer {token}"}
        try:
            sent = None if body is None else json.dumps(body)
            connection.request(method, f"/-/faults/{quote(fault, safe='')}", sent, headers)
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, HTTPException) as error:
            raise VerbFailed(f"{pod} does not answer on its management port: {error!r}") from error
        finally:
            connection.close()
        if answer.status != 200:
            raise VerbFailed(f"{method} {fault} of {pod}: {answer.status} {_detail(text)}")
        try:
            state: dict[str, Any] = json.loads(text)
        except ValueError as error:
            raise VerbFailed(f"{method} {fault} of {pod}: the answer is no JSON") from error
        return state


def _detail(text: bytes) -> str:
    try:
        return str(json.loads(text).get("detail", ""))
    except (ValueError, AttributeError):
        return ""
