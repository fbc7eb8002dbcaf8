"""What stands in the cluster at one moment, read from the same places where people would look."""

from __future__ import annotations

import json
import math
import time
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import Any

from chaos.clusters.cluster import ClusterFailed
from chaos.demo_cluster.installing import SHOP
from chaos.demo_cluster.tools import Tools

WORKLOAD = "shop/shop-gateway"
_NAME = "shop-gateway"
_FLOOR = "foresail.dev/floor"
_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Reading:
    """Of the gateway. None: not known, or nothing there. `decision`: the one that raised the floor that stands."""

    demand_rps: float | None = None
    forecast_rps: float | None = None  # 95 in 100 futures stay below it, a minute ahead
    least: int | None = None  # the HPA's minReplicas, floor included
    decision: str | None = None
    wanted: int | None = None
    ready: int | None = None

    @property
    def floor_stands(self) -> bool:
        return self.decision is not None


def reading(tools: Tools, prometheus: str) -> Reading:
    """`prometheus`: its address on this machine. What does not answer is not known."""
    demand, forecast = (_number(prometheus, query) for query in _QUERIES)
    try:
        found = tools.get(f"hpa/{_NAME}", f"deployment/{_NAME}", "-n", SHOP)["items"]
    except (ClusterFailed, ValueError):
        return Reading(demand, forecast)
    by_kind = {item["kind"]: item for item in found}
    return _read(by_kind.get("HorizontalPodAutoscaler", {}), by_kind.get("Deployment", {}), demand, forecast)


def explanation(tools: Tools, decision: str | None) -> str | None:
    """The sentence of a decision about the gateway; None until it stands in the policy's status.

    `decision` None: the newest one.
    """
    try:
        status = tools.get("resiliencepolicy/shop", "-n", SHOP).get("status", {})
    except (ClusterFailed, ValueError):
        return None
    decisions = [one for one in status.get("decisions", ()) if one["workload"] == WORKLOAD]
    if decision is not None:
        decisions = [one for one in decisions if one["id"] == decision]
    newest = max(decisions, key=lambda one: str(one["at"]), default=None)
    return None if newest is None else str(newest["explanation"])


_QUERIES = (
    f'max(foresail_demand_rps{{workload="{WORKLOAD}"}})',
    f'max(foresail_forecast{{signal="demand",workload="{WORKLOAD}",horizon_s="60",quantile="0.95"}})',
)


def _read(hpa: Any, deployment: Any, demand_rps: float | None, forecast_rps: float | None) -> Reading:
    mark = hpa.get("metadata", {}).get("annotations", {}).get(_FLOOR)
    return Reading(
        demand_rps,
        forecast_rps,
        least=hpa.get("spec", {}).get("minReplicas"),
        decision=None if mark is None else str(json.loads(mark).get("decision")),
        wanted=hpa.get("status", {}).get("desiredReplicas"),
        ready=deployment.get("status", {}).get("readyReplicas", 0) if deployment else None,
    )


def _number(prometheus: str, query: str) -> float | None:
    asked = urllib.parse.urlencode({"query": query, "time": f"{time.time():.3f}"})
    try:
        with urllib.request.urlopen(f"{prometheus}/api/v1/query?{asked}", timeout=_TIMEOUT_S) as answer:
            rows = json.load(answer)["data"]["result"]
            value = float(rows[0]["value"][1]) if rows else math.nan
    except (OSError, ValueError, KeyError):
        return None
    return value if math.isfinite(value) else None
