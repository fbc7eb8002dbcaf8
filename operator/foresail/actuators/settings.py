"""What an installation lets actuators do, and where their secrets are mounted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from foresail.actuators.paths import Kind


@dataclass(frozen=True, slots=True)
class ActuatorSettings:
    namespace: str = "foresail"  # the operator's own, where intents are written
    identity: str = "foresail"  # new with every process
    api_timeout_s: float = 5.0  # of one request; the lease outlives several of them
    pod_timeout_s: float = 2.0  # of one request to a pod: a stuck process does not answer at all
    watch_namespaces: tuple[str, ...] = ()  # empty: all
    zone_shift: bool = False  # whether we were given the right to cordon
    weights: bool = False  # whether we may write HTTPRoutes
    control_token_file: Path | None = None  # None: pods are neither drained over HTTP nor dimmed
    patroni_credentials_file: Path | None = None  # `user:password`; None: Patroni's REST API asks for none
    scale_kinds: tuple[Kind, ...] = ()  # besides Deployments and StatefulSets
